//! The state machine: `step` takes a job, what was observed and the time, and decides.
//!
//! Pure: at most one effect (the next intent) and one wake (the intent's time) per decision.
//!
//! The shared ways, of which each job type is made:
//!
//! | way | steps | module |
//! | --- | --- | --- |
//! | acquire | ensure_key (→ ensure_group) → create_server (↔ find_server) | [`acquire`] |
//! | run | start_run → (await_server → fetch_server, while the container boots) → await_run | [`running`] |
//! | removal | stop_run → find_leftover / delete_server → confirm_gone | [`removal`] |
//!
//! What holds in every step (the modules' tables tell the rest):
//!
//! | step | observation | then |
//! | --- | --- | --- |
//! | any | of an effect that is settled | dropped |
//! | any | poisoned | given up |
//! | any | past the limit of the undo | given up, unless just removed or cancelled |
//! | any | cancelled, or past the deadline | undo, unless it has just succeeded |
//! | any | token refused | parked on provider_token |
//! | any | rate limited for long | parked on rate_budget |
//! | any | quota met | parked on quota |
//! | any | refused for good | undo; in undo and releases the same step, with back-off |
//! | any | refused for now, or no answer | the same step, later |
//! | any | anything else | the same step, at the time it had |
//!
//! The job types: [`provision`], [`configure`] (with `node_smoke`), [`check`], [`release`].

pub mod acquire;
pub mod check;
pub mod configure;
mod policy;
pub mod provision;
pub mod release;
pub mod removal;
pub mod running;
mod transition;

use jiff::Timestamp;

pub use self::{policy::Policy, transition::Transition};
use crate::{
    code::Code,
    evidence::{Entry, Recorded, Seen, record},
    job::{Effect, Job, JobKind, Phase, Step},
    node::{Node, NodeChange, NodeStatus, Server},
    observation::{Observation, Outcome},
    timeline::TimelineEntry,
    wake::WakeReason,
};

/// What a commit writes: the job as it is next, the node's change, the history, the evidence. The
/// effect is `job.intent`, the wake `job.due_at`.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    pub job: Job,
    pub node: NodeChange,
    pub entries: Vec<TimelineEntry>,
    /// What is added to the job's chain, whose new end is in `job`. Empty as `step` decides: the
    /// driver knows what was seen.
    pub evidence: Vec<Entry>,
}

impl Decision {
    /// Adds what the decision was made on to the job's chain.
    pub fn give_evidence(&mut self, before: &Job, node: &Node, seen: Seen<'_>) {
        if let Some(Recorded { chain, entries }) = record(before, node, seen, self) {
            self.job.evidence = Some(chain);
            self.evidence = entries;
        }
    }

    /// A server that came back too late was put on the node's record, and the job that ends the
    /// node knows nothing of it: it is not forgotten, and the node is left behind once more.
    pub fn keep_late_server(&mut self, before: &Job, node: &Node) {
        let known = before.server.as_ref().map(|server| server.id);
        let late = node.server.as_ref().filter(|server| Some(server.id) != known);
        if late.is_some() && self.node.status.is_some_and(NodeStatus::is_gone) {
            self.node.server = None;
            self.node.status = Some(NodeStatus::CleanupPending);
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    Commit(Box<Decision>),
    /// The observation belongs to an effect that is settled, and nothing hangs on it.
    Drop,
    /// A server came into being for a job that has ended: it goes to the node, which becomes
    /// `cleanup_pending`.
    KeepOnNode(Server),
}

/// Decides what a job does next.
///
/// Terminal jobs never change. An observation of an effect that is no longer the job's intent is
/// dropped, unless it carries a server id that came back from a create.
pub fn step(job: &Job, observation: Observation, policy: &Policy, now: Timestamp) -> Verdict {
    let current = job.intent.as_ref().is_some_and(|intent| intent.id == observation.effect);
    if job.state.is_terminal() {
        return match observation.outcome {
            Outcome::Created { server, .. } if knows_not(job, &server) => {
                Verdict::KeepOnNode(server)
            }
            _ => Verdict::Drop,
        };
    }
    let mut next = Transition::new(job, policy, now);
    let outcome = match observation.outcome {
        // Another worker has made the claim meanwhile: what we know says nothing of its POST.
        Outcome::NotSent(_) if next.was_sent => Outcome::Nothing,
        Outcome::NotSent(failure) => Outcome::Failed(failure),
        outcome => outcome,
    };
    match outcome {
        Outcome::Poisoned => {
            next.give_up(Code::JobPoisoned, "the job crashed its worker repeatedly")
        }
        Outcome::Created { server, action_id, expect_secs } if !current => {
            // Only provisions create, so no other job can be told of a late create.
            if job.kind != JobKind::NodeProvision || !knows_not(job, &server) {
                return Verdict::Drop;
            }
            acquire::take_late_server(&mut next, server, action_id, expect_secs);
            hold_limits(&mut next);
        }
        _ if !current => return Verdict::Drop,
        outcome => {
            advance(&mut next, outcome);
            hold_limits(&mut next);
        }
    }
    Verdict::Commit(Box::new(next.into_decision()))
}

fn knows_not(job: &Job, server: &Server) -> bool {
    job.server.as_ref().is_none_or(|known| known.id != server.id)
}

/// One exhaustive match: every step names who answers for it.
fn advance(next: &mut Transition<'_>, outcome: Outcome) {
    match next.job.step {
        Step::TakeNode => match next.job.kind {
            JobKind::NodeRelease => release::take_node(next, outcome),
            JobKind::NodeProvision
            | JobKind::NodeConfigure
            | JobKind::NodeCheck
            | JobKind::NodeSmoke => configure::take_node(next, outcome),
        },
        Step::EnsureKey => acquire::ensure_key(next, outcome),
        Step::EnsureGroup => acquire::ensure_group(next, outcome),
        Step::CreateServer => acquire::create_server(next, outcome),
        Step::FindServer => acquire::find_server(next, outcome),
        Step::StartRun => running::start_run(next, outcome),
        Step::AwaitServer => running::await_server(next, outcome),
        Step::FetchServer if next.job.kind == JobKind::NodeCheck => {
            check::fetch_server(next, outcome);
        }
        Step::FetchServer => running::fetch_server(next, outcome),
        Step::AwaitRun => running::await_run(next, outcome),
        Step::StopRun => removal::stop_run(next, outcome),
        Step::FindLeftover => removal::find_leftover(next, outcome),
        Step::DeleteServer => removal::delete_server(next, outcome),
        Step::ConfirmGone => removal::confirm_gone(next, outcome),
        Step::Done => {}
    }
}

/// Cancelling and deadlines, after the observation has had its say: whatever it told is kept.
fn hold_limits(next: &mut Transition<'_>) {
    if next.job.state.is_terminal() {
        return;
    }
    if let Some(limit) = next.job.undo_deadline_at {
        if next.now >= limit {
            next.give_up(Code::JobTimeout, "the removal did not end in time");
        }
        return;
    }
    if next.job.cancel_requested_at.is_some() && next.job.kind != JobKind::NodeRelease {
        next.fail(Code::JobCancelled, "cancelled by a caller");
    } else if next.now >= next.job.deadline_at {
        let (code, detail) = deadline_reason(&next.job);
        next.fail(code, &detail);
    }
}

/// A job that ran out of time fails with what kept it.
fn deadline_reason(job: &Job) -> (Code, String) {
    match (job.waiting_on, &job.last_failure) {
        (Some(reason), failure) => {
            let mut detail = format!("still waiting at the deadline ({reason:?})");
            for refusal in &job.refusals {
                if let Some(rung) = job.ladder.get(refusal.rung) {
                    detail.push_str(&format!("; {rung}: {}", refusal.answer));
                }
            }
            if let Some(failure) = failure {
                detail.push_str(&format!("; last answer: {}", failure.detail));
            }
            (reason.code(), detail)
        }
        (None, Some(failure)) => {
            (failure.code, format!("at the deadline, last failure: {}", failure.detail))
        }
        (None, None) => (Code::JobTimeout, format!("the deadline passed in step {:?}", job.step)),
    }
}

/// What the driver does for a wake that is not a due one: look again, or nothing at all when the
/// intent is not one that only looks. News of a run is no reason to ask the provider.
pub fn observing_form(job: &Job, reason: WakeReason) -> Option<Effect> {
    let intent = job.intent.as_ref()?;
    if reason == WakeReason::Run {
        let about_run = matches!(intent.effect, Effect::LookAtRun { .. } | Effect::StopRun { .. });
        return about_run.then(|| intent.effect.clone());
    }
    intent.effect.only_observes().then(|| intent.effect.clone())
}

/// True while a job of this kind in this phase may be cancelled.
pub fn is_cancellable(job: &Job) -> bool {
    job.kind != JobKind::NodeRelease && !job.state.is_terminal() && job.phase != Phase::Undo
}
