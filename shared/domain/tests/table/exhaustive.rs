//! No panic, terminal states absorb, every other state has a wake, a park reason or a deadline.

use std::collections::BTreeSet;

use jiff::SignedDuration;
use nodeyard_domain::{
    job::{Effect, Job, JobKind, JobState, ParkReason, Phase, Step},
    observation::{Observation, Outcome},
    step::{Decision, Verdict, step},
};

use crate::{
    reachable::{CURRENT, STALE, policy, states},
    records::{now, outcomes},
};

/// Written out only when an assertion fails.
struct Told<'a>(&'a Job, &'a Observation, &'a Job);

impl std::fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}\n× {:?}\n→ {:?}", self.0, self.1, self.2)
    }
}

fn check(before: &Job, observation: &Observation, decision: &Decision) {
    let job = &decision.job;
    let told = Told(before, observation, job);
    assert_eq!(job.version, before.version, "only the store's commit moves the version: {told}");
    assert_eq!((job.sent_at, job.news_at, job.crashes), (None, None, 0), "{told}");
    if job.state.is_terminal() {
        check_end(decision, &told);
    } else {
        check_going_on(before, job, &told);
    }
    // A create that was claimed, and of which nothing is known yet, is never forgotten.
    let answered = matches!(observation.outcome, Outcome::Created { .. } | Outcome::Failed(_));
    if before.sent_at.is_some() && !answered {
        let pending = decision.node.status.is_some_and(|status| !status.is_gone());
        assert!(job.settle_until.is_some() || (job.state.is_terminal() && pending), "{told}");
    }
}

fn check_end(decision: &Decision, told: &Told<'_>) {
    let job = &decision.job;
    assert!(job.intent.is_none() && job.due_at.is_none() && job.look_at().is_none(), "{told}");
    assert!(decision.node.close_job && job.finished_at.is_some(), "{told}");
    assert_eq!(job.state == JobState::Succeeded, job.error.is_none(), "{told}");
    assert!(job.waiting_on.is_none() && job.wake_delay_secs(now()).is_none(), "{told}");
    // Invariant 2: whoever ends without the server gone says so on the node.
    let Some(status) = decision.node.status else {
        // Work that only looks and has no verdict leaves the node as it was.
        assert!(job.kind.only_looks() && job.state != JobState::Succeeded, "{told}");
        return;
    };
    if status.is_gone() && !job.kind.keeps_server() {
        assert!(job.server.is_none(), "{told}");
        assert!(job.settle_until.is_none(), "an unresolved create is not gone: {told}");
    }
}

fn check_going_on(before: &Job, job: &Job, told: &Told<'_>) {
    let intent = job.intent.as_ref().unwrap_or_else(|| panic!("no intent: {told}"));
    assert_eq!(intent.id.0, before.version + 1, "{told}");
    let due = job.due_at.unwrap_or_else(|| panic!("no time: {told}"));
    let looked_at = job.look_at().unwrap_or_else(|| panic!("the sweep must find it: {told}"));
    assert!(looked_at <= due, "{told}");
    match job.waiting_on {
        None => {
            let delay = job.wake_delay_secs(now());
            let far = due > now() + SignedDuration::from_secs(900);
            assert!(delay.is_some() || far, "{told}");
        }
        Some(_) => assert_eq!(job.wake_delay_secs(now()), None, "no wake is held: {told}"),
    }
    if job.phase == Phase::Undo {
        assert!(job.undo_deadline_at.is_some(), "undo has a limit of its own: {told}");
    }
    // Rule of runs: run n+1, or a delete, only after run n was seen stopped.
    let stopped = job.earlier_run.is_none() && job.run.is_none_or(|run| !run.active);
    let was_deleting =
        matches!(before.step, Step::DeleteServer | Step::ConfirmGone | Step::FindLeftover);
    if matches!(intent.effect, Effect::DeleteServer { .. }) && !was_deleting {
        assert!(stopped, "{told}");
    }
    if let (Effect::StartRun { number }, Some(run)) = (&intent.effect, before.run)
        && *number > run.number
    {
        assert!(job.earlier_run.is_none(), "{told}");
        let seen = before.step == Step::AwaitRun || before.step == Step::StopRun || !run.active;
        assert!(seen, "{told}");
    }
    // A stop in forward work is of an earlier job's run, or of a release.
    if job.step == Step::StopRun && job.phase == Phase::Forward {
        assert!(job.earlier_run.is_some() || job.kind == JobKind::NodeRelease, "{told}");
    }
    if job.cancel_requested_at.is_some() && job.kind != JobKind::NodeRelease {
        assert_eq!(job.phase, Phase::Undo, "a cancel is never forgotten: {told}");
    }
}

#[test]
fn every_state_and_every_observation() {
    let (policy, outcomes, states) = (policy(), outcomes(), states());
    let (mut pairs, mut reasons) = (0_u32, BTreeSet::new());
    for job in &states {
        for outcome in &outcomes {
            for effect in [CURRENT, STALE] {
                let observation = Observation { effect, outcome: outcome.clone() };
                match step(job, observation.clone(), &policy, now()) {
                    Verdict::Commit(decision) => {
                        check(job, &observation, &decision);
                        reasons.extend(decision.job.waiting_on.map(|reason| format!("{reason:?}")));
                    }
                    Verdict::Drop => assert_eq!(effect, STALE, "{job:?} {observation:?}"),
                    Verdict::KeepOnNode(_) => panic!("the job has not ended: {job:?}"),
                }
                pairs += 1;
            }
        }
    }
    assert!(pairs > 100_000, "{pairs} pairs of {} states", states.len());
    let all: BTreeSet<_> = ParkReason::ALL.iter().map(|reason| format!("{reason:?}")).collect();
    assert_eq!(reasons, all);
}

#[test]
fn every_step_is_reached_and_only_where_it_belongs() {
    let states = states();
    for job in &states {
        assert!(job.phase != Phase::Replace || job.kind == JobKind::NodeProvision, "{job:?}");
        let removes =
            matches!(job.step, Step::FindLeftover | Step::DeleteServer | Step::ConfirmGone);
        if removes && job.phase == Phase::Forward {
            assert_eq!(job.kind, JobKind::NodeRelease);
        }
        assert!(!removes || !job.kind.keeps_server(), "its server stays");
    }
    let steps: BTreeSet<_> = states.iter().map(|job| format!("{:?}", job.step)).collect();
    for step in Step::ALL.iter().filter(|step| **step != Step::Done) {
        assert!(steps.contains(&format!("{step:?}")), "{step:?} is never reached");
    }
    let stops_earlier = |job: &&Job| {
        job.kind.keeps_server() && (job.phase, job.step) == (Phase::Forward, Step::StopRun)
    };
    for kind in [JobKind::NodeConfigure, JobKind::NodeCheck, JobKind::NodeSmoke] {
        assert!(states.iter().any(|job| job.kind == kind && stops_earlier(&job)), "{kind:?}");
    }
}

#[test]
fn terminal_jobs_absorb_everything_but_a_server_id() {
    let (policy, outcomes) = (policy(), outcomes());
    let mut kept = 0;
    for mut job in states() {
        job.intent = None;
        for state in [JobState::Succeeded, JobState::Failed, JobState::Cancelled] {
            job.state = state;
            for outcome in &outcomes {
                let created = match outcome {
                    Outcome::Created { server, .. } => Some(server.id),
                    _ => None,
                };
                let known = job.server.as_ref().map(|server| server.id);
                let observation = Observation { effect: CURRENT, outcome: outcome.clone() };
                match step(&job, observation, &policy, now()) {
                    Verdict::Commit(decision) => panic!("{decision:?}"),
                    Verdict::KeepOnNode(server) => {
                        assert_eq!(created, Some(server.id));
                        kept += 1;
                    }
                    Verdict::Drop => assert!(created.is_none() || created == known),
                }
            }
        }
    }
    assert!(kept > 0);
}
