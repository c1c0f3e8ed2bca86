//! Whole worlds: a few hundred from one seed, and every one that has failed before.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use nodeyard_drills::{
    parallel::default_threads,
    quiet_planted_panics,
    simulation::{JOBS, kept_seeds, live, report::Report, run, seeds_from},
};

const WORLDS: usize = 400;

fn hold(report: &Report) {
    assert!(report.is_clean(), "{}", report.text());
    assert_eq!(report.unknown_transitions(), Vec::<String>::new());
}

#[test]
fn worlds_end_well() {
    quiet_planted_panics();
    let report = run(&seeds_from(1, WORLDS), JOBS, default_threads());
    hold(&report);
    assert_eq!(report.worlds, WORLDS as u64);
    assert!(report.jobs >= (WORLDS * JOBS) as u64);
    assert_eq!(report.missed_faults(), Vec::<&str>::new());
}

#[test]
fn worlds_that_failed_once_end_well() {
    quiet_planted_panics();
    hold(&run(&kept_seeds(), JOBS, default_threads()));
}

#[test]
fn a_seed_replays_exactly() {
    quiet_planted_panics();
    for seed in [3, 7] {
        let (once, again) = (live(seed, JOBS, None), live(seed, JOBS, None));
        assert_eq!(
            (once.hops, once.polls, &once.faults, &once.transitions, &once.ends),
            (again.hops, again.polls, &again.faults, &again.transitions, &again.ends)
        );
        assert_ne!(once.polls, live(seed + 1, JOBS, None).polls);
    }
}
