//! A clock that moves only when told.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use jiff::{SignedDuration, Timestamp};
use nodeyard_engine::Clock;

/// Simulated time, in milliseconds. Clones share the time and the skew.
#[derive(Debug, Clone)]
pub struct SimulatedClock {
    millis: Arc<AtomicI64>,
    skew_millis: Arc<AtomicI64>,
}

impl SimulatedClock {
    pub fn at(start: Timestamp) -> Self {
        Self {
            millis: Arc::new(AtomicI64::new(start.as_millisecond())),
            skew_millis: Arc::default(),
        }
    }

    /// Another clock over the same time, which is off by `skew`.
    pub fn skewed(&self, skew: SignedDuration) -> Self {
        let other = Self { millis: Arc::clone(&self.millis), skew_millis: Arc::default() };
        other.set_skew(skew);
        other
    }

    /// Sets how far this clock is off: a jump, if time was read before.
    pub fn set_skew(&self, skew: SignedDuration) {
        self.skew_millis.store(skew.as_millis() as i64, Ordering::SeqCst);
    }

    pub fn advance(&self, by: SignedDuration) {
        self.millis.fetch_add(by.as_millis() as i64, Ordering::SeqCst);
    }

    /// Moves the time on; never back. A skew is not counted.
    pub fn advance_to(&self, to: Timestamp) {
        self.millis.fetch_max(to.as_millisecond(), Ordering::SeqCst);
    }

    /// The time without the skew, in milliseconds.
    pub fn true_millis(&self) -> i64 {
        self.millis.load(Ordering::SeqCst)
    }
}

impl Default for SimulatedClock {
    fn default() -> Self {
        Self { millis: Arc::new(AtomicI64::new(1_800_000_000_000)), skew_millis: Arc::default() }
    }
}

impl Clock for SimulatedClock {
    fn now(&self) -> Timestamp {
        let millis = self.true_millis() + self.skew_millis.load(Ordering::SeqCst);
        Timestamp::from_millisecond(millis).unwrap_or(Timestamp::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_skewed_clock_shares_the_time_and_not_the_skew() {
        let clock = SimulatedClock::default();
        let start = clock.now();
        let behind = clock.skewed(SignedDuration::from_secs(-30));
        clock.advance(SignedDuration::from_secs(10));
        assert_eq!(clock.now().as_second() - start.as_second(), 10);
        assert_eq!(clock.now().as_second() - behind.now().as_second(), 30);
        behind.set_skew(SignedDuration::from_secs(5));
        assert_eq!(behind.now().as_second() - clock.now().as_second(), 5);
    }
}
