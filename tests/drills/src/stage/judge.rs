//! The verdict on a world that has come to its end. Servers are counted in the cloud's own books;
//! our records are asked only what is to become of each.

use std::collections::{BTreeMap, BTreeSet};

use hetzner_sim::world::placement_group::PlacementGroup;
use jiff::{SignedDuration, Timestamp};
use nodeyard_domain::{
    id::NodeId,
    job::Job,
    node::{Node, NodeStatus},
    step::Policy,
};

use nodeyard_testkit::provider::{Books, PROJECT};

use super::{Stage, proof, told, watch::Watch};

/// A job item never grows above this.
const MAX_JOB_BYTES: usize = 8 * 1024;
/// Two sweeps at most until a lost wake is repaired, or a limit of a waiting job is seen, in
/// seconds.
const SWEEPS_SECS: i64 = 150;

/// What is wrong, by what it is.
#[derive(Debug, Clone, Default)]
pub struct Findings {
    pub duplicates: Vec<String>,
    pub orphans: Vec<String>,
    pub stuck: Vec<String>,
    /// Any other invariant.
    pub broken: Vec<String>,
}

impl Findings {
    pub fn is_clean(&self) -> bool {
        self.all().next().is_none()
    }

    pub fn all(&self) -> impl Iterator<Item = &String> {
        let Self { duplicates, orphans, stuck, broken } = self;
        duplicates.iter().chain(orphans).chain(stuck).chain(broken)
    }
}

/// What a drill did to a world that bears on the verdict.
#[derive(Debug, Default)]
pub struct Circumstances {
    /// Servers that somebody else removed: making another was right.
    pub removed: Vec<u64>,
    /// When the last fault ended: no job is held to a limit before that.
    pub calm_at: Timestamp,
    /// The managed key was made anew, so that a create sent again names another one.
    pub is_key_replaced: bool,
    /// The orphan check had its time after everything had come to rest.
    pub is_tidied: bool,
    /// Nobody but our workers has made calls, all of them for jobs: the budget was enough.
    pub is_metered: bool,
}

/// Judges a stage at its end.
pub fn judge(stage: &Stage, watch: &mut Watch, known: &Circumstances) -> Findings {
    watch.conclude(stage);
    let mut findings = Findings {
        duplicates: std::mem::take(&mut watch.doubled),
        broken: std::mem::take(&mut watch.broken),
        ..Findings::default()
    };
    findings.broken.extend(stage.panics.iter().map(|told| format!("a worker panicked: {told}")));
    findings.orphans.extend(stage.sighted.iter().cloned());
    let bytes = stage.world.store.largest_job_bytes();
    if bytes > MAX_JOB_BYTES {
        findings.broken.push(format!("a job item had {bytes} bytes"));
    }
    let nodes: BTreeMap<NodeId, Node> =
        stage.world.store.all_nodes().into_iter().map(|node| (node.id.clone(), node)).collect();
    let books = stage.world.provider.books();
    if books.changed_bodies > 0 && !known.is_key_replaced {
        let told = format!("{} creates were sent again and differed", books.changed_bodies);
        findings.broken.push(told);
    }
    if books.throttled > 0 && known.is_metered {
        findings.broken.push(format!("{} calls were answered 429", books.throttled));
    }
    servers(&books, &nodes, &known.removed, &mut findings);
    leftovers(stage, &nodes, known.is_tidied, &mut findings);
    jobs(stage, known.calm_at, &mut findings);
    findings.broken.extend(told::wrong(stage));
    findings.broken.extend(stage.locked_out(nodes.values()));
    for rotation in stage.world.store.all_rotations() {
        if !rotation.state.is_terminal() {
            let (id, step) = (&rotation.id, rotation.step);
            let waiting_on = rotation.waiting_on;
            findings.stuck.push(format!("{id} stands at {step:?}, waiting on {waiting_on:?}"));
        }
    }
    findings.stuck.extend(told::unsent(stage));
    findings.broken.extend(proof::wrong(stage));
    findings.stuck.extend(proof::unsigned(stage));
    for node in nodes.values() {
        if node.status == NodeStatus::CleanupPending {
            findings.stuck.push(format!("{} is still to be cleaned up", node.id));
        }
        if node.open_job.is_some() || node.queued_release.is_some() {
            findings.stuck.push(format!("{} ({:?}) is never free", node.id, node.status));
        }
    }
    findings
}

fn jobs(stage: &Stage, calm_at: Timestamp, findings: &mut Findings) {
    for job in stage.world.store.all_jobs() {
        if job.cancel_requested_at.is_none() && stage.cancelled.contains(&job.id) {
            findings.broken.push(format!("{} has forgotten that it was cancelled", job.id));
        }
        let late = ended_late(&job, &stage.world.driver.policy, calm_at);
        if !job.state.is_terminal() {
            findings.stuck.push(format!(
                "{} ({:?}) stands at {:?}, waiting on {:?}",
                job.id, job.kind, job.step, job.waiting_on
            ));
        } else if let Some(secs) = late {
            findings.stuck.push(format!("{} ({:?}) ended {secs} s too late", job.id, job.kind));
        }
    }
}

/// Addresses that nobody uses and no node has on record, and groups without servers.
fn leftovers(
    stage: &Stage,
    nodes: &BTreeMap<NodeId, Node>,
    is_tidied: bool,
    findings: &mut Findings,
) {
    let owned = nodes.values().filter(|node| may_own(node.status));
    let recorded: BTreeSet<u64> = owned
        .filter_map(|node| node.server.as_ref())
        .flat_map(|server| server.primary_ips.iter().copied())
        .collect();
    for address in stage.world.provider.primary_ips() {
        if address.assignee.is_none() && !recorded.contains(&address.id) {
            findings.orphans.push(format!("Primary IP {} is used by nobody", address.id));
        }
    }
    // One made with a token of another project is out of our reach.
    let empty: Vec<u64> = stage.world.provider.look(|world| {
        let ours = |group: &&PlacementGroup| Some(group.project) == world.find_project(PROJECT);
        let groups = world.placement_groups().filter(ours);
        groups.map(|group| group.id).filter(|id| world.members(*id).is_empty()).collect()
    });
    for group in empty.into_iter().filter(|_| is_tidied) {
        findings.orphans.push(format!("placement group {group} is empty"));
    }
}

/// By how many seconds a job has missed its limits: its own, and the one of its undo.
fn ended_late(job: &Job, policy: &Policy, calm_at: Timestamp) -> Option<i64> {
    let limit = job.deadline_at.max(calm_at)
        + SignedDuration::from_secs(policy.undo_limit_secs + 2 * SWEEPS_SECS);
    let late = job.finished_at?.as_second() - limit.as_second();
    (late > 0).then_some(late)
}

fn servers(
    books: &Books,
    nodes: &BTreeMap<NodeId, Node>,
    removed: &[u64],
    findings: &mut Findings,
) {
    let by_name: BTreeMap<&str, &Node> =
        nodes.iter().map(|(id, node)| (id.as_str(), node)).collect();
    let mut made: BTreeMap<(&str, &str), Vec<u64>> = BTreeMap::new();
    for server in &books.servers {
        let owner = server.node().and_then(|node| by_name.get(node).copied());
        let on_record = |node: &&Node| node.server.as_ref().is_some_and(|it| it.id == server.id);
        if !server.ours {
            if server.gone_at.is_some() && !removed.contains(&server.id) {
                findings.broken.push(format!("foreign server {} was deleted", server.id));
            }
            if let Some(node) = nodes.values().find(on_record) {
                findings.broken.push(format!("{} adopted foreign server {}", node.id, server.id));
            }
            continue;
        }
        if !removed.contains(&server.id) {
            let nonce = server.nonce().unwrap_or_default();
            made.entry((&server.name, nonce)).or_default().push(server.id);
        }
        if server.gone_at.is_some() {
            continue;
        }
        match owner {
            Some(node) if on_record(&node) && may_own(node.status) => {}
            Some(node) => findings.orphans.push(format!(
                "server {} is alive; {} is {:?} and has {:?} on record",
                server.id,
                node.id,
                node.status,
                node.server.as_ref().map(|server| server.id)
            )),
            None => findings.orphans.push(format!("server {} belongs to no node", server.id)),
        }
    }
    for ((name, nonce), ids) in made {
        if ids.len() > 1 {
            findings.duplicates.push(format!("{name}: attempt {nonce} made servers {ids:?}"));
        }
    }
}

/// Statuses in which a node without an open job may have a server.
pub(super) fn may_own(status: NodeStatus) -> bool {
    matches!(
        status,
        NodeStatus::Ready | NodeStatus::NotReady | NodeStatus::Kept | NodeStatus::CleanupPending
    )
}
