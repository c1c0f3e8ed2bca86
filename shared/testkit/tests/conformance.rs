//! The store, the queue and the bus in memory keep the promises of every one of their kind.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use jiff::SignedDuration;
use nodeyard_domain::event::{Event, SOURCE};
use nodeyard_testkit::{
    clock::SimulatedClock,
    conformance::{
        self,
        events::{Received, Subscribed},
        queue::{Delivery, Ends, HIDDEN_SECS, MAX_RECEIVES},
    },
    events::MemoryEvents,
    queue::MemoryQueue,
    store::MemoryStore,
};

#[tokio::test]
async fn the_store_keeps_its_promises() {
    conformance::hold(async || MemoryStore::default()).await;
}

struct Memory {
    clock: SimulatedClock,
    queue: MemoryQueue,
}

impl Ends for Memory {
    type Queue = MemoryQueue;

    fn sender(&self) -> &MemoryQueue {
        &self.queue
    }

    async fn receive(&self, within_secs: i64) -> Option<Delivery> {
        for passed in 0..=within_secs {
            if let Some(received) = self.queue.receive(0) {
                let receipt = received.receipt.to_string();
                return Some(Delivery {
                    wake: received.wake,
                    receives: received.receives,
                    receipt,
                });
            }
            if passed < within_secs {
                self.clock.advance(SignedDuration::from_secs(1));
            }
        }
        None
    }

    async fn acknowledge(&self, receipt: &str) {
        assert!(self.queue.ack(receipt.parse().unwrap()));
    }

    async fn dead_letters(&self) -> usize {
        self.queue.dead_letters().len()
    }
}

#[tokio::test]
async fn the_queue_keeps_its_promises() {
    conformance::queue::hold(async || {
        let clock = SimulatedClock::default();
        let queue = MemoryQueue::new(clock.clone());
        queue.set_visibility_secs(HIDDEN_SECS);
        queue.set_max_receives(MAX_RECEIVES);
        Memory { clock, queue }
    })
    .await;
}

struct Bus(MemoryEvents);

impl Subscribed for Bus {
    type Bus = MemoryEvents;

    fn bus(&self) -> &MemoryEvents {
        &self.0
    }

    async fn receive(&self, _: usize) -> Vec<Received> {
        let seen = |event: Event| Received {
            source: SOURCE.to_owned(),
            kind: event.kind().as_str().to_owned(),
            detail: serde_json::to_value(&event).unwrap(),
        };
        self.0.received().into_iter().map(seen).collect()
    }
}

#[tokio::test]
async fn the_bus_keeps_its_promises() {
    conformance::events::hold(async || Bus(MemoryEvents::default())).await;
}
