//! The lives that the crash matrix goes through, hop by hop: every job type, and every way its
//! table can lead.

use hetzner_sim::world::stock::Supply;
use nodeyard_domain::{
    id::{JobId, NodeId},
    job::{Job, JobKind, JobState, Step},
    node::NodeStatus,
};
use nodeyard_testkit::{faults::Fault, world::node_spec};

use super::walk::Walk;
use crate::stage::{Stage, tasks::Ending};

/// What the job and its node may end as.
pub type End = (JobState, NodeStatus);

/// One life.
pub struct Scenario {
    pub name: &'static str,
    /// Brings the world to where the job is accepted.
    pub begin: fn(&mut Walk) -> JobId,
    /// Done once, before a wake is handed out, when the job first stands at this step.
    pub then: Option<(Step, fn(&mut Stage, &Job))>,
    /// How the runs of the job end, the last one again and again.
    pub runs: &'static [Ending],
    pub ends: &'static [End],
}

/// As a job ends that nothing happens to.
pub const READY: &[End] = &[(JobState::Succeeded, NodeStatus::Ready)];
const CANCELLED: &[End] = &[(JobState::Cancelled, NodeStatus::Released)];
const FAILED: &[End] = &[(JobState::Failed, NodeStatus::Failed)];
const RELEASED: &[End] = &[(JobState::Succeeded, NodeStatus::Released)];
const FINE: &[Ending] = &[Ending::Ready];

pub const SCENARIOS: &[Scenario] = &[
    Scenario { name: "provision", begin: provision, then: None, runs: FINE, ends: READY },
    Scenario {
        name: "provision-answer-lost",
        begin: |walk| after(walk, Fault::CreateAnswerLost),
        then: None,
        runs: FINE,
        ends: READY,
    },
    Scenario {
        name: "provision-create-dropped",
        begin: |walk| after(walk, Fault::CreateDropped),
        then: None,
        runs: FINE,
        ends: READY,
    },
    Scenario {
        name: "provision-create-late",
        begin: |walk| after(walk, Fault::CreateLandsLate),
        then: None,
        runs: FINE,
        ends: READY,
    },
    Scenario {
        name: "provision-action-fails",
        begin: |walk| after(walk, Fault::CreateActionFails),
        then: None,
        runs: FINE,
        ends: READY,
    },
    Scenario {
        name: "provision-server-stuck",
        begin: |walk| after(walk, Fault::CreateStuck),
        then: None,
        runs: FINE,
        ends: READY,
    },
    Scenario { name: "provision-next-rung", begin: next_rung, then: None, runs: FINE, ends: READY },
    Scenario {
        name: "provision-spread",
        begin: |walk| walk.stage.provision(|spec| spec.spread = true).0,
        then: None,
        runs: FINE,
        ends: READY,
    },
    Scenario {
        name: "provision-cancelled-early",
        begin: provision,
        then: Some((Step::CreateServer, cancel)),
        runs: FINE,
        ends: CANCELLED,
    },
    Scenario {
        name: "provision-cancelled-booting",
        begin: provision,
        then: Some((Step::AwaitServer, cancel)),
        runs: FINE,
        ends: CANCELLED,
    },
    Scenario {
        name: "provision-cancelled-running",
        begin: provision,
        then: Some((Step::AwaitRun, cancel)),
        runs: FINE,
        ends: CANCELLED,
    },
    Scenario {
        name: "provision-cancelled-unknown",
        begin: |walk| after(walk, Fault::CreateAnswerLost),
        then: Some((Step::FindServer, cancel)),
        runs: FINE,
        ends: CANCELLED,
    },
    Scenario {
        name: "provision-not-ready",
        begin: provision,
        then: None,
        runs: &[Ending::NotReady],
        ends: FAILED,
    },
    Scenario {
        name: "provision-run-lost",
        begin: provision,
        then: None,
        runs: &[Ending::Dies { is_told: false }, Ending::Ready],
        ends: READY,
    },
    Scenario {
        name: "provision-kept",
        begin: |walk| walk.stage.provision(|spec| spec.keep_on_failure = true).0,
        then: None,
        runs: &[Ending::NotReady],
        ends: &[(JobState::Failed, NodeStatus::Kept)],
    },
    Scenario { name: "configure", begin: configure, then: None, runs: FINE, ends: READY },
    Scenario {
        name: "configure-run-lost",
        begin: configure,
        then: None,
        runs: &[Ending::Dies { is_told: true }, Ending::Ready],
        ends: READY,
    },
    Scenario {
        name: "configure-cancelled",
        begin: configure,
        then: Some((Step::AwaitRun, cancel)),
        runs: FINE,
        ends: &[(JobState::Cancelled, NodeStatus::NotReady)],
    },
    Scenario { name: "release", begin: release, then: None, runs: FINE, ends: RELEASED },
    Scenario {
        name: "release-answer-lost",
        begin: |walk| {
            let job = release(walk);
            walk.faults.once(Fault::DeleteAnswerLost);
            job
        },
        then: None,
        runs: FINE,
        ends: RELEASED,
    },
    Scenario { name: "release-queued", begin: queued, then: None, runs: FINE, ends: RELEASED },
    Scenario {
        name: "release-left-over",
        begin: left_over,
        then: None,
        runs: FINE,
        ends: RELEASED,
    },
];

fn provision(walk: &mut Walk) -> JobId {
    walk.stage.provision(|_| {}).0
}

fn after(walk: &mut Walk, fault: Fault) -> JobId {
    walk.faults.once(fault);
    provision(walk)
}

fn next_rung(walk: &mut Walk) -> JobId {
    let rung = node_spec().placement.remove(0);
    walk.stage.world.provider.set_stock(&rung.server_type, &rung.location, Supply::OutUnseen);
    provision(walk)
}

/// A node that is ready.
fn ready(walk: &mut Walk) -> NodeId {
    let (_, node) = walk.stage.provision(|_| {});
    walk.settle();
    node
}

fn on_ready(walk: &mut Walk, kind: JobKind) -> JobId {
    let node = ready(walk);
    // A node that is ready has no open job.
    walk.stage.work(kind, &node).unwrap_or_else(|| unreachable!("the node is busy"))
}

fn configure(walk: &mut Walk) -> JobId {
    on_ready(walk, JobKind::NodeConfigure)
}

fn release(walk: &mut Walk) -> JobId {
    on_ready(walk, JobKind::NodeRelease)
}

/// A release that waits behind a configure job, which is cancelled.
fn queued(walk: &mut Walk) -> JobId {
    let node = ready(walk);
    let open = walk.stage.work(JobKind::NodeConfigure, &node);
    if let Some(open) = open {
        walk.stage.cancel(&open);
    }
    walk.stage
        .work(JobKind::NodeRelease, &node)
        .unwrap_or_else(|| unreachable!("a release may wait"))
}

/// The sweep's release of a node whose own could not be done: its server was protected.
fn left_over(walk: &mut Walk) -> JobId {
    let node = ready(walk);
    let server = walk.node(&node).server.map_or(0, |server| server.id);
    walk.stage.world.provider.protect(server, true);
    walk.stage.work(JobKind::NodeRelease, &node);
    walk.until(|walk| walk.node(&node).status == NodeStatus::CleanupPending);
    walk.stage.world.provider.protect(server, false);
    walk.until(|walk| walk.node(&node).open_job.is_some());
    walk.node(&node).open_job.unwrap_or_else(|| unreachable!("the sweep opens a release"))
}

fn cancel(stage: &mut Stage, job: &Job) {
    stage.cancel(&job.id);
}
