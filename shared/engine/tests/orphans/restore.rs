//! After the table was restored, or where it has no past, nothing is removed until an admin says
//! that table and project belong together.

use nodeyard_domain::{id::NodeId, node::NodeStatus, orphan::OrphanReason};
use nodeyard_engine::orphan::{OrphanStore as _, confirm};
use nodeyard_testkit::world::World;

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
    assert_eq!(bench.world.store.audit().last().unwrap().action, "test");
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
