//! Servers: found, held against their nodes, given back, never deleted past a job.

use std::collections::BTreeMap;

use nodeyard_domain::{
    id::NodeId,
    job::{JobKind, JobState},
    node::NodeStatus,
    orphan::{OrphanReason, REMOVAL_AFTER_SECS},
    ownership::{LABEL_DEPLOYMENT, LABEL_NONCE},
};
use nodeyard_engine::{
    orphan::OrphanStore as _,
    store::{ApiStore as _, JobStore as _},
};
use nodeyard_testkit::world::{DEPLOYMENT, name};

use crate::bench::{Bench, PERIOD_SECS};

#[tokio::test]
async fn a_left_over_goes_through_its_node_after_two_sightings_far_apart() {
    let mut bench = Bench::new().await;
    let (node, server) = bench.left_behind().await;
    for sighting in 0..REMOVAL_AFTER_SECS / PERIOD_SECS {
        let checked = bench.check().await;
        assert_eq!((checked.found, checked.removed), (1, 0), "sighting {sighting}");
        assert_eq!(bench.reasons().await, [OrphanReason::LeftBehind]);
        assert_eq!(bench.node(&node).await.status, NodeStatus::Released);
        bench.pass(PERIOD_SECS);
    }
    assert_eq!(bench.check().await.removed, 1);
    let given = bench.node(&node).await;
    assert_eq!(given.status, NodeStatus::CleanupPending);
    assert_eq!(given.server.as_ref().map(|known| (known.id, known.attempt)), Some((server, 1)));
    assert!(given.release_at.is_some() && bench.orphans().await.is_empty());
    assert_eq!(bench.calls("DELETE /servers/{id}"), 0, "the check deletes no server itself");
    assert_eq!(bench.check().await.found, 0, "its node accounts for it");

    bench.live(900).await;
    assert_eq!(bench.alive(), Vec::<u64>::new());
    let released = bench.node(&node).await;
    assert_eq!((released.status, released.server), (NodeStatus::Released, None));
    let jobs = bench.world.store.all_jobs();
    let release = jobs.iter().find(|job| job.kind == JobKind::NodeRelease).unwrap();
    assert_eq!((release.actor.as_str(), release.state), ("system", JobState::Succeeded));
    assert_eq!(bench.calls("DELETE /servers/{id}"), 1);
}

#[tokio::test]
async fn one_that_was_away_in_between_is_new() {
    let mut bench = Bench::new().await;
    let (_, server) = bench.left_behind().await;
    bench.check().await;
    let labels = bench.world.provider.look(|world| world.server(server).unwrap().labels.clone());
    bench.world.provider.relabel(server, BTreeMap::new());
    bench.pass(600);
    assert_eq!(bench.check().await.found, 0);
    bench.world.provider.relabel(server, labels);
    bench.pass(300);
    assert_eq!(bench.check().await.removed, 0, "fifteen minutes after the first sighting");
    bench.pass(REMOVAL_AFTER_SECS);
    assert_eq!(bench.check().await.removed, 1);
}

#[tokio::test]
async fn what_lacks_our_label_is_counted_and_left_alone() {
    let mut bench = Bench::new().await;
    let node = bench.ready().await;
    bench.world.provider.take_name("theirs-1");
    let other = [(LABEL_DEPLOYMENT.to_owned(), "another".to_owned())].into();
    bench.world.provider.take_name_as("theirs-2", other);
    bench.live(3600).await;
    assert!(bench.orphans().await.is_empty());
    let state = bench.world.store.orphan_state().await.unwrap();
    assert_eq!(state.connections[&name()].unlabelled_servers, Some(2));
    assert_eq!(bench.alive().len(), 3);
    assert_eq!(bench.node(&node).await.status, NodeStatus::Ready);
}

#[tokio::test]
async fn what_is_not_proved_is_reported_and_left_alone() {
    let mut bench = Bench::new().await;
    let (node, server) = bench.left_behind().await;
    let forged = bench.labels(&node, 1).await;
    let forged = relabelled(forged, LABEL_NONCE, "00000000000000000000000000000000");
    bench.world.provider.relabel(server, forged.clone());
    let unknown = bench.labels(&NodeId::from_bits(77), 1).await;
    bench.world.provider.take_name_as("unknown", unknown);
    let bare = [(LABEL_DEPLOYMENT.to_owned(), DEPLOYMENT.to_owned())].into();
    bench.world.provider.take_name_as("bare", bare);
    bench.live(3600).await;
    let mut reasons = bench.reasons().await;
    reasons.sort_by_key(|reason| format!("{reason:?}"));
    assert_eq!(
        reasons,
        [OrphanReason::NotProven, OrphanReason::UnknownNode, OrphanReason::UnknownNode]
    );
    assert_eq!(bench.alive().len(), 3);
    assert_eq!(bench.node(&node).await.status, NodeStatus::Released);
    assert_eq!(bench.calls("DELETE /servers/{id}"), 0);
    let first = &bench.orphans().await[0];
    assert!((first.last_seen_at - first.first_seen_at).get_seconds() >= 3000);
}

fn relabelled(
    mut labels: BTreeMap<String, String>,
    key: &str,
    value: &str,
) -> BTreeMap<String, String> {
    labels.insert(key.to_owned(), value.to_owned());
    labels
}

#[tokio::test]
async fn a_node_that_lives_keeps_its_server_and_a_second_one_waits_for_its_end() {
    let mut bench = Bench::new().await;
    let node = bench.ready().await;
    let first = bench.node(&node).await.server.unwrap().id;
    let labels = bench.labels(&node, 1).await;
    let second = bench.world.provider.take_name_as("second", labels);
    bench.live(1800).await;
    assert_eq!(bench.reasons().await, [OrphanReason::SecondServer]);
    assert_eq!(bench.alive(), [first, second]);
    let kept = bench.node(&node).await;
    assert_eq!((kept.status, kept.server.unwrap().id), (NodeStatus::Ready, first));

    bench.world.work(JobKind::NodeRelease, &node).await.unwrap();
    bench.live(600).await;
    assert_eq!(bench.alive(), [second], "the release is the first one's");
    assert_eq!(bench.reasons().await, [OrphanReason::LeftBehind]);
    bench.live(2400).await;
    assert_eq!(bench.alive(), Vec::<u64>::new());
    assert_eq!(bench.node(&node).await.status, NodeStatus::Released);
    assert!(bench.orphans().await.is_empty());
}

#[tokio::test]
async fn what_jobs_are_at_is_never_reported() {
    let mut bench = Bench::new().await;
    bench.world.provider.fault(nodeyard_testkit::provider::CreateFault::AnswerLost);
    for _ in 0..4 {
        bench.world.provision(|_| {}).await;
    }
    let mut checks = 0;
    while !bench.world.open_jobs().is_empty() {
        assert_eq!(bench.check().await.found, 0, "{:?}", bench.orphans().await);
        bench.pass(2);
        bench.world.drain().await.unwrap();
        bench.world.end_runs().await;
        checks += 1;
    }
    assert!(checks > 20, "looked at all stages: {checks}");
    assert_eq!(bench.alive().len(), 4);
}

#[tokio::test]
async fn a_server_whose_node_is_another_connections_is_left_alone() {
    let mut bench = Bench::new().await;
    let (node, server) = bench.left_behind().await;
    let mut record = bench.node(&node).await;
    record.spec.connection = "another".parse().unwrap();
    bench.world.store.put_node(record);
    bench.live(3600).await;
    assert_eq!(bench.reasons().await, [OrphanReason::OtherConnection]);
    assert_eq!(bench.alive(), [server]);
}

#[tokio::test]
async fn more_than_a_page_of_servers_is_seen() {
    let mut bench = Bench::new().await;
    for number in 0..120 {
        let labels = bench.labels(&NodeId::from_bits(1000 + number), 1).await;
        bench.world.provider.take_name_as(&format!("unknown-{number}"), labels);
    }
    bench.ready().await;
    let checked = bench.check().await;
    assert_eq!((checked.found, checked.listed), (120, 1));
    let before = bench.calls("GET /servers?label_selector");
    bench.pass(300);
    bench.check().await;
    assert_eq!(bench.calls("GET /servers?label_selector") - before, 3);
    let connection = bench.world.store.connection(&name()).await.unwrap();
    assert!(connection.is_some() && bench.world.store.connections().await.unwrap().len() == 1);
}
