//! The wake queue: at least once, unordered, without state.

use std::future::Future;

use nodeyard_domain::wake::Wake;

#[derive(Debug, thiserror::Error)]
#[error("the wake could not be sent: {0}")]
pub struct QueueError(pub String);

pub trait WakeQueue: Send + Sync {
    /// Sends a wake that becomes visible after `delay_secs` (0 to 900).
    fn send(
        &self,
        wake: &Wake,
        delay_secs: i64,
    ) -> impl Future<Output = Result<(), QueueError>> + Send;
}
