//! Whole lives of nodes over the simulated ports. Duplicates and orphans are judged by the
//! cloud's own books, never by our records.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use jiff::SignedDuration;
use nodeyard_domain::{
    code::Code,
    host_key::HostPins,
    id::{JobId, NodeId},
    job::{Job, JobKind, JobState, ParkReason, Step},
    node::NodeStatus,
    observation::{FailureClass, ProviderFailure},
    wake::{Wake, WakeReason},
};
use nodeyard_engine::{
    Clock as _, Handled,
    queue::WakeQueue as _,
    store::{ApiStore as _, JobStore as _, RunStore as _},
    sweep::sweep,
};
use nodeyard_testkit::{figures::measured, provider::CreateFault, world::World};

async fn job(world: &World, id: &JobId) -> Job {
    world.store.load(id).await.unwrap().unwrap().job
}

async fn status(world: &World, id: &NodeId) -> NodeStatus {
    world.store.node(id).await.unwrap().unwrap().status
}

/// One live server at most, under every name, over the whole test.
fn never_doubled(world: &World) {
    assert!(world.provider.books().most_alive_per_name <= 1);
}

#[tokio::test]
async fn a_node_is_acquired_configured_again_and_released() {
    let mut world = World::new().await;
    let (provision, node) = world.provision(|_| {}).await;
    let asked = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    world.store.put_job(Job { traceparent: Some(asked.into()), ..job(&world, &provision).await });
    world.drain_until(&provision, Step::AwaitServer).await;
    let sent = world.queue.messages();
    assert_eq!(sent.last().unwrap().wake.traceparent.as_deref(), Some(asked));
    let (ran, figures) = measured(world.run_for(600)).await;
    ran.unwrap();
    let job_now = job(&world, &provision).await;
    let run = world.store.run(&provision, 1).await.unwrap().unwrap();
    assert_eq!(run.traceparent.as_deref(), Some(asked));
    assert_eq!(job_now.state, JobState::Succeeded);
    let told = |metric, values: &[&str]| -> Vec<f64> {
        let told = figures.iter().filter(|figure| figure.is(metric, values));
        told.map(|figure| figure.value).collect()
    };
    assert_eq!(told("JobsEnded", &["node_provision", "succeeded"]), [1.0]);
    let (server, ready) = (told("TimeToReady", &["server"]), told("TimeToReady", &["ready"]));
    let took = job_now.updated_at.duration_since(job_now.created_at).as_secs_f64();
    assert_eq!(ready, [took]);
    assert!(server.len() == 1 && server[0] > 0.0 && server[0] < took, "{server:?} {took}");
    assert!(!told("QueueAge", &[]).is_empty());
    assert_eq!(status(&world, &node).await, NodeStatus::Ready);
    let books = world.provider.books();
    assert_eq!((books.creates_sent, books.alive.len()), (1, 1));
    // ensure key, create, one poll, fetch
    assert!(books.calls <= 5, "{} calls", books.calls);

    let configure = world.work(JobKind::NodeConfigure, &node).await.unwrap();
    world.run_for(600).await.unwrap();
    assert_eq!(job(&world, &configure).await.state, JobState::Succeeded);
    assert_eq!(status(&world, &node).await, NodeStatus::Ready);
    assert_eq!(world.provider.books().calls, books.calls, "configuring asks the provider nothing");

    let release = world.work(JobKind::NodeRelease, &node).await.unwrap();
    world.run_for(600).await.unwrap();
    assert_eq!(job(&world, &release).await.state, JobState::Succeeded);
    assert_eq!(status(&world, &node).await, NodeStatus::Released);
    assert!(world.provider.books().alive.is_empty());
    assert!(world.store.node(&node).await.unwrap().unwrap().open_job.is_none());
}

#[tokio::test]
async fn lost_answers_leave_one_server_that_is_ours() {
    for fault in [CreateFault::AnswerLost, CreateFault::Dropped, CreateFault::LandsLate(50)] {
        let mut world = World::new().await;
        world.provider.fault(fault.clone());
        let (provision, node) = world.provision(|_| {}).await;
        world.run_for(1700).await.unwrap();
        assert_eq!(job(&world, &provision).await.state, JobState::Succeeded, "{fault:?}");
        assert_eq!(status(&world, &node).await, NodeStatus::Ready);
        assert_eq!(world.provider.books().alive.len(), 1, "{fault:?}");
        never_doubled(&world);
    }
}

#[tokio::test]
async fn a_create_is_sent_once_however_often_its_wake_comes() {
    let mut world = World::new().await;
    let (provision, _) = world.provision(|_| {}).await;
    // Ten deliveries of each wake, all at once.
    for _ in 0..40 {
        for _ in 0..10 {
            world.queue.send(&Wake::new(provision.clone(), WakeReason::Due), 0).await.unwrap();
        }
        world.run_for(5).await.unwrap();
    }
    world.run_for(600).await.unwrap();
    assert_eq!(world.provider.books().creates_sent, 1);
    assert_eq!(job(&world, &provision).await.state, JobState::Succeeded);
}

#[tokio::test]
async fn a_worker_that_died_after_its_claim_is_followed_by_a_look_not_by_a_second_post() {
    let mut world = World::new().await;
    let (provision, _) = world.provision(|_| {}).await;
    world.drain_until(&provision, Step::CreateServer).await;
    // The claim is made, and the worker dies before or after its POST: nobody knows.
    let loaded = world.store.load(&provision).await.unwrap().unwrap();
    world.store.begin(&loaded.job, true).await.unwrap();
    world.run_for(60).await.unwrap();
    assert_eq!(world.provider.books().creates_sent, 0, "no POST before the settle time is over");
    world.run_for(600).await.unwrap();
    assert_eq!(world.provider.books().creates_sent, 1);
    assert_eq!(job(&world, &provision).await.state, JobState::Succeeded);
}

#[tokio::test]
async fn a_lost_wake_costs_two_sweeps_at_most() {
    let mut world = World::new().await;
    let (provision, _) = world.provision(|_| {}).await;
    world.queue.lose_all();
    let start = world.clock.now();
    while job(&world, &provision).await.step == Step::EnsureKey {
        world.clock.advance(SignedDuration::from_secs(60));
        sweep(&world.store, &world.queue, &world.events, world.clock.now()).await.unwrap();
        world.drain().await.unwrap();
    }
    assert!((world.clock.now() - start).get_seconds() <= 150);
}

#[tokio::test]
async fn a_foreign_server_under_our_name_is_neither_adopted_nor_deleted() {
    let mut world = World::new().await;
    let (provision, node) = world.provision(|_| {}).await;
    let name = world.store.node(&node).await.unwrap().unwrap().server_name;
    let foreign = world.provider.take_name(&name);
    world.run_for(600).await.unwrap();
    let job = job(&world, &provision).await;
    assert_eq!(job.state, JobState::Failed);
    assert_eq!(job.error.unwrap().code, Code::ProviderNameConflict);
    assert_eq!(world.provider.books().alive, [foreign]);
    assert_eq!(world.provider.books().creates_sent, 1, "at most one POST");
}

#[tokio::test]
async fn cancelling_at_any_moment_leaves_nothing() {
    for after_secs in [0, 1, 3, 8, 14, 20, 45] {
        for fault in [None, Some(CreateFault::AnswerLost), Some(CreateFault::LandsLate(30))] {
            let mut world = World::new().await;
            if let Some(fault) = fault.clone() {
                world.provider.fault(fault);
            }
            let (provision, node) = world.provision(|_| {}).await;
            world.run_for(after_secs).await.unwrap();
            let open = world.cancel(&provision).await;
            world.run_for(1500).await.unwrap();
            let job = job(&world, &provision).await;
            let told = format!("cancelled after {after_secs} s with {fault:?}: {:?}", job.error);
            if open {
                assert_eq!(job.state, JobState::Cancelled, "{told}");
                assert_eq!(status(&world, &node).await, NodeStatus::Released, "{told}");
                assert!(world.provider.books().alive.is_empty(), "{told}");
            } else {
                assert_eq!(job.state, JobState::Succeeded, "{told}");
            }
            never_doubled(&world);
        }
    }
}

#[tokio::test]
async fn a_revoked_token_parks_the_job_and_a_new_one_resumes_it() {
    let mut world = World::new().await;
    let (provision, _) = world.provision(|_| {}).await;
    world.provider.revoke_token(true);
    world.run_for(5).await.unwrap();
    let parked = job(&world, &provision).await;
    assert_eq!(parked.waiting_on, Some(ParkReason::ProviderToken));
    assert!(world.queue.messages().is_empty(), "parked jobs hold no wake");
    world.provider.revoke_token(false);
    world.queue.send(&Wake::new(provision.clone(), WakeReason::Resume), 0).await.unwrap();
    world.run_for(300).await.unwrap();
    assert_eq!(job(&world, &provision).await.state, JobState::Succeeded);
}

#[tokio::test]
async fn a_token_of_another_project_never_makes_a_server_gone() {
    let mut world = World::new().await;
    let (_, node) = world.provision(|_| {}).await;
    world.run_for(600).await.unwrap();
    let release = world.work(JobKind::NodeRelease, &node).await.unwrap();
    world.provider.hide_marker(true);
    world.run_for(3600).await.unwrap();
    assert_eq!(job(&world, &release).await.state, JobState::Failed);
    assert_eq!(status(&world, &node).await, NodeStatus::CleanupPending);
    // Visible, and released again once the token is right.
    world.provider.hide_marker(false);
    let again = world.work(JobKind::NodeRelease, &node).await.unwrap();
    world.run_for(600).await.unwrap();
    assert_eq!(job(&world, &again).await.state, JobState::Succeeded);
    assert_eq!(status(&world, &node).await, NodeStatus::Released);
}

#[tokio::test]
async fn a_dry_ladder_parks_and_is_tried_again_from_the_top() {
    let mut world = World::new().await;
    let refusal = || {
        let class = FailureClass::NoCapacity;
        CreateFault::Refused(ProviderFailure::new(class, "resource_unavailable", "no stock"))
    };
    world.provider.fault(refusal());
    world.provider.fault(refusal());
    let (provision, node) = world.provision(|_| {}).await;
    world.run_for(30).await.unwrap();
    assert_eq!(job(&world, &provision).await.waiting_on, Some(ParkReason::Capacity));
    world.run_for(900).await.unwrap();
    assert_eq!(job(&world, &provision).await.state, JobState::Succeeded);
    let node = world.store.node(&node).await.unwrap().unwrap();
    assert_eq!((node.attempts, node.server.unwrap().attempt), (3, 3));
}

#[tokio::test]
async fn a_release_waits_for_the_open_job_and_then_has_its_turn() {
    let mut world = World::new().await;
    let (_, node) = world.provision(|_| {}).await;
    world.run_for(600).await.unwrap();
    let configure = world.work(JobKind::NodeConfigure, &node).await.unwrap();
    world.run_for(10).await.unwrap();
    assert!(world.work(JobKind::NodeConfigure, &node).await.is_none(), "one open job per node");
    world.cancel(&configure).await;
    let release = world.work(JobKind::NodeRelease, &node).await.unwrap();
    world.run_for(300).await.unwrap();
    assert_eq!(job(&world, &configure).await.state, JobState::Cancelled);
    assert_eq!(job(&world, &release).await.state, JobState::Succeeded);
    assert!(world.runner.running().is_empty() && world.provider.books().alive.is_empty());
}

#[tokio::test]
async fn every_accepted_job_ends_by_its_deadline_and_undo_by_its_own() {
    let mut world = World::new().await;
    world.run_secs = 1_000_000;
    let (provision, node) = world.provision(|spec| spec.deadline_secs = 300).await;
    world.run_for(300 + 90).await.unwrap();
    let job = job(&world, &provision).await;
    assert_eq!((job.state, job.error.unwrap().code), (JobState::Failed, Code::JobTimeout));
    assert_eq!(status(&world, &node).await, NodeStatus::Failed);
    assert!(world.runner.running().is_empty() && world.provider.books().alive.is_empty());
}

#[tokio::test]
async fn a_job_that_crashes_its_worker_is_given_up_visibly() {
    let mut world = World::new().await;
    let (provision, node) = world.provision(|_| {}).await;
    let loaded = world.store.load(&provision).await.unwrap().unwrap();
    for _ in 0..5 {
        world.store.begin(&loaded.job, false).await.unwrap();
    }
    world.drain().await.unwrap();
    assert_eq!(job(&world, &provision).await.error.unwrap().code, Code::JobPoisoned);
    assert_eq!(status(&world, &node).await, NodeStatus::CleanupPending);
}

#[tokio::test]
async fn wakes_that_are_early_or_for_nothing_change_nothing() {
    let mut world = World::new().await;
    let (provision, _) = world.provision(|_| {}).await;
    world.run_for(600).await.unwrap();
    let before = world.store.load(&provision).await.unwrap();
    let calls = world.provider.books().calls;
    for reason in [WakeReason::Due, WakeReason::Cancel, WakeReason::Run, WakeReason::Resume] {
        let wake = Wake::new(provision.clone(), reason);
        assert_eq!(world.driver.handle(&wake).await.unwrap(), Handled::Left);
    }
    let unknown = Wake::new(JobId::from_bits(999), WakeReason::Due);
    assert_eq!(world.driver.handle(&unknown).await.unwrap(), Handled::Left);
    assert_eq!(world.store.load(&provision).await.unwrap(), before);
    assert_eq!(world.provider.books().calls, calls, "a finished job causes no call");
}

#[tokio::test]
async fn two_workers_on_every_wake_make_each_commit_once() {
    let mut world = World::new().await;
    let (provision, node) = world.provision(|_| {}).await;
    let mut commits = 0;
    for _ in 0..120 {
        while let Some(wake) = world.queue.take() {
            // Both load the same version, both ask the provider, one commits.
            let (a, b) = tokio::join!(world.driver.handle(&wake), world.driver.handle(&wake));
            for handled in [a.unwrap(), b.unwrap()] {
                commits += u64::from(handled == Handled::Committed);
            }
        }
        world.end_runs().await;
        world.clock.advance(SignedDuration::from_secs(1));
    }
    let job = job(&world, &provision).await;
    assert_eq!((job.state, status(&world, &node).await), (JobState::Succeeded, NodeStatus::Ready));
    assert_eq!(job.version, commits + 1, "a version is committed once");
    assert_eq!(world.provider.books().creates_sent, 1);
    let history = world.store.history(&provision);
    let told = |text: &str| history.iter().filter(|entry| entry.message.contains(text)).count();
    // Created by one, or adopted by the other, who looked because the claim was made.
    assert_eq!((told("on cx23@fsn1"), told("run started"), told("succeeded")), (1, 1, 2));
}

#[tokio::test]
async fn a_server_that_comes_back_while_its_node_is_released_is_not_forgotten() {
    let mut world = World::new().await;
    let (provision, node) = world.provision(|_| {}).await;
    world.run_for(600).await.unwrap();
    let release = world.work(JobKind::NodeRelease, &node).await.unwrap();
    world.drain_until(&release, Step::ConfirmGone).await;
    // The provision has ended long ago; an answer of its create comes only now.
    let known = job(&world, &provision).await.server.unwrap();
    let late = nodeyard_domain::node::Server { id: known.id + 1000, ..known };
    world.store.keep_on_node(&node, &late, world.clock.now()).await.unwrap();
    world.run_for(120).await.unwrap();
    assert_eq!(job(&world, &release).await.state, JobState::Succeeded);
    let record = world.store.node(&node).await.unwrap().unwrap();
    assert_eq!(record.status, NodeStatus::CleanupPending);
    assert_eq!(record.server.unwrap().id, late.id);
}

#[tokio::test]
async fn a_job_that_crashed_its_worker_twice_runs_alone() {
    let mut world = World::new().await;
    let (provision, _) = world.provision(|_| {}).await;
    let wake = Wake::new(provision.clone(), WakeReason::Due);
    let loaded = world.store.load(&provision).await.unwrap().unwrap();
    world.store.begin(&loaded.job, false).await.unwrap();
    world.store.begin(&loaded.job, false).await.unwrap();
    assert_eq!(world.driver.handle_in_company(&wake).await.unwrap(), Handled::ToBeAlone);
    assert_eq!(job(&world, &provision).await.version, 1, "it was left alone");
    assert_eq!(world.driver.handle(&wake).await.unwrap(), Handled::Committed);
    // The commit has cleared the counter: it is like any other again.
    assert_eq!(world.driver.handle_in_company(&wake).await.unwrap(), Handled::Committed);
    world.run_for(600).await.unwrap();
    assert_eq!(world.driver.handle_in_company(&wake).await.unwrap(), Handled::Left);
    let unknown = Wake::new(JobId::from_bits(999), WakeReason::Due);
    assert_eq!(world.driver.handle_in_company(&unknown).await.unwrap(), Handled::Left);
}

#[tokio::test]
async fn the_first_key_is_pinned_once_and_what_the_node_made_stays_pinned() {
    let mut world = World::new().await;
    let (_, node) = world.provision(|_| {}).await;
    world.run_for(600).await.unwrap();
    let server = world.store.node(&node).await.unwrap().unwrap().server.unwrap();
    let known = world.store.pins(&node).await.unwrap().expect("pinned before the first run");
    assert_eq!(known.server_id, server.id);

    let made = HostPins { current: "ssh-ed25519 made".into(), replaced: true, ..known.clone() };
    assert!(world.store.put_pins(&node, Some(&known), &made).await.unwrap());
    world.work(JobKind::NodeConfigure, &node).await.unwrap();
    world.run_for(600).await.unwrap();
    assert_eq!(world.store.pins(&node).await.unwrap(), Some(made), "never the delivered one again");
}

#[tokio::test]
async fn a_wake_that_comes_too_early_calls_nobody() {
    // A poll, and a call that failed. Neither is parked, so there is nothing to resume.
    for (is_down, reason) in
        [(false, WakeReason::Due), (true, WakeReason::Due), (true, WakeReason::Resume)]
    {
        let mut world = World::new().await;
        world.provider.set_down(is_down);
        let (id, _) = world.provision(|_| {}).await;
        if is_down {
            world.run_for(2).await.unwrap();
        } else {
            world.drain_until(&id, Step::AwaitServer).await;
        }
        world.queue.lose_all();
        let before = job(&world, &id).await;
        assert!(before.due_at.unwrap() > world.clock.now(), "{before:?}");
        let calls = world.provider.books().calls;
        world.queue.send(&Wake::new(id.clone(), reason), 0).await.unwrap();
        world.drain().await.unwrap();
        assert_eq!(world.provider.books().calls, calls, "{reason:?}");
        assert_eq!(job(&world, &id).await, before, "{reason:?}");
    }
}

#[tokio::test]
async fn a_server_on_record_says_which_attempt_made_it() {
    for fault in [None, Some(CreateFault::AnswerLost)] {
        let mut world = World::new().await;
        fault.clone().into_iter().for_each(|it| world.provider.fault(it));
        let (_, node) = world.provision(|_| {}).await;
        world.run_for(1700).await.unwrap();
        let node = world.store.node(&node).await.unwrap().unwrap();
        assert_eq!((node.status, node.attempts), (NodeStatus::Ready, 1), "{fault:?}");
        assert_eq!(node.server.unwrap().attempt, 1, "{fault:?}");
    }
}

#[tokio::test]
async fn nothing_is_made_for_a_job_that_is_cancelled_or_late() {
    for is_late in [false, true] {
        let mut world = World::new().await;
        let (id, _) = world.provision(|spec| spec.deadline_secs = 300).await;
        world.drain_until(&id, Step::CreateServer).await;
        if is_late {
            world.clock.advance(SignedDuration::from_secs(301));
        } else {
            assert!(world.cancel(&id).await);
        }
        world.run_for(900).await.unwrap();
        let expected = if is_late { JobState::Failed } else { JobState::Cancelled };
        assert_eq!(world.state(&id), expected);
        assert_eq!(world.provider.books().made, 0, "late: {is_late}");
    }
}
