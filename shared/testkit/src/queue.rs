//! The wake queue in memory: delays by the simulated clock, delivery in any order asked for.

use std::sync::{Arc, Mutex};

use jiff::{SignedDuration, Timestamp};
use nodeyard_domain::wake::Wake;
use nodeyard_engine::{
    Clock,
    queue::{QueueError, WakeQueue},
};

use crate::{clock::SimulatedClock, held};

/// A queued wake and when it becomes visible.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queued {
    pub wake: Wake,
    pub visible_at: Timestamp,
}

#[derive(Debug, Clone, Default)]
pub struct MemoryQueue {
    clock: SimulatedClock,
    messages: Arc<Mutex<Vec<Queued>>>,
}

impl MemoryQueue {
    pub fn new(clock: SimulatedClock) -> Self {
        Self { clock, messages: Arc::default() }
    }

    pub fn messages(&self) -> Vec<Queued> {
        held(&self.messages).clone()
    }

    /// Takes the first wake that is visible now.
    pub fn take(&self) -> Option<Wake> {
        let now = self.clock.now();
        let mut messages = held(&self.messages);
        let at = messages.iter().position(|queued| queued.visible_at <= now)?;
        Some(messages.remove(at).wake)
    }

    /// When the next wake becomes visible.
    pub fn next_visible_at(&self) -> Option<Timestamp> {
        held(&self.messages).iter().map(|queued| queued.visible_at).min()
    }

    /// Loses every wake, as a queue may.
    pub fn lose_all(&self) {
        held(&self.messages).clear();
    }
}

impl WakeQueue for MemoryQueue {
    async fn send(&self, wake: &Wake, delay_secs: i64) -> Result<(), QueueError> {
        if !(0..=900).contains(&delay_secs) {
            return Err(QueueError(format!("a delay of {delay_secs} s is refused")));
        }
        let visible_at = self.clock.now() + SignedDuration::from_secs(delay_secs);
        held(&self.messages).push(Queued { wake: wake.clone(), visible_at });
        Ok(())
    }
}
