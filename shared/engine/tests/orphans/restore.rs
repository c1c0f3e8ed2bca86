//! After the table was restored, or where it has no past, nothing is removed until an admin says
//! that table and project belong together.

use jiff::Timestamp;
use nodeyard_domain::{
    connection::{Connection, ConnectionName, KeySecret, StoredToken},
    evidence::{Hash, Signature},
    id::NodeId,
    node::NodeStatus,
    orphan::OrphanReason,
    ownership::DeploymentKey,
};
use nodeyard_engine::{
    orphan::{OrphanCheck, OrphanStore as _, confirm},
    secrets::{Secrets, SecretsError},
};
use nodeyard_testkit::world::{DEPLOYMENT, World};
use secrecy::SecretString;

use crate::bench::Bench;

#[tokio::test]
async fn after_a_gap_it_only_reports_until_confirmed() {
    let mut bench = Bench::new().await;
    let (node, server) = bench.left_behind().await;
    bench.check().await;
    // As a table is that was restored from an hour ago.
    bench.pass(3600);
    let checked = bench.check().await;
    assert!(checked.only_reported && checked.found == 1);
    bench.live(3600).await;
    assert_eq!(bench.node(&node).await.status, NodeStatus::Released);
    assert_eq!(
        (bench.alive(), bench.reasons().await),
        (vec![server], vec![OrphanReason::LeftBehind])
    );
    let state = bench.world.store.orphan_state().await.unwrap();
    assert!(state.report_only_since.is_some());

    let confirmed = confirm(&bench.world.store, &bench.audit()).await.unwrap();
    assert_eq!(confirmed.report_only_since, None);
    assert_eq!(bench.world.store.audit().last().unwrap().actor, "admin");
    let checked = bench.check().await;
    assert!(!checked.only_reported);
    assert_eq!(checked.removed, 1);
    bench.live(900).await;
    assert_eq!(bench.alive(), Vec::<u64>::new());
}

#[tokio::test]
async fn a_table_without_a_past_and_with_servers_it_cannot_explain_only_reports() {
    let bench = Bench { world: World::new().await };
    let labels = bench.labels(&NodeId::from_bits(5), 1).await;
    bench.world.provider.take_name_as("unknown", labels);
    assert!(bench.check().await.only_reported);
    // It does not end by itself, not even when the server is gone.
    bench.pass(60);
    assert!(bench.world.provider.remove_server(bench.alive()[0]));
    bench.pass(240);
    let checked = bench.check().await;
    assert!(checked.only_reported && checked.found == 0);
    confirm(&bench.world.store, &bench.audit()).await.unwrap();
    assert!(!bench.check().await.only_reported);
}

#[tokio::test]
async fn a_table_without_a_past_that_explains_every_server_is_as_good_as_any() {
    let mut bench = Bench { world: World::new().await };
    bench.ready().await;
    assert!(!bench.check().await.only_reported);
}

#[tokio::test]
async fn a_first_check_that_sees_nothing_is_no_proof() {
    let bench = Bench { world: World::new().await };
    bench.world.provider.set_down(true);
    let checked = bench.check().await;
    assert!(checked.only_reported && checked.listed == 0);
}

#[tokio::test]
async fn groups_and_addresses_wait_as_well() {
    let mut bench = Bench::new().await;
    let group = bench.empty_group().await;
    bench.pass(3600);
    bench.check().await;
    bench.live(3600).await;
    assert_eq!(bench.reasons().await, [OrphanReason::EmptyGroup]);
    assert!(bench.world.provider.groups().contains_key(&group));
    confirm(&bench.world.store, &bench.audit()).await.unwrap();
    assert_eq!(bench.check().await.removed, 1);
    assert!(bench.world.provider.groups().is_empty());
}

/// Secrets whose reading takes so long that an admin confirms meanwhile.
struct WhileConfirmed<'a>(&'a Bench);

type Secret<T> = Result<T, SecretsError>;

impl Secrets for WhileConfirmed<'_> {
    async fn deployment_key(&self) -> Secret<DeploymentKey> {
        confirm(&self.0.world.store, &self.0.audit()).await.unwrap();
        self.0.world.secrets.deployment_key().await
    }
    async fn provider_token(&self, on: &Connection, fresh: bool) -> Secret<SecretString> {
        self.0.world.secrets.provider_token(on, fresh).await
    }
    async fn put_provider_token(
        &self,
        _: &ConnectionName,
        _: Option<&StoredToken>,
        _: &SecretString,
    ) -> Secret<StoredToken> {
        unreachable!("the check stores no secret")
    }
    async fn delete_provider_token(&self, _: &Connection) -> Secret<()> {
        unreachable!("the check deletes no secret")
    }
    async fn ssh_key(&self, _: &KeySecret) -> Secret<SecretString> {
        unreachable!("the check logs in nowhere")
    }
    async fn put_ssh_key(&self, _: &KeySecret, _: &SecretString) -> Secret<bool> {
        unreachable!("the check stores no secret")
    }
    async fn make_ssh_key(&self, _: &KeySecret, _: &str) -> Secret<Option<String>> {
        unreachable!("the check makes no key")
    }
    async fn destroy_ssh_key(&self, _: &KeySecret) -> Secret<()> {
        unreachable!("the check destroys no key")
    }
    async fn sign_evidence(&self, _: &Hash, _: Timestamp) -> Secret<Signature> {
        unreachable!("the check ends no job")
    }
    async fn bootstrap(&self) -> Secret<SecretString> {
        unreachable!("the check is no caller")
    }
}

#[tokio::test]
async fn a_word_that_comes_while_a_check_runs_is_not_lost() {
    let mut bench = Bench::new().await;
    bench.left_behind().await;
    bench.check().await;
    bench.pass(3600);
    let check = OrphanCheck {
        store: &bench.world.store,
        provider: &bench.world.provider,
        secrets: &WhileConfirmed(&bench),
        clock: &bench.world.clock,
        deployment: DEPLOYMENT,
    };
    let checked = check.run().await.unwrap();
    assert!(checked.only_reported, "it began before the word");
    let state = bench.world.store.orphan_state().await.unwrap();
    assert_eq!((state.report_only_since, state.last_run_at.is_some()), (None, true));
    assert_eq!(bench.check().await.removed, 1);
}
