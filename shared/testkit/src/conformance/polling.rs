//! Jobs that share a poll.

use jiff::{SignedDuration, Timestamp};
use nodeyard_domain::{
    id::{EffectId, JobId},
    job::{Effect, Intent, JobState, ParkReason},
    node::NodeStatus,
};

use super::{
    Store,
    fixture::{
        accept, audit, commit, decision, end, ending, job_id, later, load, new_node, new_node_at,
        now, spec,
    },
};

async fn polling<S: Store>(store: &S, before: Timestamp) -> Vec<JobId> {
    store.polling(&"main".parse().expect("a name"), before, 100).await.expect("polling")
}

fn poll() -> Effect {
    Effect::PollAction { action_id: 7 }
}

/// Stores a job of `connection` whose next effect is due at `at`.
async fn store_job<S: Store>(
    store: &S,
    bits: u128,
    connection: &str,
    effect: Effect,
    at: Timestamp,
) -> JobId {
    let mut spec = spec("web");
    spec.connection = connection.parse().expect("a name");
    let mut work = new_node_at(bits, spec, now());
    work.job.state = JobState::Running;
    work.job.intent = Some(Intent { id: EffectId(4), effect });
    work.job.due_at = Some(at);
    accept(store, &work).await.job.id
}

pub(super) async fn only_shared_effects_of_the_connection_are_found<S: Store>(store: &S) {
    assert!(polling(store, later(100)).await.is_empty());
    let at = later(1);
    store_job(store, 1, "main", poll(), at).await;
    store_job(store, 2, "main", Effect::FetchServer { server_id: 9 }, at).await;
    store_job(store, 3, "other", poll(), at).await;
    store_job(store, 4, "main", Effect::LookAtRun { number: 1 }, at).await;
    store_job(store, 5, "main", Effect::DeleteServer { server_id: 9 }, at).await;
    accept(store, &new_node(6)).await;
    let mut found = polling(store, later(100)).await;
    found.sort();
    assert_eq!(found, [1, 2].map(job_id));
    let other = "other".parse().expect("a name");
    let found = store.polling(&other, later(100), 100).await.expect("polling");
    assert_eq!(found, [job_id(3)]);
}

pub(super) async fn the_oldest_come_first_and_no_more_than_asked_for<S: Store>(store: &S) {
    // The last one's deadline comes before its poll, and does not make it come earlier.
    for (bits, secs) in [(5, 40), (2, 10), (8, 30), (3, 20), (7, 4000)] {
        store_job(store, bits, "main", poll(), later(secs)).await;
    }
    assert_eq!(polling(store, later(3999)).await, [2, 3, 8, 5].map(job_id));
    let main = "main".parse().expect("a name");
    let first = store.polling(&main, later(40), 2).await.expect("polling");
    assert_eq!(first, [2, 3].map(job_id));
    let just_before = later(10) - SignedDuration::from_nanos(1);
    assert!(polling(store, just_before).await.is_empty(), "a nanosecond early is early");
    assert_eq!(polling(store, later(10)).await, [job_id(2)], "its very time is due");
}

pub(super) async fn a_commit_puts_a_job_there_and_takes_it_away<S: Store>(store: &S) {
    let mut loaded = accept(store, &new_node(1)).await;
    let steps = [
        (Some(poll()), None, true),
        (Some(poll()), Some(ParkReason::RateBudget), false),
        (Some(Effect::FetchServer { server_id: 9 }), None, true),
        (Some(Effect::EnsureKey), None, false),
        (Some(poll()), None, true),
        (None, None, false),
    ];
    for (effect, waiting_on, is_found) in steps {
        let mut decision = decision(&loaded);
        decision.job.intent = effect.clone().map(|effect| Intent { id: EffectId(9), effect });
        decision.job.waiting_on = waiting_on;
        loaded = commit(store, &loaded, &decision).await;
        let expected = if is_found { vec![job_id(1)] } else { Vec::new() };
        assert_eq!(polling(store, later(60)).await, expected, "{effect:?}, {waiting_on:?}");
    }
}

pub(super) async fn a_job_that_has_ended_shares_nothing<S: Store>(store: &S) {
    let id = store_job(store, 1, "main", poll(), now()).await;
    let loaded = load(store, &id).await;
    let mut ending = ending(&loaded, NodeStatus::Ready);
    // Left over, as nobody should.
    ending.job.intent.clone_from(&loaded.job.intent);
    ending.job.due_at = loaded.job.due_at;
    commit(store, &loaded, &ending).await;
    assert!(polling(store, later(100)).await.is_empty());
    let again = store_job(store, 2, "main", poll(), now()).await;
    end(store, &again).await;
    assert!(polling(store, later(100)).await.is_empty());
}

/// Neither changes when the poll is due.
pub(super) async fn news_and_stamps_of_the_sweep_leave_it_there<S: Store>(store: &S) {
    let id = store_job(store, 1, "main", poll(), later(20)).await;
    store.set_news(&id, later(5)).await.expect("news");
    assert!(polling(store, later(19)).await.is_empty());
    for job in store.due(later(10), 10).await.expect("due") {
        store.mark_swept(&job, later(900)).await.expect("mark");
    }
    assert_eq!(polling(store, later(20)).await, [job_id(1)]);
    assert!(store.request_cancel(&id, None, later(6), &audit("x")).await.expect("cancel"));
    assert_eq!(polling(store, later(20)).await, [job_id(1)]);
}
