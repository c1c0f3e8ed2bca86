//! Which nodes look otherwise than their records say, and are to be checked.
//!
//! | the record says | seen at the schedule | then |
//! | --- | --- | --- |
//! | ready | the server is off or missing | a check |
//! | ready | running, its SSH port does not answer | a check |
//! | not ready, its server missing or another host key | anything | none: it stays so until released |
//! | not ready, its server off | running | a check |
//! | not ready, its server off | off | none |
//! | not ready | its server is missing | a check |
//! | not ready | anything else | a check, ever more rarely: 5 minutes to 6 hours |
//!
//! A check is a job that asks for itself and logs in: what was seen here is never a verdict.

use jiff::{SignedDuration, Timestamp};

use crate::{
    id::NodeId,
    node::{Node, NodeStatus},
    readiness::ReadinessCode,
};

/// Waits between checks of a node that stays not ready, in seconds.
const FIRST_WAIT_SECS: i64 = 300;
const LAST_WAIT_SECS: i64 = 6 * 3600;
/// A node's SSH port is tried in one of so many passes.
const PASSES_PER_TRY: i64 = 6;
/// Between two passes, in seconds: the schedule's.
pub const PASS_SECS: i64 = 300;

/// What the provider's list says of a node's server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    Running,
    /// Anything that is neither.
    Off,
    Missing,
}

/// True for nodes that are watched: set up, and nobody is at work on them.
pub fn is_watched(node: &Node) -> bool {
    matches!(node.status, NodeStatus::Ready | NodeStatus::NotReady)
        && node.open_job.is_none()
        && node.server.is_some()
}

/// Whether it is the node's turn to have its SSH port tried. Never where SSH is let in from some
/// addresses only: a refusal would say nothing.
pub fn is_tried(node: &Node, sight: Sight, now: Timestamp) -> bool {
    let pass = now.as_second().div_euclid(PASS_SECS);
    node.status == NodeStatus::Ready
        && sight == Sight::Running
        && node.spec.allow_ssh_from.is_empty()
        && (pass + place(&node.id)).rem_euclid(PASSES_PER_TRY) == 0
}

/// Spreads nodes over the passes.
fn place(node: &NodeId) -> i64 {
    node.hex().bytes().map(i64::from).sum()
}

/// Why a watched node is to be checked now; `None` when it is not. `answers`: whether its SSH port
/// did, where it was tried.
pub fn suspicion(
    node: &Node,
    sight: Sight,
    answers: Option<bool>,
    now: Timestamp,
) -> Option<&'static str> {
    if !is_watched(node) {
        return None;
    }
    let failed = |code: ReadinessCode| node.readiness.iter().any(|it| it.code == code && !it.ok);
    if node.status == NodeStatus::Ready {
        return match (sight, answers) {
            (Sight::Missing, _) => Some("the provider does not list its server"),
            (Sight::Off, _) => Some("the provider says its server is not running"),
            (Sight::Running, Some(false)) => Some("its SSH port does not answer"),
            (Sight::Running, _) => None,
        };
    }
    if failed(ReadinessCode::ProviderServerMissing) || failed(ReadinessCode::HostKeyMismatch) {
        return None;
    }
    match (sight, failed(ReadinessCode::ProviderServerOff)) {
        (Sight::Missing, _) => Some("the provider does not list its server"),
        (Sight::Running, true) => Some("its server is running again"),
        (Sight::Off, true) => None,
        (Sight::Running | Sight::Off, false) => is_due(node, now).then_some("it was not ready"),
    }
}

/// The longer a node is not ready, the longer until the next look.
fn is_due(node: &Node, now: Timestamp) -> bool {
    let Some(checked) = node.checked_at else { return true };
    let since = node.status_since.unwrap_or(checked);
    let wait = (checked.as_second() - since.as_second()).clamp(FIRST_WAIT_SECS, LAST_WAIT_SECS);
    now >= checked + SignedDuration::from_secs(wait)
}
