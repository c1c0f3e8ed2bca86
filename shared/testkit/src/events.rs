//! The bus in memory: every subscriber's view of it.

use std::sync::{Arc, Mutex};

use nodeyard_domain::event::Event;
use nodeyard_engine::event::{Events, EventsError};

use crate::{
    faults::{Fault, Faults},
    held,
    pause::pause,
};

/// What the bus takes of one event, in bytes of JSON.
const MAX_EVENT_BYTES: usize = 256 * 1024;

#[derive(Debug, Default)]
struct Bus {
    taken: Vec<Event>,
    calls: u64,
}

/// Clones share what was taken.
#[derive(Debug, Clone, Default)]
pub struct MemoryEvents {
    bus: Arc<Mutex<Bus>>,
    faults: Faults,
}

impl MemoryEvents {
    /// The same bus, with faults for whoever puts through this handle.
    pub fn with(&self, faults: Faults) -> Self {
        Self { faults, ..self.clone() }
    }

    /// Everything that subscribers have received, in order, each as often as it was sent.
    pub fn received(&self) -> Vec<Event> {
        held(&self.bus).taken.clone()
    }

    /// How often something was put, whatever came of it.
    pub fn calls(&self) -> u64 {
        held(&self.bus).calls
    }

    fn take(&self, event: &Event) -> Result<(), EventsError> {
        let bytes = serde_json::to_vec(event).expect("an event serialises").len();
        if bytes > MAX_EVENT_BYTES {
            return Err(EventsError(format!("it has {bytes} bytes")));
        }
        if self.faults.hits(Fault::EventRefused) {
            return Err(EventsError("throttled".to_owned()));
        }
        held(&self.bus).taken.push(event.clone());
        Ok(())
    }
}

impl Events for MemoryEvents {
    async fn put(&self, events: &[Event]) -> Vec<Result<(), EventsError>> {
        let unanswered = || Err(EventsError("no answer".to_owned()));
        pause().await;
        held(&self.bus).calls += 1;
        let put = if self.faults.hits(Fault::EventsUnanswered) {
            events.iter().map(|_| unanswered()).collect()
        } else {
            let taken: Vec<_> = events.iter().map(|event| self.take(event)).collect();
            match self.faults.hits(Fault::EventsAnswerLost) {
                true => events.iter().map(|_| unanswered()).collect(),
                false => taken,
            }
        };
        pause().await;
        put
    }
}
