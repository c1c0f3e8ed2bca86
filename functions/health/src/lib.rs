//! The schedule's function: the sweep every minute, the check of providers every five.
//!
//! Must not: make provider calls in the sweep.

use nodeyard_engine::{
    Clock,
    queue::WakeQueue,
    store::{JobStore, StoreError},
    sweep,
};
use serde::{Deserialize, Serialize};

/// What the schedule asks for: `{"task": "sweep"}` or `{"task": "check"}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    Sweep,
    Check,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Request {
    pub task: Task,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    pub found: usize,
    pub sent: usize,
}

/// Sends the wakes that are overdue.
///
/// # Errors
/// When the store does not answer; the next minute tries again.
pub async fn run_sweep(
    store: &impl JobStore,
    queue: &impl WakeQueue,
    clock: &impl Clock,
) -> Result<Report, StoreError> {
    let swept = sweep::sweep(store, queue, clock.now()).await?;
    Ok(Report { found: swept.found, sent: swept.sent })
}
