//! The crash matrix: every hop of every scenario, stopped after every poll.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use nodeyard_drills::{matrix, parallel::default_threads, quiet_planted_panics};

#[test]
fn no_crash_doubles_loses_or_stops_anything() {
    quiet_planted_panics();
    let points = matrix::points();
    assert!(points.len() > 40_000, "{} points", points.len());
    let report = matrix::run(&points, default_threads());
    assert!(report.failures.is_empty(), "{:#?}", report.failures);
}
