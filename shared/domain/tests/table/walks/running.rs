//! The server as it is fetched, and what a run that ended makes of the job.

use nodeyard_domain::{
    code::Code,
    job::{JobKind, JobState, ParkReason, Step},
    node::{NodeStatus, Server},
    observation::{FailureClass, Outcome, ServerStatus},
    readiness::{Finding, ReadinessCode},
    run::{Recap, RunResult},
    step::Policy,
};

use super::Walk;
use crate::records::{created, failed, finished, now, seen_running, server};

fn awaiting_run() -> Walk {
    let steps = [
        Outcome::KeyReady { version: 1 },
        created(1),
        Outcome::RunStarted,
        Outcome::ActionSucceeded,
    ];
    let walk = Walk::of(JobKind::NodeProvision).tell_all(steps).tell(seen_running());
    assert_eq!(walk.job.step, Step::AwaitRun);
    walk
}

fn ended(readiness: Vec<Finding>) -> Outcome {
    let (message, recap) = (String::new(), Recap::default());
    Outcome::RunFinished(RunResult {
        smokes: Vec::new(),
        tasks: None,
        code: None,
        message,
        recap,
        readiness,
        key_version: None,
        evidence: None,
        finished_at: now(),
    })
}

#[test]
fn the_addresses_of_the_create_answer_stay_when_a_fetch_has_none() {
    for (fetched, kept) in [(vec![], vec![7]), (vec![8, 9], vec![8, 9])] {
        let steps = [
            Outcome::KeyReady { version: 1 },
            created(1),
            Outcome::RunStarted,
            Outcome::ActionSucceeded,
        ];
        let walk = Walk::of(JobKind::NodeProvision).tell_all(steps);
        let seen = Server { primary_ips: fetched, ..server(1, 0) };
        let walk = walk.tell(Outcome::ServerSeen { server: seen, status: ServerStatus::Running });
        let known = walk.job.server.unwrap();
        assert_eq!((known.primary_ips, known.attempt), (kept, 1));
    }
}

#[test]
fn a_run_that_goes_on_is_looked_at_again_later() {
    let walk = awaiting_run().after(60).tell(Outcome::RunRunning);
    assert_eq!((walk.job.step, walk.due_secs()), (Step::AwaitRun, Policy::default().run_look_secs));
}

#[test]
fn what_the_probes_found_becomes_the_nodes_readiness() {
    let finding =
        |code, ok, warning, detail: &str| Finding { code, ok, warning, detail: detail.into() };
    let walk = awaiting_run().tell(ended(vec![
        finding(ReadinessCode::SshUnreachable, true, false, "fine"),
        finding(ReadinessCode::ServiceDown, false, false, "nginx is stopped"),
        finding(ReadinessCode::RebootRequired, false, true, "a kernel waits"),
        finding(ReadinessCode::DiskLow, false, false, "1 % left"),
    ]));
    assert_eq!(walk.readiness, Some(4), "the node has all of them, the passed ones too");
    let error = walk.job.error.unwrap();
    assert_eq!(error.code, Code::ReadinessFailed);
    assert_eq!(error.detail, "ServiceDown: nginx is stopped; DiskLow: 1 % left");
    let silent = awaiting_run().tell(ended(vec![]));
    assert_eq!(silent.readiness, None, "what was known before stays");
    assert_eq!(silent.job.error.unwrap().detail, "no probe answered");
}

#[test]
fn the_last_line_of_a_timeline_is_the_jobs_end() {
    let ready = awaiting_run().tell(finished(None, true));
    assert_eq!(ready.end(), (JobState::Succeeded, Some(NodeStatus::Ready)));
    assert_eq!(ready.notes.last().unwrap(), "succeeded");
    let mut cancelled = Walk::of(JobKind::NodeProvision);
    cancelled.job.cancel_requested_at = Some(now());
    let cancelled = cancelled.tell(Outcome::KeyReady { version: 1 });
    assert_eq!(cancelled.end().0, JobState::Cancelled);
    assert_eq!(cancelled.notes.last().unwrap(), "cancelled");
    let refused = Walk::of(JobKind::NodeProvision)
        .tell_all([Outcome::KeyReady { version: 1 }, failed(FailureClass::Invalid)]);
    assert_eq!(refused.end().0, JobState::Failed);
    assert_eq!(refused.notes.last().unwrap(), "failed");
}

#[test]
fn a_reason_to_wait_is_told_once() {
    let mut walk = Walk::of(JobKind::NodeProvision).tell(Outcome::KeyReady { version: 1 });
    for _ in 0..3 {
        walk = walk.after(300).tell(failed(FailureClass::Quota));
        assert_eq!(walk.job.waiting_on, Some(ParkReason::Quota));
    }
    let told: Vec<_> = walk.notes.iter().filter(|note| note.starts_with("waiting (")).collect();
    assert_eq!(told, ["waiting (PROVIDER_QUOTA_EXCEEDED): code: message"]);
}
