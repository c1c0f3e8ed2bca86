//! The times and limits that decisions are made with. Seconds, unless a name says otherwise.

/// Configurable per deployment; the defaults are the design's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Waits between tries of a retryable step; the last one repeats.
    pub back_off_secs: Vec<i64>,
    /// After an unknown outcome of a create, a name must be absent this long before it counts as
    /// gone: the worker's time-out (60 s) and 60 s, for a POST can land late, and the time-out once
    /// more, for a look may be told so long after it was made.
    pub settle_secs: i64,
    /// How often the name is looked up meanwhile.
    pub settle_look_secs: i64,
    /// First look at a create's action when nothing was learnt yet (a stock image takes about 11 s).
    pub first_poll_secs: i64,
    pub poll_secs: i64,
    /// From the end of a create's action to the first look at its server, which starts meanwhile.
    pub start_secs: i64,
    /// After `locked` or `conflict`.
    pub busy_secs: i64,
    /// Between the first looks at a server that is being deleted; later ones are further apart.
    pub gone_poll_secs: i64,
    /// After so many looks at a server that stays, its deletion is asked for again: a `404` of
    /// another project's token, or a deletion that did not take.
    pub gone_looks: u32,
    /// The slow look at a run, in case its wake got lost.
    pub run_look_secs: i64,
    /// A longer wait for the rate budget is a reason to park.
    pub budget_wait_secs: i64,
    /// How long a rung that was refused is not asked for again.
    pub refusal_secs: i64,
    /// A server that is not up so long after its first look is replaced.
    pub stuck_secs: i64,
    /// When the sweep looks again at a parked job.
    pub park_look_secs: i64,
    /// How often a queued release looks whether the node is free.
    pub turn_look_secs: i64,
    /// Undo's own limit.
    pub undo_limit_secs: i64,
    pub max_runs: u32,
    pub max_replacements: u32,
    /// Crashes after which a job is given up.
    pub poison_crashes: u32,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            back_off_secs: vec![10, 30, 90],
            settle_secs: 180,
            settle_look_secs: 15,
            first_poll_secs: 12,
            poll_secs: 5,
            start_secs: 4,
            busy_secs: 5,
            gone_poll_secs: 3,
            gone_looks: 12,
            run_look_secs: 60,
            budget_wait_secs: 60,
            refusal_secs: 600,
            stuck_secs: 360,
            park_look_secs: 300,
            turn_look_secs: 15,
            undo_limit_secs: 1800,
            max_runs: 3,
            max_replacements: 3,
            poison_crashes: 5,
        }
    }
}

impl Policy {
    /// The wait after this many failures in a row (1 for the first).
    pub fn back_off(&self, tries: u32) -> i64 {
        let index = (tries.max(1) - 1) as usize;
        self.back_off_secs.get(index).or(self.back_off_secs.last()).copied().unwrap_or(10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_wait_repeats() {
        let policy = Policy::default();
        assert_eq!(
            [0, 1, 2, 3, 4, 99].map(|tries| policy.back_off(tries)),
            [10, 10, 30, 90, 90, 90]
        );
    }
}
