//! The driver loop. It makes no decision of its own: it performs what is written down and hands
//! what came back to `step`.

use jiff::Timestamp;
use nodeyard_domain::{
    event::of_commit,
    evidence::{Call, RunEvidence, Seen, left_by_run, left_run},
    id::JobId,
    job::{Effect, Job, JobKind, JobState, Step},
    observation::{Observation, Outcome},
    step::{Policy, Verdict, observing_form, step},
    wake::{Wake, WakeReason},
};
use tracing::{info, warn};

use crate::{
    Clock,
    admit::Admission,
    event::{self, Events, Outbox},
    evidence,
    metric::{self, Metric},
    provider::Provider,
    queue::WakeQueue,
    rotation::RotationStore,
    runner::Runner,
    secrets::Secrets,
    store::{Begin, Commit, Loaded, RunStore, StoreError},
};

/// How often a lost fence is answered by offering the observation again. Each loss means that
/// another commit was made, so this many in one hop is not a race but a fault.
pub(crate) const MAX_OFFERS: usize = 8;
/// A job that crashed its worker so often runs alone, so that it does not drag others along.
pub(crate) const CRASH_PRONE: u32 = 2;

#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the fence was lost {MAX_OFFERS} times in one hop of {0}")]
    Contended(JobId),
}

/// What one wake came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handled {
    Committed,
    /// Not due, terminal, unknown, or somebody else's by now.
    Left,
    /// Another worker polls for the whole connection: the wake was sent again for the time when
    /// it has done so.
    Postponed,
    /// It has crashed its worker before, and something else may run beside it.
    ToBeAlone,
}

/// What the driver is going to do about a wake.
enum Plan {
    Leave,
    /// Perform the recorded effect.
    Perform(Effect),
    /// Look, or only call attention to the flags.
    Observe(Option<Effect>),
    Poisoned,
}

/// The engine over its ports.
pub struct Driver<S, Q, P, R, X, E, C> {
    pub store: S,
    pub queue: Q,
    pub provider: P,
    pub runner: R,
    pub secrets: X,
    pub events: E,
    pub clock: C,
    /// The value of our deployment label.
    pub deployment: String,
    pub policy: Policy,
}

impl<S, Q, P, R, X, E, C> Driver<S, Q, P, R, X, E, C>
where
    S: RotationStore + RunStore + Outbox,
    Q: WakeQueue,
    P: Provider,
    R: Runner,
    X: Secrets,
    E: Events,
    C: Clock,
{
    /// One hop of one job.
    ///
    /// # Errors
    /// When the store fails: nothing was decided then, and the wake is to be delivered again. A
    /// provider's, runner's or secret store's failure is an observation, not an error.
    pub async fn handle(&self, wake: &Wake) -> Result<Handled, DriverError> {
        match self.store.load(&wake.job_id).await? {
            Some(loaded) => self.hop(loaded, wake.reason).await,
            None => self.handle_rotation(wake, false).await,
        }
    }

    /// As [`Self::handle`], but a job that has crashed its worker before is left for a call of
    /// `handle` when nothing runs beside it: [`Handled::ToBeAlone`].
    ///
    /// # Errors
    /// As [`Self::handle`].
    pub async fn handle_in_company(&self, wake: &Wake) -> Result<Handled, DriverError> {
        match self.store.load(&wake.job_id).await? {
            Some(loaded)
                if loaded.job.crashes >= CRASH_PRONE && !loaded.job.state.is_terminal() =>
            {
                Ok(Handled::ToBeAlone)
            }
            Some(loaded) => self.hop(loaded, wake.reason).await,
            None => self.handle_rotation(wake, true).await,
        }
    }

    async fn hop(&self, loaded: Loaded, reason: WakeReason) -> Result<Handled, DriverError> {
        let Some(intent) = loaded.job.intent.as_ref().map(|intent| intent.id) else {
            return Ok(Handled::Left);
        };
        self.measure_lateness(&loaded.job, reason);
        let (outcome, calls) = match self.plan(&loaded.job, reason) {
            Plan::Leave => return Ok(Handled::Left),
            Plan::Poisoned => (Outcome::Poisoned, Vec::new()),
            Plan::Observe(None) => (Outcome::Nothing, Vec::new()),
            Plan::Observe(Some(effect)) => match self.admit(&loaded, &effect).await? {
                Admission::Go { expect_secs } => {
                    self.observe(&loaded, &effect, expect_secs).await?
                }
                // Looking can wait; the job's flags are seen to all the same.
                Admission::Answered(_) => (Outcome::Nothing, Vec::new()),
            },
            Plan::Perform(effect) if effect.is_shared() && loaded.job.crashes < CRASH_PRONE => {
                return self.poll(loaded).await;
            }
            Plan::Perform(effect) => return self.perform(loaded, effect).await,
        };
        self.offer(loaded, Observation { effect: intent, outcome }, calls).await
    }

    /// Takes the calls out of the budget, raises the crash counter (and makes the claim), performs
    /// the effect, and offers what came of it.
    async fn perform(&self, mut loaded: Loaded, effect: Effect) -> Result<Handled, DriverError> {
        let Some(intent) = loaded.job.intent.as_ref().map(|intent| intent.id) else {
            return Ok(Handled::Left);
        };
        let claim = effect.must_be_claimed();
        if claim && loaded.job.sent_at == Some(intent) {
            let outcome = Outcome::ClaimFound;
            return self.offer(loaded, Observation { effect: intent, outcome }, Vec::new()).await;
        }
        let (outcome, calls) = match self.admit(&loaded, &effect).await? {
            Admission::Answered(outcome) => (outcome, Vec::new()),
            Admission::Go { expect_secs } => match self.store.begin(&loaded.job, claim).await? {
                Begin::Lost => return Ok(Handled::Left),
                Begin::AlreadySent => {
                    loaded.job.sent_at = Some(intent);
                    (Outcome::ClaimFound, Vec::new())
                }
                Begin::Proceed { crashes } => {
                    loaded.job.crashes = crashes;
                    if claim {
                        loaded.job.sent_at = Some(intent);
                    }
                    self.observe(&loaded, &effect, expect_secs).await?
                }
            },
        };
        self.offer(loaded, Observation { effect: intent, outcome }, calls).await
    }

    fn plan(&self, job: &Job, reason: WakeReason) -> Plan {
        let now = self.clock.now();
        if job.state.is_terminal() {
            return Plan::Leave;
        }
        if job.crashes >= self.policy.poison_crashes {
            return Plan::Poisoned;
        }
        let limit = job.undo_deadline_at.unwrap_or(job.deadline_at);
        // News for a parked job: what it waited for may be there.
        let resumed = job.waiting_on.is_some()
            && job.cancel_requested_at.is_none()
            && (reason == WakeReason::Resume || job.news_at.is_some());
        // Its turn has come; taking the node is as good now as later.
        let called = reason == WakeReason::Resume
            && job.intent.as_ref().is_some_and(|intent| intent.effect == Effect::TakeNode);
        let due = job.is_due(now) || resumed || called;
        // Past the limit, or when nobody wants it any more, nothing new is made; what is there is
        // looked at and then undone.
        let unwanted = now >= limit || job.cancel_requested_at.is_some();
        match &job.intent {
            Some(intent) if due && !(unwanted && intent.effect.must_be_claimed()) => {
                Plan::Perform(intent.effect.clone())
            }
            Some(_) if reason != WakeReason::Due || job.news_at.is_some() || unwanted => {
                Plan::Observe(observing_form(job, reason))
            }
            _ => Plan::Leave,
        }
    }

    /// Offers an observation until a commit holds it or `step` has no use for it. `calls` are those
    /// to the provider that it took.
    pub(crate) async fn offer(
        &self,
        mut loaded: Loaded,
        observation: Observation,
        calls: Vec<Call>,
    ) -> Result<Handled, DriverError> {
        let asked = observation.outcome != Outcome::Nothing;
        let intent = loaded.job.intent.clone().filter(|it| asked && it.id == observation.effect);
        let effect = intent.map(|intent| intent.effect);
        let left = self.left_by_run(&loaded.job, &observation.outcome).await?;
        for _ in 0..MAX_OFFERS {
            let now = self.clock.now();
            if observation.outcome == Outcome::Nothing && !needs_attention(&loaded.job, now) {
                return Ok(Handled::Left);
            }
            match step(&loaded.job, observation.clone(), &self.policy, now) {
                Verdict::Drop => return Ok(Handled::Left),
                Verdict::KeepOnNode(server) => {
                    let kept = self.store.keep_on_node(&loaded.node.id, &server, now).await?;
                    event::send(&self.store, &self.events, kept.as_slice()).await;
                    return Ok(Handled::Committed);
                }
                Verdict::Commit(mut decision) => {
                    decision.keep_late_server(&loaded.job, &loaded.node);
                    let outcome = &observation.outcome;
                    let left = left.as_ref();
                    let seen = Seen { effect: effect.as_ref(), outcome, calls: &calls, left };
                    decision.give_evidence(&loaded.job, &loaded.node, seen);
                    if self.store.commit(&loaded, &decision).await? == Commit::Done {
                        self.report(&loaded, &decision.job, &observation.outcome);
                        self.send_wakes(&loaded, &decision.job, now).await;
                        let events = of_commit(&loaded.job, &loaded.node, &decision);
                        event::send(&self.store, &self.events, &events).await;
                        let ended = (&decision.job).into();
                        evidence::sign_ended(&self.store, &self.secrets, ended).await;
                        return Ok(Handled::Committed);
                    }
                }
            }
            match self.store.load(&loaded.job.id).await? {
                Some(newer) => loaded = newer,
                None => return Ok(Handled::Left),
            }
        }
        Err(DriverError::Contended(loaded.job.id))
    }

    /// What a run left that was stopped or lost: by its result, if it came to one, or else as far
    /// as it had written.
    async fn left_by_run(
        &self,
        job: &Job,
        outcome: &Outcome,
    ) -> Result<Option<RunEvidence>, DriverError> {
        let Some(number) = left_run(job, outcome) else { return Ok(None) };
        let run = self.store.run(&job.id, number).await?;
        let told = run.and_then(|run| run.result).and_then(|result| result.evidence);
        if told.as_ref().is_some_and(|told| told.chain.is_some()) {
            return Ok(told);
        }
        let entries = self.store.run_evidence(&job.id, number).await?;
        Ok(left_by_run(&job.id, number, &entries).or(told))
    }

    /// The next wake, and the one of a release that waited for this job to end. A wake that
    /// cannot be sent is the sweep's to repair.
    async fn send_wakes(&self, before: &Loaded, job: &Job, now: Timestamp) {
        if let Some(delay_secs) = job.wake_delay_secs(now) {
            let wake = Wake::new(job.id.clone(), WakeReason::Due);
            self.send(wake.traced(job.traceparent.as_deref()), delay_secs).await;
        }
        if job.state.is_terminal()
            && let Some(release) = &before.node.queued_release
        {
            self.send(Wake::new(release.clone(), WakeReason::Resume), 0).await;
        }
    }

    pub(crate) async fn send(&self, wake: Wake, delay_secs: i64) {
        if let Err(error) = self.queue.send(&wake, delay_secs).await {
            warn!(job_id = %wake.job_id, %error, "wake not sent; the sweep repairs it");
        }
    }

    /// One wide event per hop.
    fn report(&self, before: &Loaded, after: &Job, outcome: &Outcome) {
        info!(
            job_id = %after.id,
            node_id = %after.node_id,
            kind = ?after.kind,
            version = after.version,
            step = ?before.job.step,
            outcome = outcome.word(),
            attempts = after.attempt,
            code = after.error.as_ref().map(|error| error.code.as_str()),
            next = ?after.step,
            state = ?after.state,
            waiting_on = ?after.waiting_on,
            due_at = ?after.due_at,
            traceparent = after.traceparent.as_deref(),
            "{:?} → {:?}", before.job.step, after.step
        );
        self.measure(&before.job, after);
    }

    fn measure_lateness(&self, job: &Job, reason: WakeReason) {
        let now = self.clock.now();
        if let Some(due) = job.due_at.filter(|due| reason == WakeReason::Due && *due <= now) {
            metric::tell(Metric::QueueAge, metric::millis(now.duration_since(due)), &[]);
        }
    }

    fn measure(&self, before: &Job, after: &Job) {
        let since = metric::seconds(after.updated_at.duration_since(after.created_at));
        let is_provision = after.kind == JobKind::NodeProvision;
        if is_provision && before.step == Step::FetchServer && after.step == Step::AwaitRun {
            metric::tell(Metric::TimeToReady, since, &[("Phase", "server")]);
        }
        if !after.state.is_terminal() {
            return;
        }
        let (kind, outcome) = (metric::word(&after.kind), metric::word(&after.state));
        metric::tell(Metric::JobsEnded, 1.0, &[("Kind", &kind), ("Outcome", &outcome)]);
        if is_provision && after.state == JobState::Succeeded {
            metric::tell(Metric::TimeToReady, since, &[("Phase", "ready")]);
        }
    }
}

/// Whether looking at the flags alone can change anything.
fn needs_attention(job: &Job, now: Timestamp) -> bool {
    job.news_at.is_some()
        || job.cancel_requested_at.is_some()
        || now >= job.undo_deadline_at.unwrap_or(job.deadline_at)
}
