//! A wake queue that can be out of order.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use nodeyard_domain::wake::Wake;
use nodeyard_engine::queue::{QueueError, WakeQueue};
use nodeyard_testkit::{
    clock::SimulatedClock,
    queue::{MemoryQueue, Queued},
};

#[derive(Debug, Clone)]
pub struct FragileQueue {
    inner: MemoryQueue,
    broken: Arc<AtomicBool>,
}

impl FragileQueue {
    pub fn new(clock: SimulatedClock) -> Self {
        Self { inner: MemoryQueue::new(clock), broken: Arc::default() }
    }

    pub fn set_broken(&self, broken: bool) {
        self.broken.store(broken, Ordering::SeqCst);
    }

    pub fn messages(&self) -> Vec<Queued> {
        self.inner.messages()
    }

    pub fn lose_all(&self) {
        self.inner.lose_all();
    }
}

impl WakeQueue for FragileQueue {
    async fn send(&self, wake: &Wake, delay_secs: i64) -> Result<(), QueueError> {
        if self.broken.load(Ordering::SeqCst) {
            return Err(QueueError("the queue is out of order".into()));
        }
        self.inner.send(wake, delay_secs).await
    }
}
