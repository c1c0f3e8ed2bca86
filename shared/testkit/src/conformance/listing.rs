//! Lists and their pages.

use std::collections::BTreeSet;

use nodeyard_domain::{
    connection::{Connection, ConnectionName, ConnectionStatus},
    job::{JobKind, JobState},
    node::NodeStatus,
    spec::Profile,
};
use nodeyard_engine::{
    provider::Catalogue,
    store::{JobFilter, NodeFilter, PageError, PageRequest, StoredCatalogue},
};

use super::{
    Store,
    fixture::{
        accept, accepted, audit, connection, end, entry, job_id, later, new_node, new_node_at,
        node_id, now, spec, whole, work_on,
    },
};

fn name(text: &str) -> ConnectionName {
    text.parse().expect("a name")
}

pub(super) async fn pages_hold_everything_once<S: Store>(store: &S) {
    for bits in 1..=5 {
        // Two of them at one time: the order among them must be fixed all the same.
        let at = later(i64::try_from(bits / 2).unwrap_or_default());
        accept(store, &new_node_at(bits, spec("web"), at)).await;
    }
    let (mut cursor, mut nodes, mut jobs, mut sizes) = (None, Vec::new(), Vec::new(), Vec::new());
    loop {
        let page = PageRequest { cursor, limit: 2 };
        let found = store.nodes(&NodeFilter::default(), &page).await.expect("nodes");
        sizes.push(found.items.len());
        nodes.extend(found.items.into_iter().map(|node| node.id));
        assert!(sizes.len() <= 3, "five records by two are three pages");
        cursor = found.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(sizes, [2, 2, 1], "and the last one says that it is the last");
    assert_eq!(nodes.iter().collect::<BTreeSet<_>>().len(), 5, "each once: {nodes:?}");
    let mut cursor = None;
    loop {
        let page = PageRequest { cursor, limit: 1 };
        let found = store.jobs(&JobFilter::default(), &page).await.expect("jobs");
        jobs.extend(found.items.into_iter().map(|job| job.id().clone()));
        assert!(jobs.len() <= 5, "no page is given twice");
        cursor = found.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(jobs.into_iter().collect::<BTreeSet<_>>(), (1..=5).map(job_id).collect());
}

pub(super) async fn nodes_are_filtered<S: Store>(store: &S) {
    for bits in 1..=3 {
        let mut spec = spec("web");
        if bits == 2 {
            spec.connection = name("other");
            spec.profile = Profile::web();
            spec.labels.insert("team".into(), "red".into());
        }
        if bits == 3 {
            spec.labels.clear();
        }
        accept(store, &new_node_at(bits, spec, now())).await;
    }
    end(store, &job_id(3)).await;
    let none = NodeFilter::default;
    let label = |value: Option<&str>| Some(("team".to_owned(), value.map(str::to_owned)));
    let cases = [
        (NodeFilter { status: Some(NodeStatus::Ready), ..none() }, vec![3]),
        (NodeFilter { status: Some(NodeStatus::Acquiring), ..none() }, vec![1, 2]),
        (NodeFilter { connections: Some(vec![name("other")]), ..none() }, vec![2]),
        (NodeFilter { connections: Some(Vec::new()), ..none() }, vec![]),
        (NodeFilter { profile: Some(Profile::web()), ..none() }, vec![2]),
        (NodeFilter { label: label(None), ..none() }, vec![1, 2]),
        (NodeFilter { label: label(Some("red")), ..none() }, vec![2]),
        (
            NodeFilter { label: label(Some("red")), profile: Some(Profile::base()), ..none() },
            vec![],
        ),
    ];
    for (filter, expected) in cases {
        let found = store.nodes(&filter, &whole()).await.expect("nodes").items;
        let found: BTreeSet<_> = found.into_iter().map(|node| node.id).collect();
        assert_eq!(found, expected.into_iter().map(node_id).collect(), "{filter:?}");
    }
}

pub(super) async fn jobs_are_filtered<S: Store>(store: &S) {
    let first = accepted(store).await;
    accept(store, &new_node(2)).await;
    let ended = end(store, &first.job.id).await;
    accept(store, &work_on(&ended.node, JobKind::NodeConfigure, 3)).await;
    let none = JobFilter::default;
    let of_node = || Some(node_id(1));
    let cases = [
        (JobFilter { state: Some(JobState::Succeeded), ..none() }, vec![1]),
        (JobFilter { node: of_node(), ..none() }, vec![1, 3]),
        (JobFilter { node: of_node(), state: Some(JobState::Queued), ..none() }, vec![3]),
        (JobFilter { node: Some(node_id(9)), ..none() }, vec![]),
        (JobFilter { connections: Some(vec![name("main")]), ..none() }, vec![1, 2, 3]),
        (JobFilter { connections: Some(vec![name("other")]), ..none() }, vec![]),
    ];
    for (filter, expected) in cases {
        let found = store.jobs(&filter, &whole()).await.expect("jobs").items;
        let found: BTreeSet<_> = found.into_iter().map(|job| job.id().clone()).collect();
        assert_eq!(found, expected.into_iter().map(job_id).collect(), "{filter:?}");
    }
    let page = PageRequest { cursor: None, limit: 1 };
    let filter = JobFilter { node: of_node(), ..none() };
    let one = store.jobs(&filter, &page).await.expect("jobs");
    let page = PageRequest { cursor: one.next, limit: 1 };
    let two = store.jobs(&filter, &page).await.expect("jobs");
    assert!(two.next.is_none() && one.items[0].id() != two.items[0].id());
}

pub(super) async fn a_filter_that_matches_nothing_gives_an_empty_last_page<S: Store>(store: &S) {
    accepted(store).await;
    let filter = NodeFilter { status: Some(NodeStatus::Kept), ..NodeFilter::default() };
    let page = store.nodes(&filter, &PageRequest { cursor: None, limit: 1 }).await.expect("nodes");
    assert!(page.items.is_empty() && page.next.is_none(), "{page:?}");
    let page = store.timeline(&job_id(9), &whole()).await.expect("timeline");
    assert!(page.items.is_empty() && page.next.is_none(), "{page:?}");
}

pub(super) async fn timeline_and_log_are_paged<S: Store>(store: &S) {
    let job = accepted(store).await.job.id;
    accept(store, &new_node(2)).await;
    let entries: Vec<_> = (0..3).map(|n| entry(later(n), "x")).collect();
    store.append_timeline(&job, &entries).await.expect("append");
    store.append_timeline(&job_id(2), &[entry(later(0), "of another")]).await.expect("append");
    for sequence in 0..3 {
        store.append_log(&job, 1, sequence, &sequence.to_string()).await.expect("append");
    }
    let first = PageRequest { cursor: None, limit: 2 };
    let page = store.timeline(&job, &first).await.expect("timeline");
    assert_eq!(page.items, entries[..2]);
    let rest = PageRequest { cursor: page.next, limit: 2 };
    let page = store.timeline(&job, &rest).await.expect("timeline");
    assert_eq!((page.items.as_slice(), &page.next), (&entries[2..], &None));
    let page = store.log(&job, &first).await.expect("log");
    assert_eq!(page.items, ["0", "1"]);
    let rest = PageRequest { cursor: page.next, limit: 2 };
    let page = store.log(&job, &rest).await.expect("log");
    assert_eq!((page.items, page.next), (vec!["2".to_owned()], None));
}

pub(super) async fn a_cursor_that_cannot_be_read_is_refused<S: Store>(store: &S) {
    let job = accepted(store).await.job.id;
    for cursor in ["", "not a cursor", "💥", "AAAA", &"A".repeat(5_000)] {
        let page = PageRequest { cursor: Some(cursor.to_owned()), limit: 2 };
        let nodes = store.nodes(&NodeFilter::default(), &page).await;
        assert!(matches!(nodes, Err(PageError::Cursor)), "{cursor}: {nodes:?}");
        let entries = store.timeline(&job, &page).await;
        assert!(matches!(entries, Err(PageError::Cursor)), "{cursor}: {entries:?}");
    }
}

pub(super) async fn connections_are_kept_by_name<S: Store>(store: &S) {
    let mut connection = connection("main");
    assert_eq!(store.connection(&connection.name).await.expect("connection"), None);
    assert!(store.swap_connection(&connection, &[]).await.expect("put"));
    assert!(!store.swap_connection(&connection, &[]).await.expect("put"), "there is one by now");
    connection.version = 1;
    connection.status = ConnectionStatus::Degraded;
    assert!(store.swap_connection(&connection, &[]).await.expect("put"));
    assert!(
        !store.swap_connection(&connection, &[]).await.expect("put"),
        "it was changed meanwhile"
    );
    connection.version = 2;
    let known = store.connection(&connection.name).await.expect("connection");
    assert_eq!(known, Some(connection.clone()), "the last one stays");
    let mut other = Connection { name: name("other"), version: 0, ..connection.clone() };
    assert!(store.swap_connection(&other, &[]).await.expect("put"));
    other.version = 1;
    let mut all = store.connections().await.expect("connections");
    all.sort_by(|a, b| a.name.cmp(&b.name));
    assert_eq!(all, [connection.clone(), other.clone()]);
    store.delete_connection(&connection.name, &audit("1")).await.expect("delete");
    store.delete_connection(&connection.name, &audit("2")).await.expect("again is harmless");
    assert!(!store.swap_connection(&connection, &[]).await.expect("put"), "it does not come back");
    assert_eq!(store.connections().await.expect("connections"), [other]);
}

pub(super) async fn a_catalogue_is_shared_until_its_connection_goes<S: Store>(store: &S) {
    let connection = connection("main");
    assert!(store.swap_connection(&connection, &[]).await.expect("store"));
    assert_eq!(store.catalogue(&connection.name).await.expect("store"), None);
    let mut read = StoredCatalogue {
        read_at: now(),
        catalogue: Catalogue {
            currency: "EUR".into(),
            offers: Vec::new(),
            locations: vec!["fsn1".into()],
            images: vec!["debian-13".into()],
            primary_ipv4_monthly_net: [("fsn1".to_owned(), 0.5)].into(),
        },
    };
    for currency in ["EUR", "USD"] {
        read.catalogue.currency = currency.into();
        store.put_catalogue(&connection.name, &read).await.expect("store");
        assert_eq!(store.catalogue(&connection.name).await.expect("store"), Some(read.clone()));
    }
    store.delete_connection(&connection.name, &audit("3")).await.expect("store");
    assert_eq!(store.catalogue(&connection.name).await.expect("store"), None);
}
