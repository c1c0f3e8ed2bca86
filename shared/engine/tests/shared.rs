//! What the jobs of a connection share: polls, the rate budget, refusals, quotas, groups.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use nodeyard_domain::{
    id::{JobId, NodeId},
    job::{Job, JobKind, JobState, ParkReason},
    node::NodeStatus,
    observation::{FailureClass, ProviderFailure},
    pace::Pace,
};
use nodeyard_engine::{
    Clock as _,
    store::{ApiStore as _, JobStore as _},
};
use nodeyard_testkit::{provider::CreateFault, world::World};

async fn job(world: &World, id: &JobId) -> Job {
    world.store.load(id).await.unwrap().unwrap().job
}

async fn pace(world: &World) -> Pace {
    world.store.pace(&"main".parse().unwrap(), world.clock.now()).await.unwrap()
}

fn refusal(class: FailureClass, code: &str) -> CreateFault {
    CreateFault::Refused(ProviderFailure::new(class, code, "refused by the test"))
}

async fn ask_for(world: &mut World, nodes: u32) -> Vec<(JobId, NodeId)> {
    let mut asked = Vec::new();
    for _ in 0..nodes {
        asked.push(world.provision(|_| {}).await);
    }
    asked
}

#[tokio::test]
async fn calls_per_node_fall_with_their_number() {
    for (nodes, most_each) in [(1, 5.0), (20, 2.0), (50, 1.5), (100, 1.5)] {
        let mut world = World::new().await;
        let asked = ask_for(&mut world, nodes).await;
        world.run_for(900).await.unwrap();
        for (id, _) in &asked {
            assert_eq!(job(&world, id).await.state, JobState::Succeeded);
        }
        let calls = world.provider.books().calls;
        let each = f64::from(calls) / f64::from(nodes);
        assert!(each <= most_each, "{calls} calls for {nodes} nodes");
        assert_eq!(world.provider.books().creates_sent, nodes);
    }
}

#[tokio::test]
async fn the_first_poll_comes_when_creations_were_done_lately() {
    let mut world = World::new().await;
    ask_for(&mut world, 1).await;
    world.run_for(900).await.unwrap();
    let learnt = pace(&world).await.expected_secs("debian-13").unwrap();
    let before = world.provider.books().calls;
    ask_for(&mut world, 1).await;
    world.run_for(900).await.unwrap();
    assert!((1..60).contains(&learnt), "{learnt} s");
    // create, one poll, one look; the key was seen lately
    assert_eq!(world.provider.books().calls - before, 3);
}

#[tokio::test]
async fn a_refusal_is_asked_for_once_and_remembered_for_all() {
    let mut world = World::new().await;
    world.provider.fault(refusal(FailureClass::NoCapacity, "resource_unavailable"));
    let asked = ask_for(&mut world, 10).await;
    world.run_for(900).await.unwrap();
    for (id, node) in &asked {
        assert_eq!(job(&world, id).await.state, JobState::Succeeded);
        let node = world.store.node(node).await.unwrap().unwrap();
        assert_eq!(node.server.unwrap().location.as_deref(), Some("nbg1"));
    }
    // One POST was refused; nobody asked for that rung again.
    assert_eq!(world.provider.books().creates_sent, 11);
}

#[tokio::test]
async fn a_quota_is_tried_by_one_at_a_time() {
    let mut world = World::new().await;
    world.provider.fault(refusal(FailureClass::Quota, "resource_limit_exceeded"));
    let asked = ask_for(&mut world, 10).await;
    world.run_for(20).await.unwrap();
    assert_eq!(world.provider.books().creates_sent, 1, "the others wait");
    for (id, _) in &asked {
        assert_eq!(job(&world, id).await.waiting_on, Some(ParkReason::Quota));
    }
    // It still holds when one tries again: nine go on waiting.
    world.provider.fault(refusal(FailureClass::Quota, "resource_limit_exceeded"));
    world.run_for(400).await.unwrap();
    assert_eq!(world.provider.books().creates_sent, 2);
    world.run_for(1200).await.unwrap();
    for (id, _) in &asked {
        assert_eq!(job(&world, id).await.state, JobState::Succeeded);
    }
    assert_eq!(world.provider.books().creates_sent, 12);
}

#[tokio::test]
async fn a_429_pauses_everybody_and_costs_no_tries() {
    let mut world = World::new().await;
    let asked = ask_for(&mut world, 5).await;
    // Somebody else has used everything up, and we do not know.
    world.provider.drain_budget(None);
    world.run_for(3).await.unwrap();
    assert_eq!(world.provider.books().throttled, 1, "the others keep still");
    for (id, _) in &asked {
        let job = job(&world, id).await;
        assert!(job.tries == 0 && job.attempt <= 1, "{job:?}");
    }
    world.run_for(1200).await.unwrap();
    for (id, _) in &asked {
        assert_eq!(job(&world, id).await.state, JobState::Succeeded);
    }
}

#[tokio::test]
async fn a_scarce_budget_parks_polls_and_leaves_calls_for_deletes() {
    let mut world = World::new().await;
    let asked = ask_for(&mut world, 2).await;
    world.run_for(5).await.unwrap();
    // Somebody else has used the budget up.
    let mut shared = pace(&world).await;
    shared.budget.remaining = 5.0;
    shared.budget.at = world.clock.now();
    assert!(world.store.swap_pace(&"main".parse().unwrap(), &shared).await.unwrap());
    world.run_for(15).await.unwrap();
    let parked = job(&world, &asked[0].0).await;
    assert_eq!(parked.waiting_on, Some(ParkReason::RateBudget), "{:?}", parked.step);
    // A cancelled one deletes its server all the same, at once.
    world.cancel(&asked[1].0).await;
    world.run_for(30).await.unwrap();
    assert_eq!(job(&world, &asked[1].0).await.state, JobState::Cancelled);
    world.run_for(900).await.unwrap();
    assert_eq!(job(&world, &asked[0].0).await.state, JobState::Succeeded);
}

#[tokio::test]
async fn spread_nodes_share_groups_of_ten() {
    let mut world = World::new().await;
    let mut asked = Vec::new();
    for _ in 0..12 {
        asked.push(world.provision(|spec| spec.spread = true).await);
    }
    world.run_for(900).await.unwrap();
    for (id, node) in &asked {
        let job = job(&world, id).await;
        assert_eq!(job.state, JobState::Succeeded);
        assert!(job.placement_group.is_some());
        assert_eq!(world.store.node(node).await.unwrap().unwrap().status, NodeStatus::Ready);
    }
    let mut places = std::collections::BTreeMap::<u64, u32>::new();
    for (id, _) in &asked {
        *places.entry(job(&world, id).await.placement_group.unwrap()).or_default() += 1;
    }
    assert!(places.len() <= 3 && places.values().all(|servers| *servers <= 10), "{places:?}");
    let free: u32 = pace(&world).await.groups.iter().map(|group| group.free).sum();
    assert_eq!(free as usize, places.len() * 10 - 12, "full ones are not kept");
}

/// How much later than `until` a job is looked at again, in seconds.
async fn late_by(world: &World, id: &JobId, until: jiff::Timestamp) -> i64 {
    (job(world, id).await.due_at.unwrap() - until).get_seconds()
}

#[tokio::test]
async fn who_comes_later_waits_only_for_what_is_left_of_a_refusal() {
    let mut world = World::new().await;
    world.provider.fault(refusal(FailureClass::Quota, "resource_limit_exceeded"));
    ask_for(&mut world, 1).await;
    world.run_for(100).await.unwrap();
    let until = pace(&world).await.quota.unwrap().until;
    let later = ask_for(&mut world, 1).await;
    world.run_for(20).await.unwrap();
    assert_eq!(world.provider.books().creates_sent, 1, "the second one did not ask");
    let late = late_by(&world, &later[0].0, until).await;
    assert!(late.abs() <= 1, "{late} s");

    let mut world = World::new().await;
    world.provider.fault(refusal(FailureClass::NoCapacity, "resource_unavailable"));
    world.provision(|spec| spec.placement.truncate(1)).await;
    world.run_for(100).await.unwrap();
    let until = pace(&world).await.refused[0].until;
    let (later, _) = world.provision(|spec| spec.placement.truncate(1)).await;
    world.run_for(20).await.unwrap();
    assert_eq!(world.provider.books().creates_sent, 1, "the second one did not ask");
    let late = late_by(&world, &later, until).await;
    assert!(late.abs() <= 1, "{late} s");
}

#[tokio::test]
async fn what_is_freed_may_be_what_a_quota_waited_for() {
    let mut world = World::new().await;
    let ready = ask_for(&mut world, 1).await;
    world.run_for(600).await.unwrap();
    world.provider.fault(refusal(FailureClass::Quota, "resource_limit_exceeded"));
    ask_for(&mut world, 1).await;
    world.run_for(20).await.unwrap();
    assert!(pace(&world).await.quota.is_some());
    world.work(JobKind::NodeRelease, &ready[0].1).await.unwrap();
    world.run_for(60).await.unwrap();
    assert_eq!(pace(&world).await.quota, None);
}

#[tokio::test]
async fn a_full_group_is_left_and_its_rung_is_not_blamed() {
    for (code, location, is_refused) in
        [("placement_error", "fsn1", false), ("resource_unavailable", "nbg1", true)]
    {
        let mut world = World::new().await;
        world.provider.fault(refusal(FailureClass::NoCapacity, code));
        let (id, node) = world.provision(|spec| spec.spread = true).await;
        world.run_for(300).await.unwrap();
        assert_eq!(job(&world, &id).await.state, JobState::Succeeded, "{code}");
        let node = world.store.node(&node).await.unwrap().unwrap();
        assert_eq!(node.server.unwrap().location.as_deref(), Some(location), "{code}");
        assert_eq!(!pace(&world).await.refused.is_empty(), is_refused, "{code}");
        assert_eq!(world.provider.books().creates_sent, 2, "{code}");
    }
}

/// Whether it is the first call, a poll of actions or of servers.
#[tokio::test]
async fn a_429_is_told_to_all_whatever_call_met_it() {
    for after_secs in [0, 3, 6, 9, 12, 14] {
        let mut world = World::new().await;
        ask_for(&mut world, 3).await;
        if after_secs > 0 {
            world.run_for(after_secs).await.unwrap();
        }
        world.provider.throttle(1);
        let mut least = f64::INFINITY;
        for _ in 0..60 {
            world.run_for(1).await.unwrap();
            least = least.min(pace(&world).await.budget.remaining);
        }
        assert!(least < 300.0, "{least} calls were left, {after_secs} s after the start");
    }
}

#[tokio::test]
async fn the_key_is_asked_for_again_when_a_create_did_not_find_it() {
    let mut world = World::new().await;
    let start = world.clock.now();
    world.provider.fault(refusal(FailureClass::NotFound, "not_found"));
    let asked = ask_for(&mut world, 1).await;
    world.run_for(900).await.unwrap();
    assert_eq!(job(&world, &asked[0].0).await.state, JobState::Succeeded);
    let seen = pace(&world).await.key_seen_at.expect("it was asked for");
    assert!(seen > start, "and again after the create");
}
