//! The wake queue in memory: at least once, in any order, with delays, redelivery and dead letters
//! by the simulated clock.

use std::sync::{Arc, Mutex};

use jiff::{SignedDuration, Timestamp};
use nodeyard_domain::wake::Wake;
use nodeyard_engine::{
    Clock,
    queue::{QueueError, WakeQueue},
};

use crate::{
    clock::SimulatedClock,
    faults::{Fault, Faults},
    held,
    pause::pause,
};

/// How long a received wake is hidden, and how often it is received before it is a dead letter:
/// as the template has it.
const VISIBILITY_SECS: i64 = 360;
const MAX_RECEIVES: u32 = 5;

/// A queued wake and when it becomes visible.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queued {
    pub wake: Wake,
    pub visible_at: Timestamp,
}

/// A wake that was handed out and is to be acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    pub wake: Wake,
    /// Good for one delivery; a later one has another.
    pub receipt: u64,
    /// How often it was received, this time included.
    pub receives: u32,
}

#[derive(Debug)]
struct Message {
    wake: Wake,
    visible_at: Timestamp,
    receipt: u64,
    receives: u32,
}

#[derive(Debug)]
struct Messages {
    waiting: Vec<Message>,
    dead: Vec<Wake>,
    last_receipt: u64,
    visibility_secs: i64,
    max_receives: u32,
    sent: u64,
}

impl Default for Messages {
    fn default() -> Self {
        Self {
            waiting: Vec::new(),
            dead: Vec::new(),
            last_receipt: 0,
            visibility_secs: VISIBILITY_SECS,
            max_receives: MAX_RECEIVES,
            sent: 0,
        }
    }
}

#[derive(Debug, Clone, Default)]
pub struct MemoryQueue {
    clock: SimulatedClock,
    faults: Faults,
    messages: Arc<Mutex<Messages>>,
}

impl MemoryQueue {
    pub fn new(clock: SimulatedClock) -> Self {
        Self { clock, ..Self::default() }
    }

    /// The same queue, with faults in what is sent through this handle.
    pub fn with(&self, faults: Faults) -> Self {
        Self { faults, ..self.clone() }
    }

    /// How long a received wake is hidden unless it is acknowledged.
    pub fn set_visibility_secs(&self, secs: i64) {
        held(&self.messages).visibility_secs = secs;
    }

    /// How often a wake is received before it becomes a dead letter.
    pub fn set_max_receives(&self, receives: u32) {
        held(&self.messages).max_receives = receives;
    }

    /// Everything that is queued, wakes in flight included.
    pub fn messages(&self) -> Vec<Queued> {
        let queued = |it: &Message| Queued { wake: it.wake.clone(), visible_at: it.visible_at };
        held(&self.messages).waiting.iter().map(queued).collect()
    }

    /// How many wakes can be received now.
    pub fn visible(&self) -> usize {
        let now = self.clock.now();
        held(&self.messages).waiting.iter().filter(|it| it.visible_at <= now).count()
    }

    /// Takes the first wake that is visible now, and acknowledges it.
    pub fn take(&self) -> Option<Wake> {
        let now = self.clock.now();
        let mut messages = held(&self.messages);
        let at = messages.waiting.iter().position(|it| it.visible_at <= now)?;
        Some(messages.waiting.remove(at).wake)
    }

    /// Hands out the visible wake at `index` and hides it. One that was received too often is put
    /// with the dead letters instead, and the next one has its place.
    pub fn receive(&self, index: usize) -> Option<Received> {
        let now = self.clock.now();
        let mut messages = held(&self.messages);
        loop {
            let mut visible =
                (0..messages.waiting.len()).filter(|at| messages.waiting[*at].visible_at <= now);
            let at = visible.nth(index)?;
            if messages.waiting[at].receives >= messages.max_receives {
                let dead = messages.waiting.remove(at);
                messages.dead.push(dead.wake);
                continue;
            }
            messages.last_receipt += 1;
            let (receipt, hidden) = (messages.last_receipt, messages.visibility_secs);
            let message = &mut messages.waiting[at];
            message.receipt = receipt;
            message.receives += 1;
            message.visible_at = now + SignedDuration::from_secs(hidden);
            return Some(Received {
                wake: message.wake.clone(),
                receipt,
                receives: message.receives,
            });
        }
    }

    /// Removes a wake that was handled. False for a receipt that a later delivery has replaced.
    pub fn ack(&self, receipt: u64) -> bool {
        let mut messages = held(&self.messages);
        let before = messages.waiting.len();
        messages.waiting.retain(|it| it.receipt != receipt || receipt == 0);
        messages.waiting.len() < before
    }

    /// Makes a received wake visible again at once.
    pub fn give_back(&self, receipt: u64) -> bool {
        let now = self.clock.now();
        let mut messages = held(&self.messages);
        let theirs = messages.waiting.iter_mut().find(|it| it.receipt == receipt && receipt != 0);
        theirs.map(|it| (it.receipt, it.visible_at) = (0, now)).is_some()
    }

    /// What was received too often, oldest first.
    pub fn dead_letters(&self) -> Vec<Wake> {
        held(&self.messages).dead.clone()
    }

    /// How many wakes were asked to be sent, lost ones included.
    pub fn sent(&self) -> u64 {
        held(&self.messages).sent
    }

    /// When the next wake becomes visible.
    pub fn next_visible_at(&self) -> Option<Timestamp> {
        held(&self.messages).waiting.iter().map(|it| it.visible_at).min()
    }

    /// Loses every wake, as a queue may.
    pub fn lose_all(&self) {
        held(&self.messages).waiting.clear();
    }
}

impl WakeQueue for MemoryQueue {
    async fn send(&self, wake: &Wake, delay_secs: i64) -> Result<(), QueueError> {
        pause().await;
        let sent = self.put(wake, delay_secs);
        pause().await;
        sent
    }
}

impl MemoryQueue {
    fn put(&self, wake: &Wake, delay_secs: i64) -> Result<(), QueueError> {
        if !(0..=900).contains(&delay_secs) {
            return Err(QueueError(format!("a delay of {delay_secs} s is refused")));
        }
        let mut messages = held(&self.messages);
        messages.sent += 1;
        if self.faults.hits(Fault::SendFails) {
            return Err(QueueError("no answer".to_owned()));
        }
        let copies = if self.faults.hits(Fault::SendLost) {
            0
        } else {
            1 + usize::from(self.faults.hits(Fault::SendDoubled))
        };
        for _ in 0..copies {
            let late = if self.faults.hits(Fault::SendDelayed) {
                self.faults.below(901) as i64
            } else {
                0
            };
            let visible_at = self.clock.now() + SignedDuration::from_secs(delay_secs + late);
            let wake = wake.clone();
            messages.waiting.push(Message { wake, visible_at, receipt: 0, receives: 0 });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use nodeyard_domain::{id::JobId, wake::WakeReason};

    use super::*;
    use crate::pause::run_to_end;

    fn wake(bits: u128) -> Wake {
        Wake::new(JobId::from_bits(bits), WakeReason::Due)
    }

    fn queue(wakes: &[(u128, i64)]) -> MemoryQueue {
        let queue = MemoryQueue::default();
        for (bits, delay_secs) in wakes {
            run_to_end(queue.send(&wake(*bits), *delay_secs)).unwrap();
        }
        queue
    }

    #[test]
    fn any_visible_wake_can_be_received() {
        let queue = queue(&[(1, 0), (2, 5), (3, 0)]);
        assert_eq!(queue.visible(), 2);
        assert_eq!(queue.receive(1).unwrap().wake, wake(3));
        assert_eq!(queue.receive(1), None);
        queue.clock.advance(SignedDuration::from_secs(5));
        assert_eq!(queue.receive(1).unwrap().wake, wake(2));
    }

    #[test]
    fn what_is_not_acknowledged_comes_again_until_it_is_a_dead_letter() {
        let queue = queue(&[(1, 0)]);
        let first = queue.receive(0).unwrap();
        assert_eq!(queue.visible(), 0);
        queue.clock.advance(SignedDuration::from_secs(VISIBILITY_SECS));
        let second = queue.receive(0).unwrap();
        assert_eq!(second.receives, 2);
        assert!(!queue.ack(first.receipt), "the old receipt means nothing");
        for receives in 3..=MAX_RECEIVES {
            queue.clock.advance(SignedDuration::from_secs(VISIBILITY_SECS));
            assert_eq!(queue.receive(0).unwrap().receives, receives);
        }
        queue.clock.advance(SignedDuration::from_secs(VISIBILITY_SECS));
        assert_eq!(queue.receive(0), None);
        assert_eq!(queue.dead_letters(), [wake(1)]);
    }

    #[test]
    fn a_wake_is_acknowledged_once_or_given_back() {
        let queue = queue(&[(1, 0)]);
        let received = queue.receive(0).unwrap();
        assert!(queue.give_back(received.receipt));
        assert!(!queue.ack(received.receipt));
        let again = queue.receive(0).unwrap();
        assert!(queue.ack(again.receipt) && !queue.ack(again.receipt));
        assert!(queue.messages().is_empty());
    }

    #[test]
    fn faults_lose_double_and_delay() {
        let faults = Faults::seeded(1);
        let queue = MemoryQueue::default().with(faults.clone());
        faults.once(Fault::SendFails);
        assert!(run_to_end(queue.send(&wake(1), 0)).is_err());
        faults.once(Fault::SendLost);
        run_to_end(queue.send(&wake(1), 0)).unwrap();
        assert!(queue.messages().is_empty());
        faults.once(Fault::SendDoubled);
        faults.once(Fault::SendDelayed);
        run_to_end(queue.send(&wake(1), 0)).unwrap();
        assert_eq!((queue.messages().len(), queue.visible(), queue.sent()), (2, 1, 3));
    }
}
