//! A worker dies at every boundary of every port call of a rotation over five nodes, and container
//! tasks die as well. At each point each node can be logged in to with a version that is on record.

use nodeyard_domain::job::JobState;

use crate::bench::{Bench, Death};

/// The rotation ends, whatever died; then all nodes catch up, and the old version goes.
fn ends_well(bench: &mut Bench, id: &nodeyard_domain::id::JobId, at: &str) {
    bench.live(3 * 3600);
    let rotation = bench.rotation(id);
    assert_eq!(rotation.state, JobState::Succeeded, "{at}: {:?}", rotation.error);
    assert_eq!(rotation.done + rotation.listed_total, 5, "{at}: each is done or listed");
    assert_eq!(bench.authentic(id, at).claims.len(), 5, "{at}: key, nodes, key before, end");
    bench.mend();
    bench.live(1800);
    bench.catch_up();
    let newest = bench.connection().key.unwrap().version;
    for node in bench.nodes.clone() {
        assert!(bench.has_only(&node, newest), "{at}");
    }
    bench.destroy_after(900);
    let connection = bench.connection();
    assert!(connection.retired.is_empty() && connection.rotation.is_none(), "{at}");
    assert_eq!(bench.keys_at_provider(), 1, "{at}: nothing is left at the provider");
}

/// How many boundaries a rotation has when nobody dies.
fn boundaries() -> (usize, usize) {
    let mut bench = Bench::of_five();
    let start = bench.polls.get();
    let id = bench.rotate();
    while !bench.state(&id).is_terminal() {
        bench.live(1);
    }
    (start, bench.polls.get())
}

fn killed_at_each(share: usize) {
    let (start, end) = boundaries();
    assert!(end - start > 100, "{} boundaries", end - start);
    println!("{} boundaries", end - start);
    for at in (start..end).filter(|at| at % 4 == share) {
        let mut bench = Bench::of_five();
        bench.kill_at = Some(at);
        let id = bench.rotate();
        ends_well(&mut bench, &id, &format!("killed at {at} of {start}..{end}"));
        assert!(bench.polls.get() > at, "the worker did die");
    }
}

#[test]
fn a_worker_dies_at_each_boundary_one() {
    killed_at_each(0);
}

#[test]
fn a_worker_dies_at_each_boundary_two() {
    killed_at_each(1);
}

#[test]
fn a_worker_dies_at_each_boundary_three() {
    killed_at_each(2);
}

#[test]
fn a_worker_dies_at_each_boundary_four() {
    killed_at_each(3);
}

#[test]
fn a_container_task_dies_before_and_after_it_has_replaced_the_keys() {
    for death in [Death::BeforeLogin, Death::KeysReplaced] {
        let mut bench = Bench::of_five();
        for node in bench.nodes.clone() {
            bench.deaths.insert(node, death);
        }
        let id = bench.rotate();
        ends_well(&mut bench, &id, &format!("{death:?}"));
    }
}
