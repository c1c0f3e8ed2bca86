//! A wake: the queue message that makes a worker look at a job. It carries no state; the trace it
//! may carry is for logs alone.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};

use crate::id::JobId;
use crate::trace::is_traceparent;

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
    /// The W3C `traceparent` of who caused it. What a schedule sends has none, nor has what AWS
    /// sends of a task that stopped. What is none is not taken: it would be logged.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "well_formed")]
    pub traceparent: Option<String>,
}

impl Wake {
    pub fn new(job_id: JobId, reason: WakeReason) -> Self {
        Self { job_id, reason, traceparent: None }
    }

    #[must_use]
    pub fn traced(self, traceparent: Option<&str>) -> Self {
        Self { traceparent: traceparent.map(str::to_owned), ..self }
    }
}

fn well_formed<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    Ok(Option::<String>::deserialize(from)?.filter(|text| is_traceparent(text)))
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{Wake, WakeReason};
    use crate::id::JobId;

    #[test]
    fn a_wake_is_read_with_a_trace_and_without() {
        let wake = Wake::new(JobId::from_bits(1), WakeReason::Due);
        let bare = r#"{"job_id":"job-00000000000000000000000000000001","reason":"due"}"#;
        assert_eq!(serde_json::to_string(&wake).unwrap(), bare);
        assert_eq!(serde_json::from_str::<Wake>(bare).unwrap(), wake);
        let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let traced = wake.traced(Some(trace));
        assert_eq!(traced.traceparent.as_deref(), Some(trace));
        let text = serde_json::to_string(&traced).unwrap();
        assert_eq!(serde_json::from_str::<Wake>(&text).unwrap(), traced);
        let other = text.replace(trace, "hunter2");
        assert_eq!(serde_json::from_str::<Wake>(&other).unwrap().traceparent, None);
    }
}
