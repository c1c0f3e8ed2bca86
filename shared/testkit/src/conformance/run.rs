//! Runs, pins, history and log.

use nodeyard_domain::host_key::HostPins;
use nodeyard_engine::store::{RunWrite, StoreError};

use super::{
    Store,
    fixture::{accepted, commit, decision, end, entry, later, load, now, result, run, whole},
};

pub(super) async fn a_run_is_written_once<S: Store>(store: &S) {
    let job = accepted(store).await.job;
    let first = run(&job, 1);
    assert_eq!(store.put_run(&first).await.expect("put"), RunWrite::Written);
    store.set_run_task(&job.id, 1, "arn:task").await.expect("task");
    let mut other = run(&job, 1);
    other.address = "198.18.0.99".into();
    let mut known = first;
    known.task = Some("arn:task".into());
    let exists = RunWrite::Exists(Box::new(known.clone()));
    assert_eq!(store.put_run(&other).await.expect("put"), exists, "the first stays");
    assert_eq!(store.run(&job.id, 1).await.expect("run"), Some(known));
    assert_eq!(store.put_run(&run(&job, 2)).await.expect("put"), RunWrite::Written);
}

pub(super) async fn a_run_finishes_once_and_that_is_news<S: Store>(store: &S) {
    let before = accepted(store).await;
    let id = &before.job.id;
    assert!(!store.finish_run(id, 1, &result("x")).await.expect("finish"), "there is no such run");
    assert_eq!(load(store, id).await, before, "and so no news");
    store.put_run(&run(&before.job, 1)).await.expect("put");
    let first = result("first");
    assert!(store.finish_run(id, 1, &first).await.expect("finish"));
    assert!(!store.finish_run(id, 1, &result("second")).await.expect("finish"));
    let known = store.run(id, 1).await.expect("run").expect("the run");
    assert_eq!(known.result, Some(first.clone()), "the first result stays");
    let after = load(store, id).await.job;
    assert_eq!(after.news_at, Some(first.finished_at));
    assert_eq!(after.version, before.job.version);
    let due = store.due(first.finished_at, 10).await.expect("due");
    assert_eq!(due.len(), 1, "the sweep finds the news should the wake get lost");
}

pub(super) async fn a_run_may_finish_after_its_job<S: Store>(store: &S) {
    let job = accepted(store).await.job;
    store.put_run(&run(&job, 1)).await.expect("put");
    let ended = end(store, &job.id).await;
    assert!(store.finish_run(&job.id, 1, &result("late")).await.expect("finish"));
    assert_eq!(load(store, &job.id).await, ended);
    let known = store.run(&job.id, 1).await.expect("run").expect("the run");
    assert_eq!(known.result, Some(result("late")));
}

pub(super) async fn a_stopped_run_is_told_as_it_was<S: Store>(store: &S) {
    let job = accepted(store).await.job;
    let record = run(&job, 1);
    store.put_run(&record).await.expect("put");
    let told = store.stop_run(&job.id, &job.node_id, 1, later(5)).await.expect("stop");
    assert_eq!(told, Some(record.clone()), "as it was before");
    let known = store.run(&job.id, 1).await.expect("run").expect("the run");
    assert!(known.stop_requested, "and asked to stop now");
    let again = store.stop_run(&job.id, &job.node_id, 1, later(6)).await.expect("stop");
    assert_eq!(again, Some(known));
}

pub(super) async fn a_run_stopped_before_it_was_written_never_starts<S: Store>(store: &S) {
    let job = accepted(store).await.job;
    let told = store.stop_run(&job.id, &job.node_id, 3, later(5)).await.expect("stop");
    assert_eq!(told, None, "there was no record");
    let RunWrite::Exists(tombstone) = store.put_run(&run(&job, 3)).await.expect("put") else {
        panic!("a tombstone keeps the run from being written");
    };
    assert!(tombstone.stop_requested && tombstone.result.is_none() && tombstone.task.is_none());
    assert_eq!((tombstone.job_id, tombstone.number), (job.id.clone(), 3));
    assert_eq!(tombstone.node_id, job.node_id);
    let again = store.stop_run(&job.id, &job.node_id, 3, later(6)).await.expect("stop");
    assert!(again.is_some_and(|run| run.stop_requested));
}

pub(super) async fn pins_are_replaced_only_as_expected<S: Store>(store: &S) {
    let node = accepted(store).await.node.id;
    let first = HostPins::delivered(5, "ssh-ed25519 AAA".into());
    assert!(store.put_pins(&node, None, &first).await.expect("put"));
    assert_eq!(store.pins(&node).await.expect("pins"), Some(first.clone()));
    assert!(!store.put_pins(&node, None, &first).await.expect("put"), "there are pins now");
    let both = first.clone().with_next("ssh-ed25519 BBB");
    assert!(store.put_pins(&node, Some(&first), &both).await.expect("put"));
    assert!(!store.put_pins(&node, Some(&first), &both).await.expect("put"), "they have moved on");
    let new = both.clone().promoted();
    assert!(store.put_pins(&node, Some(&both), &new).await.expect("put"));
    assert_eq!(store.pins(&node).await.expect("pins"), Some(new));
}

pub(super) async fn history_is_appended_without_moving_the_job<S: Store>(store: &S) {
    let loaded = accepted(store).await;
    let id = &loaded.job.id;
    // More than one batch of a store, all at one time: order is the order given.
    let many: Vec<_> = (0..60).map(|n| entry(later(1), &format!("task {n}"))).collect();
    store.append_timeline(id, &many).await.expect("append");
    store.append_timeline(id, &[entry(later(2), "after")]).await.expect("append");
    store.append_timeline(id, &[]).await.expect("nothing is fine too");
    assert_eq!(load(store, id).await, loaded);
    let mut decision = decision(&loaded);
    decision.entries = vec![entry(later(3), "committed")];
    commit(store, &loaded, &decision).await;
    let history = store.timeline(id, &whole()).await.expect("timeline").items;
    let told: Vec<&str> = history.iter().map(|entry| entry.message.as_str()).collect();
    let mut expected: Vec<String> = (0..60).map(|n| format!("task {n}")).collect();
    expected.extend(["after".to_owned(), "committed".to_owned()]);
    assert_eq!(told, expected);
    assert_eq!(history[0], many[0], "an entry comes back as it was");
}

pub(super) async fn log_pieces_come_back_in_order<S: Store>(store: &S) {
    let job = accepted(store).await.job.id;
    let full = "é".repeat(32 * 1024);
    for (run, sequence, text) in [(2, 0, "later run"), (1, 10, "end"), (1, 2, full.as_str())] {
        store.append_log(&job, run, sequence, text).await.expect("append");
    }
    store.append_log(&job, 1, 10, "end").await.expect("the same piece again is harmless");
    let pieces = store.log(&job, &whole()).await.expect("log").items;
    assert_eq!(pieces, [full.as_str(), "end", "later run"]);
}

pub(super) async fn an_oversized_log_piece_is_refused<S: Store>(store: &S) {
    let job = accepted(store).await.job.id;
    let large = "x".repeat(64 * 1024 + 1);
    let refused = store.append_log(&job, 1, 0, &large).await;
    assert!(matches!(refused, Err(StoreError::TooLarge { .. })), "{refused:?}");
    let long = vec!["x".repeat(70_000)];
    let entry = entry(now(), "fields are bounded too").with("lines", long);
    let refused = store.append_timeline(&job, &[entry]).await;
    assert!(matches!(refused, Err(StoreError::TooLarge { .. })), "{refused:?}");
}
