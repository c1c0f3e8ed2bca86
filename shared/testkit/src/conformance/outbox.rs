//! Events wait in the outbox from the write that causes them until they are taken out.

use jiff::Timestamp;
use nodeyard_domain::{
    connection::{ConnectionReason, ConnectionStatus},
    event::{self, Event, EventKind},
    job::{JobKind, JobState},
    node::NodeStatus,
    orphan::OrphanReason,
};
use nodeyard_engine::{event::DueEvent, store::Commit};

use super::{
    Store,
    fixture::{
        accept, accepted, commit, connection, decision, end, ending, later, load, new_node, server,
        work_on,
    },
    orphan::orphan,
};

async fn waiting<S: Store>(store: &S, before: Timestamp) -> Vec<DueEvent> {
    store.due_events(before, 100).await.expect("due events")
}

/// Everything that waits, in the order of its times.
async fn all<S: Store>(store: &S) -> Vec<Event> {
    waiting(store, later(1_000_000)).await.into_iter().map(|due| due.event).collect()
}

/// Ends one more node's job as failed, `secs` after the beginning of all.
async fn fail<S: Store>(store: &S, bits: u128, secs: i64) -> Vec<Event> {
    let loaded = accept(store, &new_node(bits)).await;
    let mut decision = ending(&loaded, NodeStatus::Failed);
    decision.job.state = JobState::Failed;
    decision.job.updated_at = later(secs);
    commit(store, &loaded, &decision).await;
    event::of_commit(&loaded.job, &loaded.node, &decision)
}

pub(super) async fn a_commit_posts_what_it_causes<S: Store>(store: &S) {
    let loaded = accepted(store).await;
    let mut quiet = decision(&loaded);
    quiet.node.status = Some(NodeStatus::Configuring);
    let loaded = commit(store, &loaded, &quiet).await;
    assert_eq!(all(store).await, [], "nobody is told of that");
    let mut last = ending(&loaded, NodeStatus::CleanupPending);
    last.job.state = JobState::Failed;
    commit(store, &loaded, &last).await;
    let mut expected = event::of_commit(&loaded.job, &loaded.node, &last);
    assert_eq!(expected.len(), 2);
    let mut posted = all(store).await;
    expected.sort_by(|a, b| a.id.cmp(&b.id));
    posted.sort_by(|a, b| a.id.cmp(&b.id));
    assert_eq!(posted, expected);
}

pub(super) async fn a_commit_that_loses_posts_nothing<S: Store>(store: &S) {
    let loaded = accepted(store).await;
    commit(store, &loaded, &decision(&loaded)).await;
    let lost = store.commit(&loaded, &ending(&loaded, NodeStatus::Ready)).await.expect("commit");
    assert_eq!((lost, all(store).await), (Commit::Lost, Vec::new()));
}

/// What is told of a change is worked out from what was loaded.
pub(super) async fn a_commit_that_did_not_see_the_nodes_status_loses<S: Store>(store: &S) {
    let loaded = accepted(store).await;
    let kept = store.keep_on_node(&loaded.node.id, &server(77), later(1)).await.expect("keep");
    let lost = store.commit(&loaded, &ending(&loaded, NodeStatus::Ready)).await.expect("commit");
    assert_eq!(lost, Commit::Lost);
    assert_eq!(all(store).await, Vec::from_iter(kept));
    let seen = load(store, &loaded.job.id).await;
    commit(store, &seen, &ending(&seen, NodeStatus::CleanupPending)).await;
    assert_eq!(all(store).await.len(), 1, "it was so already");
}

pub(super) async fn the_oldest_come_first_and_no_more_than_asked_for<S: Store>(store: &S) {
    let mut expected = Vec::new();
    for (bits, secs) in [(1, 30), (2, 10), (3, 40), (4, 20)] {
        expected.extend(fail(store, bits, secs).await);
    }
    expected.sort_by_key(|event| event.at);
    let first = store.due_events(later(30), 2).await.expect("due events");
    let due = |event: &Event| DueEvent { event: event.clone(), due_at: event.at };
    assert_eq!(first, [due(&expected[0]), due(&expected[1])]);
    assert_eq!(waiting(store, later(30)).await.len(), 3, "its very time is due");
    let just_before = later(30) - jiff::SignedDuration::from_nanos(1);
    assert_eq!(waiting(store, just_before).await.len(), 2);
    assert_eq!(store.due_events(later(99), 0).await.expect("due events"), []);
}

pub(super) async fn what_is_forgotten_is_gone<S: Store>(store: &S) {
    let events = [fail(store, 1, 10).await, fail(store, 2, 20).await].concat();
    for _ in 0..2 {
        store.forget_event(&events[0].id).await.expect("forget; once more is fine");
    }
    assert_eq!(all(store).await, events[1..]);
}

pub(super) async fn a_postponed_event_lets_others_go_first<S: Store>(store: &S) {
    let events = [fail(store, 1, 10).await, fail(store, 2, 20).await].concat();
    let found = waiting(store, later(10)).await.remove(0);
    store.postpone_event(&found, later(60)).await.expect("postpone");
    assert_eq!(all(store).await, [events[1].clone(), events[0].clone()]);
    assert_eq!(waiting(store, later(59)).await.len(), 1);
    // As it was found, it is no more.
    store.postpone_event(&found, later(600)).await.expect("postpone");
    let again = waiting(store, later(60)).await;
    assert_eq!(again.last(), Some(&DueEvent { due_at: later(60), ..found.clone() }));
    store.forget_event(&found.event.id).await.expect("forget");
    store.postpone_event(&again[1], later(90)).await.expect("postpone");
    assert_eq!(all(store).await, events[1..], "what was sent does not come back");
}

pub(super) async fn a_late_server_is_told_of_once<S: Store>(store: &S) {
    let ended = end(store, &accepted(store).await.job.id).await;
    let ready = all(store).await;
    assert_eq!(ready.iter().map(Event::kind).collect::<Vec<_>>(), [EventKind::NodeReady]);
    let keep =
        || async { store.keep_on_node(&ended.node.id, &server(77), later(9)).await.expect("keep") };
    let told = keep().await.expect("it was ready before");
    assert_eq!((told.kind(), told.at), (EventKind::CleanupPending, later(9)));
    assert_eq!(keep().await, None, "it was left behind already");
    assert_eq!(all(store).await, [ready[0].clone(), told]);
}

pub(super) async fn a_server_that_is_given_back_is_told_of<S: Store>(store: &S) {
    let ready = end(store, &accepted(store).await.job.id).await;
    let give = || async {
        store.give_back(&ready.node.id, &server(77), later(20)).await.expect("give back")
    };
    assert!(!give().await, "its node lives");
    let release = accept(store, &work_on(&ready.node, JobKind::NodeRelease, 2)).await;
    commit(store, &release, &ending(&release, NodeStatus::Released)).await;
    let before = all(store).await.len();
    assert!(give().await);
    let kinds: Vec<EventKind> = all(store).await.iter().map(Event::kind).collect();
    assert_eq!((before, kinds.last()), (2, Some(&EventKind::CleanupPending)));
    assert!(!give().await);
    assert_eq!(all(store).await.len(), 3);
}

pub(super) async fn a_new_orphan_is_told_of_once<S: Store>(store: &S) {
    let first = orphan(9, OrphanReason::LeftBehind);
    let second = nodeyard_domain::orphan::Orphan { last_seen_at: later(1000), ..first.clone() };
    for seen in [&first, &second] {
        // Two checks at once: both found nothing on record.
        store.put_new_orphan(seen, &event::of_orphan(seen)).await.expect("put");
    }
    assert_eq!(store.orphan(&first.id).await.expect("orphan"), Some(second.clone()));
    assert_eq!(all(store).await, [event::of_orphan(&first)]);
    store.put_orphan(&second).await.expect("put");
    assert_eq!(all(store).await.len(), 1);
    store.forget_orphan(&first.id).await.expect("forget");
    store.put_new_orphan(&second, &event::of_orphan(&second)).await.expect("put");
    assert_eq!(all(store).await.len(), 2, "it was gone, and is back");
}

pub(super) async fn a_connection_and_its_events_are_written_together<S: Store>(store: &S) {
    assert!(store.swap_connection(&connection("main"), &[]).await.expect("put"));
    let name = "main".parse().expect("a name");
    let before = store.connection(&name).await.expect("read").expect("it is there");
    let mut after = before.clone();
    after.status = ConnectionStatus::Disconnected;
    after.reason = Some(ConnectionReason::Unauthorized);
    let events = event::of_connection(&before, &after, later(5));
    assert_eq!(events.len(), 1);
    assert!(store.swap_connection(&after, &events).await.expect("swap"));
    assert_eq!(all(store).await, events);
    store.forget_event(&events[0].id).await.expect("forget");
    assert!(!store.swap_connection(&after, &events).await.expect("swap"), "it has changed");
    assert_eq!(all(store).await, [], "and nothing is told of what was not written");
}

pub(super) async fn jobs_nodes_and_events_do_not_mix<S: Store>(store: &S) {
    fail(store, 1, 10).await;
    let left = accept(store, &new_node(2)).await;
    commit(store, &left, &ending(&left, NodeStatus::CleanupPending)).await;
    accept(store, &new_node(3)).await;
    let far = later(1_000_000);
    assert_eq!(store.due(far, 100).await.expect("due").len(), 1);
    assert_eq!(store.due_nodes(far, 100).await.expect("due").len(), 1);
    assert_eq!(waiting(store, far).await.len(), 2);
}
