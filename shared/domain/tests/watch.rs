//! Which nodes are checked by the schedule: each row of the module's table.
#![allow(clippy::unwrap_used)]

use jiff::{SignedDuration, Timestamp};
use nodeyard_domain::{
    acceptance,
    id::{JobId, NodeId},
    node::{Node, NodeStatus, Server},
    readiness::{Finding, ReadinessCode},
    spec::{NodeSpec, Profile},
    watch::{PASS_SECS, Sight, is_tried, is_watched, suspicion},
};

fn now() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

fn after(secs: i64) -> Timestamp {
    now() + SignedDuration::from_secs(secs)
}

/// A node that came to be of a status, and was checked, just now.
fn node(status: NodeStatus, failed: &[ReadinessCode]) -> Node {
    let spec = NodeSpec {
        name: "web".into(),
        connection: "main".parse().unwrap(),
        profile: Profile::base(),
        vars: serde_json::Map::new(),
        placement: vec![],
        image: "debian-13".into(),
        max_price: None,
        authorized_keys: vec![],
        allow_ssh_from: vec![],
        labels: Default::default(),
        keep_on_failure: false,
        spread: false,
        prices: vec![],
        deadline_secs: 1800,
    };
    let (job, id) = (JobId::from_bits(1), NodeId::from_bits(2));
    let (_, mut node) = acceptance::provision(job, id, spec, "actor", None, now());
    node.enter(status, now());
    node.open_job = None;
    node.checked_at = Some(now());
    node.server = Some(Server {
        id: 7,
        name: node.server_name.clone(),
        attempt: 1,
        ipv4: Some("198.18.0.10".into()),
        ipv6: None,
        primary_ips: vec![],
        server_type: None,
        location: None,
    });
    let finding = |code: &ReadinessCode| Finding {
        code: *code,
        ok: false,
        warning: false,
        detail: String::new(),
    };
    node.readiness = failed.iter().map(finding).collect();
    node
}

fn is_suspect(node: &Node, sight: Sight, answers: Option<bool>, at: Timestamp) -> bool {
    suspicion(node, sight, answers, at).is_some()
}

#[test]
fn only_nodes_that_were_set_up_and_are_free_are_watched() {
    for status in NodeStatus::ALL {
        let expected = matches!(status, NodeStatus::Ready | NodeStatus::NotReady);
        assert_eq!(is_watched(&node(*status, &[])), expected, "{status:?}");
        assert!(expected || !is_suspect(&node(*status, &[]), Sight::Missing, None, after(99_999)));
    }
    let mut busy = node(NodeStatus::Ready, &[]);
    busy.open_job = Some(JobId::from_bits(9));
    assert!(!is_watched(&busy) && !is_suspect(&busy, Sight::Missing, None, now()));
    let bare = Node { server: None, ..node(NodeStatus::Ready, &[]) };
    assert!(!is_watched(&bare));
}

#[test]
fn a_ready_node_is_suspect_for_what_the_provider_or_its_port_says() {
    let ready = node(NodeStatus::Ready, &[]);
    for (sight, answers, expected) in [
        (Sight::Off, None, true),
        (Sight::Missing, None, true),
        (Sight::Running, Some(false), true),
        (Sight::Running, Some(true), false),
        (Sight::Running, None, false),
    ] {
        assert_eq!(is_suspect(&ready, sight, answers, after(99_999)), expected, "{sight:?}");
    }
}

#[test]
fn what_is_gone_or_replaced_stays_so_until_released() {
    for code in [ReadinessCode::ProviderServerMissing, ReadinessCode::HostKeyMismatch] {
        for sight in [Sight::Running, Sight::Off, Sight::Missing] {
            assert!(!is_suspect(&node(NodeStatus::NotReady, &[code]), sight, None, after(99_999)));
        }
    }
}

#[test]
fn a_server_that_was_off_is_looked_at_when_it_runs() {
    let off = node(NodeStatus::NotReady, &[ReadinessCode::ProviderServerOff]);
    assert!(is_suspect(&off, Sight::Running, None, now()), "at once");
    assert!(!is_suspect(&off, Sight::Off, None, after(99_999)));
    assert!(is_suspect(&off, Sight::Missing, None, now()));
}

#[test]
fn a_node_that_stays_not_ready_is_looked_at_ever_more_rarely() {
    let mut down = node(NodeStatus::NotReady, &[ReadinessCode::ServiceDown]);
    let mut waits = Vec::new();
    let mut at = now();
    for _ in 0..9 {
        let since = at;
        while !is_suspect(&down, Sight::Running, None, at) {
            at += SignedDuration::from_secs(60);
        }
        waits.push((at - since).get_seconds());
        down.checked_at = Some(at);
    }
    assert_eq!(waits, [300, 300, 600, 1200, 2400, 4800, 9600, 19_200, 21_600]);
    assert!(is_suspect(&down, Sight::Missing, None, at), "not to be waited for");
    // Records of an older release do not say since when.
    let old = Node { status_since: None, checked_at: Some(now()), ..down.clone() };
    assert!(!is_suspect(&old, Sight::Running, None, after(299)));
    assert!(is_suspect(&old, Sight::Running, None, after(300)));
    let never = Node { checked_at: None, ..old };
    assert!(is_suspect(&never, Sight::Running, None, now()));
}

#[test]
fn a_port_is_tried_in_one_of_six_passes_and_never_where_ssh_is_restricted() {
    let ready = node(NodeStatus::Ready, &[]);
    let turns = |node: &Node, sight| -> Vec<i64> {
        (0..12).filter(|pass| is_tried(node, sight, after(pass * PASS_SECS))).collect()
    };
    let tried = turns(&ready, Sight::Running);
    assert_eq!((tried.len(), tried[1] - tried[0]), (2, 6));
    assert!(turns(&ready, Sight::Off).is_empty() && turns(&ready, Sight::Missing).is_empty());
    assert!(turns(&node(NodeStatus::NotReady, &[]), Sight::Running).is_empty());
    let mut restricted = ready.clone();
    restricted.spec.allow_ssh_from = vec!["192.0.2.0/24".into()];
    assert!(turns(&restricted, Sight::Running).is_empty());
    // Nodes are spread over the passes.
    let first = |bits: u128| {
        let node = Node { id: NodeId::from_bits(bits), ..ready.clone() };
        turns(&node, Sight::Running)[0]
    };
    let firsts: std::collections::BTreeSet<i64> = (0..16).map(first).collect();
    assert_eq!(firsts.len(), 6);
}
