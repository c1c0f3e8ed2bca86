//! `node_release`: take the node → remove → released. It cannot be cancelled.
//!
//! ```text
//! take_node → stop_run → delete_server → confirm_gone → released
//! at the deadline:  failed, node cleanup_pending; the sweep opens the next release
//! ```
//!
//! | step | observation | then |
//! | --- | --- | --- |
//! | take_node | node_taken | removal, or removed: nothing was ever made |
//! | take_node | node_busy | take_node |

use super::{Transition, removal};
use crate::{code::Code, job::JobState, node::NodeStatus, observation::Outcome};

pub(super) fn take_node(next: &mut Transition<'_>, outcome: Outcome) {
    match outcome {
        Outcome::NodeTaken { server, attempts, run } => {
            next.inherit(server, attempts, run);
            next.node.status = Some(NodeStatus::Releasing);
            next.note("releasing");
            // Attempts without a server on record: one of them may still land.
            if next.job.server.is_none() && next.job.attempt > 0 {
                let settle = jiff::SignedDuration::from_secs(next.policy.settle_secs);
                next.job.settle_until = Some(next.now + settle);
            }
            removal::begin(next);
        }
        Outcome::NodeBusy => next.again(next.policy.turn_look_secs),
        _ => next.keep_time(),
    }
}

pub(super) fn removed(next: &mut Transition<'_>) {
    next.finish(JobState::Succeeded, Some(NodeStatus::Released));
}

/// What cannot be removed now is `cleanup_pending`: visible, and tried again until gone.
pub(super) fn give_up(next: &mut Transition<'_>) {
    let code = next.job.error.as_ref().map_or(Code::JobTimeout, |error| error.code);
    next.give_up(code, "the node could not be released by its deadline");
}
