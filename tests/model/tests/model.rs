//! The short form of the model: every scenario to its end, and every planted defect found.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use nodeyard_model::scenario::{Defect, Scenario};
use stateright::{Checker, HasDiscoveries, Model};

/// Faults a path in the short form; `cargo run --bin model -- --faults 2` has more.
const FAULTS: u8 = 1;

fn explore(name: &str) {
    let scenario = Scenario::all(FAULTS).into_iter().find(|known| known.name == name).unwrap();
    let checker = scenario.checker().threads(2).spawn_bfs().join();
    println!("{name}: {} states, depth {}", checker.unique_state_count(), checker.max_depth());
    checker.assert_properties();
    assert!(checker.unique_state_count() > 10_000, "too little was looked at to say anything");
}

#[test]
fn a_provision_keeps_every_promise() {
    explore("provision");
}

#[test]
fn the_making_of_a_server_keeps_every_promise_where_names_are_unique() {
    explore("creation, names unique");
}

#[test]
fn the_making_of_a_server_keeps_every_promise() {
    explore("creation");
}

#[test]
fn a_provision_that_breaks_its_workers_keeps_every_promise() {
    explore("provision, poisonous");
}

#[test]
fn a_release_keeps_every_promise() {
    explore("release");
}

#[test]
fn a_release_that_waits_for_its_turn_keeps_every_promise() {
    explore("turn");
}

/// A safeguard that is left out shows as a broken promise, one of these.
fn breaks(safeguard: Defect, faults: u8, promises: &[&'static str]) {
    let scenario = Scenario::provision(faults).without(safeguard);
    let builder = scenario.checker().threads(2).finish_when(HasDiscoveries::AnyFailures);
    let checker = builder.spawn_bfs().join();
    let broken: Vec<&str> =
        promises.iter().copied().filter(|name| checker.discovery(name).is_some()).collect();
    assert!(
        !broken.is_empty(),
        "{safeguard:?} goes unnoticed; found: {:?}",
        checker.discoveries().keys()
    );
}

const NOTHING_LEFT: &str = "a node that is gone has left nothing";
const ON_RECORD: &str = "what is alive is on record at the end";
const ONE_SERVER: &str = "at most one live server";

#[test]
fn creates_without_a_claim_are_noticed() {
    breaks(Defect::NoClaim, 1, &["a claimed create is sent once", ONE_SERVER, NOTHING_LEFT]);
}

#[test]
fn commits_without_a_fence_are_noticed() {
    breaks(Defect::NoFence, 1, &["a version only grows", "a terminal job never changes"]);
}

#[test]
fn an_absence_that_is_believed_at_once_is_noticed() {
    breaks(Defect::NoSettle, 1, &[NOTHING_LEFT, ON_RECORD, ONE_SERVER]);
}

#[test]
fn a_settle_time_that_is_a_tick_too_short_is_noticed() {
    breaks(Defect::ShortSettle, 1, &[NOTHING_LEFT, ON_RECORD, ONE_SERVER]);
}

#[test]
fn a_refusal_of_the_budget_that_passes_for_an_answer_is_noticed() {
    breaks(
        Defect::NotSentIsAnAnswer,
        2,
        &[NOTHING_LEFT, ON_RECORD, ONE_SERVER, "a claimed create is sent once"],
    );
}

#[test]
fn wakes_that_nobody_repairs_are_noticed() {
    breaks(Defect::NoSweep, 1, &["left in peace, every job ends"]);
}
