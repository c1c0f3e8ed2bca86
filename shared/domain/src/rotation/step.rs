//! What a rotation does next. Pure, as [`crate::step`] is for jobs on nodes.
//!
//! | step | observation | then |
//! | --- | --- | --- |
//! | make_key | key made | upload_key |
//! | make_key | version taken | make_key of the next version, the taken one is abandoned; failed after too many |
//! | upload_key | key uploaded | the connection names both versions, the new one is the marker; open_configures |
//! | upload_key | marker missing | parked on provider_token |
//! | open_configures | a page of nodes | await_configures, open_configures while there is room, done |
//! | await_configures | some ended | the same step, open_configures while there is room, done |
//! | make_key, upload_key | failed | as any call to the provider may fail: the same step, parked or failed |
//! | any | cancelled, past the deadline, poisoned | ended: what was made and not adopted is abandoned, nodes not awaited are listed |
//!
//! Until the new version is adopted nothing depends on it. From then on each node may have either:
//! its runs offer both, and both stay until its record says that only the new one is needed.

use jiff::{SignedDuration, Timestamp};

use super::{
    Listed, ListedReason, MAX_LISTED, MAX_OPENED, Rotation, RotationEffect, RotationIntent,
    RotationObservation, RotationOutcome, RotationStep,
};
use crate::{
    code::Code,
    connection::Connection,
    evidence::Entry,
    id::{EffectId, NodeId},
    job::{JobError, JobState, ParkReason},
    observation::{FailureClass, ProviderFailure},
    step::Policy,
    timeline::{Source, TimelineEntry},
};

/// What a commit writes: the rotation as it is next, the connection where it changes with it, the
/// history, the evidence.
#[derive(Debug, Clone, PartialEq)]
pub struct RotationDecision {
    pub rotation: Rotation,
    pub connection: Option<Connection>,
    pub entries: Vec<TimelineEntry>,
    /// Nodes that this commit settles: those that let the new version in, and no other.
    pub done: Vec<NodeId>,
    /// And those that keep an older one for now.
    pub listed: Vec<Listed>,
    /// See [`RotationDecision::give_evidence`].
    pub evidence: Vec<Entry>,
}

/// Decides what a rotation does next. `None`: the observation is of an effect that is settled, or
/// the rotation has ended. `connection` is `None` when it was deleted.
pub fn step(
    rotation: &Rotation,
    connection: Option<&Connection>,
    observation: RotationObservation,
    policy: &Policy,
    now: Timestamp,
) -> Option<RotationDecision> {
    let is_current = rotation.intent.as_ref().is_some_and(|intent| intent.id == observation.effect);
    if rotation.state.is_terminal() || !is_current {
        return None;
    }
    let connection = rotation.own(connection);
    let mut next = Transition::new(rotation, connection, policy, now);
    match observation.outcome {
        RotationOutcome::Poisoned => {
            next.fail(Code::JobPoisoned, "the rotation crashed its worker repeatedly");
        }
        _ if connection.is_none() => {
            next.fail(Code::ProviderUnauthorized, "the connection does not exist any more");
        }
        outcome => next.advance(outcome),
    }
    next.hold_limits();
    Some(next.into_decision())
}

struct Transition<'a> {
    rotation: Rotation,
    before: Option<&'a Connection>,
    connection: Option<Connection>,
    policy: &'a Policy,
    now: Timestamp,
    entries: Vec<TimelineEntry>,
    done: Vec<NodeId>,
    listed: Vec<Listed>,
}

impl<'a> Transition<'a> {
    fn new(
        rotation: &Rotation,
        connection: Option<&'a Connection>,
        policy: &'a Policy,
        now: Timestamp,
    ) -> Self {
        let mut rotation = rotation.clone();
        rotation.state = JobState::Running;
        // The commit clears what belonged to the effect that was just performed.
        rotation.news_at = None;
        rotation.crashes = 0;
        rotation.updated_at = now;
        Self {
            rotation,
            before: connection,
            connection: connection.cloned(),
            policy,
            now,
            entries: Vec::new(),
            done: Vec::new(),
            listed: Vec::new(),
        }
    }

    fn into_decision(self) -> RotationDecision {
        let connection = self.connection.filter(|connection| Some(connection) != self.before);
        RotationDecision {
            rotation: self.rotation,
            connection,
            entries: self.entries,
            done: self.done,
            listed: self.listed,
            evidence: Vec::new(),
        }
    }

    /// One exhaustive match: every step names what it makes of an observation.
    fn advance(&mut self, outcome: RotationOutcome) {
        match (self.rotation.step, outcome) {
            (RotationStep::MakeKey, RotationOutcome::KeyMade { public_key }) => {
                let version = self.rotation.key_version;
                self.note(format!("version {version} of the managed key is made"));
                self.rotation.public_key = Some(public_key);
                self.go(RotationStep::UploadKey, RotationEffect::UploadKey { version }, 0);
            }
            (RotationStep::MakeKey, RotationOutcome::VersionTaken) => self.make_another(),
            (RotationStep::UploadKey, RotationOutcome::KeyUploaded { key }) => {
                self.note(format!("version {} is at the provider and in use", key.version));
                if let Some(connection) = &mut self.connection {
                    connection.adopt_key(key, self.now);
                }
                self.open();
            }
            (RotationStep::UploadKey, RotationOutcome::MarkerMissing) => self.park(
                ParkReason::ProviderToken,
                Code::ProviderUnauthorized,
                "the token does not see the managed SSH key: it may be of another project",
                None,
            ),
            (RotationStep::OpenConfigures, RotationOutcome::Opened { opened, listed, next }) => {
                self.list(listed);
                self.rotation.opened.extend(opened);
                self.rotation.all_seen = next.is_none();
                self.rotation.cursor = next;
                self.go_on();
            }
            (RotationStep::AwaitConfigures, RotationOutcome::Ended { done, listed }) => {
                let is_open = |node: &NodeId| {
                    !done.contains(node) && listed.iter().all(|listed| listed.node_id != *node)
                };
                self.rotation.opened.retain(is_open);
                self.rotation.done += u32::try_from(done.len()).unwrap_or(u32::MAX);
                for node in &done {
                    self.note("the node lets the new version in, and no other")
                        .fields
                        .insert("node_id".into(), node.to_string().into());
                }
                self.done.extend(done);
                self.list(listed);
                self.go_on();
            }
            (
                RotationStep::MakeKey | RotationStep::UploadKey | RotationStep::OpenConfigures,
                RotationOutcome::Failed(failure),
            ) => self.provider_failed(&failure),
            // What the step has no use for: its effect again, at the time it had.
            (
                RotationStep::MakeKey
                | RotationStep::UploadKey
                | RotationStep::OpenConfigures
                | RotationStep::AwaitConfigures
                | RotationStep::Done,
                _,
            ) => self.keep_time(),
        }
    }

    /// A private half is there, and whoever wrote it has not told the public one: nobody ever will.
    fn make_another(&mut self) {
        let (taken, now) = (self.rotation.key_version, self.now);
        let tries = self.rotation.tries + 1;
        let Some(connection) = &mut self.connection else { return };
        connection.abandon_key(taken, None, now);
        let version = connection.next_key_version();
        if tries >= self.policy.poison_crashes {
            return self.fail(Code::JobPoisoned, "each version that was begun is lost");
        }
        self.note(format!("version {taken} is taken: version {version} is made"));
        self.rotation.key_version = version;
        self.go(RotationStep::MakeKey, RotationEffect::MakeKey { version }, 0);
        // Each one that is taken tells of a worker that died; the commits between do not count.
        self.rotation.tries = tries;
    }

    fn open(&mut self) {
        let room = MAX_OPENED.saturating_sub(self.rotation.opened.len());
        let cursor = self.rotation.cursor.clone();
        let effect = RotationEffect::OpenConfigures { cursor, room };
        self.go(RotationStep::OpenConfigures, effect, 0);
    }

    /// More nodes while there is room for a good many, else what is open is waited for.
    fn go_on(&mut self) {
        let open = self.rotation.opened.len();
        if !self.rotation.all_seen && open <= MAX_OPENED / 2 {
            self.open();
        } else if open > 0 {
            let wait = self.policy.turn_look_secs;
            self.go(RotationStep::AwaitConfigures, RotationEffect::LookAtConfigures, wait);
        } else {
            self.finish(JobState::Succeeded);
        }
    }

    fn list(&mut self, listed: Vec<Listed>) {
        for node in listed {
            let Listed { node_id, reason } = &node;
            let entry = self.note(format!("the node is listed: {}", reason.as_str()));
            entry.fields.insert("node_id".into(), node_id.to_string().into());
            self.listed.push(node.clone());
            // A listing that had to begin again finds the same nodes.
            if self.rotation.listed.iter().any(|known| known.node_id == node.node_id) {
                continue;
            }
            self.rotation.listed_total += 1;
            if self.rotation.listed.len() < MAX_LISTED {
                self.rotation.listed.push(node);
            }
        }
    }

    /// Cancelling and the deadline, after the observation has had its say.
    fn hold_limits(&mut self) {
        if self.rotation.state.is_terminal() {
            return;
        }
        if self.rotation.cancel_requested_at.is_some() {
            self.rotation.error = Some(JobError {
                code: Code::JobCancelled,
                detail: "cancelled by a caller".to_owned(),
            });
            self.finish(JobState::Cancelled);
        } else if self.now >= self.rotation.deadline_at {
            let kept = self.rotation.last_failure.take();
            let (code, detail) = match (self.rotation.waiting_on, kept) {
                (Some(reason), _) => {
                    (reason.code(), format!("still waiting at the deadline ({reason:?})"))
                }
                (None, Some(failure)) => {
                    (failure.code, format!("at the deadline, last failure: {}", failure.detail))
                }
                (None, None) => {
                    let step = self.rotation.step;
                    (Code::JobTimeout, format!("the deadline passed in step {step:?}"))
                }
            };
            self.fail(code, &detail);
        }
    }

    fn note(&mut self, message: impl Into<String>) -> &mut TimelineEntry {
        let step = serde_json::to_value(self.rotation.step).unwrap_or_default();
        self.entries.push(TimelineEntry::new(self.now, Source::Worker, message).with("step", step));
        let last = self.entries.len() - 1;
        &mut self.entries[last]
    }

    fn go(&mut self, step: RotationStep, effect: RotationEffect, delay_secs: i64) {
        self.rotation.step = step;
        self.rotation.tries = 0;
        self.rotation.last_failure = None;
        self.intend(effect, delay_secs);
    }

    fn intend(&mut self, effect: RotationEffect, delay_secs: i64) {
        let id = EffectId(self.rotation.version + 1);
        self.rotation.intent = Some(RotationIntent { id, effect });
        self.rotation.waiting_on = None;
        self.rotation.due_at = Some(self.now + SignedDuration::from_secs(delay_secs));
    }

    fn again(&mut self, delay_secs: i64) {
        if let Some(intent) = self.rotation.intent.take() {
            self.intend(intent.effect, delay_secs);
        }
    }

    fn keep_time(&mut self) {
        if let Some(intent) = &mut self.rotation.intent {
            intent.id = EffectId(self.rotation.version + 1);
        }
    }

    fn back_off(&mut self, code: Code, detail: String) {
        self.rotation.tries += 1;
        let delay = self.policy.back_off(self.rotation.tries);
        self.note(format!("{}: {detail}; again in {delay} s", code.as_str()));
        self.rotation.last_failure = Some(JobError { code, detail });
        self.again(delay);
    }

    fn park(&mut self, reason: ParkReason, code: Code, detail: &str, look_secs: Option<i64>) {
        if self.rotation.waiting_on != Some(reason) {
            self.note(format!("waiting ({}): {detail}", code.as_str()));
        }
        self.again(look_secs.unwrap_or(self.policy.park_look_secs));
        self.rotation.last_failure = Some(JobError { code, detail: detail.to_owned() });
        self.rotation.waiting_on = Some(reason);
    }

    fn provider_failed(&mut self, failure: &ProviderFailure) {
        let detail = format!("{}: {}", failure.code, failure.message);
        let token = ParkReason::ProviderToken;
        match failure.class {
            FailureClass::Unauthorized => {
                self.park(token, Code::ProviderUnauthorized, &detail, None);
            }
            FailureClass::ReadOnly => self.park(token, Code::ProviderTokenReadonly, &detail, None),
            FailureClass::Quota => {
                let code = Code::ProviderQuotaExceeded;
                self.park(ParkReason::Quota, code, &detail, failure.pause_secs);
            }
            FailureClass::RateLimited => {
                let pause = failure.pause_secs.unwrap_or(self.policy.busy_secs);
                if pause > self.policy.budget_wait_secs {
                    let code = Code::ProviderRateLimited;
                    self.park(ParkReason::RateBudget, code, &detail, Some(pause));
                } else {
                    self.again(pause);
                }
            }
            FailureClass::Busy => self.again(self.policy.busy_secs),
            FailureClass::Drift => self.back_off(Code::ProviderApiDrift, detail),
            FailureClass::Unknown | FailureClass::NoCapacity | FailureClass::Protected => {
                self.back_off(Code::ProviderUnavailable, detail);
            }
            FailureClass::Invalid | FailureClass::NameTaken | FailureClass::NotFound => {
                self.fail(Code::ProviderInvalidRequest, &detail);
            }
        }
    }

    fn fail(&mut self, code: Code, detail: &str) {
        self.note(format!("{}: {detail}", code.as_str()));
        self.rotation.error = Some(JobError { code, detail: detail.to_owned() });
        self.finish(JobState::Failed);
    }

    /// The terminal commit: the connection is free for another rotation.
    fn finish(&mut self, state: JobState) {
        let open = std::mem::take(&mut self.rotation.opened);
        let reason = ListedReason::NotAwaited;
        self.list(open.into_iter().map(|node_id| Listed { node_id, reason }).collect());
        if let Some(connection) = &mut self.connection {
            let (version, public_key) =
                (self.rotation.key_version, self.rotation.public_key.clone());
            connection.abandon_key(version, public_key, self.now);
            connection.rotation.take_if(|open| *open == self.rotation.id);
        }
        self.rotation.state = state;
        self.rotation.step = RotationStep::Done;
        self.rotation.intent = None;
        self.rotation.due_at = None;
        self.rotation.waiting_on = None;
        self.rotation.cursor = None;
        self.rotation.finished_at = Some(self.now);
        self.note(match state {
            JobState::Succeeded => "succeeded",
            JobState::Cancelled => "cancelled",
            _ => "failed",
        });
    }
}
