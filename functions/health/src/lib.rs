//! The schedule's function: the sweep every minute, the check of providers every five.
//!
//! Must not: make provider calls in the sweep.

use nodeyard_engine::{
    Clock,
    check::{CheckError, check},
    provider::ProviderCheck,
    queue::WakeQueue,
    secrets::Secrets,
    store::{ApiStore, JobStore, StoreError},
    sweep,
};
use serde::{Deserialize, Serialize};
use tracing::warn;

/// What the schedule asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// Send the wakes that are overdue.
    Sweep,
    /// Check every connection by live calls.
    Check,
}

/// The schedule's input: `{"task": "sweep"}` or `{"task": "check"}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Request {
    pub task: Task,
}

/// What was found and done: jobs and wakes for a sweep, connections and changes for a check.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    pub found: usize,
    pub done: usize,
}

/// The ports the schedule's work needs.
pub struct Health<S, Q, P, X, C> {
    pub store: S,
    pub queue: Q,
    pub provider: P,
    pub secrets: X,
    pub clock: C,
}

impl<S, Q, P, X, C> Health<S, Q, P, X, C>
where
    S: JobStore + ApiStore,
    Q: WakeQueue,
    P: ProviderCheck,
    X: Secrets,
    C: Clock,
{
    /// # Errors
    /// When the store does not answer; the next minute tries again.
    pub async fn handle(&self, request: Request) -> Result<Report, StoreError> {
        match request.task {
            Task::Sweep => {
                let swept = sweep::sweep(&self.store, &self.queue, self.clock.now()).await?;
                Ok(Report { found: swept.found, done: swept.sent })
            }
            Task::Check => self.check_connections().await,
        }
    }

    /// Checks each connection; one that cannot be checked does not keep the others from it.
    async fn check_connections(&self) -> Result<Report, StoreError> {
        let connections = self.store.connections().await?;
        let mut report = Report { found: connections.len(), done: 0 };
        for connection in connections {
            let now = self.clock.now();
            match check(&self.store, &self.secrets, &self.provider, &connection, now).await {
                Ok(_) => report.done += 1,
                Err(CheckError::Store(error)) => return Err(error),
                Err(CheckError::Secrets(error)) => {
                    warn!(connection = %connection.name, %error, "connection not checked");
                }
            }
        }
        Ok(report)
    }
}
