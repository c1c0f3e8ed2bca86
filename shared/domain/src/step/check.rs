//! `node_check`: ask the provider → probe the node → ready or not_ready. Nothing is changed on it.
//!
//! ```text
//! take_node (→ stop_run of an earlier job's) → fetch_server → start_run → await_run → a verdict
//! on failure or cancel:  stop_run → failed or cancelled, the node as it was
//! ```
//!
//! The job succeeds when it has a verdict, whichever: what it finds is the node's readiness.
//!
//! | step | observation | then |
//! | --- | --- | --- |
//! | take_node | node_taken | fetch_server; stop_run first when an earlier job's may be alive |
//! | take_node | node_taken, without a server | undo: PROVIDER_SERVER_GONE |
//! | take_node | node_busy | take_node |
//! | stop_run | an earlier job's run stopped | fetch_server; on the way back failed, cancelled |
//! | stop_run | its own run stopped | failed, cancelled |
//! | fetch_server | running | start_run |
//! | fetch_server | off, being deleted, or absent | succeeded, node not_ready |
//! | await_run | finished, with a verdict | succeeded, node ready or not_ready |

use super::{Transition, running};
use crate::{
    code::Code,
    job::{Effect, JobState, Step},
    node::NodeStatus,
    observation::{Outcome, ServerStatus},
    readiness::{self, Finding, ReadinessCode},
    run::RunResult,
};

/// The provider is asked first: it costs one call, and without a server nothing answers.
pub(super) fn begin(next: &mut Transition<'_>) {
    let Some(server_id) = next.job.server.as_ref().map(|server| server.id) else {
        return next.fail(Code::ProviderServerGone, "the node has no server on record");
    };
    next.go(Step::FetchServer, Effect::FetchServer { server_id }, 0);
}

pub(super) fn fetch_server(next: &mut Transition<'_>, outcome: Outcome) {
    match outcome {
        Outcome::ServerSeen { status: ServerStatus::Running, .. } => running::begin(next),
        Outcome::ServerSeen { status: ServerStatus::Deleting, .. } => {
            let code = ReadinessCode::ProviderServerMissing;
            without_run(next, code, "the server is being deleted by somebody else");
        }
        Outcome::ServerSeen { status: ServerStatus::Other(status), .. } => {
            let detail = format!("the provider says: {status}");
            without_run(next, ReadinessCode::ProviderServerOff, &detail);
        }
        Outcome::ServerAbsent => {
            let code = ReadinessCode::ProviderServerMissing;
            without_run(next, code, "the server is no longer at the provider");
        }
        other => running::fetch_server(next, other),
    }
}

fn without_run(next: &mut Transition<'_>, code: ReadinessCode, detail: &str) {
    let finding = Finding { code, ok: false, warning: false, detail: detail.to_owned() };
    let findings = vec![finding];
    next.node.readiness = Some((findings.clone(), next.now));
    decided(next, &findings);
}

/// Whether a run has told something of the node. One that could not be made, or broke, has not.
pub(super) fn is_verdict(result: &RunResult) -> bool {
    let of_node = [Code::NodeUnreachable, Code::NodeHostKeyMismatch, Code::NodeBootTimeout];
    !result.readiness.is_empty() && result.code.is_none_or(|code| of_node.contains(&code))
}

pub(super) fn decided(next: &mut Transition<'_>, findings: &[Finding]) {
    let ready = readiness::is_ready(findings);
    next.note(if ready { "ready" } else { "not ready" });
    for finding in findings.iter().filter(|finding| !finding.ok && !finding.warning) {
        next.note(format!("{}: {}", finding.code.as_str(), finding.detail));
    }
    let status = if ready { NodeStatus::Ready } else { NodeStatus::NotReady };
    next.finish(JobState::Succeeded, Some(status));
}
