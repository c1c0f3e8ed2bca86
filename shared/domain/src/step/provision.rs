//! `node_provision`: acquire → run → ready.
//!
//! ```text
//! ensure_key (→ ensure_group) → create_server ⇄ find_server → start_run → await_server → fetch_server → await_run → ready
//! on failure:  stop_run → delete_server → confirm_gone → failed   (keep_on_failure: kept)
//! ```

use super::{Transition, acquire};
use crate::{
    code::Code,
    job::{Job, JobState, Phase},
    node::NodeStatus,
};

pub(super) fn undo(next: &mut Transition<'_>) {
    next.enter_undo();
}

/// No create can have left anything behind: none was sent whose answer is still unknown.
pub(super) fn nothing_was_made(job: &Job) -> bool {
    job.server.is_none() && job.settle_until.is_none()
}

pub(super) fn keeps_server(next: &Transition<'_>) -> bool {
    let cancelled = next.job.error.as_ref().is_some_and(|error| error.code == Code::JobCancelled);
    next.job.phase == Phase::Undo
        && next.job.keep_on_failure
        && next.job.server.is_some()
        && !cancelled
}

pub(super) fn kept(next: &mut Transition<'_>) {
    next.note("kept, as asked: the server is still owned and billed");
    next.finish(JobState::Failed, Some(NodeStatus::Kept));
}

/// The attempt's server is gone; the same rung is tried once more under a new nonce.
pub(super) fn replaced(next: &mut Transition<'_>) {
    next.job.phase = Phase::Forward;
    let rung = next.job.rung;
    acquire::open_attempt(next, rung);
}

pub(super) fn undone(next: &mut Transition<'_>) {
    let cancelled = next.job.error.as_ref().is_some_and(|error| error.code == Code::JobCancelled);
    if cancelled {
        next.finish(JobState::Cancelled, Some(NodeStatus::Released));
    } else {
        next.finish(JobState::Failed, Some(NodeStatus::Failed));
    }
}
