//! Shared polls: whoever's wake comes first asks for all due jobs of the connection, under a
//! lease, and runs each job's hop from the observation on with that job's own commit and wake.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use nodeyard_domain::{
    connection::Connection,
    evidence::Call,
    id::JobId,
    job::{Effect, Job},
    observation::{Observation, Outcome, ProviderFailure},
    pace::{CallClass, MAX_POLLED},
    wake::{Wake, WakeReason},
};
use tracing::warn;

use crate::{
    Clock,
    admit::short,
    driver::{CRASH_PRONE, Driver, DriverError, Handled},
    effect::{action_outcome, server_outcome},
    event::{Events, Outbox},
    exchange::listen,
    provider::{ACTIONS_PER_CALL, ActionState, NODES_PER_LISTING, Provider},
    queue::WakeQueue,
    rotation::RotationStore,
    runner::Runner,
    secrets::Secrets,
    store::{Begin, Loaded, RunStore, StoreError},
};

/// Jobs that are due so soon after are asked for as well, in seconds.
const AHEAD_SECS: i64 = 1;
/// How often the lease is tried for against others' changes.
const MAX_SWAPS: usize = 8;

enum Lease {
    Taken,
    Held { until: Timestamp },
    Short { wait_secs: i64 },
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
    /// Polls for a job and for every other due job of its connection.
    pub(crate) async fn poll(&self, own: Loaded) -> Result<Handled, DriverError> {
        let Some(intent) = own.job.intent.as_ref().map(|intent| intent.id) else {
            return Ok(Handled::Left);
        };
        match self.take_lease(&own.job).await? {
            Lease::Taken => {}
            Lease::Held { until } => {
                let millis = until.as_millisecond() - self.clock.now().as_millisecond();
                let delay_secs = (millis.max(0) + 999) / 1000;
                let wake = Wake::new(own.job.id.clone(), WakeReason::Due);
                self.send(wake.traced(own.job.traceparent.as_deref()), delay_secs).await;
                return Ok(Handled::Postponed);
            }
            Lease::Short { wait_secs } => {
                let outcome = Outcome::NotSent(short(wait_secs));
                let observation = Observation { effect: intent, outcome };
                return self.offer(own, observation, Vec::new()).await;
            }
        }
        let Some(connection) = self.store.connection(&own.job.connection).await? else {
            return self.perform_alone(own).await;
        };
        // A call that breaks the worker is counted for the job whose wake it was.
        let Some(own) = self.begun(own).await? else { return Ok(Handled::Left) };
        let mut round = Round {
            own: own.job.id.clone(),
            begun: own.job.version,
            handled: Handled::Left,
            called: false,
        };
        let others = self.others(&own).await;

        let mut batch: Vec<Loaded> = std::iter::once(own).chain(others).collect();
        let moved = self.poll_actions(&connection, &mut batch, &mut round).await?;
        self.reload(&mut batch, &moved, &mut round).await?;
        self.poll_servers(&connection, batch, &mut round).await?;
        Ok(round.handled)
    }

    /// Without a connection there is nothing to share.
    async fn perform_alone(&self, own: Loaded) -> Result<Handled, DriverError> {
        let Some(intent) = own.job.intent.clone() else { return Ok(Handled::Left) };
        let (outcome, calls) = self.observe(&own, &intent.effect, None).await?;
        self.offer(own, Observation { effect: intent.id, outcome }, calls).await
    }

    async fn take_lease(&self, job: &Job) -> Result<Lease, StoreError> {
        for _ in 0..MAX_SWAPS {
            let now = self.clock.now();
            let mut pace = self.store.pace(&job.connection, now).await?;
            if let Some(seen) = self.provider.seen_rate(&job.connection) {
                pace.correct(seen, now);
            }
            if let Err(until) = pace.take_polls(now) {
                return Ok(Lease::Held { until });
            }
            if let Err(wait_secs) = pace.spend(CallClass::Poll, 1, now) {
                return Ok(Lease::Short { wait_secs });
            }
            if self.store.swap_pace(&job.connection, &pace).await? {
                return Ok(Lease::Taken);
            }
        }
        // Everybody wants it: whoever got it polls for this job, too.
        Ok(Lease::Held { until: self.clock.now() + SignedDuration::from_secs(1) })
    }

    /// The other due jobs of the connection. What cannot be read now has a wake of its own.
    async fn others(&self, own: &Loaded) -> Vec<Loaded> {
        let until = self.clock.now() + SignedDuration::from_secs(AHEAD_SECS);
        let ids = match self.store.polling(&own.job.connection, until, MAX_POLLED).await {
            Ok(ids) => ids,
            Err(error) => {
                warn!(%error, "polling for one job only");
                return Vec::new();
            }
        };
        let mut others = Vec::new();
        for id in ids.iter().filter(|id| **id != own.job.id).take(MAX_POLLED - 1) {
            match self.store.load(id).await {
                Ok(Some(loaded)) if self.may_join(&loaded.job, own, until) => others.push(loaded),
                Ok(_) => {}
                Err(error) => warn!(job_id = %id, %error, "not polled for"),
            }
        }
        others
    }

    fn may_join(&self, job: &Job, own: &Loaded, until: Timestamp) -> bool {
        !job.state.is_terminal()
            && job.waiting_on.is_none()
            && job.connection == own.job.connection
            && job.crashes < CRASH_PRONE
            && job.is_due(until)
            && job.intent.as_ref().is_some_and(|intent| intent.effect.is_shared())
    }

    /// One call for the actions of up to 25 jobs. Answers the jobs that moved.
    async fn poll_actions(
        &self,
        connection: &Connection,
        batch: &mut Vec<Loaded>,
        round: &mut Round,
    ) -> Result<BTreeSet<JobId>, DriverError> {
        let asked = batch.extract_if(.., |loaded| action_of(&loaded.job).is_some());
        let asked: Vec<Loaded> = asked.collect();
        let mut moved = BTreeSet::new();
        for (index, chunk) in asked.chunks(ACTIONS_PER_CALL).enumerate() {
            if index > 0 && !self.spend_another(connection).await? {
                break;
            }
            let ids: Vec<u64> = chunk.iter().filter_map(|loaded| action_of(&loaded.job)).collect();
            let (states, calls) = listen(self.provider.actions(connection, &ids)).await;
            self.heed(connection, states.as_ref().err()).await;
            self.learn_from(connection, chunk, states.as_ref().ok()).await;
            for loaded in chunk {
                let outcome = match (&states, action_of(&loaded.job)) {
                    (Ok(states), Some(id)) => action_outcome(states.get(&id).cloned()),
                    (Err(failure), _) => Outcome::Failed(failure.clone()),
                    (Ok(_), None) => continue,
                };
                if self.tell(loaded.clone(), outcome, &calls, round).await? == Handled::Committed {
                    moved.insert(loaded.job.id.clone());
                }
            }
        }
        Ok(moved)
    }

    /// One listing for the servers of up to 50 jobs; for one alone, its server.
    async fn poll_servers(
        &self,
        connection: &Connection,
        batch: Vec<Loaded>,
        round: &mut Round,
    ) -> Result<(), DriverError> {
        let now = self.clock.now();
        let due = SignedDuration::from_secs(AHEAD_SECS);
        let asked: Vec<Loaded> = batch
            .into_iter()
            .filter(|loaded| server_of(&loaded.job).is_some() && loaded.job.is_due(now + due))
            .collect();
        for (index, chunk) in asked.chunks(NODES_PER_LISTING).enumerate() {
            // The lease paid for one call, which the actions may have used.
            let paid = index == 0 && !round.called;
            if !paid && !self.spend_another(connection).await? {
                break;
            }
            if let [alone] = chunk {
                self.fetch_alone(alone.clone(), round).await?;
                continue;
            }
            let nodes: Vec<_> = chunk.iter().map(|loaded| loaded.node.id.clone()).collect();
            let listing = self.provider.servers(connection, &self.deployment, &nodes);
            let (listed, calls) = listen(listing).await;
            self.heed(connection, listed.as_ref().err()).await;
            let listed = listed.map(|found| {
                found.into_iter().map(|found| (found.server.id, found)).collect::<BTreeMap<_, _>>()
            });
            for loaded in chunk {
                let found = server_of(&loaded.job)
                    .map(|id| listed.as_ref().map(|listed| listed.get(&id).cloned()));
                match found {
                    Some(Ok(Some(found))) => {
                        self.tell(loaded.clone(), server_outcome(found), &calls, round).await?;
                    }
                    Some(Err(failure)) => {
                        let outcome = Outcome::Failed(failure.clone());
                        self.tell(loaded.clone(), outcome, &calls, round).await?;
                    }
                    // Missing in a listing proves nothing: it is asked for by its id.
                    Some(Ok(None)) if loaded.job.id == round.own => {
                        self.fetch_paid(connection, loaded.clone(), round).await?;
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }

    async fn fetch_paid(
        &self,
        connection: &Connection,
        loaded: Loaded,
        round: &mut Round,
    ) -> Result<(), DriverError> {
        match self.spend_another(connection).await? {
            true => self.fetch_alone(loaded, round).await,
            false => Ok(()),
        }
    }

    async fn fetch_alone(&self, loaded: Loaded, round: &mut Round) -> Result<(), DriverError> {
        let Some(intent) = loaded.job.intent.clone() else { return Ok(()) };
        let (outcome, calls) = self.observe(&loaded, &intent.effect, None).await?;
        self.tell(loaded, outcome, &calls, round).await.map(drop)
    }

    /// The rest of a job's hop. Another job's failure is that job's: it has a wake of its own.
    async fn tell(
        &self,
        loaded: Loaded,
        outcome: Outcome,
        calls: &[Call],
        round: &mut Round,
    ) -> Result<Handled, DriverError> {
        round.called = true;
        let id = loaded.job.id.clone();
        let Some(intent) = loaded.job.intent.as_ref().map(|intent| intent.id) else {
            return Ok(Handled::Left);
        };
        // Counted for this job if what follows breaks the worker.
        let is_begun = id == round.own && loaded.job.version == round.begun;
        let begun = if is_begun { Ok(Some(loaded)) } else { self.begun(loaded).await };
        let offered = match begun {
            Ok(Some(loaded)) => {
                let observation = Observation { effect: intent, outcome };
                self.offer(loaded, observation, calls.to_vec()).await
            }
            Ok(None) => Ok(Handled::Left),
            Err(error) => Err(error.into()),
        };
        match offered {
            Ok(handled) => {
                if id == round.own && handled == Handled::Committed {
                    round.handled = handled;
                }
                Ok(handled)
            }
            Err(error) if id == round.own => Err(error),
            Err(error) => {
                warn!(job_id = %id, %error, "polled for, and not told");
                Ok(Handled::Left)
            }
        }
    }

    async fn begun(&self, mut loaded: Loaded) -> Result<Option<Loaded>, StoreError> {
        Ok(match self.store.begin(&loaded.job, false).await? {
            Begin::Proceed { crashes } => {
                loaded.job.crashes = crashes;
                Some(loaded)
            }
            Begin::AlreadySent | Begin::Lost => None,
        })
    }

    /// Jobs that moved are read again: the next thing they need may be asked for in this round.
    async fn reload(
        &self,
        batch: &mut Vec<Loaded>,
        moved: &BTreeSet<JobId>,
        round: &mut Round,
    ) -> Result<(), DriverError> {
        for id in moved {
            match self.store.load(id).await {
                Ok(Some(loaded)) if server_of(&loaded.job).is_none() => {}
                Ok(Some(loaded)) if *id == round.own => {
                    if let Some(own) = self.begun(loaded).await? {
                        round.begun = own.job.version;
                        batch.push(own);
                    }
                }
                Ok(Some(loaded)) => batch.push(loaded),
                Ok(None) => {}
                Err(error) => warn!(job_id = %id, %error, "not polled for"),
            }
        }
        Ok(())
    }

    async fn spend_another(&self, connection: &Connection) -> Result<bool, StoreError> {
        for _ in 0..MAX_SWAPS {
            let now = self.clock.now();
            let mut pace = self.store.pace(&connection.name, now).await?;
            if pace.spend(CallClass::Poll, 1, now).is_err() {
                return Ok(false);
            }
            if self.store.swap_pace(&connection.name, &pace).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn heed(&self, connection: &Connection, failure: Option<&ProviderFailure>) {
        if let Some(failure) = failure {
            self.share_failure(&connection.name, failure).await;
        }
    }

    async fn learn_from(
        &self,
        connection: &Connection,
        asked: &[Loaded],
        states: Option<&BTreeMap<u64, ActionState>>,
    ) {
        let Some(states) = states else { return };
        let took: Vec<(&str, u32)> = asked
            .iter()
            .filter_map(|loaded| match states.get(&action_of(&loaded.job)?)? {
                ActionState::Succeeded { took_secs } => {
                    Some((loaded.node.spec.image.as_str(), (*took_secs)?))
                }
                _ => None,
            })
            .collect();
        self.learn(&connection.name, &took).await;
    }
}

/// One round of polls, as the job sees it whose wake began it.
struct Round {
    own: JobId,
    /// The version of it whose crash counter was raised.
    begun: u64,
    handled: Handled,
    /// A call was made already.
    called: bool,
}

fn action_of(job: &Job) -> Option<u64> {
    match job.intent.as_ref().map(|intent| &intent.effect) {
        Some(Effect::PollAction { action_id }) => Some(*action_id),
        _ => None,
    }
}

fn server_of(job: &Job) -> Option<u64> {
    match job.intent.as_ref().map(|intent| &intent.effect) {
        Some(Effect::FetchServer { server_id }) => Some(*server_id),
        _ => None,
    }
}
