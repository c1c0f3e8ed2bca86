//! The lives that the crash matrix goes through, hop by hop: every job type, and every way its
//! table can lead.

use hetzner_sim::world::stock::Supply;
use nodeyard_domain::{
    id::{JobId, NodeId},
    job::{Job, JobKind, JobState, Step},
    node::NodeStatus,
};
use nodeyard_testkit::{faults::Fault, provider::CreateFault, world::node_spec};

use super::walk::Walk;
use crate::stage::{Stage, forged_labels, tasks::Ending};

/// A create lands so much later at most, in seconds: with the worker's time-out before it, less
/// than the settle time.
pub const LATEST_SECS: i64 = 60;

/// What the job and its node may end as.
pub type End = (JobState, NodeStatus);

/// When something is done, and what.
pub type Act = (fn(&Job) -> bool, fn(&mut Stage, &Job));

/// One life.
pub struct Scenario {
    pub name: &'static str,
    /// Brings the world to where the job is accepted.
    pub begin: fn(&mut Walk) -> JobId,
    /// What is done to the job on its way, one after the other, before a wake is handed out.
    pub acts: &'static [Act],
    /// How the runs of the job end, the last one again and again.
    pub runs: &'static [Ending],
    pub ends: &'static [End],
    /// The answer of the first create is lost, though it takes effect.
    pub loses_answer: bool,
}

/// As a job ends that nothing happens to.
pub const READY: &[End] = &[(JobState::Succeeded, NodeStatus::Ready)];
const CANCELLED: &[End] = &[(JobState::Cancelled, NodeStatus::Released)];
/// A create's answer that comes when all is over goes to the node, which is released once more.
const FAILED: &[End] =
    &[(JobState::Failed, NodeStatus::Failed), (JobState::Failed, NodeStatus::Released)];
const RELEASED: &[End] = &[(JobState::Succeeded, NodeStatus::Released)];

/// A provision to which nothing happens.
const PLAIN: Scenario = Scenario {
    name: "provision",
    begin: provision,
    acts: &[],
    runs: &[Ending::Ready],
    ends: READY,
    loses_answer: false,
};

pub const SCENARIOS: &[Scenario] = &[
    Scenario { name: "provision", ..PLAIN },
    Scenario {
        name: "provision-answer-lost",
        loses_answer: true,
        begin: |walk| after(walk, Fault::CreateAnswerLost),
        ..PLAIN
    },
    Scenario {
        name: "provision-create-dropped",
        begin: |walk| after(walk, Fault::CreateDropped),
        ..PLAIN
    },
    Scenario {
        name: "provision-create-late",
        loses_answer: true,
        begin: |walk| {
            walk.stage.world.provider.fault(CreateFault::LandsLate(LATEST_SECS));
            provision(walk)
        },
        ..PLAIN
    },
    Scenario {
        name: "provision-action-fails",
        begin: |walk| after(walk, Fault::CreateActionFails),
        ..PLAIN
    },
    Scenario {
        name: "provision-server-stuck",
        begin: |walk| after(walk, Fault::CreateStuck),
        ..PLAIN
    },
    Scenario { name: "provision-next-rung", begin: next_rung, ..PLAIN },
    Scenario {
        name: "provision-spread",
        begin: |walk| walk.stage.provision(|spec| spec.spread = true).0,
        ..PLAIN
    },
    Scenario {
        name: "provision-cancelled-early",
        acts: &[(|job| job.step == Step::CreateServer, cancel)],
        ends: CANCELLED,
        ..PLAIN
    },
    Scenario {
        name: "provision-cancelled-booting",
        acts: &[(|job| job.step == Step::AwaitServer, cancel)],
        ends: CANCELLED,
        ..PLAIN
    },
    Scenario {
        name: "provision-cancelled-running",
        acts: &[(|job| job.step == Step::AwaitRun, cancel)],
        ends: CANCELLED,
        ..PLAIN
    },
    Scenario {
        name: "provision-cancelled-unknown",
        loses_answer: true,
        begin: |walk| after(walk, Fault::CreateAnswerLost),
        acts: &[(|job| job.step == Step::FindServer, cancel)],
        ends: CANCELLED,
        ..PLAIN
    },
    Scenario {
        name: "provision-name-taken",
        acts: &[(
            |job| job.step == Step::CreateServer,
            |stage, job| {
                stage.world.provider.take_name(&job.server_name);
            },
        )],
        ends: FAILED,
        ..PLAIN
    },
    Scenario {
        name: "provision-name-forged",
        acts: &[(
            |job| job.step == Step::CreateServer,
            |stage, job| {
                let labels = forged_labels(&job.node_id);
                stage.world.provider.take_name_as(&job.server_name, labels);
            },
        )],
        ends: FAILED,
        ..PLAIN
    },
    Scenario {
        name: "provision-wakes-lost",
        acts: &[
            (|job| job.step == Step::CreateServer, lose_wakes),
            (|job| job.step == Step::AwaitServer, lose_wakes),
            (|job| job.step == Step::AwaitRun, lose_wakes),
        ],
        ..PLAIN
    },
    Scenario { name: "provision-not-ready", runs: &[Ending::NotReady], ends: FAILED, ..PLAIN },
    Scenario {
        name: "provision-run-lost",
        runs: &[Ending::Dies { is_told: false }, Ending::Ready],
        ..PLAIN
    },
    Scenario {
        name: "provision-kept",
        begin: |walk| walk.stage.provision(|spec| spec.keep_on_failure = true).0,
        runs: &[Ending::NotReady],
        ends: &[(JobState::Failed, NodeStatus::Kept)],
        ..PLAIN
    },
    Scenario { name: "configure", begin: configure, ..PLAIN },
    Scenario { name: "check", begin: check, ..PLAIN },
    Scenario {
        name: "check-not-ready",
        begin: check,
        runs: &[Ending::NotReady],
        ends: &[(JobState::Succeeded, NodeStatus::NotReady)],
        ..PLAIN
    },
    Scenario {
        name: "check-server-off",
        begin: check_of_server_off,
        ends: &[(JobState::Succeeded, NodeStatus::NotReady)],
        ..PLAIN
    },
    Scenario {
        name: "check-run-lost",
        begin: check,
        runs: &[Ending::Dies { is_told: false }],
        ends: &[(JobState::Failed, NodeStatus::Ready)],
        ..PLAIN
    },
    Scenario { name: "smoke", begin: smoke, ..PLAIN },
    Scenario {
        name: "smoke-cancelled",
        begin: smoke,
        acts: &[(|job| job.step == Step::AwaitRun, cancel)],
        ends: &[(JobState::Cancelled, NodeStatus::Ready)],
        ..PLAIN
    },
    Scenario {
        name: "configure-run-lost",
        begin: configure,
        runs: &[Ending::Dies { is_told: true }, Ending::Ready],
        ..PLAIN
    },
    Scenario {
        name: "configure-cancelled",
        begin: configure,
        acts: &[(|job| job.step == Step::AwaitRun, cancel)],
        ends: &[(JobState::Cancelled, NodeStatus::NotReady)],
        ..PLAIN
    },
    Scenario { name: "release", begin: release, ends: RELEASED, ..PLAIN },
    Scenario {
        name: "release-answer-lost",
        begin: |walk| {
            let job = release(walk);
            walk.faults.once(Fault::DeleteAnswerLost);
            job
        },
        ends: RELEASED,
        ..PLAIN
    },
    Scenario {
        name: "release-other-project",
        begin: release,
        acts: &[
            (
                |job| job.step == Step::DeleteServer,
                |stage, _| {
                    stage.world.provider.hide_marker(true);
                },
            ),
            (
                |job| job.tries > 1 || job.state.is_terminal(),
                |stage, _| {
                    stage.world.provider.hide_marker(false);
                },
            ),
        ],
        ends: RELEASED,
        ..PLAIN
    },
    Scenario { name: "release-queued", begin: queued, ends: RELEASED, ..PLAIN },
    Scenario { name: "release-left-over", begin: left_over, ends: RELEASED, ..PLAIN },
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

fn check(walk: &mut Walk) -> JobId {
    on_ready(walk, JobKind::NodeCheck)
}

/// Somebody has switched the server off at the provider.
fn check_of_server_off(walk: &mut Walk) -> JobId {
    let node = ready(walk);
    let server = walk.node(&node).server.map_or(0, |server| server.id);
    walk.stage.world.provider.power_off(server);
    walk.stage
        .work(JobKind::NodeCheck, &node)
        .unwrap_or_else(|| unreachable!("a node that is ready has no open job"))
}

fn smoke(walk: &mut Walk) -> JobId {
    on_ready(walk, JobKind::NodeSmoke)
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

fn lose_wakes(stage: &mut Stage, _: &Job) {
    stage.world.queue.lose_all();
}

fn cancel(stage: &mut Stage, job: &Job) {
    stage.cancel(&job.id);
}
