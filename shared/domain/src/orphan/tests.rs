//! The table, row by row, and the times.

use std::slice::from_ref;

use jiff::Timestamp;

use super::*;
use crate::{
    acceptance,
    id::JobId,
    ownership::{labels, nonce},
    placement::Rung,
    spec::{NodeSpec, Profile},
};

const DEPLOYMENT: &str = "dep";

fn key() -> DeploymentKey {
    DeploymentKey::new(*b"a key of this deployment")
}

fn main() -> ConnectionName {
    "main".parse().unwrap()
}

fn at(secs: i64) -> Timestamp {
    Timestamp::from_second(1_772_366_400 + secs).unwrap()
}

/// A node of three attempts, free, whose server has the id 5.
fn node(status: NodeStatus) -> Node {
    let spec = NodeSpec {
        name: "web".into(),
        connection: main(),
        profile: Profile::base(),
        vars: serde_json::Map::new(),
        placement: vec![Rung { server_type: "cx23".into(), location: "fsn1".into() }],
        prices: Vec::new(),
        image: "debian-13".into(),
        max_price: None,
        authorized_keys: Vec::new(),
        allow_ssh_from: Vec::new(),
        labels: BTreeMap::new(),
        keep_on_failure: false,
        spread: false,
        deadline_secs: 1800,
    };
    let ids = (JobId::from_bits(1), NodeId::from_bits(2));
    let (_, mut node) = acceptance::provision(ids.0, ids.1, spec, "ci", None, at(0));
    node.open_job = None;
    node.attempts = 3;
    node.status = status;
    node.server = (!status.is_gone()).then(|| server(5));
    node
}

fn server(id: u64) -> Server {
    Server {
        id,
        name: "web-0".into(),
        attempt: 0,
        ipv4: None,
        ipv6: None,
        primary_ips: vec![id + 1],
        server_type: None,
        location: None,
    }
}

/// A server of the node's attempt.
fn of_attempt(id: u64, attempt: u32) -> Resource {
    let node = NodeId::from_bits(2);
    Resource {
        kind: ResourceKind::Server,
        id,
        name: "web-0".into(),
        labels: labels(DEPLOYMENT, &node, &nonce(&key(), &node, attempt)),
        servers: 0,
        server: Some(server(id)),
    }
}

fn other(kind: ResourceKind, id: u64, servers: u32) -> Resource {
    let labels = [(LABEL_DEPLOYMENT.to_owned(), DEPLOYMENT.to_owned())].into();
    Resource { kind, id, name: "thing".into(), labels, servers, server: None }
}

fn judged(thing: &Resource, node: Option<&Node>) -> Verdict {
    let (key, connection) = (key(), main());
    let judge =
        Judge { key: &key, deployment: DEPLOYMENT, connection: &connection, managed_key: Some(7) };
    judge.judge(thing, node)
}

fn relabelled(mut thing: Resource, key: &str, value: &str) -> Resource {
    thing.labels.insert(key.to_owned(), value.to_owned());
    thing
}

#[test]
fn servers_by_their_nodes_records() {
    use NodeStatus::*;
    let orphan = Verdict::Orphan;
    let rows = [
        // (status, the server's id, its attempt, verdict)
        (Ready, 5, 3, Verdict::Accounted),
        (Kept, 5, 1, Verdict::Accounted),
        (Released, 9, 3, orphan(OrphanReason::LeftBehind)),
        (Failed, 9, 3, orphan(OrphanReason::LeftBehind)),
        (Failed, 9, 1, orphan(OrphanReason::LeftBehind)),
        (Failed, 9, 4, orphan(OrphanReason::NotProven)),
        (Released, 9, 0, orphan(OrphanReason::NotProven)),
        (Ready, 9, 2, orphan(OrphanReason::OlderAttempt)),
        (Kept, 9, 1, orphan(OrphanReason::OlderAttempt)),
        (Ready, 9, 3, orphan(OrphanReason::SecondServer)),
        (NotReady, 9, 3, orphan(OrphanReason::SecondServer)),
        (Ready, 9, 4, orphan(OrphanReason::NotProven)),
    ];
    for (status, id, attempt, expected) in rows {
        let verdict = judged(&of_attempt(id, attempt), Some(&node(status)));
        assert_eq!(verdict, expected, "{status:?}, server {id}, attempt {attempt}");
    }
}

#[test]
fn while_there_is_work_on_a_node_its_servers_are_accounted_for() {
    for status in NodeStatus::ALL {
        let mut busy = node(*status);
        busy.open_job = Some(JobId::from_bits(8));
        for attempt in 1..=4 {
            assert_eq!(judged(&of_attempt(9, attempt), Some(&busy)), Verdict::Accounted);
        }
    }
    let left = node(NodeStatus::CleanupPending);
    assert_eq!(judged(&of_attempt(9, 1), Some(&left)), Verdict::Accounted);
}

#[test]
fn an_id_on_record_with_a_node_that_is_gone_is_proof() {
    let mut failed = node(NodeStatus::Failed);
    failed.server = Some(server(9));
    let unproved = relabelled(of_attempt(9, 1), ownership::LABEL_NONCE, "changed");
    assert_eq!(judged(&unproved, Some(&failed)), Verdict::Orphan(OrphanReason::LeftBehind));
}

#[test]
fn what_names_no_node_of_ours_is_unknown() {
    let unknown = Verdict::Orphan(OrphanReason::UnknownNode);
    let failed = node(NodeStatus::Failed);
    assert_eq!(judged(&of_attempt(9, 1), None), unknown);
    let words = relabelled(of_attempt(9, 1), LABEL_NODE, "no-id");
    assert_eq!(judged(&words, None), unknown);
    // A record of another node than the one it names accounts for nothing.
    let elsewhere = relabelled(of_attempt(9, 1), LABEL_NODE, NodeId::from_bits(3).as_str());
    assert_eq!(judged(&elsewhere, Some(&failed)), unknown);
    let mut foreign = failed;
    foreign.spec.connection = "second".parse().unwrap();
    let verdict = judged(&of_attempt(9, 1), Some(&foreign));
    assert_eq!(verdict, Verdict::Orphan(OrphanReason::OtherConnection));
}

#[test]
fn without_our_label_nothing_is_ours() {
    let failed = node(NodeStatus::Failed);
    let others = relabelled(of_attempt(9, 1), LABEL_DEPLOYMENT, "another");
    assert_eq!(judged(&others, Some(&failed)), Verdict::NotOurs);
    for kind in ResourceKind::ALL {
        let bare = Resource { labels: BTreeMap::new(), ..other(*kind, 1, 0) };
        assert_eq!(judged(&bare, None), Verdict::NotOurs, "{kind:?}");
    }
}

#[test]
fn groups_and_keys() {
    let group = |servers| judged(&other(ResourceKind::PlacementGroup, 1, servers), None);
    assert_eq!(group(0), Verdict::Orphan(OrphanReason::EmptyGroup));
    assert_eq!(group(1), Verdict::Accounted);
    assert_eq!(judged(&other(ResourceKind::SshKey, 7, 0), None), Verdict::Accounted);
    let unused = judged(&other(ResourceKind::SshKey, 8, 0), None);
    assert_eq!(unused, Verdict::Orphan(OrphanReason::UnusedKey));
    assert_eq!(judged(&other(ResourceKind::PrimaryIp, 1, 0), None), Verdict::NotOurs);
}

#[test]
fn addresses_by_what_recorded_them() {
    let address = |servers| other(ResourceKind::PrimaryIp, 6, servers);
    for status in NodeStatus::ALL {
        let expected = if status.is_gone() {
            Verdict::Orphan(OrphanReason::LeftAddress)
        } else {
            Verdict::Accounted
        };
        let mut node = node(*status);
        assert_eq!(judge_address(&address(0), Some(&node)), expected, "{status:?}");
        assert_eq!(judge_address(&address(1), Some(&node)), Verdict::Accounted, "in use");
        node.open_job = Some(JobId::from_bits(8));
        assert_eq!(judge_address(&address(0), Some(&node)), Verdict::Accounted, "a job is at it");
    }
    let unproven = Verdict::Orphan(OrphanReason::UnprovenAddress);
    assert_eq!(judge_address(&address(0), None), unproven);
    assert_eq!(judge_address(&address(1), None), Verdict::Accounted);
}

#[test]
fn a_server_goes_back_with_the_attempt_that_its_nonce_tells() {
    let (key, connection) = (key(), main());
    let judge =
        Judge { key: &key, deployment: DEPLOYMENT, connection: &connection, managed_key: None };
    let failed = node(NodeStatus::Failed);
    for attempt in 1..=3 {
        let back = judge.proved_server(&of_attempt(9, attempt), &failed).unwrap();
        assert_eq!((back.id, back.attempt), (9, attempt));
    }
    assert_eq!(judge.proved_server(&of_attempt(9, 4), &failed), None);
    // What is on record goes back as it is on record, whatever its labels say now.
    let lives = node(NodeStatus::Ready);
    assert_eq!(judge.proved_server(&of_attempt(5, 4), &lives), lives.server);
    assert_eq!(judge.proved_server(&of_attempt(9, 4), &lives), None);
}

#[test]
fn an_orphan_is_shown_by_its_name() {
    let id = OrphanId::new(ResourceKind::Server, 7, &main());
    assert_eq!((id.to_string(), id.as_str()), ("server-7@main".to_owned(), "server-7@main"));
}

#[test]
fn each_reason_has_a_sentence_of_its_own() {
    let sentences: std::collections::BTreeSet<_> =
        OrphanReason::ALL.iter().map(|reason| reason.sentence()).collect();
    assert_eq!(sentences.len(), OrphanReason::ALL.len());
    assert!(sentences.iter().all(|sentence| sentence.ends_with('.')), "{sentences:?}");
}

#[test]
fn only_what_is_proved_and_unneeded_goes_by_itself() {
    let removed: Vec<_> = OrphanReason::ALL.iter().filter(|reason| reason.is_removed()).collect();
    assert_eq!(
        removed,
        [&OrphanReason::LeftBehind, &OrphanReason::EmptyGroup, &OrphanReason::LeftAddress]
    );
}

fn seen(reason: OrphanReason, known: &[Orphan], secs: i64) -> Orphan {
    let node = Some(NodeId::from_bits(2));
    Orphan::seen(&of_attempt(9, 3), &main(), reason, node, known, at(secs))
}

#[test]
fn two_sightings_far_apart_make_it_due() {
    let first = seen(OrphanReason::LeftBehind, &[], 0);
    assert!(!first.is_due());
    let early = seen(OrphanReason::LeftBehind, from_ref(&first), 899);
    assert!(!early.is_due() && early.first_seen_at == at(0));
    assert!(seen(OrphanReason::LeftBehind, from_ref(&early), 900).is_due());
    // Seen for another reason, the time begins anew.
    let before = seen(OrphanReason::SecondServer, &[], 0);
    assert!(!seen(OrphanReason::SecondServer, from_ref(&before), 86_400).is_due());
    assert!(!seen(OrphanReason::LeftBehind, from_ref(&before), 86_400).is_due());
    // A clock that went back makes nothing due.
    assert!(!seen(OrphanReason::LeftBehind, from_ref(&first), -86_400).is_due());
}

#[test]
fn names_read_back_and_others_do_not() {
    for kind in ResourceKind::ALL {
        let id = OrphanId::new(*kind, u64::MAX, &"a-b".parse().unwrap());
        assert_eq!(OrphanId::from_text(id.as_str()), Some(id.clone()));
        assert!(
            id.as_str().bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_@".contains(&byte))
        );
    }
    assert_eq!(seen(OrphanReason::LeftBehind, &[], 0).id.as_str(), "server-9@main");
    for wrong in ["", "server-9", "server-09@main", "server-+9@main", "volume-9@main", "server-9@"]
    {
        assert_eq!(OrphanId::from_text(wrong), None, "{wrong}");
    }
}

#[test]
fn after_a_gap_it_only_reports_until_confirmed() {
    let mut state = OrphanState::empty();
    assert!(!state.must_only_report(true, at(0)), "nothing is unexplained");
    assert!(state.must_only_report(false, at(0)), "a table without a past");
    state.ran(false, at(0));
    assert!(!state.must_only_report(false, at(LONGEST_GAP_SECS)));
    assert!(state.must_only_report(true, at(LONGEST_GAP_SECS + 1)), "a restored table is older");
    state.ran(true, at(3600));
    state.ran(true, at(3900));
    assert_eq!(state.report_only_since, Some(at(3600)));
    assert!(state.must_only_report(true, at(3901)), "it does not end by itself");
    state.confirm(at(9000));
    assert!(!state.must_only_report(false, at(9300)), "confirmed since the last run");
    assert!(state.must_only_report(false, at(9001 + LONGEST_GAP_SECS)));
}
