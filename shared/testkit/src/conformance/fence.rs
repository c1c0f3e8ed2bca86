//! Version, claim, news: what a commit is held to.

use nodeyard_domain::{code::Code, id::EffectId, job::JobError, job::JobState, node::NodeStatus};
use nodeyard_engine::store::{Begin, Commit, StoreError};

use super::{
    Store,
    fixture::{
        accepted, audit, commit, decision, end, ending, entry, job_id, later, load, new_node,
        node_id, now, result, run, server, whole,
    },
};

pub(super) async fn a_job_and_its_node_come_back_as_accepted<S: Store>(store: &S) {
    let work = new_node(1);
    let loaded = accepted(store).await;
    assert_eq!(loaded.job, work.job, "the job, to the nanosecond");
    assert_eq!(Some(loaded.node), work.new_node, "the node, to the last number in vars");
}

pub(super) async fn what_is_not_there_is_none<S: Store>(store: &S) {
    assert!(store.load(&job_id(9)).await.expect("load").is_none());
    assert!(store.node(&node_id(9)).await.expect("node").is_none());
    assert!(store.run(&job_id(9), 1).await.expect("run").is_none());
    assert!(store.pins(&node_id(9)).await.expect("pins").is_none());
    let begun = store.begin(&new_node(9).job, false).await.expect("begin");
    assert_eq!(begun, Begin::Lost, "a job that is not there is not begun");
}

pub(super) async fn a_commit_writes_job_node_and_timeline<S: Store>(store: &S) {
    let loaded = accepted(store).await;
    let mut decision = decision(&loaded);
    decision.job.attempt = 1;
    decision.node.status = Some(NodeStatus::Configuring);
    decision.node.server = Some(Some(server(1 << 60)));
    decision.node.attempts = Some(1);
    decision.entries = vec![entry(later(1), "first"), entry(later(1), "second")];
    let after = commit(store, &loaded, &decision).await;
    let mut expected = decision.job.clone();
    expected.version = loaded.job.version + 1;
    assert_eq!(after.job, expected, "the decision's job under the next version");
    assert_eq!(after.node.status, NodeStatus::Configuring);
    assert_eq!(after.node.server, Some(server(1 << 60)));
    assert_eq!((after.node.attempts, after.node.updated_at), (1, later(1)));
    let history = store.timeline(&loaded.job.id, &whole()).await.expect("timeline").items;
    assert_eq!(history, decision.entries, "entries of one commit keep their order");
    // And back: what is named as absent is removed.
    let mut decision = super::fixture::decision(&after);
    decision.node.server = Some(None);
    assert_eq!(commit(store, &after, &decision).await.node.server, None);
}

pub(super) async fn a_stale_commit_loses_and_writes_nothing<S: Store>(store: &S) {
    let stale = accepted(store).await;
    let fresh = commit(store, &stale, &decision(&stale)).await;
    let mut late = decision(&stale);
    late.node.status = Some(NodeStatus::Failed);
    late.entries = vec![entry(now(), "never written")];
    assert_eq!(store.commit(&stale, &late).await.expect("commit"), Commit::Lost);
    assert_eq!(load(store, &stale.job.id).await, fresh, "neither job nor node has changed");
    let history = store.timeline(&stale.job.id, &whole()).await.expect("timeline").items;
    assert!(history.is_empty(), "and no entry was written");
}

pub(super) async fn a_commit_that_did_not_see_the_claim_loses<S: Store>(store: &S) {
    let before = accepted(store).await;
    store.begin(&before.job, true).await.expect("begin");
    let decision = decision(&before);
    assert_eq!(store.commit(&before, &decision).await.expect("commit"), Commit::Lost);
    let seen = load(store, &before.job.id).await;
    let after = commit(store, &seen, &super::fixture::decision(&seen)).await;
    assert_eq!(after.job.sent_at, None, "the commit that saw the claim cleared it");
}

pub(super) async fn a_commit_that_did_not_see_news_loses<S: Store>(store: &S) {
    let before = accepted(store).await;
    let id = &before.job.id;
    assert!(store.request_cancel(id, None, later(5), &audit("x")).await.expect("cancel"));
    let committed = store.commit(&before, &decision(&before)).await.expect("commit");
    assert_eq!(committed, Commit::Lost, "news that were not loaded are not overwritten");
    let seen = load(store, id).await;
    assert_eq!(seen.job.version, before.job.version, "news do not move the version");
    assert_eq!(seen.job.news_at, Some(later(5)));
    let after = commit(store, &seen, &decision(&seen)).await;
    assert_eq!(after.job.news_at, None, "the commit that saw the news cleared them");
    assert_eq!(after.job.cancel_requested_at, Some(later(5)), "and kept the flag");
}

pub(super) async fn a_cancel_in_the_instant_of_other_news_is_seen<S: Store>(store: &S) {
    let before = accepted(store).await;
    let id = &before.job.id;
    store.set_news(id, later(5)).await.expect("news");
    let loaded = load(store, id).await;
    assert!(store.request_cancel(id, None, later(5), &audit("x")).await.expect("cancel"));
    let committed = store.commit(&loaded, &decision(&loaded)).await.expect("commit");
    assert_eq!(committed, Commit::Lost, "the cancel was not loaded");
    assert_eq!(load(store, id).await.job.cancel_requested_at, Some(later(5)));
}

pub(super) async fn a_create_is_claimed_once<S: Store>(store: &S) {
    let loaded = accepted(store).await;
    let first = store.begin(&loaded.job, true).await.expect("begin");
    assert_eq!(first, Begin::Proceed { crashes: 1 });
    let second = store.begin(&loaded.job, true).await.expect("begin");
    assert_eq!(second, Begin::AlreadySent, "whoever comes second must look, not send");
    let after = load(store, &loaded.job.id).await;
    assert_eq!(after.job.sent_at, Some(EffectId(1)), "the claim names the intent");
    assert_eq!(after.job.version, loaded.job.version, "a claim does not move the version");
    let looking = store.begin(&after.job, false).await.expect("begin");
    assert!(matches!(looking, Begin::Proceed { .. }), "a look needs no claim");
    let moved = commit(store, &load(store, &loaded.job.id).await, &decision(&after)).await;
    let stale = store.begin(&loaded.job, true).await.expect("begin");
    assert_eq!(stale, Begin::Lost, "an older version claims nothing");
    assert_eq!(load(store, &moved.job.id).await, moved);
}

pub(super) async fn crashes_are_counted_until_a_commit<S: Store>(store: &S) {
    let loaded = accepted(store).await;
    for count in 1..=3 {
        let begun = store.begin(&loaded.job, false).await.expect("begin");
        assert_eq!(begun, Begin::Proceed { crashes: count });
    }
    let crashed = load(store, &loaded.job.id).await;
    assert_eq!((crashed.job.crashes, crashed.job.version), (3, loaded.job.version));
    let after = commit(store, &crashed, &decision(&crashed)).await;
    assert_eq!(after.job.crashes, 0);
}

pub(super) async fn a_job_that_has_ended_never_changes<S: Store>(store: &S) {
    let before = accepted(store).await;
    let id = before.job.id.clone();
    store.put_run(&run(&before.job, 1)).await.expect("run");
    let ended = end(store, &id).await;
    assert_eq!(store.begin(&ended.job, false).await.expect("begin"), Begin::Lost);
    let again = decision(&ended);
    assert_eq!(store.commit(&ended, &again).await.expect("commit"), Commit::Lost);
    let cancelled = store.request_cancel(&id, None, later(9), &audit("x")).await.expect("cancel");
    assert!(!cancelled, "there is nothing to cancel");
    store.finish_run(&id, 1, &result("late")).await.expect("finish");
    assert!(!store.take_node(&before.node.id, &id).await.expect("take"), "nobody would close it");
    assert_eq!(load(store, &id).await, ended);
    assert_eq!(ended.job.state, JobState::Succeeded);
}

pub(super) async fn an_oversized_job_is_refused_before_it_is_written<S: Store>(store: &S) {
    let loaded = accepted(store).await;
    let mut large = ending(&loaded, NodeStatus::Failed);
    let detail = "x".repeat(40 * 1024);
    large.job.error = Some(JobError { code: Code::JobTimeout, detail });
    let refused = store.commit(&loaded, &large).await;
    assert!(matches!(refused, Err(StoreError::TooLarge { .. })), "above 32 KB: {refused:?}");
    assert_eq!(load(store, &loaded.job.id).await, loaded, "and nothing was written");
}
