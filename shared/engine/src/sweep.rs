//! The sweep: repairs lost wakes, long delays and expired queues with one mechanism, opens a
//! release for each node that something was left of, and sends the events that were left. It makes
//! no provider call.

use jiff::{SignedDuration, Timestamp};
use nodeyard_domain::{
    acceptance,
    audit::{self, Action, Outcome, Resource},
    id::JobId,
    job::JobKind,
    node::Node,
    wake::{Wake, WakeReason},
};
use tracing::{info, warn};

use crate::{
    event::{self, Events, Outbox},
    metric::{self, Metric},
    queue::WakeQueue,
    store::{Acceptance, Accepted, ApiStore, AuditEntry, JobStore, StoreError},
};

/// The most wakes one sweep sends: a backlog makes no storm.
pub const MAX_WAKES: usize = 500;
/// The most releases one sweep opens.
pub const MAX_RELEASES: usize = 100;
/// A wake in flight gets this long, in seconds, before the sweep takes it for lost.
pub const GRACE_SECS: i64 = 20;
/// A swept job is not swept again for this long, in seconds, unless it moves.
pub const AGAIN_SECS: i64 = 60;
/// Who the sweep's own work is by.
pub const ACTOR: &str = audit::SYSTEM;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Jobs that were overdue.
    pub found: usize,
    /// Wakes sent for them.
    pub sent: usize,
    /// Releases opened for nodes that are `cleanup_pending`.
    pub released: usize,
    /// Events sent that were left in the outbox.
    pub events: usize,
}

/// Sends a wake for each job that is overdue, `MAX_WAKES` at most, opens a release for each node
/// whose time has come, `MAX_RELEASES` at most, and sends what is left in the outbox,
/// [`event::MAX_EVENTS`] at most.
///
/// # Errors
/// When the store cannot list what is due. What cannot be sent is left to the next sweep.
pub async fn sweep(
    store: &(impl JobStore + ApiStore + Outbox),
    queue: &impl WakeQueue,
    bus: &impl Events,
    now: Timestamp,
) -> Result<Swept, StoreError> {
    let mut swept = Swept::default();
    wake_overdue(store, queue, now, &mut swept).await?;
    release_left_over(store, queue, now, &mut swept).await?;
    swept.events = event::send_left(store, bus, now).await?;
    let Swept { found, sent, released, events } = swept;
    info!(found, sent, released, events, "sweep");
    Ok(swept)
}

async fn wake_overdue(
    store: &impl JobStore,
    queue: &impl WakeQueue,
    now: Timestamp,
    swept: &mut Swept,
) -> Result<(), StoreError> {
    let overdue = now - SignedDuration::from_secs(GRACE_SECS);
    let jobs = store.due(overdue, MAX_WAKES).await?;
    swept.found = jobs.len();
    let oldest = jobs.iter().map(|job| job.look_at).min();
    let age = oldest.map_or(0.0, |at| metric::seconds(now.duration_since(at)));
    metric::tell(Metric::OldestDueJobAge, age, &[]);
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
    Ok(())
}

async fn release_left_over(
    store: &(impl JobStore + ApiStore),
    queue: &impl WakeQueue,
    now: Timestamp,
    swept: &mut Swept,
) -> Result<(), StoreError> {
    for node in store.due_nodes(now, MAX_RELEASES).await? {
        let id = release_id(&node);
        let job = acceptance::on_node(id.clone(), JobKind::NodeRelease, &node, ACTOR, None, now);
        let acceptance = Acceptance {
            job,
            new_node: None,
            may_queue: false,
            idempotency: None,
            audit: AuditEntry {
                request_id: id.to_string(),
                ..AuditEntry::of_system(
                    now,
                    Action::NodeRelease,
                    Resource::from(&node.id),
                    Outcome::Accepted,
                )
            },
        };
        match store.accept(&acceptance).await {
            Ok(Accepted::New) => {
                swept.released += 1;
                if let Err(error) = queue.send(&Wake::new(id.clone(), WakeReason::Due), 0).await {
                    warn!(job_id = %id, %error, "wake not sent; the next sweep repairs it");
                }
            }
            // Somebody released it meanwhile.
            Ok(_) => {}
            // One node does not keep the others from being released.
            Err(error) => warn!(node_id = %node.id, %error, "release not opened"),
        }
    }
    Ok(())
}

/// The same for the same wait of the same node, so that two sweeps at once open one release.
fn release_id(node: &Node) -> JobId {
    let due = node.release_at.map(|at| at.to_string()).unwrap_or_default();
    JobId::derived(&format!("release\n{}\n{due}", node.id))
}
