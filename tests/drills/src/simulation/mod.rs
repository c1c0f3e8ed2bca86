//! The simulation: whole worlds under a virtual clock, each drawn from its seed.

pub mod deed;
pub mod expected;
pub mod life;
pub mod plan;
pub mod report;
mod traffic;

use nodeyard_testkit::defects::Defect;

use self::{
    life::{Life, Outcome},
    plan::Plan,
    report::Report,
};
use crate::{coverage, parallel::in_order};

/// Jobs that callers ask for in a world, unless told otherwise.
pub const JOBS: usize = 20;

/// Seeds that have failed once, and are tried ever since.
pub fn kept_seeds() -> Vec<u64> {
    let lines = include_str!("../../seeds.txt").lines();
    let seeds = lines.filter_map(|line| line.split('#').next()?.trim().parse().ok());
    seeds.collect()
}

/// One world.
pub fn live(seed: u64, jobs: usize, defect: Option<Defect>) -> Outcome {
    coverage::watch();
    Life::new(Plan::of(seed, jobs), defect).run()
}

/// One world, with the histories of the jobs in which something is wrong.
pub fn tell(seed: u64, jobs: usize) -> String {
    Life::new(Plan::of(seed, jobs), None).told()
}

/// Worlds of these seeds, on so many threads. The report is the same however many they are.
pub fn run(seeds: &[u64], jobs: usize, threads: usize) -> Report {
    let mut report = Report::default();
    in_order(
        seeds.len(),
        threads,
        |index| live(seeds[index], jobs, None),
        |outcome| {
            report.add(outcome);
        },
    );
    report
}

/// The seeds of a simulation: the first one, and those of the worlds that follow from it.
pub fn seeds_from(seed: u64, runs: usize) -> Vec<u64> {
    (0..runs as u64).map(|run| seed.wrapping_add(run)).collect()
}
