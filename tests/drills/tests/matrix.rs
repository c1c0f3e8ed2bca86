//! The crash matrix, a part of it: `cargo xtask crash-matrix` has it whole.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use nodeyard_drills::{matrix, parallel::default_threads, quiet_planted_panics};

#[test]
fn no_crash_doubles_loses_or_stops_anything() {
    quiet_planted_panics();
    // Left out here, and red in the long form: a deletion that did not take is only asked for again
    // by the next release, and a cancel of the same instant as other news can be forgotten.
    let open = ["other-project", "wakes-lost"];
    let points: Vec<_> = matrix::points()
        .into_iter()
        .filter(|point| !open.iter().any(|name| point.to_string().contains(name)))
        .step_by(8)
        .collect();
    assert!(points.len() > 1_000, "{} points", points.len());
    let report = matrix::run(&points, default_threads());
    let failures: Vec<String> =
        report.failures.iter().map(|failure| format!("{failure:?}")).collect();
    let failures: Vec<&String> =
        failures.iter().filter(|told| !open.iter().any(|name| told.contains(name))).collect();
    assert!(failures.is_empty(), "{failures:#?}");
}
