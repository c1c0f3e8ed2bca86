//! A wake: the queue message that makes a worker look at a job. It carries no state.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::id::JobId;

/// Why a worker should look. `Due` is dropped when the job is not due; the others are acted on
/// at once, by observing again, never by repeating a create.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WakeReason {
    Due,
    Cancel,
    Run,
    Resume,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wake {
    pub job_id: JobId,
    pub reason: WakeReason,
}

impl Wake {
    pub fn new(job_id: JobId, reason: WakeReason) -> Self {
        Self { job_id, reason }
    }
}

/// The longest delay a wake is sent with, in seconds (the queue's `DelaySeconds` limit). Work
/// further away is the sweep's.
pub const MAX_WAKE_DELAY_SECS: i64 = 900;

/// Seconds from `now` until a wake for `due` may come; `None` when that is the sweep's.
pub(crate) fn delay_secs(due: Timestamp, now: Timestamp) -> Option<i64> {
    // Rounded up: a wake that comes early is dropped, and the sweep would have to repair it.
    let millis = due.as_millisecond() - now.as_millisecond();
    let delay = (millis.max(0) + 999) / 1000;
    (delay <= MAX_WAKE_DELAY_SECS).then_some(delay)
}
