//! The request budget: a bucket that refills while one waits.

use crate::clock::EpochMillis;
use crate::settings::Rate;

/// One bucket.
#[derive(Debug, Clone)]
pub struct Budget {
    level: f64,
    seen: EpochMillis,
}

/// What the rate headers say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// `RateLimit-Limit`
    pub limit: u32,
    /// `RateLimit-Remaining`
    pub remaining: u32,
    /// `RateLimit-Reset`: when the bucket is full again, in Unix seconds.
    // [documented] the time of the full refill, not of the next free call.
    pub reset_secs: i64,
}

impl Budget {
    /// A full bucket.
    pub fn full(rate: &Rate, now: EpochMillis) -> Self {
        Self { level: f64::from(rate.limit), seen: now }
    }

    fn refill(&mut self, rate: &Rate, now: EpochMillis) {
        let waited_secs = (now - self.seen).max(0) as f64 / 1000.0;
        self.level = (self.level + waited_secs * rate.refill_per_sec).min(f64::from(rate.limit));
        self.seen = now;
    }

    /// Takes one request out, if there is one.
    pub fn take(&mut self, rate: &Rate, now: EpochMillis) -> bool {
        self.refill(rate, now);
        // A hair of tolerance: the level is a sum of fractions.
        if self.level < 1.0 - 1e-9 {
            return false;
        }
        self.level = (self.level - 1.0).max(0.0);
        true
    }

    /// Takes `requests` out, or what there is.
    pub fn drain(&mut self, rate: &Rate, now: EpochMillis, requests: u32) {
        self.refill(rate, now);
        self.level = (self.level - f64::from(requests)).max(0.0);
    }

    /// What the headers say now.
    pub fn standing(&mut self, rate: &Rate, now: EpochMillis) -> Standing {
        self.refill(rate, now);
        let missing = f64::from(rate.limit) - self.level;
        let full_in_secs =
            if rate.refill_per_sec > 0.0 { (missing / rate.refill_per_sec).ceil() } else { 3600.0 };
        Standing {
            limit: rate.limit,
            remaining: (self.level + 1e-9).floor() as u32,
            reset_secs: now.div_euclid(1000) + full_in_secs as i64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Budget;
    use crate::settings::Rate;

    #[test]
    fn one_request_comes_back_each_second() {
        let rate = Rate { limit: 3, ..Rate::default() };
        let mut budget = Budget::full(&rate, 0);
        assert!((0..3).all(|_| budget.take(&rate, 0)));
        assert!(!budget.take(&rate, 999));
        assert!(budget.take(&rate, 1000));
        assert!(!budget.take(&rate, 1000));
        let standing = budget.standing(&rate, 1000);
        assert_eq!((standing.remaining, standing.reset_secs), (0, 4));
    }

    #[test]
    fn it_never_holds_more_than_its_limit() {
        let rate = Rate { limit: 2, ..Rate::default() };
        let mut budget = Budget::full(&rate, 0);
        budget.drain(&rate, 0, 100);
        assert_eq!(budget.standing(&rate, 3_600_000).remaining, 2);
    }
}
