//! Each safeguard that is taken away turns a drill red.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use nodeyard_drills::{
    defects::{SHORT, plant},
    parallel::default_threads,
    quiet_planted_panics,
};
use nodeyard_testkit::defects::Defect;

#[test]
fn every_planted_defect_is_caught() {
    quiet_planted_panics();
    let survivors: Vec<&str> = Defect::ALL
        .iter()
        .filter(|defect| plant(**defect, default_threads(), &SHORT).is_none())
        .map(|defect| defect.name())
        .collect();
    assert_eq!(survivors, Vec::<&str>::new());
    assert!(Defect::ALL.len() >= 10);
}
