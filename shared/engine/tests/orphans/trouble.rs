//! What cannot be listed keeps its findings, and keeps nobody else from being checked.

use std::sync::atomic::{AtomicI64, Ordering};

use hetzner_sim::Access;
use jiff::SignedDuration;
use nodeyard_domain::{
    connection::{Connection, ConnectionName, ConnectionReason, ConnectionStatus},
    id::NodeId,
    orphan::OrphanReason,
};
use nodeyard_engine::{
    Clock as _,
    orphan::{OrphanCheck, OrphanStore as _},
    store::{ApiStore as _, JobStore as _},
};
use nodeyard_testkit::{
    provider::TOKEN,
    world::{DEPLOYMENT, name},
};

use crate::bench::Bench;

async fn unknown(bench: &Bench) {
    let labels = bench.labels(&NodeId::from_bits(5), 1).await;
    bench.world.provider.take_name_as("unknown", labels);
    bench.check().await;
    assert_eq!(bench.reasons().await, [OrphanReason::UnknownNode]);
}

#[tokio::test]
async fn a_connection_that_cannot_be_listed_keeps_its_findings() {
    let bench = Bench::new().await;
    unknown(&bench).await;
    let found = bench.orphans().await;
    let trouble: [fn(&Bench, bool); 4] = [
        |bench, on| bench.world.provider.revoke_token(on),
        |bench, on| bench.world.provider.set_down(on),
        |bench, on| bench.world.provider.set_maintenance(on),
        |bench, on| bench.world.provider.throttle(u32::from(on)),
    ];
    for (index, trouble) in trouble.into_iter().enumerate() {
        trouble(&bench, true);
        bench.pass(300);
        assert_eq!(bench.check().await.listed, 0, "trouble {index}");
        assert_eq!(bench.orphans().await, found);
        trouble(&bench, false);
    }
    bench.pass(300);
    assert_eq!(bench.check().await.listed, 1);
}

#[tokio::test]
async fn a_token_of_another_project_makes_nothing_vanish() {
    let bench = Bench::new().await;
    unknown(&bench).await;
    bench.world.provider.hide_marker(true);
    bench.world.check_connection().await.unwrap();
    assert_eq!(bench.connection().await.reason, Some(ConnectionReason::MarkerMissing));
    bench.pass(300);
    assert_eq!(bench.check().await.listed, 0);
    assert_eq!(bench.orphans().await.len(), 1);
}

#[tokio::test]
async fn without_budget_no_call_is_made() {
    let bench = Bench::new().await;
    unknown(&bench).await;
    bench.pass(1);
    let now = bench.world.clock.now();
    let mut pace = bench.world.store.pace(&name(), now).await.unwrap();
    // Newer than what the answers said.
    (pace.budget.remaining, pace.budget.at) = (100.0, now);
    assert!(bench.world.store.swap_pace(&name(), &pace).await.unwrap());
    let calls = bench.world.provider.books().calls;
    assert_eq!(bench.check().await.listed, 0);
    assert_eq!(bench.world.provider.books().calls, calls);
    assert_eq!(bench.orphans().await.len(), 1);
}

#[tokio::test]
async fn every_call_is_taken_from_the_budget() {
    let mut bench = Bench::new().await;
    bench.ready().await;
    bench.pass(4000);
    let before = bench.world.provider.books().calls;
    bench.check().await;
    let calls = bench.world.provider.books().calls - before;
    let pace = bench.world.store.pace(&name(), bench.world.clock.now()).await.unwrap();
    let spent = f64::from(pace.budget.limit) - pace.budget.remaining;
    assert_eq!((calls, spent.round() as u32), (4, 4));
}

#[tokio::test]
async fn one_bad_connection_does_not_keep_others_from_being_checked() {
    let bench = Bench::new().await;
    let second: ConnectionName = "aaa-first".parse().unwrap();
    let connection = Connection { name: second.clone(), version: 0, ..bench.connection().await };
    assert!(bench.world.store.swap_connection(&connection, &[]).await.unwrap());
    // Its token opens nothing.
    bench.world.secrets.put_token(&second, "unknown-token");
    unknown(&bench).await;
    assert_eq!(bench.check().await.listed, 1);
    bench.world.provider.add_token("unknown-token", "second", Access::ReadWrite);
    assert_eq!(bench.check().await.listed, 2);

    let lost = Connection { status: ConnectionStatus::Disconnected, version: 1, ..connection };
    assert!(bench.world.store.swap_connection(&lost, &[]).await.unwrap());
    assert_eq!(bench.check().await.listed, 1);
    // A connection that is no more takes its findings along.
    let mut moved = bench.orphans().await[0].clone();
    moved.connection = second.clone();
    moved.id = nodeyard_domain::orphan::OrphanId::new(moved.kind, moved.provider_id, &second);
    bench.world.store.put_orphan(&moved).await.unwrap();
    bench.check().await;
    assert_eq!(bench.orphans().await.len(), 2);
    bench.world.store.delete_connection(&second, &bench.audit()).await.unwrap();
    bench.check().await;
    assert_eq!(bench.orphans().await.len(), 1);
    assert_eq!(bench.world.store.orphan_state().await.unwrap().connections.len(), 1);
}

#[tokio::test]
async fn a_provider_that_hangs_leaves_the_check_its_end_and_others_come_first_next_time() {
    let bench = Bench::new().await;
    for name in ["second", "third"] {
        let connection =
            Connection { name: name.parse().unwrap(), version: 0, ..bench.connection().await };
        assert!(bench.world.store.swap_connection(&connection, &[]).await.unwrap());
        bench.world.secrets.put_token(&connection.name, TOKEN);
    }
    // Every look at the clock finds ten seconds gone.
    let looks = AtomicI64::new(0);
    let start = bench.world.clock.now();
    let slow = || start + SignedDuration::from_secs(10 * looks.fetch_add(1, Ordering::SeqCst));
    let world = &bench.world;
    let check = OrphanCheck {
        store: &world.store,
        provider: &world.provider,
        secrets: &world.secrets,
        clock: &slow,
        deployment: DEPLOYMENT,
    };
    for run in 1..=2 {
        assert_eq!(check.run().await.unwrap().listed, 1);
        let state = world.store.orphan_state().await.unwrap();
        // `main` was seen by the check before these.
        assert_eq!(state.connections.len(), 1 + run);
        assert!(state.last_run_at > Some(start) && state.report_only_since.is_none());
    }
}

#[tokio::test]
async fn a_429_that_a_check_meets_is_told_to_the_jobs() {
    let bench = Bench::new().await;
    bench.world.provider.throttle(1);
    bench.check().await;
    let pace = bench.world.store.pace(&name(), bench.world.clock.now()).await.unwrap();
    assert!(pace.budget.remaining < 300.0, "{} calls were left", pace.budget.remaining);
}

#[tokio::test]
async fn an_orphan_is_told_of_when_it_is_found_and_not_again() {
    let bench = Bench::new().await;
    unknown(&bench).await;
    let told = bench.world.store.outbox().len() + bench.world.events.received().len();
    bench.check().await;
    let again = bench.world.store.outbox().len() + bench.world.events.received().len();
    assert_eq!((told, again), (1, 1));
}
