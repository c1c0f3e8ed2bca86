//! Records to try a store with.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use nodeyard_domain::{
    acceptance,
    audit::{Action, Outcome, Resource, ResourceKind},
    connection::{Connection, ConnectionStatus, Permission, ProviderKind},
    id::{JobId, NodeId, TokenId},
    job::{Job, JobKind, JobState, Step},
    node::{Node, NodeChange, NodeStatus, Server},
    placement::{Price, Rung},
    run::{Recap, Run, RunResult},
    spec::{NodeSpec, Profile},
    step::Decision,
    timeline::{Source, TimelineEntry},
};
use nodeyard_engine::store::{
    Acceptance, Accepted, AuditEntry, Commit, IdempotencyKey, Loaded, PageRequest,
};
use serde_json::json;

use super::Store;

/// A time with nanoseconds: stores must not round it.
pub(super) fn now() -> Timestamp {
    Timestamp::new(1_772_366_400, 123_456_789).expect("a time")
}

pub(super) fn later(secs: i64) -> Timestamp {
    now() + SignedDuration::from_secs(secs)
}

pub(super) fn job_id(bits: u128) -> JobId {
    JobId::from_bits(bits)
}

pub(super) fn node_id(bits: u128) -> NodeId {
    NodeId::from_bits(bits)
}

pub(super) fn spec(name: &str) -> NodeSpec {
    NodeSpec {
        name: name.to_owned(),
        connection: "main".parse().expect("a name"),
        profile: Profile::base(),
        // Values that a store with numbers of its own would rewrite or refuse.
        vars: json!({"whole": 1.0, "big": 1e300, "small": 5e-324, "empty": "", "deep": [{}, null]})
            .as_object()
            .cloned()
            .unwrap_or_default(),
        placement: ["fsn1", "nbg1"]
            .map(|location| Rung { server_type: "cx23".into(), location: location.into() })
            .into(),
        image: "debian-13".into(),
        max_price: Some(4.49),
        authorized_keys: Vec::new(),
        allow_ssh_from: Vec::new(),
        labels: BTreeMap::from([("team".to_owned(), "blue".to_owned())]),
        keep_on_failure: false,
        spread: true,
        prices: vec![Some(Price { monthly_net: 3.79, currency: "EUR".into() }), None],
        deadline_secs: 1800,
    }
}

pub(super) fn server(id: u64) -> Server {
    Server {
        id,
        name: "web-000000000000".into(),
        attempt: 1,
        ipv4: Some("198.18.0.10".into()),
        ipv6: None,
        primary_ips: vec![u64::MAX],
        server_type: Some("cx23".into()),
        location: Some("fsn1".into()),
    }
}

pub(super) fn connection(name: &str) -> Connection {
    Connection {
        name: name.parse().expect("a name"),
        version: 0,
        provider: ProviderKind::Hetzner,
        status: ConnectionStatus::Connected,
        reason: None,
        permission: Permission::ReadWrite,
        key: None,
        token: None,
        key_stem: None,
        retired: Vec::new(),
        rotation: None,
        max_nodes: Some(3),
        max_monthly: Some(12.34),
        rate_budget: None,
        checked_at: now(),
        failed_checks: 0,
        servers_seen: None,
        drift: None,
        created_at: now(),
    }
}

pub(super) fn audit(subject: &str) -> AuditEntry {
    AuditEntry {
        at: now(),
        actor: "ci".into(),
        token_id: Some(TokenId::from_bits(u128::MAX)),
        action: Action::NodeCreate,
        resource: Resource { kind: ResourceKind::Node, id: Some(subject.to_owned()) },
        request_id: format!("request-{subject}"),
        source_address: Some("2001:db8::1".into()),
        outcome: Outcome::Accepted,
    }
}

/// A new node with the job that acquires it; both ids from `bits`.
pub(super) fn new_node_at(bits: u128, spec: NodeSpec, at: Timestamp) -> Acceptance {
    let (job, node) = acceptance::provision(job_id(bits), node_id(bits), spec, "ci", None, at);
    let audit = audit(job.id.as_str());
    Acceptance { job, new_node: Some(node), may_queue: false, idempotency: None, audit }
}

pub(super) fn new_node(bits: u128) -> Acceptance {
    new_node_at(bits, spec(&format!("web-{bits}")), now())
}

/// Work on a node that exists.
pub(super) fn work_on(node: &Node, kind: JobKind, bits: u128) -> Acceptance {
    let job = acceptance::on_node(job_id(bits), kind, node, "ci", None, now());
    let audit = audit(job.id.as_str());
    let may_queue = kind == JobKind::NodeRelease;
    Acceptance { job, new_node: None, may_queue, idempotency: None, audit }
}

pub(super) fn keyed(mut work: Acceptance, key: &str, body: &str) -> Acceptance {
    work.idempotency = Some(IdempotencyKey { key: key.into(), body: body.into() });
    work
}

pub(super) async fn accept<S: Store>(store: &S, work: &Acceptance) -> Loaded {
    let accepted = store.accept(work).await.expect("accept");
    assert_eq!(accepted, Accepted::New, "work that nothing stands against is accepted");
    load(store, &work.job.id).await
}

/// A store's first job and node.
pub(super) async fn accepted<S: Store>(store: &S) -> Loaded {
    accept(store, &new_node(1)).await
}

pub(super) async fn load<S: Store>(store: &S, job: &JobId) -> Loaded {
    store.load(job).await.expect("load").expect("the job is there")
}

/// The decision that only looks again later, as `step` makes it.
pub(super) fn decision(loaded: &Loaded) -> Decision {
    let mut job = loaded.job.clone();
    job.state = JobState::Running;
    job.sent_at = None;
    job.news_at = None;
    job.crashes = 0;
    job.due_at = Some(later(60));
    job.updated_at = later(1);
    Decision { job, node: NodeChange::default(), entries: Vec::new(), evidence: Vec::new() }
}

/// The terminal decision.
pub(super) fn ending(loaded: &Loaded, status: NodeStatus) -> Decision {
    let mut decision = decision(loaded);
    let job = &mut decision.job;
    job.state = JobState::Succeeded;
    job.step = Step::Done;
    job.intent = None;
    job.due_at = None;
    job.finished_at = Some(later(2));
    job.updated_at = later(2);
    decision.node.status = Some(status);
    decision.node.close_job = true;
    decision
}

pub(super) async fn commit<S: Store>(store: &S, loaded: &Loaded, decision: &Decision) -> Loaded {
    let committed = store.commit(loaded, decision).await.expect("commit");
    assert_eq!(committed, Commit::Done, "a commit on what was loaded is made");
    load(store, &loaded.job.id).await
}

/// Brings the job to its end.
pub(super) async fn end<S: Store>(store: &S, job: &JobId) -> Loaded {
    let loaded = load(store, job).await;
    commit(store, &loaded, &ending(&loaded, NodeStatus::Ready)).await
}

pub(super) async fn node<S: Store>(store: &S, id: &NodeId) -> Node {
    store.node(id).await.expect("node").expect("the node is there")
}

pub(super) fn run(job: &Job, number: u32) -> Run {
    Run {
        purpose: Default::default(),
        expected_tasks: None,
        traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned()),
        job_id: job.id.clone(),
        number,
        node_id: job.node_id.clone(),
        connection: job.connection.clone(),
        server_id: 1 << 40,
        address: "198.18.0.10".into(),
        profile: Profile::web(),
        vars: spec("x").vars,
        authorized_keys: vec!["ssh-ed25519 AAAA".into()],
        allow_ssh_from: Vec::new(),
        key_versions: vec![2, 1],
        key_stem: Some("main-0c0ffee0".into()),
        created_at: now(),
        deadline_at: later(600),
        task: None,
        stop_requested: false,
        result: None,
    }
}

pub(super) fn result(message: &str) -> RunResult {
    RunResult {
        smokes: Vec::new(),
        tasks: None,
        code: None,
        message: message.to_owned(),
        recap: Recap { ok: 3, ..Recap::default() },
        readiness: Vec::new(),
        key_version: None,
        evidence: None,
        finished_at: later(30),
    }
}

pub(super) fn entry(at: Timestamp, message: &str) -> TimelineEntry {
    TimelineEntry::new(at, Source::Run, message).with("task", "nftables")
}

pub(super) fn whole() -> PageRequest {
    PageRequest { cursor: None, limit: 100 }
}
