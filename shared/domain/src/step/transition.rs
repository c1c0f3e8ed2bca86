//! Builds one decision: the moves every step shares. Nothing here knows what a step means.

use jiff::{SignedDuration, Timestamp};

use super::{Decision, Policy, configure, provision, release, removal};
use crate::{
    code::Code,
    id::EffectId,
    job::{Effect, Intent, Job, JobError, JobKind, JobState, ParkReason, Phase, Step},
    node::{NodeChange, NodeStatus, RunRef, Server},
    observation::{FailureClass, ProviderFailure},
    timeline::{Source, TimelineEntry},
};

/// A decision in the making.
pub struct Transition<'a> {
    pub job: Job,
    pub node: NodeChange,
    pub now: Timestamp,
    pub policy: &'a Policy,
    /// The create that is the intent was claimed: its POST may have been sent.
    pub was_sent: bool,
    entries: Vec<TimelineEntry>,
}

impl<'a> Transition<'a> {
    pub(super) fn new(job: &Job, policy: &'a Policy, now: Timestamp) -> Self {
        let was_sent = job.sent_at.is_some();
        let mut job = job.clone();
        if job.state == JobState::Queued {
            job.state = JobState::Running;
        }
        // The commit clears what belonged to the effect that was just performed.
        job.sent_at = None;
        job.news_at = None;
        job.crashes = 0;
        job.updated_at = now;
        Self { job, node: NodeChange::default(), now, policy, was_sent, entries: Vec::new() }
    }

    pub(super) fn into_decision(self) -> Decision {
        Decision { job: self.job, node: self.node, entries: self.entries, evidence: Vec::new() }
    }

    pub fn note(&mut self, message: impl Into<String>) -> &mut TimelineEntry {
        let entry = TimelineEntry::new(self.now, Source::Worker, message)
            .with("step", serde_json::to_value(self.job.step).unwrap_or_default());
        self.entries.push(entry);
        let last = self.entries.len() - 1;
        &mut self.entries[last]
    }

    /// Moves on to a step whose effect is due after `delay_secs`. The tries start anew.
    pub fn go(&mut self, step: Step, effect: Effect, delay_secs: i64) {
        if self.job.step != step {
            self.job.tries = 0;
            self.job.last_failure = None;
        }
        self.job.step = step;
        self.job.waiting_on = None;
        self.set_intent(effect, delay_secs);
    }

    /// The same effect again, under a new effect id.
    pub fn again(&mut self, delay_secs: i64) {
        if let Some(intent) = self.job.intent.take() {
            self.job.waiting_on = None;
            self.set_intent(intent.effect, delay_secs);
        }
    }

    /// The same effect at the time it already had: a look in between has changed nothing.
    pub fn keep_time(&mut self) {
        if let Some(intent) = self.job.intent.take() {
            self.job.intent = Some(Intent { id: EffectId(self.job.version + 1), ..intent });
        }
    }

    fn set_intent(&mut self, effect: Effect, delay_secs: i64) {
        self.job.intent = Some(Intent { id: EffectId(self.job.version + 1), effect });
        self.job.due_at = Some(self.now + SignedDuration::from_secs(delay_secs));
    }

    /// A failure that may pass: the same effect again with back-off. Limits end it.
    pub fn back_off(&mut self, code: Code, detail: &str) {
        self.job.tries += 1;
        self.job.last_failure = Some(JobError { code, detail: detail.to_owned() });
        let delay = self.policy.back_off(self.job.tries);
        let delay = delay + self.jitter(delay / 2);
        self.note(format!("{}: {detail}; again in {delay} s", code.as_str()));
        self.again(delay);
    }

    /// Up to `most_secs` more, so that jobs that failed together do not come again together. The
    /// same for the same decision.
    fn jitter(&self, most_secs: i64) -> i64 {
        let bits = self.job.id.hex().get(..8).map(|hex| u64::from_str_radix(hex, 16));
        let bits = bits.and_then(Result::ok).unwrap_or_default();
        // The golden ratio's bits: neighbouring versions come to lie far apart.
        let mixed = bits.wrapping_add(self.job.version.wrapping_mul(0x9e37_79b9_7f4a_7c15)) >> 16;
        i64::try_from(mixed % (most_secs.max(0) as u64 + 1)).unwrap_or_default()
    }

    /// Waits without a wake. The sweep looks again after `look_secs`, or at the usual time.
    pub fn park(&mut self, reason: ParkReason, code: Code, detail: &str, look_secs: Option<i64>) {
        if self.job.waiting_on != Some(reason) {
            self.note(format!("waiting ({}): {detail}", code.as_str()));
        }
        self.again(look_secs.unwrap_or(self.policy.park_look_secs));
        self.job.last_failure = Some(JobError { code, detail: detail.to_owned() });
        self.job.waiting_on = Some(reason);
    }

    /// The token may be one of another project: nothing is made there, and nothing counts as gone.
    pub fn marker_missing(&mut self) {
        self.park(
            ParkReason::ProviderToken,
            Code::ProviderUnauthorized,
            "the token does not see the managed SSH key: it may be of another project",
            None,
        );
    }

    /// What any call to the provider may fail with, where the step has no meaning of its own.
    pub fn provider_failed(&mut self, failure: &ProviderFailure) {
        let detail = describe(failure);
        match failure.class {
            FailureClass::Unauthorized => {
                self.park(ParkReason::ProviderToken, Code::ProviderUnauthorized, &detail, None);
            }
            FailureClass::ReadOnly => {
                self.park(ParkReason::ProviderToken, Code::ProviderTokenReadonly, &detail, None);
            }
            FailureClass::Quota => {
                let look = failure.pause_secs;
                self.park(ParkReason::Quota, Code::ProviderQuotaExceeded, &detail, look);
            }
            FailureClass::RateLimited => {
                let pause = failure.pause_secs.unwrap_or(self.policy.busy_secs);
                if pause > self.policy.budget_wait_secs {
                    let code = Code::ProviderRateLimited;
                    self.park(ParkReason::RateBudget, code, &detail, Some(pause));
                } else {
                    self.note(format!("rate limited; again in {pause} s"));
                    self.again(pause);
                }
            }
            FailureClass::Busy => self.again(self.policy.busy_secs),
            FailureClass::Protected => self.back_off(Code::ProviderProtected, &detail),
            FailureClass::Drift => self.back_off(Code::ProviderApiDrift, &detail),
            FailureClass::Unknown | FailureClass::NoCapacity => {
                self.back_off(Code::ProviderUnavailable, &detail);
            }
            FailureClass::Invalid | FailureClass::NameTaken | FailureClass::NotFound => {
                self.fail_or_retry_removal(Code::ProviderInvalidRequest, &detail);
            }
        }
    }

    /// A refusal for good ends forward work; a removal is never given up before its limit.
    fn fail_or_retry_removal(&mut self, code: Code, detail: &str) {
        if self.job.phase == Phase::Undo || self.job.kind == JobKind::NodeRelease {
            self.back_off(code, detail);
        } else {
            self.fail(code, detail);
        }
    }

    /// Ends forward work: what follows is the job type's undo.
    pub fn fail(&mut self, code: Code, detail: &str) {
        self.job.error = Some(JobError { code, detail: detail.to_owned() });
        self.job.last_failure = None;
        self.note(format!("{}: {detail}", code.as_str()));
        match self.job.kind {
            JobKind::NodeProvision => provision::undo(self),
            JobKind::NodeConfigure | JobKind::NodeCheck | JobKind::NodeSmoke => {
                configure::undo(self);
            }
            JobKind::NodeRelease => release::give_up(self),
        }
    }

    /// What the node's record knows when the job gets the node: another job may have changed it
    /// since this one was accepted.
    pub(super) fn inherit(&mut self, server: Option<Server>, attempts: u32, run: Option<RunRef>) {
        self.job.server = server;
        self.job.attempt = attempts;
        self.job.earlier_run = run.filter(|run| run.active && run.job_id != self.job.id);
    }

    pub(super) fn enter_undo(&mut self) {
        // A server that is being replaced is no use to anybody, and may be half deleted.
        self.job.keep_on_failure &= self.job.phase != Phase::Replace;
        self.job.phase = Phase::Undo;
        self.job.undo_deadline_at =
            Some(self.now + SignedDuration::from_secs(self.policy.undo_limit_secs));
        removal::begin(self);
    }

    /// Ends the job where it stands. What may be left is the node's `cleanup_pending`.
    pub fn give_up(&mut self, code: Code, detail: &str) {
        if self.job.error.is_none() {
            self.job.error = Some(JobError { code, detail: detail.to_owned() });
        }
        let status = match self.job.kind {
            JobKind::NodeConfigure => Some(NodeStatus::NotReady),
            JobKind::NodeCheck | JobKind::NodeSmoke => None,
            JobKind::NodeProvision | JobKind::NodeRelease => Some(NodeStatus::CleanupPending),
        };
        self.note(format!("given up ({}): {detail}", code.as_str()));
        self.finish(JobState::Failed, status);
    }

    /// The terminal commit.
    pub fn finish(&mut self, state: JobState, status: Option<NodeStatus>) {
        self.job.state = state;
        self.job.step = Step::Done;
        self.job.intent = None;
        self.job.due_at = None;
        self.job.waiting_on = None;
        self.job.tries = 0;
        self.job.finished_at = Some(self.now);
        self.node.status = status.or(self.node.status);
        self.node.close_job = true;
        self.note(match state {
            JobState::Succeeded => "succeeded",
            JobState::Cancelled => "cancelled",
            _ => "failed",
        });
    }
}

/// One line for people: the provider's code, message and correlation id.
pub(super) fn describe(failure: &ProviderFailure) -> String {
    let mut line = format!("{}: {}", failure.code, failure.message);
    if let Some(id) = &failure.correlation_id {
        line.push_str(&format!(" (correlation id {id})"));
    }
    line
}
