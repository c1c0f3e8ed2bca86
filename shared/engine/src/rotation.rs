//! Rotations: what they need of the store, and one hop of one of them. As with jobs on nodes, no
//! decision is made here: what is written down is performed, and what came back goes to `step`.

mod destroy;
mod effect;

use std::future::Future;

use nodeyard_domain::{
    connection::Connection,
    evidence::{Call, RotationSeen},
    id::JobId,
    rotation::{
        Rotation, RotationEffect, RotationObservation, RotationOutcome,
        step::{RotationDecision, step},
    },
    wake::{Wake, WakeReason},
};
use tracing::{info, warn};

pub use self::destroy::destroy_unused_keys;
use crate::{
    Clock,
    driver::{CRASH_PRONE, Driver, DriverError, Handled, MAX_OFFERS},
    event::{Events, Outbox},
    evidence,
    exchange::listen,
    metric::{self, Metric},
    provider::Provider,
    queue::WakeQueue,
    runner::Runner,
    secrets::Secrets,
    store::{ApiStore, AuditEntry, Begin, Commit, IdempotencyKey, JobStore, RunStore, StoreError},
};

type Result<T> = std::result::Result<T, StoreError>;

/// A rotation and its connection, read consistently. The connection is `None` once it is deleted.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadedRotation {
    pub rotation: Rotation,
    pub connection: Option<Connection>,
}

/// A rotation as it is accepted, in one transaction.
#[derive(Debug, Clone, PartialEq)]
pub struct RotationAcceptance {
    pub rotation: Rotation,
    /// The connection as it was read, but for the rotation that is open on it now.
    pub connection: Connection,
    pub idempotency: Option<IdempotencyKey>,
    pub audit: AuditEntry,
}

#[derive(Debug, Clone, PartialEq)]
pub enum RotationAccepted {
    New,
    /// Same caller, same key, same body: the rotation of the first time.
    Replayed(Box<Rotation>),
    /// Same key, other body.
    KeyReused,
    /// The connection is no longer as it was read.
    Changed,
}

/// What rotations need of the store. Flags, news, stamps and history are those of every job.
pub trait RotationStore: JobStore + ApiStore {
    fn load_rotation(
        &self,
        id: &JobId,
    ) -> impl Future<Output = Result<Option<LoadedRotation>>> + Send;

    /// Raises the crash counter; conditional on the version and not moving it.
    fn begin_rotation(&self, rotation: &Rotation) -> impl Future<Output = Result<Begin>> + Send;

    /// Writes a decision in one transaction: the rotation under `version + 1`, the connection under
    /// its next version, the timeline, the evidence; for one that ends, also that its evidence is
    /// unsigned. Conditional on the rotation's version, `news_at` and cancel
    /// flag being as in `loaded`, and on the connection's version where it changes.
    fn commit_rotation(
        &self,
        loaded: &LoadedRotation,
        decision: &RotationDecision,
    ) -> impl Future<Output = Result<Commit>> + Send;

    /// Writes rotation, connection, idempotency record and audit entry, or nothing.
    fn accept_rotation(
        &self,
        acceptance: &RotationAcceptance,
    ) -> impl Future<Output = Result<RotationAccepted>> + Send;

    /// Looks an idempotency record up without accepting anything.
    fn replay_rotation(
        &self,
        key: &IdempotencyKey,
    ) -> impl Future<Output = Result<Option<RotationAccepted>>> + Send;
}

enum Plan {
    Leave,
    Perform(RotationEffect),
    /// Only call attention to the flags.
    Attend,
    Poisoned,
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
    /// One hop of the rotation that a wake names. `in_company`: one that has crashed its worker
    /// before is left for a call when nothing runs beside it.
    pub(crate) async fn handle_rotation(
        &self,
        wake: &Wake,
        in_company: bool,
    ) -> std::result::Result<Handled, DriverError> {
        let Some(mut loaded) = self.store.load_rotation(&wake.job_id).await? else {
            warn!(job_id = %wake.job_id, "wake for a job that does not exist");
            return Ok(Handled::Left);
        };
        let rotation = &loaded.rotation;
        let Some(effect) = rotation.intent.as_ref().map(|intent| intent.id) else {
            return Ok(Handled::Left);
        };
        if in_company && rotation.crashes >= CRASH_PRONE {
            return Ok(Handled::ToBeAlone);
        }
        let nobody = |outcome| (outcome, Vec::new());
        let (outcome, calls) = match self.plan_rotation(rotation, wake.reason) {
            Plan::Leave => return Ok(Handled::Left),
            Plan::Attend => nobody(RotationOutcome::Nothing),
            Plan::Poisoned => nobody(RotationOutcome::Poisoned),
            Plan::Perform(call) => match self.store.begin_rotation(rotation).await? {
                Begin::Proceed { crashes } => {
                    loaded.rotation.crashes = crashes;
                    let (seen, calls) = listen(self.observe_rotation(&loaded, &call)).await;
                    (seen?, calls)
                }
                Begin::AlreadySent | Begin::Lost => return Ok(Handled::Left),
            },
        };
        self.offer_rotation(loaded, RotationObservation { effect, outcome }, calls).await
    }

    fn plan_rotation(&self, rotation: &Rotation, reason: WakeReason) -> Plan {
        let now = self.clock.now();
        if rotation.crashes >= self.policy.poison_crashes {
            return Plan::Poisoned;
        }
        let unwanted = rotation.cancel_requested_at.is_some() || now >= rotation.deadline_at;
        // News for a parked one: what it waited for may be there.
        let resumed = rotation.waiting_on.is_some()
            && (reason == WakeReason::Resume || rotation.news_at.is_some());
        match &rotation.intent {
            // Nothing new is made when nobody wants it any more.
            Some(intent) if (rotation.is_due(now) || resumed) && !unwanted => {
                Plan::Perform(intent.effect.clone())
            }
            Some(_) if rotation.needs_attention(now) => Plan::Attend,
            _ => Plan::Leave,
        }
    }

    /// Offers an observation until a commit holds it or `step` has no use for it. `calls` are those
    /// to the provider that it took.
    async fn offer_rotation(
        &self,
        mut loaded: LoadedRotation,
        observation: RotationObservation,
        calls: Vec<Call>,
    ) -> std::result::Result<Handled, DriverError> {
        let asked =
            !matches!(observation.outcome, RotationOutcome::Nothing | RotationOutcome::Poisoned);
        let intent = loaded.rotation.intent.clone();
        let effect = intent.filter(|it| asked && it.id == observation.effect).map(|it| it.effect);
        for _ in 0..MAX_OFFERS {
            let now = self.clock.now();
            let LoadedRotation { rotation, connection } = &loaded;
            let told = observation.clone();
            let connection = connection.as_ref();
            let Some(mut decision) = step(rotation, connection, told, &self.policy, now) else {
                return Ok(Handled::Left);
            };
            let (effect, outcome) = (effect.as_ref(), &observation.outcome);
            let seen = RotationSeen {
                effect,
                outcome,
                calls: &calls,
                connection: rotation.own(connection),
            };
            decision.give_evidence(rotation, seen);
            if self.store.commit_rotation(&loaded, &decision).await? == Commit::Done {
                let after = &decision.rotation;
                info!(
                    job_id = %after.id,
                    connection = %after.connection,
                    kind = "key_rotation",
                    version = after.version,
                    step = ?rotation.step,
                    next = ?after.step,
                    state = ?after.state,
                    waiting_on = ?after.waiting_on,
                    due_at = ?after.due_at,
                    traceparent = after.traceparent.as_deref(),
                    "{:?} → {:?}", rotation.step, after.step
                );
                if after.state.is_terminal() {
                    let outcome = metric::word(&after.state);
                    let ended = [("Kind", "key_rotation"), ("Outcome", outcome.as_str())];
                    metric::tell(Metric::JobsEnded, 1.0, &ended);
                }
                self.share_key(connection, &decision).await;
                if let Some(delay_secs) = after.wake_delay_secs(now) {
                    let wake = Wake::new(after.id.clone(), WakeReason::Due);
                    self.send(wake.traced(after.traceparent.as_deref()), delay_secs).await;
                }
                evidence::sign_ended(&self.store, &self.secrets, after.into()).await;
                return Ok(Handled::Committed);
            }
            match self.store.load_rotation(&rotation.id).await? {
                Some(newer) => loaded = newer,
                None => return Ok(Handled::Left),
            }
        }
        Err(DriverError::Contended(loaded.rotation.id))
    }

    /// Tells the connection's jobs of the new version. Best effort: with the one before a node is
    /// as well made, until they have forgotten it.
    async fn share_key(&self, before: Option<&Connection>, decision: &RotationDecision) {
        let version = |of: Option<&Connection>| of.and_then(|it| Some(it.key.as_ref()?.version));
        let Some(new) = version(decision.connection.as_ref()) else { return };
        if version(before) == Some(new) {
            return;
        }
        let now = self.clock.now();
        self.change_pace(&decision.rotation.connection, |pace| {
            pace.key_seen_at = Some(now);
            pace.key_version = new;
            true
        })
        .await;
    }
}
