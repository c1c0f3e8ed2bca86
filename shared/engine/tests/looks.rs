//! Jobs that look at a node: a check finds out, a smoke has it work, and both leave it as it is.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use nodeyard_domain::{
    code::Code,
    id::{JobId, NodeId},
    job::{Job, JobKind, JobState},
    node::{Node, NodeStatus},
    readiness::ReadinessCode,
    run::Purpose,
};
use nodeyard_engine::{
    store::{ApiStore as _, JobStore as _, RunStore as _},
    watch::{Watch, Watched},
};
use nodeyard_testkit::{
    faults::{Fault, Faults},
    reach::MemoryReach,
    world::{DEPLOYMENT, Setup, World},
};

async fn job(world: &World, id: &JobId) -> Job {
    world.store.load(id).await.unwrap().unwrap().job
}

async fn node(world: &World, id: &NodeId) -> Node {
    world.store.node(id).await.unwrap().unwrap()
}

/// What is in the way of using a node.
fn failing(node: &Node) -> Vec<ReadinessCode> {
    node.readiness.iter().filter(|it| !it.ok).map(|it| it.code).collect()
}

async fn ready(world: &mut World) -> (NodeId, u64) {
    let (_, id) = world.provision(|_| {}).await;
    world.run_for(600).await.unwrap();
    let node = node(world, &id).await;
    assert_eq!(node.status, NodeStatus::Ready);
    (id, node.server.unwrap().id)
}

async fn look(world: &mut World, kind: JobKind, id: &NodeId) -> Job {
    let open = world.work(kind, id).await.expect("the node is free");
    world.run_for(1_500).await.unwrap();
    job(world, &open).await
}

async fn pass(world: &World, reach: &MemoryReach) -> Watched {
    let watch = Watch {
        store: &world.store,
        queue: &world.queue,
        provider: &world.provider,
        reach,
        clock: &world.clock,
        deployment: DEPLOYMENT,
    };
    watch.run().await.unwrap()
}

#[tokio::test]
async fn a_node_that_is_well_stays_ready() {
    let mut world = World::new().await;
    let (id, _) = ready(&mut world).await;
    let before = node(&world, &id).await;
    let calls = world.provider.books().calls;
    let check = look(&mut world, JobKind::NodeCheck, &id).await;
    assert_eq!((check.state, world.provider.books().calls), (JobState::Succeeded, calls + 1));
    let run = world.store.run(&check.id, 1).await.unwrap().unwrap();
    assert_eq!(run.purpose, Purpose::Check);
    let after = node(&world, &id).await;
    assert_eq!((after.status, after.status_since), (NodeStatus::Ready, before.status_since));
    assert!(after.checked_at > before.checked_at && after.open_job.is_none());
    let smoke = look(&mut world, JobKind::NodeSmoke, &id).await;
    let run = world.store.run(&smoke.id, 1).await.unwrap().unwrap();
    assert_eq!((smoke.state, run.purpose), (JobState::Succeeded, Purpose::Smoke { keep: false }));
    assert_eq!(world.provider.books().calls, calls + 1, "a smoke asks the provider nothing");
}

#[tokio::test]
async fn without_a_server_that_runs_there_is_a_verdict_and_no_run() {
    for gone in [false, true] {
        let mut world = World::new().await;
        let (id, server) = ready(&mut world).await;
        let expected = if gone {
            assert!(world.provider.remove_server(server));
            ReadinessCode::ProviderServerMissing
        } else {
            assert!(world.provider.power_off(server));
            ReadinessCode::ProviderServerOff
        };
        let check = look(&mut world, JobKind::NodeCheck, &id).await;
        assert_eq!((check.state, check.run), (JobState::Succeeded, None));
        let after = node(&world, &id).await;
        assert_eq!((after.status, failing(&after)), (NodeStatus::NotReady, vec![expected]));
        assert!(after.status_since > Some(after.created_at) && after.server.is_some());
        // The node is still ours to release.
        let release = look(&mut world, JobKind::NodeRelease, &id).await;
        assert_eq!(release.state, JobState::Succeeded);
        assert!(world.provider.books().alive.is_empty());
    }
}

#[tokio::test]
async fn a_run_that_says_nothing_of_the_node_changes_nothing_about_it() {
    for kind in [JobKind::NodeCheck, JobKind::NodeSmoke] {
        let faults = Faults::seeded(3);
        let mut world = World::build(Setup { faults: faults.clone(), ..Setup::default() }).await;
        let (id, _) = ready(&mut world).await;
        let before = node(&world, &id).await;
        for _ in 0..3 {
            faults.once(Fault::TaskKilled);
        }
        let looked = look(&mut world, kind, &id).await;
        assert_eq!(looked.error.as_ref().map(|it| it.code), Some(Code::TaskLost), "{kind:?}");
        let after = node(&world, &id).await;
        assert_eq!((after.status, &after.readiness), (NodeStatus::Ready, &before.readiness));
        assert_eq!((after.checked_at, after.open_job), (before.checked_at, None));
    }
}

#[tokio::test]
async fn the_schedule_opens_a_check_where_something_looks_wrong_and_only_there() {
    let mut world = World::new().await;
    let reach = MemoryReach::default();
    let (well, _) = ready(&mut world).await;
    let (off, server) = ready(&mut world).await;
    assert_eq!(pass(&world, &reach).await, Watched { nodes: 2, checks: 0 });
    world.provider.power_off(server);
    let calls = world.provider.books().calls;
    assert_eq!(pass(&world, &reach).await, Watched { nodes: 2, checks: 1 });
    assert_eq!(world.provider.books().calls, calls + 1, "one listing for all nodes");
    // Another pass at the same time opens no second one, also when the check is over.
    assert_eq!(pass(&world, &reach).await.checks, 0);
    world.run_for(120).await.unwrap();
    assert_eq!(node(&world, &off).await.status, NodeStatus::NotReady);
    assert_eq!(node(&world, &well).await.status, NodeStatus::Ready);
    world.clock.advance(jiff::SignedDuration::from_hours(10));
    assert_eq!(pass(&world, &reach).await.checks, 0, "it is known to be off");
}

#[tokio::test]
async fn a_port_that_does_not_answer_is_confirmed_by_a_login() {
    let mut world = World::new().await;
    let reach = MemoryReach::default();
    let (id, _) = ready(&mut world).await;
    let address = node(&world, &id).await.server.unwrap().ipv4.unwrap();
    reach.silence(&address);
    let mut checks = 0;
    for _ in 0..6 {
        checks += pass(&world, &reach).await.checks;
        world.run_for(200).await.unwrap();
        world.clock.advance(jiff::SignedDuration::from_secs(300));
    }
    assert!(checks >= 1 && reach.tried().iter().all(|tried| *tried == address));
    assert_eq!(node(&world, &id).await.status, NodeStatus::Ready, "the login succeeded");
}

#[tokio::test]
async fn a_run_is_told_how_long_the_last_one_of_its_profile_was() {
    let mut world = World::new().await;
    let (first, _) = world.provision(|_| {}).await;
    world.run_for(600).await.unwrap();
    let (second, id) = world.provision(|_| {}).await;
    world.run_for(600).await.unwrap();
    let check = look(&mut world, JobKind::NodeCheck, &id).await.id;
    let mut told = Vec::new();
    for job in [first, second, check] {
        told.push(world.store.run(&job, 1).await.unwrap().unwrap().expected_tasks);
    }
    assert_eq!(told, [None, Some(12), None], "a check is no run of the profile");
}
