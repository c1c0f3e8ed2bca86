//! What the sweep finds.

use jiff::{SignedDuration, Timestamp};
use nodeyard_domain::id::JobId;
use nodeyard_engine::store::{Commit, DueJob};

use super::{
    Store,
    fixture::{
        accept, accepted, audit, commit, decision, end, job_id, later, load, new_node_at, now, spec,
    },
};

async fn due<S: Store>(store: &S, before: Timestamp) -> Vec<JobId> {
    found(store, before).await.into_iter().map(|job| job.id).collect()
}

async fn found<S: Store>(store: &S, before: Timestamp) -> Vec<DueJob> {
    store.due(before, 100).await.expect("due")
}

pub(super) async fn due_jobs_come_oldest_first_and_no_more_than_asked_for<S: Store>(store: &S) {
    // Ids in another order than times, and more of them than one index partition would hold.
    for (bits, secs) in [(5, 40), (2, 10), (8, 30), (3, 20), (1, 50), (7, 1000)] {
        accept(store, &new_node_at(bits, spec("web"), later(secs))).await;
    }
    assert_eq!(due(store, later(50)).await, [2, 3, 8, 5, 1].map(job_id));
    let first = store.due(later(50), 2).await.expect("due");
    assert_eq!(first.iter().map(|job| job.id.clone()).collect::<Vec<_>>(), [2, 3].map(job_id));
    assert_eq!(first[0].look_at, later(10));
    assert!(due(store, later(9)).await.is_empty());
}

pub(super) async fn due_is_exact_below_the_second<S: Store>(store: &S) {
    accepted(store).await;
    let just_before = now() - SignedDuration::from_nanos(1);
    assert!(due(store, just_before).await.is_empty(), "a nanosecond early is early");
    assert_eq!(due(store, now()).await, [job_id(1)], "its very time is due");
}

pub(super) async fn a_swept_job_rests_until_its_time<S: Store>(store: &S) {
    accepted(store).await;
    let jobs = found(store, later(1)).await;
    store.mark_swept(&jobs[0], later(60)).await.expect("mark");
    assert!(due(store, later(59)).await.is_empty());
    let again = found(store, later(60)).await;
    assert_eq!(again.len(), 1);
    store.mark_swept(&again[0], later(120)).await.expect("mark");
    assert!(due(store, later(119)).await.is_empty());
}

pub(super) async fn a_commit_wakes_a_swept_job<S: Store>(store: &S) {
    let loaded = accepted(store).await;
    let jobs = found(store, later(1)).await;
    store.mark_swept(&jobs[0], later(600)).await.expect("mark");
    let mut decision = decision(&loaded);
    decision.job.due_at = Some(later(5));
    commit(store, &loaded, &decision).await;
    assert_eq!(due(store, later(5)).await, [job_id(1)]);
}

pub(super) async fn a_late_stamp_does_not_hide_a_job_that_has_moved<S: Store>(store: &S) {
    let loaded = accepted(store).await;
    let jobs = found(store, later(1)).await;
    let mut decision = decision(&loaded);
    decision.job.due_at = Some(later(5));
    commit(store, &loaded, &decision).await;
    store.mark_swept(&jobs[0], later(600)).await.expect("mark");
    assert_eq!(due(store, later(5)).await, [job_id(1)]);
}

pub(super) async fn news_show_through_a_stamp<S: Store>(store: &S) {
    let loaded = accepted(store).await;
    let jobs = found(store, later(1)).await;
    store.mark_swept(&jobs[0], later(600)).await.expect("mark");
    let at = later(10);
    assert!(store.request_cancel(&loaded.job.id, None, at, &audit("x")).await.expect("cancel"));
    assert_eq!(due(store, at).await, [job_id(1)], "news set after the stamp are not hidden");
}

pub(super) async fn news_make_a_job_due<S: Store>(store: &S) {
    let loaded = accepted(store).await;
    let id = &loaded.job.id;
    let mut decision = decision(&loaded);
    decision.job.due_at = Some(later(600));
    commit(store, &loaded, &decision).await;
    assert!(due(store, later(10)).await.is_empty());
    let just_before = later(10) - SignedDuration::from_nanos(1);
    store.set_news(id, later(10)).await.expect("news");
    assert!(due(store, just_before).await.is_empty());
    assert_eq!(found(store, later(10)).await, [DueJob { id: id.clone(), look_at: later(10) }]);
    // A stamp of the sweep before is no reason to wait.
    store.mark_swept(&found(store, later(10)).await[0], later(600)).await.expect("mark");
    store.set_news(id, later(20)).await.expect("news");
    assert_eq!(due(store, later(20)).await, [job_id(1)]);
}

pub(super) async fn news_move_nothing_but_their_time<S: Store>(store: &S) {
    let before = accepted(store).await;
    store.set_news(&before.job.id, later(5)).await.expect("news");
    let after = load(store, &before.job.id).await;
    let mut expected = before.clone();
    expected.job.news_at = Some(later(5));
    assert_eq!(after, expected);
    // Whoever did not see the news does not clear them.
    let lost = store.commit(&before, &decision(&before)).await.expect("commit");
    assert_eq!(lost, Commit::Lost);
    let cleared = commit(store, &after, &decision(&after)).await.job;
    assert_eq!(cleared.news_at, None);
}

pub(super) async fn a_job_that_has_ended_takes_no_news<S: Store>(store: &S) {
    let ended = end(store, &accepted(store).await.job.id).await;
    store.set_news(&ended.job.id, later(5)).await.expect("news");
    assert_eq!(load(store, &ended.job.id).await, ended);
    assert!(due(store, later(1_000_000)).await.is_empty());
    store.set_news(&job_id(9), later(5)).await.expect("news of a job that is not there");
    assert!(store.load(&job_id(9)).await.expect("load").is_none(), "and none came into being");
    assert!(due(store, later(1_000_000)).await.is_empty());
}

pub(super) async fn a_job_that_has_ended_is_never_due<S: Store>(store: &S) {
    let loaded = accepted(store).await;
    let jobs = found(store, later(1)).await;
    end(store, &loaded.job.id).await;
    assert!(due(store, later(1_000_000)).await.is_empty());
    store.mark_swept(&jobs[0], later(5)).await.expect("mark");
    assert!(due(store, later(1_000_000)).await.is_empty(), "a late stamp does not bring it back");
}
