//! The states a job can come into: found by walking from acceptance along every observation, and
//! by letting time pass, callers cancel and workers claim.

use std::{
    collections::{HashSet, VecDeque},
    hash::Hash,
};

use jiff::Timestamp;
use nodeyard_domain::{
    code::Code,
    id::EffectId,
    job::{Job, JobKind, Phase, Step},
    observation::{Observation, Outcome},
    step::{Policy, Verdict, is_cancellable, step},
};

use crate::records::{accepted, ago, now, outcomes};

/// The effect every state waits for, and an older one of which late answers tell.
pub const CURRENT: EffectId = EffectId(7);
pub const STALE: EffectId = EffectId(3);

/// As in production, with fewer repetitions: they make states that differ in nothing else.
pub fn policy() -> Policy {
    Policy { max_runs: 2, max_replacements: 1, gone_looks: 2, ..Policy::default() }
}

/// What decides about a state, so that states that differ in nothing else are taken once. Why a
/// job is parked decides nothing: it only waits. What its intent asks follows from the rest.
fn key(job: &Job) -> impl Hash + Eq + use<> {
    let when = |at: Option<Timestamp>| at.map(|at| at <= now());
    let forward = (job.phase != Phase::Undo).then(|| {
        let coming = matches!(job.step, Step::StartRun | Step::AwaitServer | Step::FetchServer);
        let flags = (job.cancel_requested_at.is_some(), job.sent_at.is_some());
        (
            (job.attempt, job.replacements, job.rung, job.turned_away, job.spread),
            coming.then_some((when(job.first_poll_at), job.action_id)),
            (job.placement_group, flags, when(Some(job.deadline_at))),
        )
    });
    let looks = (job.step == Step::ConfirmGone).then_some(job.tries);
    let cancelled = job.error.as_ref().map(|error| error.code == Code::JobCancelled);
    (
        (job.kind, job.state, job.phase, job.step, forward),
        (job.server.as_ref().map(|known| known.id), job.run.map(|run| (run.number, run.active))),
        (job.earlier_run.is_some(), job.keep_on_failure, cancelled, looks),
        (when(job.settle_until), when(job.undo_deadline_at)),
    )
}

/// A state as the store would hold it, under a version that is the same for all.
fn settled(mut job: Job) -> Job {
    job.version = CURRENT.0;
    if let Some(intent) = &mut job.intent {
        intent.id = CURRENT;
    }
    job.sent_at = job.sent_at.map(|_| CURRENT);
    // Attempts are counted without end, and only whether a server is of the open one matters.
    job.attempt = job.attempt.min(2);
    job.turned_away = job.turned_away.min(3);
    job.tries = job.tries.min(1);
    job.due_at = job.due_at.map(|due| due.max(now()));
    job
}

/// What may happen to a job between two commits.
fn meanwhile(job: &Job) -> Vec<Job> {
    let with = |change: &dyn Fn(&mut Job)| {
        let mut changed = job.clone();
        change(&mut changed);
        changed
    };
    let mut all = vec![
        with(&|job| job.settle_until = job.settle_until.map(|_| now())),
        with(&|job| job.first_poll_at = job.first_poll_at.map(|_| ago(3600))),
        with(&|job| match &mut job.undo_deadline_at {
            Some(limit) => *limit = now(),
            None => job.deadline_at = now(),
        }),
    ];
    if is_cancellable(job) {
        all.push(with(&|job| job.cancel_requested_at = Some(now())));
    }
    if job.intent.as_ref().is_some_and(|intent| intent.effect.must_be_claimed()) {
        all.push(with(&|job| job.sent_at = Some(CURRENT)));
    }
    all
}

fn beginnings() -> Vec<Job> {
    let mut all = Vec::new();
    for kind in JobKind::ALL {
        for (keep_on_failure, spread) in [(false, false), (true, true)] {
            let mut job = accepted(*kind);
            job.keep_on_failure = keep_on_failure && *kind == JobKind::NodeProvision;
            job.spread = spread && *kind == JobKind::NodeProvision;
            all.push(settled(job));
        }
    }
    all
}

/// Every state that is not terminal, once.
pub fn states() -> Vec<Job> {
    let (policy, outcomes) = (policy(), outcomes());
    let mut known = HashSet::new();
    let mut open = VecDeque::new();
    let mut all = Vec::new();
    let mut find = |job: Job, open: &mut VecDeque<Job>| {
        if !job.state.is_terminal() && known.insert(key(&job)) {
            open.push_back(job);
        }
    };
    for job in beginnings() {
        find(job, &mut open);
    }
    while let Some(job) = open.pop_front() {
        for changed in meanwhile(&job) {
            find(changed, &mut open);
        }
        for (outcome, effect) in outcomes
            .iter()
            .flat_map(|outcome| [(outcome, CURRENT), (outcome, STALE)])
            .filter(|(outcome, effect)| {
                *effect == CURRENT || matches!(outcome, Outcome::Created { .. })
            })
        {
            let observation = Observation { effect, outcome: outcome.clone() };
            if let Verdict::Commit(decision) = step(&job, observation, &policy, now()) {
                find(settled(decision.job), &mut open);
            }
        }
        all.push(job);
    }
    all
}
