//! Rotations that something gets in the way of.

use jiff::SignedDuration;
use nodeyard_domain::{
    code::Code,
    id::JobId,
    job::{JobState, ParkReason, Step},
    rotation::RotationStep,
    wake::{Wake, WakeReason},
};
use nodeyard_engine::{
    Clock as _,
    store::{ApiStore as _, JobStore as _},
};
use nodeyard_testkit::{
    pause::run_to_end,
    world::{World, name},
};

use crate::bench::{Bench, Death};

#[test]
fn a_token_that_can_only_read_parks_it_and_a_better_one_lets_it_go_on() {
    let mut bench = Bench::with_nodes(1);
    bench.world.provider.read_only(true);
    let id = bench.rotate();
    bench.live(30);
    let parked = bench.rotation(&id);
    assert_eq!(parked.waiting_on, Some(ParkReason::ProviderToken));
    assert_eq!(bench.connection().key.unwrap().version, 1, "nothing depends on the new version");
    bench.world.provider.read_only(false);
    bench.live(600);
    assert_eq!(bench.state(&id), JobState::Succeeded);
}

#[test]
fn nothing_is_made_in_a_project_that_does_not_show_the_marker() {
    let mut bench = Bench::with_nodes(1);
    bench.world.provider.hide_marker(true);
    let before = bench.keys_at_provider();
    let id = bench.rotate();
    bench.live(30);
    assert_eq!(bench.rotation(&id).waiting_on, Some(ParkReason::ProviderToken));
    assert_eq!(bench.keys_at_provider(), before);
    bench.world.clock.advance(SignedDuration::from_hours(7));
    bench.live(300);
    let rotation = bench.rotation(&id);
    assert_eq!(rotation.state, JobState::Failed);
    assert_eq!(rotation.error.unwrap().code, Code::ProviderUnauthorized);
    assert_eq!(bench.connection().key.unwrap().version, 1);
    bench.world.provider.hide_marker(false);
    assert_eq!(bench.destroy_after(900), 1, "the version that was made for nothing");
    assert!(!bench.world.secrets.contains("ssh-key/main-5eed5eed/2"));
}

fn cancel(bench: &Bench, id: &JobId) {
    assert!(run_to_end(bench.world.cancel(id)));
}

#[test]
fn a_rotation_is_cancelled_wherever_it_stands() {
    for step in [
        RotationStep::MakeKey,
        RotationStep::UploadKey,
        RotationStep::OpenConfigures,
        RotationStep::AwaitConfigures,
    ] {
        let mut bench = Bench::with_nodes(3);
        let id = bench.rotate();
        while bench.rotation(&id).step != step {
            let wake = bench.world.queue.take().expect("a wake");
            run_to_end(bench.world.driver.handle(&wake)).unwrap();
        }
        cancel(&bench, &id);
        bench.live(600);
        let rotation = bench.rotation(&id);
        assert_eq!(rotation.state, JobState::Cancelled, "{step:?}");
        assert_eq!(rotation.error.unwrap().code, Code::JobCancelled);
        assert_eq!(bench.connection().rotation, None);
        // What was opened went on; another rotation does the rest.
        let second = bench.rotate();
        bench.live(600);
        assert_eq!(bench.state(&second), JobState::Succeeded, "{step:?}");
        let newest = bench.connection().key.unwrap().version;
        assert!(bench.nodes.iter().all(|node| bench.has_only(node, newest)), "{step:?}");
    }
}

#[test]
fn a_node_that_got_a_version_nobody_was_told_of_keeps_all_it_may_need() {
    let mut bench = Bench::with_nodes(1);
    let node = bench.nodes[0].clone();
    // Version 2 gets onto the node three times, and nobody is told.
    let first = bench.rotate();
    for _ in 0..400 {
        bench.deaths.insert(node.clone(), Death::KeysReplaced);
        bench.live(1);
    }
    assert_eq!((bench.state(&first), bench.node(&node).key_version), (JobState::Succeeded, 1));
    assert!(bench.has_only(&node, 2));
    bench.deaths.clear();
    bench.dark.insert(node.clone());
    let second = bench.rotate();
    bench.live(1800);
    assert_eq!(
        (bench.state(&second), bench.connection().key.unwrap().version),
        (JobState::Succeeded, 3)
    );
    assert_eq!(bench.destroy_after(7200), 0, "the record names 1, and the node has 2");
    assert!(!bench.connection().may_rotate(), "a third one could not be offered");
    bench.mend();
    bench.catch_up();
    assert!(bench.has_only(&node, 3));
    assert_eq!(bench.destroy_after(0), 2);
}

#[test]
fn a_node_that_is_made_meanwhile_keeps_the_version_it_was_made_with() {
    let mut world = run_to_end(World::new());
    let (job, node) = run_to_end(world.provision(|_| {}));
    run_to_end(world.drain_until(&job, Step::CreateServer));
    let rotation = run_to_end(world.rotate_key()).unwrap();
    let drive = |world: &World| {
        while let Some(wake) = world.queue.take() {
            run_to_end(world.driver.handle(&wake)).unwrap();
        }
    };
    // The create waits: its wake is taken by nobody until the new version is in use.
    let create = world.store.with_jobs(|jobs| jobs[&job].clone());
    assert_eq!((create.step, create.key_version), (Step::CreateServer, 1));
    while world.store.all_connections()[0].key.as_ref().unwrap().version == 1 {
        let wake = world.queue.take().expect("a wake");
        if wake.job_id == rotation {
            run_to_end(world.driver.handle(&wake)).unwrap();
        }
    }
    world.clock.advance(SignedDuration::from_secs(120));
    run_to_end(world.sweep()).unwrap();
    drive(&world);
    let made = run_to_end(world.store.node(&node)).unwrap().unwrap();
    assert!(made.server.is_some() && made.key_version == 1, "as its user data says");
    let runs = world.store.all_runs();
    assert_eq!(runs[0].key_versions, [2, 1], "and its run has both");
    // One that is accepted from now on knows the new one only.
    let (_, second) = run_to_end(world.provision(|spec| spec.name = "second".into()));
    drive(&world);
    let made = run_to_end(world.store.node(&second)).unwrap().unwrap();
    assert_eq!(made.key_version, 2);
    let run = world.store.all_runs().into_iter().find(|run| run.node_id == second).unwrap();
    assert_eq!(run.key_versions, [2]);
    assert!(run_to_end(world.store.connection(&name())).unwrap().is_some());
}

/// What a wake that comes now makes of a rotation: whether it was moved on.
fn is_moved_by(bench: &Bench, id: &JobId, reason: WakeReason) -> bool {
    let before = bench.rotation(id);
    run_to_end(bench.world.driver.handle(&Wake::new(id.clone(), reason))).unwrap();
    bench.rotation(id) != before
}

#[test]
fn a_wake_that_comes_too_early_moves_nothing_but_what_is_parked() {
    let mut bench = Bench::with_nodes(1);
    let id = bench.rotate();
    while bench.rotation(&id).step != RotationStep::AwaitConfigures {
        let wake = bench.world.queue.take().expect("a wake");
        run_to_end(bench.world.driver.handle(&wake)).unwrap();
    }
    assert!(!bench.rotation(&id).is_due(bench.world.clock.now()));
    assert!(!is_moved_by(&bench, &id, WakeReason::Due));
    assert!(!is_moved_by(&bench, &id, WakeReason::Resume), "it waits for nothing else");

    let mut bench = Bench::with_nodes(1);
    bench.world.provider.read_only(true);
    let id = bench.rotate();
    bench.live(30);
    assert_eq!(bench.rotation(&id).waiting_on, Some(ParkReason::ProviderToken));
    assert!(!is_moved_by(&bench, &id, WakeReason::Due));
    assert!(is_moved_by(&bench, &id, WakeReason::Resume), "what it waits for may be there");
}

#[test]
fn a_spent_budget_is_waited_for() {
    let mut bench = Bench::with_nodes(1);
    let now = bench.world.clock.now();
    let mut pace = run_to_end(bench.world.store.pace(&name(), now)).unwrap();
    pace.exhausted(now);
    assert!(run_to_end(bench.world.store.swap_pace(&name(), &pace)).unwrap());
    let calls = bench.world.provider.books().calls;
    let id = bench.rotate();
    bench.live(5);
    assert_eq!(bench.world.provider.books().calls, calls, "others need what there is");
    bench.live(3600);
    assert_eq!(bench.state(&id), JobState::Succeeded);
}
