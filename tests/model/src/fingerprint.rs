//! When two worlds are the same: everything that decides about the future, with times counted
//! from now and versions from the stored one, so that going round in circles comes to an end.

use std::hash::{Hash, Hasher};

use jiff::Timestamp;
use nodeyard_domain::{
    code::Code,
    id::EffectId,
    job::{Effect, Job},
    node::{Node, RunRef},
    observation::{Observation, Outcome},
};

use crate::{
    worker::{Stage, Worker, needs_attention},
    world::{World, moment, tick_of},
};

/// Times further away than this are all the same until they come near.
const LONG_TICKS: i64 = 10;

/// From where a record is looked at.
#[derive(Clone, Copy)]
struct View {
    now: i64,
    /// The stored version of the job.
    version: u64,
}

impl View {
    /// How far away a time is: none, over, or so many ticks.
    fn time(&self, at: Option<Timestamp>) -> Option<i64> {
        at.map(|at| (tick_of(at) - self.now).clamp(0, LONG_TICKS))
    }

    /// How old an effect is, in versions: whether it is the job's intent is all that matters.
    fn effect(&self, id: EffectId) -> u64 {
        self.version.saturating_sub(id.0).min(1)
    }
}

impl Hash for World {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for job in &self.jobs {
            job_as_it_decides(job, View { now: self.now, version: job.version }, state);
        }
        node_as_it_decides(&self.node, state);
        self.cloud.servers.hash(state);
        self.runs.hash(state);
        let flying = self
            .cloud
            .flying
            .iter()
            .map(|flying| alone(|state| (flying.attempt, flying.until - self.now).hash(state)));
        in_any_order(flying, state);
        let queue = self.queue.iter().map(|message| {
            let wait = (message.at - self.now).max(0);
            alone(|state| {
                (message.job, format_args!("{:?}", message.reason).to_string(), wait).hash(state)
            })
        });
        in_any_order(queue, state);
        in_any_order(
            self.workers.iter().map(|worker| alone(|state| self.worker(worker, state))),
            state,
        );
        let posts = self.posts.iter().map(|(job, effect)| {
            alone(|state| {
                (*job, self.jobs[*job].version.saturating_sub(*effect).min(3)).hash(state)
            })
        });
        in_any_order(posts, state);
        (self.faults_left, self.may_cancel, self.broken).hash(state);
    }
}

impl World {
    fn worker(&self, worker: &Worker, state: &mut impl Hasher) {
        let Worker { message, born, job, node, stage } = worker;
        let view = View { now: self.now, version: self.jobs[message.job].version };
        (message.job, format!("{:?}", message.reason), self.now - born).hash(state);
        // What is no longer as it was loaded is read again before anything is decided from it.
        let stored = &self.jobs[message.job];
        let stale = stored.version != job.version
            || stored.sent_at != job.sent_at
            || stored.news_at != job.news_at;
        (stale, view.effect(EffectId(job.version))).hash(state);
        if stale {
            let asked = (job.server.as_ref().map(|server| server.id), job.attempt);
            (asked, job.sent_at.is_some(), needs_attention(job, moment(self.now, 0))).hash(state);
        } else {
            job_as_it_decides(job, view, state);
        }
        // Of the node, a worker uses whose turn it was and which server it had, and nothing else.
        let server = node.server.as_ref().map(|server| server.id);
        (&node.open_job, &node.queued_release, server).hash(state);
        match stage {
            Stage::Planned(effect) => (0, effect_hash(effect)).hash(state),
            Stage::Asking(effect) => (1, effect_hash(effect)).hash(state),
            Stage::Starting(number) => (2, number).hash(state),
            Stage::InHand(Observation { effect, outcome }) => {
                (3, view.effect(*effect), outcome_hash(outcome)).hash(state);
            }
        }
    }
}

/// One hash of one thing, to be combined without regard to order.
fn alone(hash: impl FnOnce(&mut std::hash::DefaultHasher)) -> u64 {
    let mut state = std::hash::DefaultHasher::new();
    hash(&mut state);
    state.finish()
}

fn in_any_order(hashes: impl Iterator<Item = u64>, state: &mut impl Hasher) {
    let mut hashes: Vec<u64> = hashes.collect();
    hashes.sort_unstable();
    hashes.hash(state);
}

/// Named field by field, so that a new one is not forgotten.
fn job_as_it_decides(job: &Job, view: View, state: &mut impl Hasher) {
    let Job {
        id: _,
        kind,
        node_id: _,
        connection: _,
        actor: _,
        traceparent: _,
        version: _,
        state: job_state,
        phase,
        step,
        due_at,
        waiting_on,
        intent,
        sent_at,
        cancel_requested_at,
        news_at,
        crashes,
        deadline_at,
        undo_deadline_at,
        // With one wait for all tries, their number decides nothing.
        tries: _,
        attempt,
        replacements,
        rung,
        ladder: _,
        refusals,
        settle_until,
        server_name: _,
        server,
        action_id,
        first_poll_at: _,
        run,
        earlier_run,
        // One version in the whole model.
        key_version: _,
        keep_on_failure,
        // Only the run reads it.
        keep_sites: _,
        spread,
        placement_group,
        turned_away,
        // For people.
        last_failure: _,
        error,
        recap: _,
        // What is on record decides nothing.
        evidence: _,
        created_at: _,
        updated_at: _,
        finished_at: _,
    } = job;
    (kind, job_state, phase, step, view.time(*due_at), waiting_on).hash(state);
    intent.as_ref().map(|intent| (view.effect(intent.id), effect_hash(&intent.effect))).hash(state);
    sent_at.map(|id| view.effect(id)).hash(state);
    (cancel_requested_at.is_some(), crashes, news_at.map(Timestamp::subsec_nanosecond)).hash(state);
    (view.time(Some(*deadline_at)), view.time(*undo_deadline_at)).hash(state);
    (attempt, replacements, rung, view.time(*settle_until)).hash(state);
    for refusal in refusals {
        (refusal.rung, view.time(refusal.until)).hash(state);
    }
    server.as_ref().map(|server| (server.id, server.attempt)).hash(state);
    (action_id, run.map(|run| (run.number, run.active)), run_ref(earlier_run.as_ref())).hash(state);
    (keep_on_failure, spread, placement_group, turned_away).hash(state);
    error.as_ref().map(|error| error.code == Code::JobCancelled).hash(state);
}

fn node_as_it_decides(node: &Node, state: &mut impl Hasher) {
    let Node {
        id: _,
        status,
        spec: _,
        server_name: _,
        server,
        price: _,
        readiness: _,
        checked_at: _,
        status_since: _,
        labels: _,
        open_job,
        queued_release,
        attempts,
        key_version: _,
        // The sweep waits for it; how long decides nothing.
        release_at,
        cleanup_tries: _,
        last_run,
        created_at: _,
        updated_at: _,
    } = node;
    (status, server.as_ref().map(|server| server.id), open_job, queued_release).hash(state);
    (attempts, release_at.is_some(), run_ref(last_run.as_ref())).hash(state);
}

fn run_ref(run: Option<&RunRef>) -> Option<(&str, u32, bool)> {
    run.map(|run| (run.job_id.as_str(), run.number, run.active))
}

fn effect_hash(effect: &Effect) -> u64 {
    alone(|state| match effect {
        Effect::TakeNode => 0_u8.hash(state),
        Effect::EnsureKey => 1_u8.hash(state),
        Effect::EnsureGroup => 2_u8.hash(state),
        Effect::FindServer => 3_u8.hash(state),
        Effect::CreateServer { rung, attempt, placement_group } => {
            (4_u8, rung, attempt, placement_group).hash(state);
        }
        Effect::PollAction { action_id } => (5_u8, action_id).hash(state),
        Effect::FetchServer { server_id } => (6_u8, server_id).hash(state),
        Effect::StartRun { number } => (7_u8, number).hash(state),
        Effect::LookAtRun { number } => (8_u8, number).hash(state),
        Effect::StopRun { number, of } => (9_u8, number, of).hash(state),
        Effect::DeleteServer { server_id } => (10_u8, server_id).hash(state),
        Effect::ConfirmGone { server_id, primary_ips } => {
            (11_u8, server_id, primary_ips).hash(state);
        }
    })
}

/// Outcomes are few and small here; their text says all of them.
fn outcome_hash(outcome: &Outcome) -> u64 {
    alone(|state| format!("{outcome:?}").hash(state))
}
