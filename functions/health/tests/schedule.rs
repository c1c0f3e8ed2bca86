//! What the schedule asks for, over simulated ports.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use jiff::SignedDuration;
use nodeyard_domain::{
    audit::{Action, SYSTEM},
    connection::{ConnectionReason, ConnectionStatus},
    event::{Event, EventKind},
    id::NodeId,
    node::NodeStatus,
    ownership,
};
use nodeyard_engine::{
    orphan::OrphanStore as _,
    secrets::Secrets as _,
    store::{ApiStore as _, JobStore as _},
};
use nodeyard_health::{Health, HealthError, Report, Request};
use nodeyard_testkit::{
    clock::SimulatedClock,
    events::MemoryEvents,
    figures::measured,
    provider::MemoryProvider,
    queue::MemoryQueue,
    reach::MemoryReach,
    secrets::MemorySecrets,
    store::MemoryStore,
    world::{DEPLOYMENT, World, name},
};

type SimulatedHealth = Health<
    MemoryStore,
    MemoryQueue,
    MemoryProvider,
    MemorySecrets,
    MemoryEvents,
    MemoryReach,
    SimulatedClock,
>;

fn health(world: &World) -> SimulatedHealth {
    Health {
        store: world.store.clone(),
        queue: world.queue.clone(),
        provider: world.provider.clone(),
        secrets: world.secrets.clone(),
        events: world.events.clone(),
        reach: MemoryReach::default(),
        clock: world.clock.clone(),
        deployment: DEPLOYMENT.to_owned(),
    }
}

/// Asks as the schedule does.
async fn ask(world: &World, input: &str) -> Result<Report, HealthError> {
    let request: Request = serde_json::from_str(input).unwrap();
    health(world).handle(request).await
}

/// What the schedule has changed by itself, as the audit trail tells it.
fn actions(world: &World) -> Vec<Action> {
    let trail = world.store.audit();
    let own = trail.iter().filter(|entry| entry.actor == SYSTEM && entry.request_id.is_empty());
    own.map(|entry| entry.action).collect()
}

const SWEEP: &str = r#"{"task":"sweep"}"#;
const CHECK: &str = r#"{"task":"check"}"#;

#[tokio::test]
async fn a_sweep_makes_no_call_and_a_check_makes_no_wake() {
    let mut world = World::new().await;
    world.provision(|_| {}).await;
    world.queue.lose_all();
    world.clock.advance(SignedDuration::from_secs(120));
    let calls = world.provider.books().calls;
    let report = ask(&world, SWEEP).await.unwrap();
    assert_eq!((report.found, report.done), (1, 1));
    assert_eq!(world.provider.books().calls, calls);
    world.queue.lose_all();
    let report = ask(&world, CHECK).await.unwrap();
    assert_eq!(report, Report { found: 1, done: 1, ..Report::default() });
    assert!(world.queue.messages().is_empty() && world.provider.books().calls > calls);
}

#[tokio::test]
async fn what_needs_a_person_is_told_in_figures() {
    let mut world = World::new().await;
    let (report, calm) = measured(ask(&world, CHECK)).await;
    report.unwrap();
    for metric in ["ConnectionsNotConnected", "OrphansOpen", "NodesCleanupPending"] {
        let told = calm.iter().find(|figure| figure.is(metric, &[]));
        assert_eq!(told.map(|figure| figure.value), Some(0.0), "{metric}");
    }
    let left = calm.iter().find(|figure| figure.is("BudgetLeft", &["main"])).unwrap().value;
    assert!(left > 3000.0 && left <= 3600.0, "{left}");
    let (_, calm) = measured(ask(&world, SWEEP)).await;
    assert!(calm.iter().any(|it| it.is("OldestDueJobAge", &[]) && it.value == 0.0), "{calm:?}");

    let (_, node) = world.provision(|_| {}).await;
    world.queue.lose_all();
    world.clock.advance(SignedDuration::from_secs(500));
    let (_, late) = measured(ask(&world, SWEEP)).await;
    assert!(late.iter().any(|it| it.is("OldestDueJobAge", &[]) && it.value >= 499.0), "{late:?}");
    let mut record = world.store.node(&node).await.unwrap().unwrap();
    record.status = NodeStatus::CleanupPending;
    world.store.put_node(record);
    world.provider.revoke_token(true);
    let (_, bad) = measured(ask(&world, CHECK)).await;
    for metric in ["ConnectionsNotConnected", "NodesCleanupPending"] {
        assert!(bad.iter().any(|it| it.is(metric, &[]) && it.value == 1.0), "{metric}: {bad:?}");
    }
}

#[tokio::test]
async fn a_check_finds_an_orphan_and_the_sweep_releases_it() {
    let mut world = World::new().await;
    ask(&world, CHECK).await.unwrap();
    let (job, node) = world.provision(|_| {}).await;
    assert!(world.cancel(&job).await);
    world.run_for(600).await.unwrap();
    assert!(world.store.node(&node).await.unwrap().unwrap().status.is_gone());
    let mut record = world.store.node(&node).await.unwrap().unwrap();
    record.attempts = 1;
    world.store.put_node(record);
    // As a create that lands long after its job has ended.
    let key = world.secrets.deployment_key().await.unwrap();
    let labels = ownership::labels(DEPLOYMENT, &node, &ownership::nonce(&key, &node, 1));
    world.provider.take_name_as("late", labels);
    let mut removed = 0;
    for minute in 0..60 {
        if minute % 5 == 0 {
            removed += ask(&world, CHECK).await.unwrap().removed;
        }
        ask(&world, SWEEP).await.unwrap();
        world.drain().await.unwrap();
        world.clock.advance(SignedDuration::from_secs(60));
    }
    assert_eq!(removed, 1);
    assert_eq!(world.provider.books().alive, Vec::<u64>::new());
    let node = world.store.node(&node).await.unwrap().unwrap();
    assert_eq!(node.status, NodeStatus::Released);
    // The first release is of the cancelled provision.
    let told: Vec<EventKind> = world.events.received().iter().map(Event::kind).collect();
    let expected = [
        EventKind::NodeReleased,
        EventKind::OrphanFound,
        EventKind::CleanupPending,
        EventKind::NodeReleased,
    ];
    assert_eq!((told.as_slice(), world.store.outbox()), (expected.as_slice(), Vec::new()));
}

#[tokio::test]
async fn a_token_of_another_project_is_found_out_before_anything_vanishes() {
    let world = World::new().await;
    ask(&world, CHECK).await.unwrap();
    let key = world.secrets.deployment_key().await.unwrap();
    let stranger = NodeId::from_bits(5);
    let nonce = ownership::nonce(&key, &stranger, 1);
    world.provider.take_name_as("unknown", ownership::labels(DEPLOYMENT, &stranger, &nonce));
    assert_eq!(ask(&world, CHECK).await.unwrap().orphans, 1);
    world.provider.hide_marker(true);
    ask(&world, CHECK).await.unwrap();
    let connection = world.store.connection(&name()).await.unwrap().unwrap();
    assert_eq!(connection.status, ConnectionStatus::Degraded);
    assert_eq!(connection.reason, Some(ConnectionReason::MarkerMissing));
    assert_eq!(actions(&world), [Action::ProviderCheck], "what changed is in the trail, once");
    ask(&world, CHECK).await.unwrap();
    assert_eq!(actions(&world).len(), 1);
    assert_eq!(world.store.orphans().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_check_destroys_the_key_that_no_node_needs_and_keeps_the_other() {
    let mut world = World::new().await;
    world.secrets.put("ssh-key/main-5eed5eed/1", "the first private half");
    world.rotate_key().await.unwrap();
    world.run_for(60).await.unwrap();
    ask(&world, CHECK).await.unwrap();
    assert!(
        world.secrets.contains("ssh-key/main-5eed5eed/1"),
        "a worker may still have it in mind"
    );
    world.clock.advance(SignedDuration::from_secs(900));
    ask(&world, CHECK).await.unwrap();
    assert!(
        !world.secrets.contains("ssh-key/main-5eed5eed/1")
            && world.secrets.contains("ssh-key/main-5eed5eed/2")
    );
    let connection = world.store.connection(&name()).await.unwrap().unwrap();
    assert_eq!((connection.retired.len(), connection.key.unwrap().version), (0, 2));
    assert_eq!(connection.status, ConnectionStatus::Connected, "the marker moved along");
    assert_eq!(actions(&world), [Action::ProviderRotateKey, Action::ProviderDestroyKey]);
}

#[tokio::test]
async fn without_the_deployment_key_the_function_fails() {
    let world = World::new().await;
    let health = Health { secrets: MemorySecrets::default(), ..health(&world) };
    let request = serde_json::from_str(CHECK).unwrap();
    assert!(matches!(health.handle(request).await, Err(HealthError::Orphans(_))));
}

#[test]
fn the_sample_events_are_what_the_schedule_sends() {
    for (text, expected) in [
        (include_str!("../../../events/health-sweep.json"), SWEEP),
        (include_str!("../../../events/health-check.json"), CHECK),
    ] {
        let (sample, sent): (Request, Request) =
            (serde_json::from_str(text).unwrap(), serde_json::from_str(expected).unwrap());
        assert_eq!(sample, sent);
    }
}

#[test]
fn an_input_that_is_none_of_ours_is_not_repeated() {
    assert!(Request::read(serde_json::json!({ "task": "sweep" })).is_ok());
    for input in [serde_json::json!({ "task": "hunter2" }), serde_json::json!("hunter2")] {
        let error = Request::read(input).unwrap_err().to_string();
        assert!(!error.contains("hunter2") && error.contains("sweep"), "{error}");
    }
}
