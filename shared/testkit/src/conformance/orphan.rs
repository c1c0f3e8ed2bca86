//! What is on record of orphans, and what is given back to nodes.

use nodeyard_domain::{
    job::JobKind,
    node::NodeStatus,
    orphan::{
        ConnectionSeen, GroupSeen, Orphan, OrphanId, OrphanReason, OrphanState, ResourceKind,
    },
};

use super::{
    Store,
    fixture::{accept, accepted, commit, ending, later, node, node_id, now, server, work_on},
};

pub(super) fn orphan(provider_id: u64, reason: OrphanReason) -> Orphan {
    let connection = "main".parse().expect("a name");
    Orphan {
        id: OrphanId::new(ResourceKind::Server, provider_id, &connection),
        connection,
        kind: ResourceKind::Server,
        provider_id,
        name: "web-000000000000".into(),
        reason,
        node: Some(node_id(1)),
        attempt: Some(2),
        primary_ips: vec![u64::MAX, 1],
        first_seen_at: now(),
        last_seen_at: later(900),
    }
}

pub(super) async fn orphans_are_kept_until_forgotten<S: Store>(store: &S) {
    assert_eq!(store.orphans().await.expect("orphans"), []);
    let (one, two) =
        (orphan(u64::MAX, OrphanReason::LeftBehind), orphan(9, OrphanReason::NotProven));
    store.put_orphan(&one).await.expect("put");
    store.put_orphan(&two).await.expect("put");
    assert_eq!(store.orphan(&one.id).await.expect("orphan"), Some(one.clone()));
    let again = Orphan { last_seen_at: later(1200), ..one.clone() };
    store.put_orphan(&again).await.expect("a newer sighting takes the place of the older");
    let mut all = store.orphans().await.expect("orphans");
    all.sort_by_key(|orphan| orphan.provider_id);
    assert_eq!(all, [two.clone(), again]);
    store.forget_orphan(&one.id).await.expect("forget");
    store.forget_orphan(&one.id).await.expect("what is not there is fine");
    assert_eq!(store.orphan(&one.id).await.expect("orphan"), None);
    assert_eq!(store.orphans().await.expect("orphans"), [two]);
    // The check's own record is none of them.
    assert!(store.swap_orphan_state(&OrphanState::empty()).await.expect("swap"));
    assert_eq!(store.orphans().await.expect("orphans").len(), 1);
}

pub(super) async fn the_orphan_checks_record_is_replaced_only_as_read<S: Store>(store: &S) {
    let empty = store.orphan_state().await.expect("state");
    assert_eq!(empty, OrphanState::empty());
    let mut first = empty.clone();
    first.ran(true, now());
    let group = GroupSeen { id: u64::MAX, servers: 3, free: 7 };
    let seen = ConnectionSeen { at: now(), unlabelled_servers: Some(4), groups: vec![group] };
    first.connections.insert("main".parse().expect("a name"), seen);
    assert!(store.swap_orphan_state(&first).await.expect("swap"));
    let stored = store.orphan_state().await.expect("state");
    assert_eq!(stored, OrphanState { version: 1, ..first.clone() });
    assert!(!store.swap_orphan_state(&first).await.expect("swap"), "somebody was first");
    assert_eq!(store.orphan_state().await.expect("state"), stored);
    let mut second = stored;
    second.confirm(later(1));
    assert!(store.swap_orphan_state(&second).await.expect("swap"));
    let stored = store.orphan_state().await.expect("state");
    assert_eq!(stored, OrphanState { version: 2, ..second });
}

pub(super) async fn a_server_is_given_back_to_a_node_that_is_gone<S: Store>(store: &S) {
    for (bits, status) in [(1, NodeStatus::Failed), (2, NodeStatus::Released)] {
        let loaded = accept(store, &super::fixture::new_node(bits)).await;
        let id = loaded.node.id.clone();
        let back = store.give_back(&id, &server(7), later(5)).await.expect("give back");
        assert!(!back, "its job is open");
        commit(store, &loaded, &ending(&loaded, status)).await;
        assert!(store.give_back(&id, &server(7), later(5)).await.expect("give back"));
        let kept = node(store, &id).await;
        assert_eq!((kept.status, kept.server), (NodeStatus::CleanupPending, Some(server(7))));
        assert_eq!(kept.updated_at, later(5));
        let due = store.due_nodes(later(5 + 300), 10).await.expect("due nodes");
        assert!(due.iter().any(|node| node.id == id), "the sweep releases it");
        let again = store.give_back(&id, &server(8), later(6)).await.expect("give back");
        assert!(!again, "it has one to remove");
        assert_eq!(node(store, &id).await.server, Some(server(7)));
    }
}

pub(super) async fn a_node_that_lives_is_given_nothing<S: Store>(store: &S) {
    let loaded = accepted(store).await;
    let id = loaded.node.id.clone();
    commit(store, &loaded, &ending(&loaded, NodeStatus::Ready)).await;
    assert!(!store.give_back(&id, &server(7), later(5)).await.expect("give back"));
    let ready = node(store, &id).await;
    assert_eq!((ready.status, ready.server.is_none()), (NodeStatus::Ready, true));
    accept(store, &work_on(&ready, JobKind::NodeRelease, 9)).await;
    assert!(!store.give_back(&id, &server(7), later(5)).await.expect("give back"));
    assert!(!store.give_back(&node_id(99), &server(7), later(5)).await.expect("nobody"));
}
