//! What a world is to be like: drawn from its seed before it begins. Each world has some of the
//! faults only, and each of those at a rate of its own, so that rare ones are not drowned.

use nodeyard_testkit::faults::Fault;

use super::deed::Deed;
use crate::{random::Random, stage::TIME_OUT_SECS};

/// How often workers die, in a thousand polls: a hop takes about twenty, so that at the last rate
/// most jobs are poisoned.
const KILLED: [u32; 4] = [1, 3, 8, 60];

#[derive(Debug, Clone)]
pub struct Plan {
    pub seed: u64,
    /// Jobs that callers ask for.
    pub jobs: usize,
    pub workers: usize,
    pub faults: Vec<(Fault, u16)>,
    /// What the others do, and how many seconds lie between, in the mean.
    pub deeds: Vec<(Deed, i64)>,
    /// In a thousand polls.
    pub killed: u32,
    /// In a thousand polls.
    pub stalled: u32,
    /// After how many seconds a worker's invocation is ended; it stalls no longer than that.
    pub time_out_secs: i64,
    /// How far each worker's clock is off at most, in seconds.
    pub skew_secs: i64,
    /// Runs that fail or die, in a thousand.
    pub bad_runs: u32,
    /// Until when callers ask for work, in seconds.
    pub traffic_secs: i64,
    /// When everything turns calm, in seconds.
    pub calm_secs: i64,
    /// Calls an hour.
    pub budget: u32,
    /// Only nodes are asked for, all at once, and nothing is checked: the calls are those of the
    /// nodes alone.
    pub is_bare: bool,
}

impl Plan {
    pub fn of(seed: u64, jobs: usize) -> Self {
        let mut random = Random::new(seed);
        if random.chance(30) {
            // The budget alone is short: shared well, it is never overdrawn.
            return Self { budget: *random.pick(&[30, 60, 240]), ..Self::bare(seed, jobs) };
        }
        let mut plan = Self::calm(seed, jobs);
        plan.workers = random.between(2, 4) as usize;
        plan.traffic_secs = *random.pick(&[60, 600, 2400, 5400]);
        plan.calm_secs = plan.traffic_secs + random.between(300, 2400);
        plan.budget = *random.pick(&[3600, 3600, 600, 120]);
        // One world in sixteen is calm, so that calm itself is known to work.
        if random.chance(60) {
            return plan;
        }
        let share = *random.pick(&[80, 150, 300, 500]);
        for fault in Fault::ALL {
            if random.chance(share) {
                plan.faults.push((*fault, *random.pick(&[5, 15, 40, 120, 300])));
            }
        }
        for deed in Deed::ALL {
            if random.chance(share) {
                plan.deeds.push((*deed, *random.pick(&[60, 200, 600])));
            }
        }
        if random.chance(500) {
            plan.killed = *random.pick(&KILLED);
        }
        if random.chance(500) {
            plan.stalled = random.between(1, 20) as u32;
        }
        if random.chance(400) {
            plan.bad_runs = *random.pick(&[30, 100, 300, 900]);
        }
        if random.chance(300) {
            plan.skew_secs = random.between(1, 5);
        }
        // The settle time is made for a POST that is sent at the end of the worker's time-out and
        // lands a minute later. Where it may land 100 s later, it has to be sent sooner.
        if plan.has(Fault::CreateLandsLate) {
            plan.time_out_secs = 12;
        }
        plan
    }

    /// A world in which nothing goes wrong.
    pub fn calm(seed: u64, jobs: usize) -> Self {
        Self {
            seed,
            jobs,
            workers: 2,
            faults: Vec::new(),
            deeds: Vec::new(),
            killed: 0,
            stalled: 0,
            time_out_secs: TIME_OUT_SECS,
            skew_secs: 0,
            bad_runs: 0,
            traffic_secs: 600,
            calm_secs: 600,
            budget: 3600,
            is_bare: false,
        }
    }

    /// Nodes that are asked for all at once, and nothing else.
    pub fn bare(seed: u64, nodes: usize) -> Self {
        Self { workers: 4, is_bare: true, ..Self::calm(seed, nodes) }
    }

    pub fn has(&self, fault: Fault) -> bool {
        self.faults.iter().any(|(known, _)| *known == fault)
    }
}
