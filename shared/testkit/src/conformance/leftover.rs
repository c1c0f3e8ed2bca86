//! Nodes of which something is left behind: when the sweep finds them.

use jiff::{SignedDuration, Timestamp};
use nodeyard_domain::{
    job::JobKind,
    node::{Node, NodeStatus},
};
use nodeyard_engine::store::Loaded;

use super::{
    Store,
    fixture::{
        accept, accepted, commit, decision, end, ending, job_id, later, load, new_node, node,
        node_id, server, work_on,
    },
};

pub(super) async fn due<S: Store>(store: &S, before: Timestamp) -> Vec<Node> {
    store.due_nodes(before, 100).await.expect("due nodes")
}

/// Ends the job at two seconds, with something left behind.
async fn leave<S: Store>(store: &S, loaded: &Loaded) -> Node {
    commit(store, loaded, &ending(loaded, NodeStatus::CleanupPending)).await.node
}

/// A release of the node as it is now.
async fn release<S: Store>(store: &S, of: &Node, bits: u128) -> Loaded {
    accept(store, &work_on(&node(store, &of.id).await, JobKind::NodeRelease, bits)).await
}

pub(super) async fn a_node_is_due_when_its_next_release_is<S: Store>(store: &S) {
    let open = accepted(store).await;
    assert!(due(store, later(1_000_000)).await.is_empty(), "nothing is left of it yet");
    let left = leave(store, &open).await;
    assert_eq!((left.release_at, left.cleanup_tries), (Some(later(302)), 1));
    let just_before = later(302) - SignedDuration::from_nanos(1);
    assert!(due(store, just_before).await.is_empty(), "a nanosecond early is early");
    assert_eq!(due(store, later(302)).await, [left], "as the store has it, open to all");
}

pub(super) async fn each_time_it_comes_later_until_nothing_is_left<S: Store>(store: &S) {
    let mut left = leave(store, &accepted(store).await).await;
    for (bits, secs) in [(2, 602), (3, 1202), (4, 2402)] {
        let open = release(store, &left, bits).await;
        left = leave(store, &open).await;
        assert_eq!(left.release_at, Some(later(secs)));
        assert!(due(store, later(secs - 1)).await.is_empty());
        assert_eq!(due(store, later(secs)).await, [left.clone()]);
    }
    assert_eq!(left.cleanup_tries, 4);
    let open = release(store, &left, 5).await;
    let gone = commit(store, &open, &ending(&open, NodeStatus::Released)).await.node;
    assert_eq!((gone.release_at, gone.cleanup_tries), (None, 0));
    assert!(due(store, later(1_000_000)).await.is_empty());
}

pub(super) async fn a_node_with_an_open_job_is_not_due<S: Store>(store: &S) {
    let left = leave(store, &accepted(store).await).await;
    let open = release(store, &left, 2).await;
    assert!(due(store, later(1_000_000)).await.is_empty(), "somebody is at it");
    // The release ends before it has begun: the node is as it was.
    let mut given_up = ending(&open, NodeStatus::CleanupPending);
    given_up.node.status = None;
    let after = commit(store, &open, &given_up).await.node;
    assert_eq!((after.release_at, after.cleanup_tries), (Some(later(302)), 1));
    assert_eq!(due(store, later(302)).await, [after]);
}

pub(super) async fn a_release_that_waited_has_its_turn_first<S: Store>(store: &S) {
    let open = accepted(store).await;
    release(store, &open.node, 2).await;
    let left = leave(store, &load(store, &open.job.id).await).await;
    assert_eq!(left.open_job, Some(job_id(2)));
    assert!(due(store, later(1_000_000)).await.is_empty());
    let waited = load(store, &job_id(2)).await;
    let mut given_up = ending(&waited, NodeStatus::CleanupPending);
    given_up.node.status = None;
    let after = commit(store, &waited, &given_up).await.node;
    assert_eq!(due(store, later(302)).await, [after]);
}

pub(super) async fn a_node_that_is_taken_is_not_due<S: Store>(store: &S) {
    let left = leave(store, &accepted(store).await).await;
    let other = accept(store, &new_node(2)).await.job;
    assert!(store.take_node(&left.id, &other.id).await.expect("take"));
    assert!(due(store, later(1_000_000)).await.is_empty());
}

pub(super) async fn a_late_server_makes_a_free_node_due<S: Store>(store: &S) {
    let ended = end(store, &accepted(store).await.job.id).await;
    for (tries, secs) in [(1, 309), (2, 609)] {
        store.keep_on_node(&ended.node.id, &server(77), later(9)).await.expect("keep");
        let left = node(store, &ended.node.id).await;
        assert_eq!((left.release_at, left.cleanup_tries), (Some(later(secs)), tries));
        assert!(due(store, later(secs - 1)).await.is_empty());
        assert_eq!(due(store, later(secs)).await, [left]);
    }
}

pub(super) async fn a_late_server_waits_for_the_open_job<S: Store>(store: &S) {
    let open = accepted(store).await;
    store.keep_on_node(&open.node.id, &server(77), later(9)).await.expect("keep");
    assert!(due(store, later(1_000_000)).await.is_empty(), "the node has an open job");
    // The job closes and says nothing of the status.
    let open = load(store, &open.job.id).await;
    let mut closing = ending(&open, NodeStatus::Ready);
    closing.node.status = None;
    let after = commit(store, &open, &closing).await.node;
    assert_eq!((after.status, &after.server), (NodeStatus::CleanupPending, &Some(server(77))));
    assert_eq!(due(store, later(309)).await, [after]);
}

pub(super) async fn the_longest_due_come_first_and_no_more_than_asked_for<S: Store>(store: &S) {
    for bits in [5, 2, 8, 3] {
        accept(store, &new_node(bits)).await;
        end(store, &job_id(bits)).await;
    }
    for (bits, secs) in [(5, 40), (2, 10), (8, 30), (3, 20)] {
        store.keep_on_node(&node_id(bits), &server(7), later(secs)).await.expect("keep");
    }
    let ids = |nodes: Vec<Node>| nodes.into_iter().map(|node| node.id).collect::<Vec<_>>();
    assert_eq!(ids(due(store, later(340)).await), [2, 3, 8, 5].map(node_id));
    let first = store.due_nodes(later(340), 2).await.expect("due nodes");
    assert_eq!(ids(first), [2, 3].map(node_id));
    // The longest due is taken: the limit is for those that are left.
    release(store, &node(store, &node_id(2)).await, 20).await;
    let next = store.due_nodes(later(340), 2).await.expect("due nodes");
    assert_eq!(ids(next), [3, 8].map(node_id));
}

pub(super) async fn due_jobs_and_due_nodes_do_not_mix<S: Store>(store: &S) {
    let left = leave(store, &accepted(store).await).await;
    let open = accept(store, &new_node(2)).await.job;
    let jobs = store.due(later(1_000_000), 100).await.expect("due");
    assert_eq!(jobs.into_iter().map(|job| job.id).collect::<Vec<_>>(), [open.id]);
    assert_eq!(due(store, later(1_000_000)).await, [left]);
}

pub(super) async fn a_rung_sets_the_price_that_was_accepted<S: Store>(store: &S) {
    let mut loaded = accepted(store).await;
    let prices = loaded.node.spec.prices.clone();
    assert!(prices.len() == 2 && prices[0].is_some() && prices[1].is_none(), "{prices:?}");
    for (rung, expected) in [(1, None), (0, prices[0].clone()), (1, prices[0].clone())] {
        let mut decision = decision(&loaded);
        decision.node.rung = Some(rung);
        loaded = commit(store, &loaded, &decision).await;
        assert_eq!(loaded.node.price, expected, "on rung {rung}");
    }
}
