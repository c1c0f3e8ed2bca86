//! Accepting work and cancelling it.

use nodeyard_domain::job::JobKind;
use nodeyard_engine::store::{Accepted, Commit};

use super::{
    Store,
    fixture::{
        accept, accepted, audit, commit, decision, end, job_id, keyed, later, load, new_node, node,
        work_on,
    },
};

pub(super) async fn the_same_request_gives_the_same_job<S: Store>(store: &S) {
    let first = accept(store, &keyed(new_node(1), "key", "body")).await;
    // The second request comes with ids of its own, which are not used.
    let second = keyed(new_node(2), "key", "body");
    let replayed = Accepted::Replayed(Box::new(first.clone()));
    assert_eq!(store.accept(&second).await.expect("accept"), replayed);
    assert!(store.load(&job_id(2)).await.expect("load").is_none(), "nothing was stored for it");
    let moved = commit(store, &first, &decision(&first)).await;
    let replayed = Some(Accepted::Replayed(Box::new(moved)));
    let key = second.idempotency.expect("a key");
    assert_eq!(store.replay(&key).await.expect("replay"), replayed, "as the job is now");
}

pub(super) async fn another_body_under_the_key_is_refused<S: Store>(store: &S) {
    accept(store, &keyed(new_node(1), "key", "body")).await;
    let other = keyed(new_node(2), "key", "another body");
    assert_eq!(store.accept(&other).await.expect("accept"), Accepted::KeyReused);
    assert!(store.load(&job_id(2)).await.expect("load").is_none(), "nothing was stored");
    let key = other.idempotency.expect("a key");
    assert_eq!(store.replay(&key).await.expect("replay"), Some(Accepted::KeyReused));
}

pub(super) async fn another_key_means_nothing<S: Store>(store: &S) {
    let first = keyed(new_node(1), "key", "body");
    let key = first.idempotency.clone().expect("a key");
    assert_eq!(store.replay(&key).await.expect("replay"), None, "nothing was accepted yet");
    accept(store, &first).await;
    accept(store, &keyed(new_node(2), "another key", "body")).await;
    accept(store, &new_node(3)).await;
}

pub(super) async fn a_busy_node_takes_no_other_work<S: Store>(store: &S) {
    let open = accepted(store).await;
    let work = keyed(work_on(&open.node, JobKind::NodeConfigure, 2), "key", "body");
    let busy = Accepted::NodeBusy { open_job: Some(open.job.id.clone()) };
    assert_eq!(store.accept(&work).await.expect("accept"), busy);
    assert_eq!(load(store, &open.job.id).await, open, "the node is as it was");
    assert!(store.load(&job_id(2)).await.expect("load").is_none(), "no job was stored");
    end(store, &open.job.id).await;
    // The refusal left no idempotency record behind.
    let taken = accept(store, &work).await;
    assert_eq!(taken.node.open_job, Some(job_id(2)));
}

pub(super) async fn a_release_may_wait_and_only_one<S: Store>(store: &S) {
    let open = accepted(store).await;
    let waiting = accept(store, &work_on(&open.node, JobKind::NodeRelease, 2)).await;
    assert_eq!(waiting.node.open_job, Some(open.job.id.clone()));
    assert_eq!(waiting.node.queued_release, Some(job_id(2)));
    let second = work_on(&waiting.node, JobKind::NodeRelease, 3);
    let busy = Accepted::NodeBusy { open_job: Some(open.job.id.clone()) };
    assert_eq!(store.accept(&second).await.expect("accept"), busy);
    // On a free node it does not wait.
    end(store, &open.job.id).await;
    end(store, &job_id(2)).await;
    let free = node(store, &open.node.id).await;
    let at_once = accept(store, &work_on(&free, JobKind::NodeRelease, 4)).await.node;
    assert_eq!((at_once.open_job, at_once.queued_release), (Some(job_id(4)), None));
}

pub(super) async fn a_repeated_request_is_no_rival_of_itself<S: Store>(store: &S) {
    let ended = end(store, &accepted(store).await.job.id).await;
    let work = keyed(work_on(&ended.node, JobKind::NodeConfigure, 2), "key", "body");
    let first = accept(store, &work).await;
    let again = keyed(work_on(&ended.node, JobKind::NodeConfigure, 3), "key", "body");
    let replayed = Accepted::Replayed(Box::new(first));
    assert_eq!(store.accept(&again).await.expect("accept"), replayed, "and not busy");
}

pub(super) async fn a_node_that_is_not_there_takes_no_work<S: Store>(store: &S) {
    let nowhere = new_node(1).new_node.expect("a node");
    let work = work_on(&nowhere, JobKind::NodeConfigure, 2);
    let accepted = store.accept(&work).await.expect("accept");
    assert_eq!(accepted, Accepted::NodeBusy { open_job: None });
    assert!(store.node(&nowhere.id).await.expect("node").is_none(), "and none came into being");
}

pub(super) async fn cancelling_sets_flag_and_news<S: Store>(store: &S) {
    let loaded = accepted(store).await;
    let id = &loaded.job.id;
    assert!(store.request_cancel(id, None, later(5), &audit("1")).await.expect("cancel"));
    let once = load(store, id).await.job;
    assert_eq!((once.cancel_requested_at, once.news_at), (Some(later(5)), Some(later(5))));
    assert!(store.request_cancel(id, None, later(6), &audit("2")).await.expect("cancel"));
    let twice = load(store, id).await.job;
    assert_eq!(twice.cancel_requested_at, Some(later(5)), "it was asked for first then");
    assert_eq!(twice.news_at, Some(later(6)));
    let unknown = store.request_cancel(&job_id(9), None, later(5), &audit("3")).await;
    assert!(!unknown.expect("cancel"), "a job that is not there is not cancelled");
    assert!(store.load(&job_id(9)).await.expect("load").is_none());
}

pub(super) async fn cancelling_honours_the_version<S: Store>(store: &S) {
    let loaded = accepted(store).await;
    let id = &loaded.job.id;
    let wrong = Some(loaded.job.version + 1);
    assert!(!store.request_cancel(id, wrong, later(5), &audit("1")).await.expect("cancel"));
    assert_eq!(load(store, id).await, loaded);
    let right = Some(loaded.job.version);
    assert!(store.request_cancel(id, right, later(5), &audit("2")).await.expect("cancel"));
    let late = store.commit(&loaded, &decision(&loaded)).await.expect("commit");
    assert_eq!(late, Commit::Lost);
}
