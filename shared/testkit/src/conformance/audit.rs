//! The audit trail: appended to, listed, and nothing else.

use nodeyard_domain::{
    audit::{Action, AuditEntry, AuditFilter, Outcome, Resource, ResourceKind},
    connection::Connection,
    job::JobKind,
    token::Scope,
};
use nodeyard_engine::store::{Accepted, NodeFilter, PageError, PageRequest};

use super::{
    Store,
    fixture::{accepted, audit, connection, keyed, later, new_node, node_id, now, whole, work_on},
    token::token,
};

fn entry(secs: i64, id: &str) -> AuditEntry {
    AuditEntry { at: later(secs), ..audit(id) }
}

async fn append<S: Store>(store: &S, entries: &[AuditEntry]) {
    for entry in entries {
        store.append_audit(entry).await.expect("append");
    }
}

async fn all<S: Store>(store: &S, filter: &AuditFilter) -> Vec<AuditEntry> {
    store.audit_entries(filter, &whole()).await.expect("entries").items
}

async fn trail<S: Store>(store: &S) -> Vec<AuditEntry> {
    all(store, &AuditFilter::default()).await
}

pub(super) async fn the_newest_come_first_and_pages_hold_each_once<S: Store>(store: &S) {
    assert_eq!(trail(store).await, []);
    // Not in the order of their times; days apart; two at one time.
    let times = [5, 86_400 * 40, 0, -86_400, 5];
    let entries: Vec<_> = times.iter().zip(1..).map(|(at, n)| entry(*at, &n.to_string())).collect();
    append(store, &entries).await;
    let (mut cursor, mut found) = (None, Vec::new());
    for size in [2, 2, 1] {
        let page = PageRequest { cursor, limit: 2 };
        let page = store.audit_entries(&AuditFilter::default(), &page).await.expect("entries");
        assert_eq!(page.items.len(), size);
        found.extend(page.items);
        cursor = page.next;
    }
    assert_eq!(cursor, None, "and the last one says that it is the last");
    assert!(found.is_sorted_by(|newer, older| newer.at >= older.at), "{found:#?}");
    let missing: Vec<_> = entries.iter().filter(|entry| !found.contains(entry)).collect();
    assert!(missing.is_empty(), "an entry comes back whole: {missing:#?}");
}

pub(super) async fn what_comes_meanwhile_moves_no_page<S: Store>(store: &S) {
    let entries: Vec<_> = (0..4).map(|n| entry(n, &n.to_string())).collect();
    append(store, &entries).await;
    let page = PageRequest { cursor: None, limit: 2 };
    let first = store.audit_entries(&AuditFilter::default(), &page).await.expect("entries");
    append(store, &[entry(9, "9")]).await;
    let page = PageRequest { cursor: first.next, limit: 2 };
    let second = store.audit_entries(&AuditFilter::default(), &page).await.expect("entries");
    assert_eq!(first.items, [entries[3].clone(), entries[2].clone()]);
    assert_eq!(second.items, [entries[1].clone(), entries[0].clone()]);
}

pub(super) async fn entries_are_filtered<S: Store>(store: &S) {
    let (node, job) = (Resource::from(&node_id(1)), ResourceKind::Job);
    let refused = Outcome::Refused { code: "forbidden".into() };
    let entries = [
        AuditEntry { actor: "one".into(), resource: node.clone(), ..entry(1, "") },
        AuditEntry { action: Action::JobCancel, resource: Resource::all(job), ..entry(2, "") },
        AuditEntry { actor: "one".into(), action: Action::JobCancel, ..entry(3, "") },
        AuditEntry { outcome: refused, resource: node.clone(), ..entry(4, "") },
        AuditEntry { outcome: Outcome::LeftOut { count: u32::MAX }, ..entry(5, "") },
    ];
    append(store, &entries).await;
    let none = AuditFilter::default;
    let one = || Some("one".to_owned());
    let cancel = Some(Action::JobCancel);
    let cases = [
        (none(), vec![5, 4, 3, 2, 1]),
        (AuditFilter { actor: one(), ..none() }, vec![3, 1]),
        (AuditFilter { action: cancel, ..none() }, vec![3, 2]),
        (AuditFilter { actor: one(), action: cancel, ..none() }, vec![3]),
        (AuditFilter { kind: Some(job), ..none() }, vec![2]),
        (AuditFilter { id: node.id.clone(), ..none() }, vec![4, 1]),
        (AuditFilter { id: node.id.clone(), kind: Some(job), ..none() }, vec![]),
        (AuditFilter { action: Some(Action::TokenDelete), ..none() }, vec![]),
    ];
    for (filter, expected) in cases {
        let found = all(store, &filter).await;
        let expected: Vec<_> =
            expected.into_iter().map(|n: usize| entries[n - 1].clone()).collect();
        assert_eq!(found, expected, "{filter:?}");
    }
    let one_of_two = PageRequest { cursor: None, limit: 1 };
    let filter = AuditFilter { actor: one(), ..none() };
    let first = store.audit_entries(&filter, &one_of_two).await.expect("entries");
    assert_eq!(first.items, [entries[2].clone()]);
    let rest = PageRequest { cursor: first.next, limit: 1 };
    let rest = store.audit_entries(&filter, &rest).await.expect("entries");
    assert_eq!((rest.items.as_slice(), rest.next), (&entries[..1], None));
}

/// A write whose answer got lost is made again.
pub(super) async fn the_same_entry_is_there_once<S: Store>(store: &S) {
    append(store, &[audit("1"), audit("1")]).await;
    assert_eq!(trail(store).await, [audit("1")]);
}

/// Whatever comes later, under the same request at the same time: it stands beside what is there.
pub(super) async fn what_is_in_the_trail_stays_as_it_is<S: Store>(store: &S) {
    let first = audit("1");
    let others = [
        AuditEntry { actor: "another".into(), ..first.clone() },
        AuditEntry { action: Action::NodeRelease, ..first.clone() },
        AuditEntry { source_address: None, ..first.clone() },
        AuditEntry { outcome: Outcome::Refused { code: "forbidden".into() }, ..first.clone() },
    ];
    append(store, std::slice::from_ref(&first)).await;
    append(store, &others).await;
    let found = trail(store).await;
    assert_eq!(found.len(), 1 + others.len());
    assert!(found.contains(&first) && others.iter().all(|other| found.contains(other)));
}

pub(super) async fn a_change_and_its_entry_are_written_together<S: Store>(store: &S) {
    let loaded = accepted(store).await;
    let mut expected = vec![new_node(1).audit];
    assert!(
        store.request_cancel(&loaded.job.id, None, now(), &entry(1, "1")).await.expect("cancel")
    );
    let (id, labels) = (&loaded.node.id, &loaded.node.labels);
    let set = store.set_labels(id, labels, &Default::default(), now(), &entry(2, "2")).await;
    assert!(set.expect("labels"));
    let caller = token(1, Scope::Admin);
    assert!(store.put_token(&caller, true, &entry(3, "3")).await.expect("put"));
    assert!(store.delete_token(&caller.id, &entry(4, "4")).await.expect("delete"));
    let connection = connection("main");
    assert!(store.change_connection(&connection, &[], &entry(5, "5")).await.expect("change"));
    let stored = store.connection(&connection.name).await.expect("connection");
    assert_eq!(stored, Some(Connection { version: 1, ..connection.clone() }));
    store.delete_connection(&connection.name, &entry(6, "6")).await.expect("delete");
    expected.extend((1..=6).map(|n| entry(n, &n.to_string())));
    expected.reverse();
    assert_eq!(trail(store).await, expected);
}

pub(super) async fn what_is_refused_leaves_no_entry_of_a_change<S: Store>(store: &S) {
    let work = keyed(new_node(1), "key", "body");
    assert_eq!(store.accept(&work).await.expect("accept"), Accepted::New);
    let found = store.nodes(&NodeFilter::default(), &whole()).await.expect("nodes");
    let again = store.accept(&keyed(new_node(2), "key", "body")).await.expect("accept");
    assert!(matches!(again, Accepted::Replayed(_)));
    let other = store.accept(&keyed(new_node(2), "key", "other")).await.expect("accept");
    assert_eq!(other, Accepted::KeyReused);
    let busy = work_on(&found.items[0], JobKind::NodeConfigure, 3);
    let busy = store.accept(&busy).await.expect("accept");
    assert!(matches!(busy, Accepted::NodeBusy { .. }));
    let job = &work.job.id;
    assert!(!store.request_cancel(job, Some(99), now(), &entry(1, "1")).await.expect("cancel"));
    let stale = [("x".to_owned(), "y".to_owned())].into();
    let set = store.set_labels(&node_id(1), &stale, &stale, now(), &entry(2, "2")).await;
    assert!(!set.expect("labels"));
    let (first, second) = (token(1, Scope::Admin), token(2, Scope::Admin));
    assert!(store.put_token(&first, true, &entry(3, "3")).await.expect("put"));
    assert!(!store.put_token(&second, true, &entry(4, "4")).await.expect("put"));
    assert!(!store.delete_token(&second.id, &entry(5, "5")).await.expect("delete"));
    let stale = Connection { version: 7, ..connection("main") };
    assert!(!store.change_connection(&stale, &[], &entry(6, "6")).await.expect("change"));
    assert_eq!(store.connections().await.expect("connections"), []);
    assert_eq!(trail(store).await, [entry(3, "3"), work.audit]);
}

pub(super) async fn a_cursor_of_another_list_is_refused<S: Store>(store: &S) {
    append(store, &[entry(1, "1"), entry(2, "2")]).await;
    for cursor in ["", "not a cursor", "💥", &"A".repeat(5_000)] {
        let page = PageRequest { cursor: Some(cursor.to_owned()), limit: 1 };
        let found = store.audit_entries(&AuditFilter::default(), &page).await;
        assert!(matches!(found, Err(PageError::Cursor)), "{cursor}: {found:?}");
    }
}
