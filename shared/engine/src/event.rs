//! Events on their way: the bus they are put on, the outbox they wait in until the bus has them,
//! and the way from one to the other.
//!
//! An event is written in the transaction of the change it tells of. Whoever made the change puts
//! it on the bus and takes it out of the outbox; what is left there for whatever reason, the sweep
//! sends. So each event is sent at least once, under an id that stays the same.

use std::future::Future;

use jiff::{SignedDuration, Timestamp};
use nodeyard_domain::{event::Event, id::EventId};
use tracing::warn;

use crate::store::StoreError;

/// The most events one sweep sends: a backlog makes no storm.
pub const MAX_EVENTS: usize = 500;
/// So many are sent before they are taken out of the outbox: what a crash in between sends twice.
const A_TIME: usize = 10;
/// An event that was just written gets this long, in seconds, before the sweep takes it for left.
pub const GRACE_SECS: i64 = crate::sweep::GRACE_SECS;
/// One that the bus did not take lets the others go first for this long, in seconds.
const AGAIN_SECS: i64 = 60;

/// Why one event is not on the bus, or may not be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the event was not taken: {0}")]
pub struct EventsError(pub String);

/// The bus that subscribers listen to: at least once, unordered.
pub trait Events: Send + Sync {
    /// Puts events on the bus, in as many calls as it takes. Answers for each, in their order. One
    /// that is refused keeps no other from being put, but after a call that was not answered no
    /// further one is made.
    fn put(&self, events: &[Event]) -> impl Future<Output = Vec<Result<(), EventsError>>> + Send;
}

/// An event that waits to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueEvent {
    pub event: Event,
    pub due_at: Timestamp,
}

/// Where events wait. They come into it with the writes of the job store, which tell of them.
pub trait Outbox: Send + Sync {
    /// Events whose `due_at` is at or before `before`, oldest first, `limit` at most.
    fn due_events(
        &self,
        before: Timestamp,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<DueEvent>, StoreError>> + Send;

    /// Takes an event out that was sent; one that is not there is fine.
    fn forget_event(&self, id: &EventId) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Another time for an event that is still as it was found.
    fn postpone_event(
        &self,
        event: &DueEvent,
        until: Timestamp,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// Sends what a write has just put into the outbox. What fails is left to the sweep.
pub async fn send(outbox: &impl Outbox, bus: &impl Events, events: &[Event]) {
    if events.is_empty() {
        return;
    }
    for (event, put) in events.iter().zip(bus.put(events).await) {
        let (id, kind) = (&event.id, event.kind().as_str());
        if let Err(error) = put {
            warn!(event_id = %id, kind, %error, "event not sent; the sweep repairs it");
        } else if let Err(error) = outbox.forget_event(id).await {
            warn!(event_id = %id, kind, %error, "event sent and not taken out; it is sent again");
        }
    }
}

/// Sends what is left in the outbox, [`MAX_EVENTS`] at most, and answers how many. Ends when the
/// bus takes nothing.
///
/// # Errors
/// When the store does not answer: the next sweep does it.
pub(crate) async fn send_left(
    outbox: &impl Outbox,
    bus: &impl Events,
    now: Timestamp,
) -> Result<usize, StoreError> {
    let left = now - SignedDuration::from_secs(GRACE_SECS);
    let due = outbox.due_events(left, MAX_EVENTS).await?;
    let mut sent = 0;
    for some in due.chunks(A_TIME) {
        let events: Vec<Event> = some.iter().map(|due| due.event.clone()).collect();
        let before = sent;
        for (due, put) in some.iter().zip(bus.put(&events).await) {
            let id = &due.event.id;
            match put {
                Ok(()) => {
                    sent += 1;
                    outbox.forget_event(id).await?;
                }
                Err(error) => {
                    warn!(event_id = %id, kind = due.event.kind().as_str(), %error, "not sent");
                    let until = now + SignedDuration::from_secs(AGAIN_SECS);
                    outbox.postpone_event(due, until).await?;
                }
            }
        }
        if sent == before {
            break;
        }
    }
    Ok(sent)
}
