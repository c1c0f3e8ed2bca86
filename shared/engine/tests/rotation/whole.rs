//! Rotations that nothing gets in the way of.

use nodeyard_domain::{
    connection::Connection,
    id::NodeId,
    job::JobState,
    node::{Node, NodeStatus},
    rotation::{ListedReason, MAX_OPENED, RotationStep},
};
use nodeyard_engine::{Clock as _, store::JobStore as _};
use nodeyard_testkit::{pause::run_to_end, world::name};

use crate::bench::{Bench, FIRST};

#[test]
fn each_node_is_done_or_listed_and_the_listed_catch_up() {
    let mut bench = Bench::of_five();
    let id = bench.rotate();
    bench.live(1800);
    let rotation = bench.rotation(&id);
    assert_eq!((rotation.state, rotation.done, rotation.listed_total), (JobState::Succeeded, 2, 3));
    let audit = bench.world.store.audit();
    let configured = audit.iter().filter(|it| it.request_id == rotation.id.to_string());
    assert!(configured.count() >= 2, "the audit names the rotation that configured a node");
    let reasons = bench.reasons(&id);
    let expected =
        [(1, ListedReason::Busy), (2, ListedReason::Off), (3, ListedReason::Unreachable)];
    for (at, reason) in expected {
        assert_eq!(reasons[&bench.nodes[at]], reason);
        assert_eq!(bench.node(&bench.nodes[at]).key_version, 1);
    }
    for at in [0, 4] {
        assert!(bench.has_only(&bench.nodes[at], 2));
        let node = bench.node(&bench.nodes[at]);
        assert_eq!((node.key_version, node.status), (2, NodeStatus::Ready));
    }
    assert_eq!(bench.destroy_after(7200), 0, "three nodes still need the first version");

    bench.mend();
    bench.live(600);
    bench.catch_up();
    let nodes = bench.nodes.clone();
    assert!(nodes.iter().all(|id| bench.has_only(id, 2) && bench.node(id).key_version == 2));
    assert_eq!(bench.destroy_after(0), 1);
    let connection = bench.connection();
    assert!(connection.retired.is_empty() && connection.rotation.is_none());
    assert_eq!(bench.world.secrets.names("ssh-key/"), ["ssh-key/main-5eed5eed/2"]);
    assert_eq!(bench.keys_at_provider(), 1);
}

#[test]
fn the_version_before_outlives_the_workers_that_may_have_chosen_it() {
    let mut bench = Bench::with_nodes(1);
    let id = bench.rotate();
    bench.live(600);
    assert_eq!(
        (bench.state(&id), bench.node(&bench.nodes[0]).key_version),
        (JobState::Succeeded, 2)
    );
    assert_eq!(bench.destroy_after(600), 0);
    assert_eq!(bench.destroy_after(300), 1);
}

#[test]
fn the_keys_of_an_old_record_keep_their_names() {
    let mut bench = Bench::with_nodes(1);
    let old = Connection { key_stem: None, ..bench.connection() };
    assert!(run_to_end(bench.world.store.swap_connection(&old, &[])).unwrap());
    let new = bench.world.secrets.names("ssh-key/");
    bench.world.secrets.put("ssh-key/main/1", FIRST);
    let id = bench.rotate();
    bench.live(600);
    assert_eq!(bench.state(&id), JobState::Succeeded);
    assert!(bench.has_only(&bench.nodes[0], 2));
    assert!(bench.world.secrets.contains("ssh-key/main/2"));
    assert_eq!(bench.destroy_after(900), 1);
    assert!(!bench.world.secrets.contains("ssh-key/main/1"));
    assert_eq!(bench.connection().key_stem, None);
    assert!(new.iter().all(|name| bench.world.secrets.contains(name)), "no other was touched");
}

#[test]
fn one_rotation_after_another_goes_as_well() {
    let mut bench = Bench::with_nodes(2);
    for newest in 2..5 {
        if newest == 4 {
            assert!(run_to_end(bench.world.rotate_key()).is_none(), "two earlier ones are kept");
            assert_eq!(bench.destroy_after(900), 2);
        }
        let id = bench.rotate();
        bench.live(600);
        assert_eq!(bench.state(&id), JobState::Succeeded);
        let nodes = bench.nodes.clone();
        assert!(nodes.iter().all(|id| bench.has_only(id, newest)));
    }
    assert_eq!(bench.destroy_after(900), 1);
}

#[test]
fn many_nodes_are_configured_some_at_a_time() {
    let mut bench = Bench::with_nodes(60);
    let id = bench.rotate();
    let mut most = 0;
    for _ in 0..600 {
        bench.live(1);
        most = most.max(bench.world.open_jobs().len());
        if bench.state(&id).is_terminal() {
            break;
        }
    }
    let rotation = bench.rotation(&id);
    assert_eq!(
        (rotation.state, rotation.done, rotation.listed_total),
        (JobState::Succeeded, 60, 0)
    );
    assert!(most > 1 && most <= MAX_OPENED, "{most} at a time");
}

#[test]
fn nodes_that_no_run_can_be_for_are_listed_with_the_reason() {
    let mut bench = Bench::with_nodes(5);
    let change = |at: usize, change: fn(&mut Node)| {
        let mut node = bench.node(&bench.nodes[at]);
        change(&mut node);
        bench.world.store.put_node(node);
    };
    change(0, |node| node.status = NodeStatus::Kept);
    change(1, |node| node.status = NodeStatus::CleanupPending);
    change(2, |node| node.status = NodeStatus::Released);
    change(3, |node| node.server = None);
    let id = bench.rotate();
    bench.live(1800);
    let rotation = bench.rotation(&id);
    assert_eq!((rotation.state, rotation.done), (JobState::Succeeded, 1));
    let expected =
        [(0, ListedReason::Kept), (1, ListedReason::Leaving), (3, ListedReason::Leaving)];
    let expected = expected.map(|(at, reason)| (bench.nodes[at].clone(), reason));
    assert_eq!(bench.reasons(&id), expected.into(), "the one that is gone needs nothing");
    assert!(bench.has_only(&bench.nodes[4], 2));
}

#[test]
fn jobs_are_told_of_the_new_version_as_soon_as_it_is_in_use() {
    let mut bench = Bench::with_nodes(1);
    let id = bench.rotate();
    while bench.rotation(&id).step != RotationStep::OpenConfigures {
        let wake = bench.world.queue.take().expect("a wake");
        run_to_end(bench.world.driver.handle(&wake)).unwrap();
    }
    let pace = run_to_end(bench.world.store.pace(&name(), bench.world.clock.now())).unwrap();
    assert_eq!(pace.key_version, 2);
}

#[test]
fn nodes_of_another_connection_are_left_alone() {
    let mut bench = Bench::with_nodes(1);
    let mut other = bench.node(&bench.nodes[0]);
    other.id = NodeId::from_bits(99);
    other.spec.connection = "other".parse().unwrap();
    bench.world.store.put_node(other.clone());
    let id = bench.rotate();
    bench.live(600);
    let rotation = bench.rotation(&id);
    assert_eq!((rotation.state, rotation.done), (JobState::Succeeded, 1));
    assert_eq!(rotation.listed_total, 0);
    assert_eq!(bench.node(&other.id), other);
}
