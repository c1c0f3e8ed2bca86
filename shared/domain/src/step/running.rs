//! Running playbooks on a server, and seeing the server up meanwhile.
//!
//! The run starts as soon as the server's address is known, so that the container's start-up
//! overlaps the boot; the task itself waits for the node.
//!
//! | step | observation | then |
//! | --- | --- | --- |
//! | start_run | run_started | await_server, fetch_server without an action to wait for, await_run where no server was made |
//! | start_run | run_refused | start_run, with back-off |
//! | await_server | action succeeded, or unknown | fetch_server |
//! | await_server | action failed | removal, then another attempt; undo after too many |
//! | await_server, fetch_server | not up yet | the same step |
//! | await_server, fetch_server | not up in time | removal, then another attempt; undo after too many |
//! | fetch_server | running | await_run |
//! | fetch_server | being deleted, or absent | undo: PROVIDER_SERVER_GONE |
//! | fetch_server | marker missing | parked on provider_token |
//! | await_run | finished, probes passed | succeeded, node ready |
//! | await_run | finished, a probe failed, or failed for good | undo |
//! | await_run | lost, or failed in a way that may pass | start_run of the next run, undo after the last |
//! | await_run | not finished | await_run |

use jiff::SignedDuration;

use super::{Transition, check, removal};
use crate::{
    code::{Code, Retry},
    job::{Effect, JobKind, JobState, OwnRun, Phase, Step},
    node::{NodeStatus, RunRef},
    observation::{FailureClass, Outcome, ServerStatus},
    readiness,
    run::RunResult,
};

/// Writes down the next run. Its number is only given out once the one before was seen stopped.
pub(super) fn begin(next: &mut Transition<'_>) {
    let number = next.job.run.map_or(1, |run| run.number + 1);
    next.job.run = Some(OwnRun { number, active: true });
    next.node.last_run = Some(Some(RunRef { job_id: next.job.id.clone(), number, active: true }));
    next.go(Step::StartRun, Effect::StartRun { number }, 0);
}

pub(super) fn start_run(next: &mut Transition<'_>, outcome: Outcome) {
    match outcome {
        Outcome::RunStarted => {
            next.note("run started");
            match (next.job.kind, next.job.action_id, &next.job.server) {
                (JobKind::NodeProvision, Some(action_id), _) => {
                    let at = next.job.first_poll_at.unwrap_or(next.now);
                    let delay = (at.as_second() - next.now.as_second()).max(0);
                    next.go(Step::AwaitServer, Effect::PollAction { action_id }, delay);
                }
                (JobKind::NodeProvision, None, Some(server)) => {
                    let server_id = server.id;
                    next.go(Step::FetchServer, Effect::FetchServer { server_id }, 0);
                }
                _ => await_result(next),
            }
        }
        Outcome::RunRefused { message } => next.back_off(Code::TaskStartFailed, &message),
        _ => next.keep_time(),
    }
}

fn await_result(next: &mut Transition<'_>) {
    let number = next.job.run.map_or(1, |run| run.number);
    if !next.job.kind.only_looks() {
        next.node.status = Some(NodeStatus::Configuring);
    }
    // The run may have ended meanwhile: one look at once, then at its wake or slowly.
    next.go(Step::AwaitRun, Effect::LookAtRun { number }, 0);
}

fn fetch(next: &mut Transition<'_>, delay_secs: i64) {
    let Some(server_id) = next.job.server.as_ref().map(|server| server.id) else {
        return next.fail(Code::ProviderServerGone, "no server is on record");
    };
    next.go(Step::FetchServer, Effect::FetchServer { server_id }, delay_secs);
}

pub(super) fn await_server(next: &mut Transition<'_>, outcome: Outcome) {
    match outcome {
        // It starts only now, and nobody waits for this look: the run waits for the node itself.
        Outcome::ActionSucceeded => fetch(next, next.policy.start_secs),
        Outcome::ActionMissing => fetch(next, 0),
        Outcome::ActionRunning => still_coming(next),
        Outcome::ActionFailed { code, message } => replace(next, &code, &message),
        Outcome::Failed(failure) if failure.class == FailureClass::NotFound => fetch(next, 0),
        Outcome::Failed(failure) => next.provider_failed(&failure),
        _ => next.keep_time(),
    }
}

/// Not up yet; one that never comes up is replaced.
fn still_coming(next: &mut Transition<'_>) {
    let limit = SignedDuration::from_secs(next.policy.stuck_secs);
    match next.job.first_poll_at {
        Some(first) if next.now >= first + limit => {
            replace(next, "server_stuck", "the server does not come up");
        }
        _ => next.again(next.policy.poll_secs),
    }
}

/// The action failed after the 201: the server goes, and another attempt is made.
fn replace(next: &mut Transition<'_>, code: &str, message: &str) {
    next.job.replacements += 1;
    if next.job.replacements > next.policy.max_replacements {
        return next.fail(Code::ProviderActionFailed, &format!("{code}: {message}"));
    }
    next.note(format!("creating the server failed ({code}: {message}); it is replaced"));
    next.job.phase = Phase::Replace;
    removal::begin(next);
}

pub(super) fn fetch_server(next: &mut Transition<'_>, outcome: Outcome) {
    match outcome {
        Outcome::ServerSeen { server, status: ServerStatus::Running } => {
            next.note("server is running");
            // What the create answer told and this one does not (attempt, addresses) stays.
            let known = next.job.server.take();
            let merged = crate::node::Server {
                attempt: known.as_ref().map_or(server.attempt, |known| known.attempt),
                primary_ips: match &known {
                    Some(known) if server.primary_ips.is_empty() => known.primary_ips.clone(),
                    _ => server.primary_ips.clone(),
                },
                ..server
            };
            next.node.server = Some(Some(merged.clone()));
            next.job.server = Some(merged);
            await_result(next);
        }
        Outcome::ServerSeen { status: ServerStatus::Deleting, .. } => {
            next.fail(Code::ProviderServerGone, "the server is being deleted by somebody else");
        }
        Outcome::ServerSeen { .. } => still_coming(next),
        Outcome::ServerAbsent => {
            next.fail(Code::ProviderServerGone, "the server is no longer at the provider");
        }
        Outcome::MarkerMissing => next.marker_missing(),
        Outcome::Failed(failure) => next.provider_failed(&failure),
        _ => next.keep_time(),
    }
}

pub(super) fn await_run(next: &mut Transition<'_>, outcome: Outcome) {
    match outcome {
        Outcome::RunFinished(result) => finished(next, result),
        Outcome::RunLost { message } => failed(next, Code::TaskLost, &message),
        Outcome::RunRunning | Outcome::Nothing => next.again(next.policy.run_look_secs),
        _ => next.keep_time(),
    }
}

pub(super) fn seen_stopped(next: &mut Transition<'_>) {
    if let Some(run) = &mut next.job.run {
        run.active = false;
        let number = run.number;
        next.node.last_run =
            Some(Some(RunRef { job_id: next.job.id.clone(), number, active: false }));
    }
}

fn finished(next: &mut Transition<'_>, result: RunResult) {
    next.job.recap = Some(result.recap);
    // However the run ended: what was proved by a login is so.
    next.node.key_version = result.key_version;
    if !result.readiness.is_empty() {
        next.node.readiness = Some((result.readiness.clone(), result.finished_at));
        if next.job.kind == JobKind::NodeSmoke && !readiness::is_ready(&result.readiness) {
            next.node.status = Some(NodeStatus::NotReady);
        }
    }
    if next.job.kind == JobKind::NodeCheck && check::is_verdict(&result) {
        seen_stopped(next);
        return check::decided(next, &result.readiness);
    }
    match result.code {
        Some(code) => failed(next, code, &result.message),
        None => {
            seen_stopped(next);
            next.note("run succeeded");
            configured(next, &result);
        }
    }
}

/// Ready only if the probes say so, for every job type that runs playbooks.
fn configured(next: &mut Transition<'_>, result: &RunResult) {
    if readiness::is_ready(&result.readiness) {
        next.note("ready");
        next.finish(JobState::Succeeded, Some(NodeStatus::Ready));
    } else {
        let failed: Vec<String> = result
            .readiness
            .iter()
            .filter(|finding| !finding.ok && !finding.warning)
            .map(|finding| format!("{:?}: {}", finding.code, finding.detail))
            .collect();
        let detail =
            if failed.is_empty() { "no probe answered".to_owned() } else { failed.join("; ") };
        next.fail(Code::ReadinessFailed, &detail);
    }
}

fn failed(next: &mut Transition<'_>, code: Code, message: &str) {
    seen_stopped(next);
    let number = next.job.run.map_or(1, |run| run.number);
    if code.retry() == Retry::WithBackOff && number < next.policy.max_runs {
        let delay = next.policy.back_off(number);
        next.note(format!(
            "run {number} failed ({}): {message}; again in {delay} s",
            code.as_str()
        ));
        begin(next);
        next.again(delay);
    } else {
        next.fail(code, message);
    }
}
