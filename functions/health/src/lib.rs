//! The schedule's function: the sweep every minute, the checks of connections, for orphans and of
//! nodes every five.
//!
//! Must not: make provider calls in the sweep.

mod state;

use jiff::SignedDuration;
use nodeyard_domain::connection::Connection;
use nodeyard_engine::{
    Clock,
    check::{CheckError, check},
    event::{Events, Outbox},
    evidence::sign_left,
    orphan::{Inventory, OrphanCheck, OrphanCheckError, OrphanStore},
    provider::{Provider, ProviderCheck},
    queue::WakeQueue,
    rotation::destroy_unused_keys,
    secrets::Secrets,
    store::{ApiStore, JobStore, StoreError},
    sweep,
    watch::{Reach, Watch},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tracing::warn;

/// No further connection is checked this long after the first, in seconds: with a provider that
/// hangs there is still time for the rest of the check.
const CHECKING_SECS: i64 = 25;

/// What the schedule asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// Send the wakes that are overdue.
    Sweep,
    /// Check every connection by live calls, look for orphans, then at nodes.
    Check,
}

/// The schedule's input: `{"task": "sweep"}` or `{"task": "check"}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Request {
    pub task: Task,
}

/// The input is none of ours. It is not repeated: it may hold anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the input is neither {{\"task\": \"sweep\"}} nor {{\"task\": \"check\"}}")]
pub struct UnknownInput;

impl Request {
    /// # Errors
    /// When it asks for neither.
    pub fn read(input: Value) -> Result<Self, UnknownInput> {
        serde_json::from_value(input).map_err(|_| UnknownInput)
    }
}

/// What was found and done: jobs and wakes for a sweep, connections and checks of them for a check.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    pub found: usize,
    pub done: usize,
    /// Things at the provider that no record accounts for, the removed ones included.
    pub orphans: usize,
    /// How many of them are on their way out.
    pub removed: usize,
    /// Nodes that were looked at.
    pub nodes: usize,
    /// Checks of nodes that were opened.
    pub node_checks: usize,
    /// Events sent that were left in the outbox.
    pub events: usize,
    /// Jobs whose evidence was signed that had been left unsigned.
    pub signed: usize,
}

/// The next run does what this one left.
#[derive(Debug, thiserror::Error)]
pub enum HealthError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the orphan check: {0}")]
    Orphans(#[from] OrphanCheckError),
}

/// The ports the schedule's work needs.
pub struct Health<S, Q, P, X, E, R, C> {
    pub store: S,
    pub queue: Q,
    pub provider: P,
    pub secrets: X,
    pub events: E,
    pub reach: R,
    pub clock: C,
    /// The value of our deployment label.
    pub deployment: String,
}

impl<S, Q, P, X, E, R, C> Health<S, Q, P, X, E, R, C>
where
    S: JobStore + ApiStore + OrphanStore + Outbox,
    Q: WakeQueue,
    P: Provider + ProviderCheck + Inventory,
    X: Secrets,
    E: Events,
    R: Reach,
    C: Clock,
{
    /// # Errors
    /// When the store does not answer, or the deployment key cannot be read.
    pub async fn handle(&self, request: Request) -> Result<Report, HealthError> {
        match request.task {
            Task::Sweep => {
                let (store, queue, events) = (&self.store, &self.queue, &self.events);
                let swept = sweep::sweep(store, queue, events, self.clock.now()).await?;
                let signed = sign_left(store, &self.secrets, self.clock.now()).await?;
                let (found, done, events) = (swept.found, swept.sent, swept.events);
                Ok(Report { found, done, events, signed, ..Report::default() })
            }
            Task::Check => {
                // Connections first: one whose token is of another project is not listed.
                let report = self.check_connections().await?;
                let checked = self.orphan_check().run().await?;
                let watched = self.watch().run().await?;
                state::tell(&self.store, &self.clock).await?;
                Ok(Report {
                    orphans: checked.found,
                    removed: checked.removed,
                    nodes: watched.nodes,
                    node_checks: watched.checks,
                    ..report
                })
            }
        }
    }

    fn watch(&self) -> Watch<'_, S, Q, P, R, C> {
        Watch {
            store: &self.store,
            queue: &self.queue,
            provider: &self.provider,
            reach: &self.reach,
            clock: &self.clock,
            deployment: &self.deployment,
        }
    }

    fn orphan_check(&self) -> OrphanCheck<'_, S, P, X, C> {
        OrphanCheck {
            store: &self.store,
            provider: &self.provider,
            secrets: &self.secrets,
            clock: &self.clock,
            deployment: &self.deployment,
        }
    }

    /// Versions of the managed key that no node needs; what fails is done by the next check.
    async fn destroy_unused_keys(&self, connection: &Connection) {
        let (store, secrets, provider) = (&self.store, &self.secrets, &self.provider);
        let now = self.clock.now();
        let destroyed = destroy_unused_keys(store, secrets, provider, connection, now).await;
        if let Err(error) = destroyed {
            warn!(connection = %connection.name, %error, "unused keys are left");
        }
    }

    /// Checks each connection; one that cannot be checked does not keep the others from it.
    async fn check_connections(&self) -> Result<Report, StoreError> {
        let mut connections = self.store.connections().await?;
        connections.sort_by_key(|connection| connection.checked_at);
        let end = self.clock.now() + SignedDuration::from_secs(CHECKING_SECS);
        let mut report = Report { found: connections.len(), ..Report::default() };
        for connection in connections {
            let now = self.clock.now();
            if now > end {
                warn!(connection = %connection.name, "connection not checked: out of time");
                continue;
            }
            let Self { store, secrets, provider, deployment, .. } = self;
            match check(store, secrets, provider, deployment, &connection, now).await {
                Ok(connection) => {
                    report.done += 1;
                    self.destroy_unused_keys(&connection).await;
                }
                Err(CheckError::Store(error)) => return Err(error),
                Err(CheckError::Secrets(error)) => {
                    warn!(connection = %connection.name, %error, "connection not checked");
                }
            }
        }
        Ok(report)
    }
}
