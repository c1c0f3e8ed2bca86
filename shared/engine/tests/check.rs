//! What a check says of a connection, and that it says it of the connection as it is.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::atomic::{AtomicBool, Ordering};

use jiff::SignedDuration;
use nodeyard_domain::{
    connection::{
        Connection, ConnectionReason as Reason, ConnectionStatus as Status, ManagedKey, Permission,
        RateBudget,
    },
    observation::{FailureClass, ProviderFailure},
};
use nodeyard_engine::{
    Clock as _,
    check::{check, judge},
    provider::{Catalogue, ProviderCheck, TokenReport},
    store::JobStore as _,
};
use nodeyard_testkit::world::{World, name};
use secrecy::SecretString;

async fn connection(world: &World) -> Connection {
    world.store.connection(&name()).await.unwrap().unwrap()
}

fn report(permission: Permission, sees_marker: bool) -> TokenReport {
    let rate_budget = Some(RateBudget { limit: 3600, remaining: 17 });
    TokenReport { permission, rate_budget, key: None, sees_marker }
}

#[tokio::test]
async fn each_observation_has_its_status_and_reason() {
    let world = World::new().await;
    let known = connection(&world).await;
    let later = world.clock.now() + SignedDuration::from_secs(300);
    let failed = |class| Err(ProviderFailure::new(class, "code", "message"));
    for (observed, status, reason) in [
        (Ok(report(Permission::ReadWrite, true)), Status::Connected, None),
        (Ok(report(Permission::ReadOnly, true)), Status::Degraded, Some(Reason::TokenReadonly)),
        (Ok(report(Permission::Unknown, true)), Status::Degraded, Some(Reason::PermissionUnknown)),
        (Ok(report(Permission::ReadWrite, false)), Status::Degraded, Some(Reason::MarkerMissing)),
        (failed(FailureClass::Unauthorized), Status::Disconnected, Some(Reason::Unauthorized)),
        (failed(FailureClass::RateLimited), Status::Degraded, Some(Reason::RateLimited)),
        (failed(FailureClass::Unknown), Status::Degraded, Some(Reason::ProviderUnavailable)),
        (failed(FailureClass::Drift), Status::Degraded, Some(Reason::ProviderUnavailable)),
    ] {
        let judged = judge(&known, observed.clone(), later);
        assert_eq!((judged.status, judged.reason), (status, reason), "{observed:?}");
        assert_eq!(judged.checked_at, later);
        assert_eq!(judged.key, known.key, "what was known of the key stays");
        match observed {
            Ok(seen) => {
                assert_eq!(judged.permission, seen.permission);
                assert_eq!(judged.rate_budget, seen.rate_budget);
            }
            // A provider that does not answer says nothing of the token.
            Err(_) => assert_eq!(judged.permission, known.permission),
        }
    }
}

#[tokio::test]
async fn a_connection_without_a_key_has_no_marker_to_miss() {
    let world = World::new().await;
    let known = connection(&world).await;
    let bare = Connection { key: None, ..known.clone() };
    let key = known.key.map(|key| ManagedKey { provider_id: 99, ..key });
    let seen = TokenReport { key: key.clone(), ..report(Permission::ReadWrite, false) };
    let judged = judge(&bare, Ok(seen), world.clock.now());
    assert_eq!((judged.status, judged.key), (Status::Connected, key));

    // Health makes no key: it may not write its private half.
    let stored = Connection { version: 1, ..bare };
    assert!(world.store.swap_connection(&stored, &[]).await.unwrap());
    let before = connection(&world).await;
    let judged =
        check(&world.store, &world.secrets, &world.provider, &before, world.clock.now()).await;
    assert_eq!(judged.unwrap(), before);
    assert_eq!(connection(&world).await, before);
}

#[tokio::test]
async fn what_a_check_finds_is_stored() {
    let world = World::new().await;
    world.provider.revoke_token(true);
    let before = connection(&world).await;
    let now = world.clock.now() + SignedDuration::from_secs(300);
    let judged = check(&world.store, &world.secrets, &world.provider, &before, now).await.unwrap();
    assert_eq!((judged.status, judged.reason), (Status::Disconnected, Some(Reason::Unauthorized)));
    let stored = connection(&world).await;
    assert_eq!(stored, Connection { version: before.version + 1, ..judged });

    world.provider.revoke_token(false);
    let judged = check(&world.store, &world.secrets, &world.provider, &stored, now).await.unwrap();
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
    let judged = check(&world.store, &world.secrets, &provider, &before, now).await.unwrap();
    assert_eq!(judged.status, Status::Connected, "nothing is known of the new one");
    let stored = connection(&world).await;
    assert_eq!((stored.status, stored.max_nodes), (Status::Connected, Some(3)));
}
