//! The node: who has it, and what a commit changes on it.

use std::collections::BTreeMap;

use nodeyard_domain::{job::JobKind, node::NodeStatus};
use nodeyard_engine::store::{Accepted, Commit};

use super::{
    Store,
    fixture::{
        accept, accepted, audit, commit, decision, end, ending, job_id, later, load, node, node_id,
        server, work_on,
    },
};

pub(super) async fn a_commit_changes_only_what_it_names<S: Store>(store: &S) {
    let loaded = accepted(store).await;
    let labels = BTreeMap::from([("team".to_owned(), "green".to_owned())]);
    let set = store
        .set_labels(&loaded.node.id, &loaded.node.labels, &labels, later(1), &audit("1"))
        .await;
    assert!(set.expect("labels"));
    let mut decision = decision(&loaded);
    decision.node.status = Some(NodeStatus::Configuring);
    let after = commit(store, &loaded, &decision).await.node;
    assert_eq!(after.labels, labels, "labels set since the load are still there");
    assert_eq!(after.open_job, Some(loaded.job.id.clone()), "the job still has its node");
}

pub(super) async fn closing_frees_the_node<S: Store>(store: &S) {
    let loaded = accepted(store).await;
    let ended = end(store, &loaded.job.id).await;
    assert_eq!((&ended.node.open_job, ended.node.status), (&None, NodeStatus::Ready));
    accept(store, &work_on(&ended.node, JobKind::NodeConfigure, 2)).await;
    assert_eq!(node(store, &ended.node.id).await.open_job, Some(job_id(2)));
}

pub(super) async fn closing_gives_the_queued_release_its_turn<S: Store>(store: &S) {
    let loaded = accepted(store).await;
    accept(store, &work_on(&loaded.node, JobKind::NodeRelease, 2)).await;
    let id = &loaded.node.id;
    assert!(!store.take_node(id, &job_id(2)).await.expect("take"), "not before its turn");
    let ended = end(store, &loaded.job.id).await;
    assert_eq!(ended.node.open_job, Some(job_id(2)));
    assert_eq!(ended.node.queued_release, None);
    assert!(store.take_node(id, &job_id(2)).await.expect("take"));
}

pub(super) async fn a_release_queued_meanwhile_is_not_lost<S: Store>(store: &S) {
    let loaded = accepted(store).await;
    accept(store, &work_on(&loaded.node, JobKind::NodeRelease, 2)).await;
    let ending = ending(&loaded, NodeStatus::Ready);
    let committed = store.commit(&loaded, &ending).await.expect("commit");
    assert_eq!(committed, Commit::Lost, "it would free a node that a release waits for");
    assert_eq!(load(store, &loaded.job.id).await.job, loaded.job);
    let after = end(store, &loaded.job.id).await.node;
    assert_eq!(after.open_job, Some(job_id(2)));
}

pub(super) async fn a_waiting_release_that_ends_leaves_the_open_job_alone<S: Store>(store: &S) {
    let open = accepted(store).await;
    accept(store, &work_on(&open.node, JobKind::NodeRelease, 2)).await;
    let after = end(store, &job_id(2)).await.node;
    assert_eq!(after.open_job, Some(open.job.id.clone()), "two jobs would be open on one node");
    assert_eq!(after.queued_release, None);
    let freed = end(store, &open.job.id).await.node;
    assert_eq!(freed.open_job, None, "and no job that has ended gets it");
}

pub(super) async fn one_job_has_a_node<S: Store>(store: &S) {
    let loaded = accepted(store).await;
    let id = &loaded.node.id;
    assert!(store.take_node(id, &loaded.job.id).await.expect("take"), "it has it already");
    let other = work_on(&loaded.node, JobKind::NodeConfigure, 2);
    let refused = store.accept(&other).await.expect("accept");
    assert_eq!(refused, Accepted::NodeBusy { open_job: Some(loaded.job.id.clone()) });
    assert!(!store.take_node(id, &job_id(2)).await.expect("take"), "another job does not get it");
    assert!(!store.take_node(&node_id(9), &loaded.job.id).await.expect("take"));
    assert_eq!(node(store, id).await.open_job, Some(loaded.job.id));
}

pub(super) async fn a_late_server_goes_to_the_node<S: Store>(store: &S) {
    let loaded = accepted(store).await;
    let ended = end(store, &loaded.job.id).await;
    store.keep_on_node(&ended.node.id, &server(77), later(9)).await.expect("keep");
    let after = load(store, &loaded.job.id).await;
    assert_eq!(after.node.server, Some(server(77)));
    assert_eq!(after.node.status, NodeStatus::CleanupPending);
    assert_eq!(after.node.updated_at, later(9));
    assert_eq!(after.job, ended.job, "the job that has ended stays as it is");
}

pub(super) async fn labels_are_replaced_only_as_expected<S: Store>(store: &S) {
    let loaded = accepted(store).await;
    let (id, old) = (&loaded.node.id, &loaded.node.labels);
    let new = BTreeMap::from([("a".to_owned(), String::new())]);
    assert!(store.set_labels(id, old, &new, later(1), &audit("1")).await.expect("labels"));
    assert!(
        !store.set_labels(id, old, &new, later(2), &audit("2")).await.expect("labels"),
        "not as expected"
    );
    assert!(
        !store.set_labels(&node_id(9), old, &new, later(2), &audit("2")).await.expect("labels")
    );
    let after = node(store, id).await;
    assert_eq!((&after.labels, after.updated_at), (&new, later(1)));
}
