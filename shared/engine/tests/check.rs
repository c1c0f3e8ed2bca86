//! What a check says of a connection, and that it says it of the connection as it is.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    collections::VecDeque,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use hetzner_sim::Access;
use jiff::{SignedDuration, Timestamp};
use nodeyard_domain::{
    connection::{
        Connection, ConnectionReason as Reason, ConnectionStatus as Status, ManagedKey, Permission,
    },
    job::Step,
    observation::{FailureClass, ProviderFailure},
};
use nodeyard_engine::{
    Clock as _,
    check::check,
    provider::{Catalogue, ProviderCheck, Survey, TokenReport},
    store::{ApiStore as _, JobStore as _},
};
use nodeyard_testkit::world::{World, name};
use secrecy::SecretString;

async fn connection(world: &World) -> Connection {
    world.store.connection(&name()).await.unwrap().unwrap()
}

async fn look(
    world: &World,
    provider: &impl ProviderCheck,
    connection: &Connection,
    now: Timestamp,
) -> Connection {
    let deployment = &world.driver.deployment;
    check(&world.store, &world.secrets, provider, deployment, connection, now).await.unwrap()
}

#[tokio::test]
async fn a_connection_without_a_key_is_left_to_its_caller() {
    let world = World::new().await;
    let known = connection(&world).await;
    let bare = Connection { key: None, ..known.clone() };
    // Health makes no key: it may not write its private half.
    let stored = Connection { version: 1, ..bare };
    assert!(world.store.swap_connection(&stored, &[]).await.unwrap());
    let before = connection(&world).await;
    let judged = look(&world, &world.provider, &before, world.clock.now()).await;
    assert_eq!(judged, before);
    assert_eq!(connection(&world).await, before);
}

#[tokio::test]
async fn what_a_check_finds_is_stored() {
    let world = World::new().await;
    world.provider.revoke_token(true);
    let before = connection(&world).await;
    let now = world.clock.now() + SignedDuration::from_secs(300);
    let judged = look(&world, &world.provider, &before, now).await;
    assert_eq!((judged.status, judged.reason), (Status::Disconnected, Some(Reason::Unauthorized)));
    let stored = connection(&world).await;
    assert_eq!(stored, Connection { version: before.version + 1, ..judged });

    world.provider.revoke_token(false);
    let judged = look(&world, &world.provider, &stored, now).await;
    assert_eq!((judged.status, judged.reason), (Status::Connected, None));
}

/// Somebody changes the connection while its token is looked at.
struct Meanwhile<'a> {
    world: &'a World,
    is_done: AtomicBool,
}

impl ProviderCheck for Meanwhile<'_> {
    async fn check_token(
        &self,
        _: &SecretString,
        _: &str,
        _: &str,
        _: Option<&ManagedKey>,
    ) -> Result<TokenReport, ProviderFailure> {
        if !self.is_done.swap(true, Ordering::SeqCst) {
            let known = connection(self.world).await;
            let rotated = Connection { max_nodes: Some(3), ..known };
            assert!(self.world.store.swap_connection(&rotated, &[]).await.unwrap());
        }
        Err(ProviderFailure::new(FailureClass::Unauthorized, "unauthorized", "message"))
    }

    async fn sees_server(&self, _: &SecretString, _: u64) -> Result<bool, ProviderFailure> {
        Ok(false)
    }

    async fn survey(&self, _: &SecretString, _: &str) -> Result<Survey, ProviderFailure> {
        Ok(Survey::default())
    }

    async fn catalogue(&self, _: &SecretString) -> Result<Catalogue, ProviderFailure> {
        Err(ProviderFailure::new(FailureClass::Unknown, "code", "a check reads no catalogue"))
    }
}

#[tokio::test]
async fn an_answer_about_an_older_token_is_not_stored() {
    let world = World::new().await;
    let before = connection(&world).await;
    let provider = Meanwhile { world: &world, is_done: AtomicBool::new(false) };
    let now = world.clock.now();
    let judged = look(&world, &provider, &before, now).await;
    assert_eq!(judged.status, Status::Connected, "nothing is known of the new one");
    let stored = connection(&world).await;
    assert_eq!((stored.status, stored.max_nodes), (Status::Connected, Some(3)));
}

/// The key is deleted at the provider by somebody else.
fn delete_key(world: &World, key: &ManagedKey) {
    assert!(world.provider.remove_key(key.provider_id));
}

#[tokio::test]
async fn a_marker_that_was_deleted_is_made_again_while_a_server_on_record_is_seen() {
    let mut world = World::new().await;
    let (job, _) = world.provision(|_| {}).await;
    world.drain_until(&job, Step::AwaitServer).await;
    let before = connection(&world).await;
    let key = before.key.clone().unwrap();
    delete_key(&world, &key);
    let judged = look(&world, &world.provider, &before, world.clock.now()).await;
    assert_eq!((judged.status, judged.reason), (Status::Connected, None));
    let made = judged.key.clone().unwrap();
    assert_ne!(made.provider_id, key.provider_id, "under a new id");
    assert_eq!((made.version, made.public_key), (key.version, key.public_key), "the same key");
    assert_eq!(connection(&world).await.key, judged.key, "and it is on record");
}

#[tokio::test]
async fn a_marker_is_not_made_again_where_nothing_proves_the_project() {
    let world = World::new().await;
    let before = connection(&world).await;
    delete_key(&world, before.key.as_ref().unwrap());
    let judged = look(&world, &world.provider, &before, world.clock.now()).await;
    assert_eq!((judged.status, judged.reason), (Status::Degraded, Some(Reason::MarkerMissing)));
    assert_eq!(judged.key, before.key, "what is on record stays");
    assert_eq!(judged.permission, Permission::ReadWrite);

    // Nor for a token of another project, which sees none of the servers on record.
    let mut world = World::new().await;
    let (job, _) = world.provision(|_| {}).await;
    world.drain_until(&job, Step::AwaitServer).await;
    world.provider.add_token("other", "another project", Access::ReadWrite);
    world.replace_token("other").await;
    let before = connection(&world).await;
    let judged = look(&world, &world.provider, &before, world.clock.now()).await;
    assert_eq!((judged.status, judged.reason), (Status::Degraded, Some(Reason::MarkerMissing)));
}

/// Answers what the test tells it to, in turn, and sees every server.
struct Told(Mutex<VecDeque<Result<TokenReport, ProviderFailure>>>);

impl Told {
    fn new(answers: impl IntoIterator<Item = Result<TokenReport, ProviderFailure>>) -> Self {
        Self(Mutex::new(answers.into_iter().collect()))
    }

    fn is_asked_out(&self) -> bool {
        self.0.lock().unwrap().is_empty()
    }
}

impl ProviderCheck for Told {
    async fn check_token(
        &self,
        _: &SecretString,
        _: &str,
        _: &str,
        _: Option<&ManagedKey>,
    ) -> Result<TokenReport, ProviderFailure> {
        self.0.lock().unwrap().pop_front().expect("asked more often than it is told")
    }

    async fn sees_server(&self, _: &SecretString, _: u64) -> Result<bool, ProviderFailure> {
        Ok(true)
    }

    async fn survey(&self, _: &SecretString, _: &str) -> Result<Survey, ProviderFailure> {
        Ok(Survey::default())
    }

    async fn catalogue(&self, _: &SecretString) -> Result<Catalogue, ProviderFailure> {
        Err(ProviderFailure::new(FailureClass::Unknown, "code", "a check reads no catalogue"))
    }
}

fn report(sees_marker: bool, key: Option<ManagedKey>) -> TokenReport {
    TokenReport { permission: Permission::ReadWrite, rate_budget: None, key, sees_marker }
}

#[tokio::test]
async fn a_refusal_of_the_token_counts_when_it_is_heard_twice() {
    let failed = |class| Err(ProviderFailure::new(class, "code", "message"));
    for (answers, status) in [
        (vec![failed(FailureClass::Unauthorized), Ok(report(true, None))], Status::Connected),
        (vec![failed(FailureClass::Unauthorized); 2], Status::Disconnected),
        // Anything else is heard once.
        (vec![failed(FailureClass::Unknown)], Status::Connected),
    ] {
        let world = World::new().await;
        let before = connection(&world).await;
        let provider = Told::new(answers);
        let judged = look(&world, &provider, &before, world.clock.now()).await;
        assert_eq!(judged.status, status);
        assert!(provider.is_asked_out());
        assert_eq!(judged.drift, None, "a provider that does not look has found none");
    }
}

#[tokio::test]
async fn a_marker_that_is_made_again_keeps_its_version() {
    let mut world = World::new().await;
    let (job, _) = world.provision(|_| {}).await;
    world.drain_until(&job, Step::AwaitServer).await;
    let before = connection(&world).await;
    let key = before.key.clone().unwrap();
    let made = ManagedKey { version: key.version + 8, provider_id: 77, ..key.clone() };
    let provider = Told::new([Ok(report(false, None)), Ok(report(false, Some(made)))]);
    let judged = look(&world, &provider, &before, world.clock.now()).await;
    assert_eq!(judged.key, Some(ManagedKey { provider_id: 77, ..key }));
}

#[tokio::test]
async fn servers_of_other_connections_prove_nothing_of_this_one() {
    let mut world = World::new().await;
    let (job, node) = world.provision(|_| {}).await;
    world.drain_until(&job, Step::AwaitServer).await;
    let mut node = world.store.node(&node).await.unwrap().unwrap();
    assert!(node.server.is_some());
    node.spec.connection = "other".parse().unwrap();
    world.store.put_node(node);
    let before = connection(&world).await;
    // Were the server looked for, it would be seen, and the marker made again.
    let provider = Told::new([Ok(report(false, None))]);
    let judged = look(&world, &provider, &before, world.clock.now()).await;
    assert_eq!((judged.status, judged.reason), (Status::Degraded, Some(Reason::MarkerMissing)));
}

/// Judges the token well, by answers that are not as the provider documents them.
struct Drifted;

impl ProviderCheck for Drifted {
    async fn check_token(
        &self,
        _: &SecretString,
        _: &str,
        _: &str,
        _: Option<&ManagedKey>,
    ) -> Result<TokenReport, ProviderFailure> {
        Ok(report(true, None))
    }

    async fn sees_server(&self, _: &SecretString, _: u64) -> Result<bool, ProviderFailure> {
        Ok(false)
    }

    async fn survey(&self, _: &SecretString, _: &str) -> Result<Survey, ProviderFailure> {
        Ok(Survey::default())
    }

    fn take_drift(&self) -> Option<String> {
        Some("a field is missing".into())
    }

    async fn catalogue(&self, _: &SecretString) -> Result<Catalogue, ProviderFailure> {
        Err(ProviderFailure::new(FailureClass::Unknown, "code", "a check reads no catalogue"))
    }
}

#[tokio::test]
async fn drift_is_on_record_until_a_check_hears_none() {
    let world = World::new().await;
    let before = connection(&world).await;
    let judged = look(&world, &Drifted, &before, world.clock.now()).await;
    assert_eq!(judged.drift.as_deref(), Some("a field is missing"));
    let stored = connection(&world).await;
    assert_eq!((stored.drift.clone(), stored.status), (judged.drift, Status::Connected));
    let judged = look(&world, &world.provider, &stored, world.clock.now()).await;
    assert_eq!((judged.drift, connection(&world).await.drift), (None, None));
}
