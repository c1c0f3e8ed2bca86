//! `node_configure` and `node_smoke`: take the node → run → ready. The server stays, whatever
//! happens.
//!
//! ```text
//! take_node (→ stop_run of an earlier job's) → start_run → await_run → ready
//! on failure or cancel:  stop_run → failed or cancelled, node not_ready
//! ```
//!
//! A smoke changes the node's status only where its run has found the node not ready.
//!
//! | step | observation | then |
//! | --- | --- | --- |
//! | take_node | node_taken | start_run; stop_run first when an earlier job's may be alive |
//! | take_node | node_taken, without a server | undo: PROVIDER_SERVER_GONE |
//! | take_node | node_busy | take_node |
//! | stop_run | an earlier job's run stopped | start_run; on the way back failed, cancelled |
//! | stop_run | its own run stopped | failed, cancelled |

use super::{Transition, check, removal, running};
use crate::{
    code::Code,
    job::{JobKind, JobState, Phase},
    node::NodeStatus,
    observation::Outcome,
};

pub(super) fn take_node(next: &mut Transition<'_>, outcome: Outcome) {
    match outcome {
        Outcome::NodeTaken { server, attempts, run } => {
            next.inherit(server, attempts, run);
            if next.job.server.is_none() {
                return next.fail(Code::ProviderServerGone, "the node has no server on record");
            }
            if !next.job.kind.only_looks() {
                next.node.status = Some(NodeStatus::Configuring);
            }
            match &next.job.earlier_run {
                Some(_) => removal::begin(next),
                None => begin(next),
            }
        }
        Outcome::NodeBusy => next.again(next.policy.turn_look_secs),
        _ => next.keep_time(),
    }
}

/// What comes once no earlier run can be alive: of a check, the look at the provider.
pub(super) fn begin(next: &mut Transition<'_>) {
    if next.job.kind == JobKind::NodeCheck {
        check::begin(next);
    } else {
        running::begin(next);
    }
}

pub(super) fn undo(next: &mut Transition<'_>) {
    next.enter_undo();
}

pub(super) fn stopped(next: &mut Transition<'_>) {
    let cancelled = next.job.error.as_ref().is_some_and(|error| error.code == Code::JobCancelled);
    let state = if cancelled { JobState::Cancelled } else { JobState::Failed };
    debug_assert!(
        next.job.phase == Phase::Undo,
        "a job that keeps its server stops its run to end"
    );
    let status = (!next.job.kind.only_looks()).then_some(NodeStatus::NotReady);
    next.finish(state, status);
}
