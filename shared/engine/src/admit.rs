//! Before and after a call to the provider: what the connection's jobs share is asked first, and
//! told what came of it.

use nodeyard_domain::{
    connection::ConnectionName,
    job::{Effect, Job},
    observation::{FailureClass, Outcome, ProviderFailure},
    pace::Pace,
    placement::Rung,
};
use tracing::warn;

use crate::{
    Clock,
    driver::Driver,
    event::{Events, Outbox},
    provider::Provider,
    queue::WakeQueue,
    runner::Runner,
    secrets::Secrets,
    store::{JobStore, Loaded, RunStore, StoreError},
};

/// How often a change of what is shared is tried against others.
const MAX_SWAPS: usize = 8;
/// Who has lost so often comes again so much later, in seconds.
const CONTENDED_SECS: i64 = 1;

/// Whether a call may be made now.
pub(crate) enum Admission {
    Go {
        /// How long creations of the node's image took lately, in seconds.
        expect_secs: Option<i64>,
    },
    /// What is shared has the answer.
    Answered(Outcome),
}

impl<S, Q, P, R, X, E, C> Driver<S, Q, P, R, X, E, C>
where
    S: JobStore + RunStore + Outbox,
    Q: WakeQueue,
    P: Provider,
    R: Runner,
    X: Secrets,
    E: Events,
    C: Clock,
{
    /// Takes the calls an effect needs out of the connection's budget, or answers from what its
    /// jobs have found out lately.
    pub(crate) async fn admit(
        &self,
        loaded: &Loaded,
        effect: &Effect,
    ) -> Result<Admission, StoreError> {
        let Loaded { job, node } = loaded;
        let Some(class) = effect.call_class(job.phase) else {
            return Ok(Admission::Go { expect_secs: None });
        };
        for _ in 0..MAX_SWAPS {
            let now = self.clock.now();
            let mut pace = self.store.pace(&job.connection, now).await?;
            let expect_secs = pace.expected_secs(&node.spec.image);
            if let Some(seen) = self.provider.seen_rate(&job.connection) {
                pace.correct(seen, now);
            }
            match self.known_answer(effect, &mut pace) {
                Known::Nothing => {}
                Known::Answer(outcome) => return Ok(Admission::Answered(outcome)),
                Known::IfStored(outcome) => {
                    if self.store.swap_pace(&job.connection, &pace).await? {
                        return Ok(Admission::Answered(outcome));
                    }
                    continue;
                }
            }
            if let Err(wait_secs) = pace.spend(class, effect.most_calls(), now) {
                return Ok(Admission::Answered(Outcome::NotSent(short(wait_secs))));
            }
            if self.store.swap_pace(&job.connection, &pace).await? {
                return Ok(Admission::Go { expect_secs });
            }
        }
        // Each time somebody has won, so that all get their turn.
        Ok(Admission::Answered(Outcome::NotSent(short(CONTENDED_SECS))))
    }

    fn known_answer(&self, effect: &Effect, pace: &mut Pace) -> Known {
        let now = self.clock.now();
        let still = |until: jiff::Timestamp| (until.as_second() - now.as_second()).max(1);
        match effect {
            Effect::EnsureKey if pace.key_is_known(now) => {
                Known::Answer(Outcome::KeyReady { version: pace.key_version })
            }
            Effect::EnsureGroup => match pace.take_place() {
                Some(id) => Known::IfStored(Outcome::GroupReady { id: Some(id) }),
                None => Known::Nothing,
            },
            Effect::CreateServer { rung, .. } => {
                if let Some(known) = pace.refusal(rung, now) {
                    let failure = remembered(FailureClass::NoCapacity, &known.answer, known.until);
                    return Known::Answer(Outcome::NotSent(ProviderFailure {
                        pause_secs: Some(still(known.until)),
                        ..failure
                    }));
                }
                match pace.try_quota(now) {
                    Ok(()) => Known::Nothing,
                    Err(hold) => {
                        let failure = remembered(FailureClass::Quota, &hold.message, hold.until);
                        Known::Answer(Outcome::NotSent(ProviderFailure {
                            pause_secs: Some(still(hold.until)),
                            ..failure
                        }))
                    }
                }
            }
            _ => Known::Nothing,
        }
    }

    /// Tells the connection's other jobs what came of a call. Best effort: the observation itself
    /// matters more.
    pub(crate) async fn share(&self, job: &Job, effect: &Effect, outcome: &Outcome) {
        let now = self.clock.now();
        let group = match effect {
            Effect::CreateServer { placement_group, .. } => *placement_group,
            _ => None,
        };
        let change = |pace: &mut Pace| match (effect, outcome) {
            (_, Outcome::Failed(failure)) if failure.class == FailureClass::RateLimited => {
                pace.exhausted(now);
                true
            }
            (Effect::EnsureKey, Outcome::KeyReady { version }) => {
                pace.key_seen_at = Some(now);
                pace.key_version = *version;
                true
            }
            (Effect::EnsureGroup, Outcome::GroupReady { id: Some(id) }) => {
                pace.add_group(*id);
                true
            }
            (Effect::CreateServer { rung, .. }, Outcome::Created { .. }) => {
                let known = pace.quota.is_some() || pace.refusal(rung, now).is_some();
                pace.grant(rung);
                known
            }
            (Effect::CreateServer { rung, .. }, Outcome::Failed(failure)) => {
                self.share_refusal(pace, rung, group, failure)
            }
            // What was freed may be what a quota waited for.
            (Effect::ConfirmGone { .. }, Outcome::Gone) => pace.quota.take().is_some(),
            _ => false,
        };
        self.change_pace(&job.connection, change).await;
    }

    fn share_refusal(
        &self,
        pace: &mut Pace,
        rung: &Rung,
        group: Option<u64>,
        failure: &ProviderFailure,
    ) -> bool {
        let now = self.clock.now();
        match (failure.class, group) {
            (FailureClass::NotFound, _) => {
                pace.key_seen_at = None;
                if let Some(id) = group {
                    pace.drop_group(id);
                }
            }
            (FailureClass::NoCapacity, Some(id)) if failure.code != "resource_unavailable" => {
                pace.drop_group(id);
            }
            (FailureClass::NoCapacity, _) => {
                pace.refuse(rung, &failure.code, self.policy.refusal_secs, now);
            }
            (FailureClass::Quota, _) => {
                pace.meet_quota(&failure.message, self.policy.park_look_secs, now);
            }
            _ => return false,
        }
        true
    }

    /// A 429 is everybody's.
    pub(crate) async fn share_failure(&self, on: &ConnectionName, failure: &ProviderFailure) {
        if failure.class == FailureClass::RateLimited {
            let now = self.clock.now();
            self.change_pace(on, |pace| {
                pace.exhausted(now);
                true
            })
            .await;
        }
    }

    /// Remembers how long creations of an image took.
    pub(crate) async fn learn(&self, connection: &ConnectionName, took: &[(&str, u32)]) {
        if took.is_empty() {
            return;
        }
        self.change_pace(connection, |pace| {
            for (image, secs) in took {
                pace.learn(image, *secs);
            }
            true
        })
        .await;
    }

    pub(crate) async fn change_pace(
        &self,
        connection: &ConnectionName,
        change: impl Fn(&mut Pace) -> bool,
    ) {
        for _ in 0..MAX_SWAPS {
            let now = self.clock.now();
            let swapped = match self.store.pace(connection, now).await {
                Ok(mut pace) => {
                    if !change(&mut pace) {
                        return;
                    }
                    self.store.swap_pace(connection, &pace).await
                }
                Err(error) => Err(error),
            };
            match swapped {
                Ok(true) => return,
                Ok(false) => {}
                Err(error) => {
                    warn!(%connection, %error, "not shared with the connection's other jobs");
                    return;
                }
            }
        }
    }
}

/// What is known without a call.
enum Known {
    Nothing,
    Answer(Outcome),
    /// Once the change to what is shared is stored.
    IfStored(Outcome),
}

/// The budget has no calls for this now.
pub(crate) fn short(wait_secs: i64) -> ProviderFailure {
    ProviderFailure {
        pause_secs: Some(wait_secs),
        ..ProviderFailure::new(
            FailureClass::RateLimited,
            "rate_budget",
            "the connection's rate budget is kept for more urgent calls",
        )
    }
}

fn remembered(class: FailureClass, answer: &str, until: jiff::Timestamp) -> ProviderFailure {
    ProviderFailure::new(
        class,
        answer,
        format!("answered so lately; not asked again before {until}"),
    )
}
