//! The sweep: repairs lost wakes, long delays and expired queues with one mechanism. It makes no
//! provider call.

use jiff::{SignedDuration, Timestamp};
use nodeyard_domain::wake::{Wake, WakeReason};
use tracing::{info, warn};

use crate::{
    queue::WakeQueue,
    store::{JobStore, StoreError},
};

/// The most wakes one sweep sends: a backlog makes no storm.
pub const MAX_WAKES: usize = 500;
/// A wake in flight gets this long, in seconds, before the sweep takes it for lost.
pub const GRACE_SECS: i64 = 20;
/// A swept job is not swept again for this long, in seconds, unless it moves.
pub const AGAIN_SECS: i64 = 60;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    pub found: usize,
    pub sent: usize,
}

/// Sends a wake for each job that is overdue, `MAX_WAKES` at most.
///
/// # Errors
/// When the store cannot list what is due. A wake that cannot be sent is left to the next sweep.
pub async fn sweep(
    store: &impl JobStore,
    queue: &impl WakeQueue,
    now: Timestamp,
) -> Result<Swept, StoreError> {
    let overdue = now - SignedDuration::from_secs(GRACE_SECS);
    let jobs = store.due(overdue, MAX_WAKES).await?;
    let mut swept = Swept { found: jobs.len(), sent: 0 };
    for job in jobs {
        match queue.send(&Wake::new(job.id.clone(), WakeReason::Due), 0).await {
            Ok(()) => {
                swept.sent += 1;
                // Stamped after the send: a stamp without a wake would lose a minute.
                store.mark_swept(&job, now + SignedDuration::from_secs(AGAIN_SECS)).await?;
            }
            Err(error) => warn!(job_id = %job.id, %error, "wake not sent"),
        }
    }
    info!(found = swept.found, sent = swept.sent, "sweep");
    Ok(swept)
}
