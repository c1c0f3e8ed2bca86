//! Every change of a status, held against a table of its own.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use nodeyard_domain::{
    acceptance,
    code::Code,
    connection::{
        Connection, ConnectionReason, ConnectionStatus, ManagedKey, Permission, ProviderKind,
    },
    event::{self, Change, Event, EventKind},
    id::{JobId, NodeId},
    job::{Job, JobError, JobState},
    node::{Node, NodeChange, NodeStatus, Server},
    orphan::{Orphan, OrphanId, OrphanReason, ResourceKind},
    placement::Rung,
    readiness::{Finding, ReadinessCode},
    spec::{NodeSpec, Profile},
    step::Decision,
};

fn now() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

fn later() -> Timestamp {
    Timestamp::from_second(1_800_000_060).unwrap()
}

fn accepted() -> (Job, Node) {
    let spec = NodeSpec {
        name: "web".into(),
        connection: "main".parse().unwrap(),
        profile: Profile::base(),
        vars: serde_json::Map::new(),
        placement: vec![Rung { server_type: "cx23".into(), location: "fsn1".into() }],
        image: "debian-13".into(),
        max_price: None,
        authorized_keys: Vec::new(),
        allow_ssh_from: Vec::new(),
        labels: BTreeMap::new(),
        keep_on_failure: false,
        spread: false,
        prices: Vec::new(),
        deadline_secs: 1800,
    };
    let ids = (JobId::from_bits(1), NodeId::from_bits(2));
    acceptance::provision(ids.0, ids.1, spec, "actor", None, now())
}

fn server() -> Server {
    Server {
        id: 7,
        name: "web-000000000000".into(),
        attempt: 1,
        ipv4: Some("198.18.0.10".into()),
        ipv6: None,
        primary_ips: Vec::new(),
        server_type: None,
        location: None,
    }
}

fn decision(job: &Job, state: JobState, status: Option<NodeStatus>) -> Decision {
    let mut job = job.clone();
    job.state = state;
    job.updated_at = later();
    if state == JobState::Failed {
        job.error = Some(JobError { code: Code::SmokeFailed, detail: "not told".into() });
    }
    let node = NodeChange { status, ..NodeChange::default() };
    Decision { job, node, entries: Vec::new(), evidence: Vec::new() }
}

fn kinds(events: &[Event]) -> Vec<EventKind> {
    events.iter().map(Event::kind).collect()
}

#[test]
fn every_commit_causes_exactly_the_events_of_what_it_changes() {
    let of_status = BTreeMap::from([
        ("ready", EventKind::NodeReady),
        ("not_ready", EventKind::NodeNotReady),
        ("released", EventKind::NodeReleased),
        ("cleanup_pending", EventKind::CleanupPending),
    ]);
    let states = [JobState::Running, JobState::Succeeded, JobState::Failed, JobState::Cancelled];
    let statuses = || NodeStatus::ALL.iter().copied();
    let mut tried = 0;
    for was in statuses() {
        for becomes in std::iter::once(None).chain(statuses().map(Some)) {
            for before in [JobState::Queued, JobState::Running] {
                for after in states {
                    let (mut job, mut node) = accepted();
                    (job.state, node.status) = (before, was);
                    let mut expected = Vec::new();
                    if let Some(status) = becomes.filter(|status| *status != was) {
                        expected.extend(of_status.get(status.as_str()).copied());
                    }
                    if after == JobState::Failed {
                        expected.push(EventKind::JobFailed);
                    }
                    let decision = decision(&job, after, becomes);
                    let events = event::of_commit(&job, &node, &decision);
                    assert_eq!(kinds(&events), expected, "{was:?} {becomes:?} {after:?}");
                    assert!(events.iter().all(|event| event.at == later()));
                    tried += 1;
                }
            }
        }
    }
    assert_eq!(tried, 9 * 10 * 2 * 4);
}

#[test]
fn an_id_follows_from_the_change_and_no_two_changes_share_one() {
    let mut ids = BTreeSet::new();
    let mut count = 0;
    for version in 0..3 {
        for bits in [1, 9] {
            let (mut job, node) = accepted();
            (job.id, job.version) = (JobId::from_bits(bits), version);
            let decision = decision(&job, JobState::Failed, Some(NodeStatus::CleanupPending));
            let events = event::of_commit(&job, &node, &decision);
            assert_eq!(events, event::of_commit(&job, &node, &decision), "worked out again");
            count += events.len();
            ids.extend(events.into_iter().map(|event| event.id));
        }
    }
    assert_eq!((ids.len(), count), (12, 12));
}

#[test]
fn a_commit_tells_what_the_node_is_like_after_it() {
    let (mut job, mut node) = accepted();
    node.server = Some(server());
    let ready = event::of_commit(
        &job,
        &node,
        &decision(&job, JobState::Succeeded, Some(NodeStatus::Ready)),
    );
    let Change::NodeReady { node: told, ipv4 } = &ready[0].change else { panic!("{ready:?}") };
    assert_eq!((told.was, told.server_id), (NodeStatus::Acquiring, Some(7)));
    assert_eq!((told.job_id.as_ref(), ipv4.as_deref()), (Some(&job.id), Some("198.18.0.10")));

    let mut gone = decision(&job, JobState::Succeeded, Some(NodeStatus::Released));
    gone.node.server = Some(None);
    let released = event::of_commit(&job, &node, &gone);
    let Change::NodeReleased { node: told } = &released[0].change else { panic!("{released:?}") };
    assert_eq!(told.server_id, Some(7), "the server that was released");

    let finding = |code, ok, warning| Finding { code, ok, warning, detail: "long".into() };
    let mut unready = decision(&job, JobState::Failed, Some(NodeStatus::NotReady));
    let findings = vec![
        finding(ReadinessCode::DiskLow, false, false),
        finding(ReadinessCode::ServiceDown, true, false),
        finding(ReadinessCode::RebootRequired, false, true),
    ];
    unready.node.readiness = Some((findings, later()));
    job.version = 4;
    let told = event::of_commit(&job, &node, &unready);
    let Change::NodeNotReady { failing, .. } = &told[0].change else { panic!("{told:?}") };
    assert_eq!(*failing, [ReadinessCode::DiskLow]);
    let Change::JobFailed { code, .. } = &told[1].change else { panic!("{told:?}") };
    assert_eq!(*code, Some(Code::SmokeFailed));
    assert!(!serde_json::to_string(&told).unwrap().contains("not told"), "details stay inside");
}

#[test]
fn a_server_that_comes_late_is_told_of_once() {
    let (_, mut before) = accepted();
    before.status = NodeStatus::Released;
    let kept = |before: &Node, at| {
        let mut after = before.clone();
        after.server = Some(server());
        after.enter(NodeStatus::CleanupPending, at);
        after.updated_at = at;
        after
    };
    let after = kept(&before, now());
    let told = event::of_left_server(&before, &after, &server()).unwrap();
    let Change::CleanupPending { node, release_at, tries } = &told.change else { panic!() };
    assert_eq!((node.was, node.server_id, *tries), (NodeStatus::Released, Some(7), 1));
    assert!(release_at.is_some() && node.job_id.is_none());
    assert_eq!(event::of_left_server(&after, &kept(&after, later()), &server()), None);
    // Gone in between, and back: another change.
    let again = event::of_left_server(&before, &kept(&before, later()), &server()).unwrap();
    assert_ne!(again.id, told.id);
}

fn connection(status: ConnectionStatus, reason: Option<ConnectionReason>) -> Connection {
    Connection {
        name: "main".parse().unwrap(),
        version: 3,
        provider: ProviderKind::Hetzner,
        status,
        reason,
        permission: Permission::ReadWrite,
        key: Some(ManagedKey {
            version: 1,
            provider_id: 5,
            fingerprint: "aa".into(),
            public_key: "ssh-ed25519 AAAA".into(),
        }),
        token: None,
        key_stem: None,
        retired: Vec::new(),
        rotation: None,
        max_nodes: None,
        max_monthly: None,
        rate_budget: None,
        checked_at: now(),
        failed_checks: 0,
        servers_seen: None,
        drift: None,
        created_at: now(),
    }
}

#[test]
fn a_connection_tells_when_it_gets_worse_or_well_and_nothing_else() {
    use ConnectionReason::{MarkerMissing, Unauthorized};
    use ConnectionStatus::{Connected, Degraded, Disconnected};
    let states = [
        (Connected, None),
        (Connected, Some(MarkerMissing)),
        (Degraded, None),
        (Degraded, Some(MarkerMissing)),
        (Degraded, Some(Unauthorized)),
        (Disconnected, None),
        (Disconnected, Some(Unauthorized)),
    ];
    let mut ids = BTreeSet::new();
    let mut count = 0;
    for was in states {
        for becomes in states {
            let before = connection(was.0, was.1);
            let mut after = connection(becomes.0, becomes.1);
            after.checked_at = later();
            after.max_nodes = Some(3);
            let told = event::of_connection(&before, &after, later());
            let expected: &[EventKind] = match (was, becomes) {
                (was, becomes) if was == becomes => &[],
                ((Connected, _), (Connected, _)) => &[],
                (_, (Connected, _)) => &[EventKind::ProviderConnected],
                (_, (Degraded | Disconnected, _)) => &[EventKind::ProviderDegraded],
            };
            assert_eq!(kinds(&told), expected, "{was:?} → {becomes:?}");
            if let [Event { change: Change::ProviderDegraded { status, reason, .. }, .. }] =
                &told[..]
            {
                assert_eq!((*status, *reason), becomes);
            }
            let next = Connection { version: 4, ..before };
            for event in told.iter().chain(&event::of_connection(&next, &after, later())) {
                ids.insert((event.kind(), event.id.clone()));
                count += 1;
            }
        }
    }
    // One version is followed by one change: within it the id is that of the kind.
    assert_eq!((ids.len(), count), (4, 2 * 40));
}

#[test]
fn drift_and_orphans_are_told_with_what_was_found() {
    let before = connection(ConnectionStatus::Connected, None);
    let long = "é".repeat(5000);
    let heard = |text: &str| Connection { drift: Some(text.to_owned()), ..before.clone() };
    let after = heard(&format!("GET /servers: {long}"));
    let told = event::of_connection(&before, &after, now());
    let [Event { change: Change::ApiDrift { answer, difference, .. }, .. }] = &told[..] else {
        panic!("{told:?}")
    };
    assert_eq!(answer, "GET /servers");
    assert!(difference.starts_with('é'));
    assert!(serde_json::to_string(&told).unwrap().len() < 1000, "it stays small");
    assert_eq!(told[0].id, event::of_connection(&before, &after, later())[0].id);
    assert_eq!(event::of_connection(&after, &after, now()), [], "it was told");
    assert_eq!(event::of_connection(&after, &before, now()), [], "all is well again");
    let both = Connection { status: ConnectionStatus::Degraded, ..after };
    let kinds: Vec<_> =
        event::of_connection(&before, &both, now()).iter().map(Event::kind).collect();
    assert_eq!(kinds, [EventKind::ProviderDegraded, EventKind::ApiDrift]);

    let connection = "main".parse().unwrap();
    let orphan = Orphan {
        id: OrphanId::new(ResourceKind::Server, 7, &connection),
        connection,
        kind: ResourceKind::Server,
        provider_id: 7,
        name: "<b>named by others</b>".into(),
        reason: OrphanReason::LeftBehind,
        node: Some(NodeId::from_bits(2)),
        attempt: None,
        primary_ips: Vec::new(),
        first_seen_at: now(),
        last_seen_at: now(),
    };
    let told = event::of_orphan(&orphan);
    let Change::OrphanFound { removed_by_itself, reason, .. } = &told.change else { panic!() };
    assert_eq!((*removed_by_itself, *reason), (true, OrphanReason::LeftBehind));
    assert!(!serde_json::to_string(&told).unwrap().contains("<b>"));
    let back = Orphan { first_seen_at: later(), last_seen_at: later(), ..orphan };
    assert_ne!(event::of_orphan(&back).id, told.id, "gone in between, and back");
}
