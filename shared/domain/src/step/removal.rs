//! Removing: stop the run, delete the server, confirm it gone.
//!
//! | step | observation | then |
//! | --- | --- | --- |
//! | stop_run | run_stopped | delete_server, find_leftover without a server on record, kept where a failure keeps its server |
//! | stop_run | still running, or stop refused | stop_run |
//! | find_leftover | found, ours | delete_server |
//! | find_leftover | foreign or absent, may still land | find_leftover |
//! | find_leftover | foreign or absent, settle time over | removed |
//! | delete_server | accepted, or not found | confirm_gone |
//! | confirm_gone | gone, the marker seen | removed |
//! | confirm_gone | still there, too often | delete_server |
//! | confirm_gone | still there, or nothing proved | confirm_gone |
//! | find_leftover | marker missing | find_leftover, with back-off |
//!
//! "Removed" is the job type's: another attempt, failed, cancelled or released.

use super::{Transition, configure, provision, release, transition::describe};
use crate::{
    code::Code,
    job::{Effect, JobKind, Phase, Step},
    node::RunRef,
    observation::{FailureClass, Outcome},
    ownership::Ownership,
};

/// The first step of the removal that is still needed.
pub(super) fn begin(next: &mut Transition<'_>) {
    if let Some(run) = next.job.earlier_run.clone() {
        let effect = Effect::StopRun { number: run.number, of: Some(run.job_id) };
        return next.go(Step::StopRun, effect, 0);
    }
    match next.job.run {
        Some(run) if run.active => {
            next.go(Step::StopRun, Effect::StopRun { number: run.number, of: None }, 0);
        }
        _ => after_stop(next),
    }
}

pub(super) fn stop_run(next: &mut Transition<'_>, outcome: Outcome) {
    match outcome {
        Outcome::RunStopped if next.job.earlier_run.is_some() => {
            next.note("an earlier job's run is stopped");
            next.node.last_run =
                next.job.earlier_run.take().map(|run| Some(RunRef { active: false, ..run }));
            if next.job.kind.keeps_server() && next.job.phase == Phase::Forward {
                configure::begin(next);
            } else {
                begin(next);
            }
        }
        Outcome::RunStopped => {
            if let Some(run) = &mut next.job.run {
                run.active = false;
                let number = run.number;
                next.node.last_run =
                    Some(Some(RunRef { job_id: next.job.id.clone(), number, active: false }));
            }
            next.note("run stopped");
            after_stop(next);
        }
        // Asked to stop, not yet seen stopped.
        Outcome::RunRunning => next.again(next.policy.gone_poll_secs),
        Outcome::RunRefused { message } => next.back_off(Code::TaskLost, &message),
        _ => next.keep_time(),
    }
}

fn after_stop(next: &mut Transition<'_>) {
    match next.job.kind {
        JobKind::NodeConfigure | JobKind::NodeCheck | JobKind::NodeSmoke => {
            configure::stopped(next);
        }
        JobKind::NodeProvision if provision::keeps_server(next) => provision::kept(next),
        JobKind::NodeProvision | JobKind::NodeRelease => match &next.job.server {
            Some(server) => {
                let server_id = server.id;
                next.go(Step::DeleteServer, Effect::DeleteServer { server_id }, 0);
            }
            None if provision::nothing_was_made(&next.job) => removed(next),
            None => next.go(Step::FindLeftover, Effect::FindServer, 0),
        },
    }
}

pub(super) fn find_leftover(next: &mut Transition<'_>, outcome: Outcome) {
    match outcome {
        Outcome::ServerFound {
            server,
            ownership: Ownership::Current | Ownership::Older { .. },
            ..
        } => {
            next.note(format!("server {} is ours and is removed", server.id));
            let server_id = server.id;
            next.node.server = Some(Some(server.clone()));
            next.job.server = Some(server);
            next.go(Step::DeleteServer, Effect::DeleteServer { server_id }, 0);
        }
        // Names are unique: where a foreign server holds ours, none of ours is. One may come when
        // that one goes.
        Outcome::ServerFound { ownership: Ownership::Foreign, .. } | Outcome::ServerAbsent => {
            match next.job.settle_until {
                Some(until) if next.now < until => {
                    let left = (until.as_second() - next.now.as_second()).max(1);
                    next.again(left.min(next.policy.settle_look_secs));
                }
                _ => removed(next),
            }
        }
        Outcome::MarkerMissing => unproved(next),
        Outcome::Failed(failure) => next.provider_failed(&failure),
        _ => next.keep_time(),
    }
}

pub(super) fn delete_server(next: &mut Transition<'_>, outcome: Outcome) {
    match outcome {
        Outcome::DeleteAccepted => {
            next.note("server is being deleted");
            confirm(next, next.policy.gone_poll_secs);
        }
        Outcome::Failed(failure) if failure.class == FailureClass::NotFound => confirm(next, 0),
        Outcome::Failed(failure) => next.provider_failed(&failure),
        _ => next.keep_time(),
    }
}

fn confirm(next: &mut Transition<'_>, delay_secs: i64) {
    let Some(server) = &next.job.server else {
        return removed(next);
    };
    let effect =
        Effect::ConfirmGone { server_id: server.id, primary_ips: server.primary_ips.clone() };
    next.go(Step::ConfirmGone, effect, delay_secs);
}

pub(super) fn confirm_gone(next: &mut Transition<'_>, outcome: Outcome) {
    match outcome {
        Outcome::Gone => removed(next),
        Outcome::StillThere => still_there(next),
        Outcome::MarkerMissing => unproved(next),
        Outcome::Failed(failure) => {
            let detail = describe(&failure);
            match failure.class {
                // This look has no verdict of its own on a missing thing.
                FailureClass::NotFound => next.back_off(Code::ProviderUnavailable, &detail),
                _ => next.provider_failed(&failure),
            }
        }
        _ => next.keep_time(),
    }
}

fn still_there(next: &mut Transition<'_>) {
    next.job.tries += 1;
    match &next.job.server {
        Some(server) if next.job.tries >= next.policy.gone_looks => {
            let server_id = server.id;
            next.note(format!("server {server_id} is still there: deleting it again"));
            next.go(Step::DeleteServer, Effect::DeleteServer { server_id }, 0);
        }
        // What takes long is looked at less often.
        _ => next.again(next.policy.gone_poll_secs * i64::from(1 + next.job.tries / 4)),
    }
}

fn unproved(next: &mut Transition<'_>) {
    next.back_off(
        Code::ProviderUnauthorized,
        "the token does not see the connection's marker, so an absent server proves nothing",
    );
}

fn removed(next: &mut Transition<'_>) {
    if let Some(server) = next.job.server.take() {
        next.note(format!("server {} is gone", server.id));
        next.node.server = Some(None);
    }
    next.job.action_id = None;
    next.job.settle_until = None;
    match (next.job.kind, next.job.phase) {
        (JobKind::NodeRelease, _) => release::removed(next),
        (_, Phase::Replace) => provision::replaced(next),
        _ => provision::undone(next),
    }
}
