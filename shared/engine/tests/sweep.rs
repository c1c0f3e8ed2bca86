//! The sweep: bounded in a backlog, and the one who releases what is left over.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use jiff::SignedDuration;
use nodeyard_domain::{
    job::{JobKind, JobState},
    node::NodeStatus,
};
use nodeyard_engine::{
    Clock as _,
    store::ApiStore as _,
    sweep::{MAX_WAKES, sweep},
};
use nodeyard_testkit::world::World;

#[tokio::test]
async fn ten_thousand_overdue_jobs_make_no_storm() {
    let mut world = World::new().await;
    for _ in 0..10_000 {
        world.provision(|_| {}).await;
    }
    world.queue.lose_all();
    let mut woken = std::collections::BTreeSet::new();
    for minute in 1..=20 {
        world.clock.advance(SignedDuration::from_secs(60));
        let swept =
            sweep(&world.store, &world.queue, &world.events, world.clock.now()).await.unwrap();
        assert_eq!(swept.sent, MAX_WAKES, "in minute {minute}");
        for queued in world.queue.messages() {
            woken.insert(queued.wake.job_id);
        }
        assert!(world.queue.messages().len() <= MAX_WAKES * minute);
    }
    // Nobody is woken twice before everybody was woken once.
    assert_eq!(woken.len(), 10_000);
}

#[tokio::test]
async fn what_is_left_over_is_released_again_until_it_is_gone() {
    let mut world = World::new().await;
    let (_, node) = world.provision(|_| {}).await;
    world.run_for(600).await.unwrap();
    // The token is one of another project: nothing can be proved gone.
    world.provider.hide_marker(true);
    world.work(JobKind::NodeRelease, &node).await.unwrap();
    world.run_for(3600).await.unwrap();
    let left = world.store.node(&node).await.unwrap().unwrap();
    assert_eq!((left.status, left.cleanup_tries), (NodeStatus::CleanupPending, 1));
    assert!(left.release_at.is_some() && left.open_job.is_none());

    // The sweep opens a release of its own, which fails as well; the next one comes later.
    world.clock.advance(SignedDuration::from_secs(301));
    let now = world.clock.now();
    assert_eq!(sweep(&world.store, &world.queue, &world.events, now).await.unwrap().released, 1);
    assert_eq!(
        sweep(&world.store, &world.queue, &world.events, now).await.unwrap().released,
        0,
        "one at a time"
    );
    world.run_for(3600).await.unwrap();
    let left = world.store.node(&node).await.unwrap().unwrap();
    assert_eq!((left.status, left.cleanup_tries), (NodeStatus::CleanupPending, 2));
    let wait = left.release_at.unwrap() - left.updated_at;
    assert_eq!(wait.get_seconds(), 600);

    world.provider.hide_marker(false);
    world.clock.advance(SignedDuration::from_secs(601));
    assert_eq!(
        sweep(&world.store, &world.queue, &world.events, world.clock.now()).await.unwrap().released,
        1
    );
    world.run_for(600).await.unwrap();
    let gone = world.store.node(&node).await.unwrap().unwrap();
    assert_eq!((gone.status, gone.cleanup_tries), (NodeStatus::Released, 0));
    assert!(world.provider.books().alive.is_empty());
    let releases = world.store.all_jobs().into_iter().filter(|job| job.actor == "system");
    for job in releases {
        let asked = world.store.audit().into_iter().any(|it| it.request_id == job.id.to_string());
        assert!(asked, "the audit names the release that it tells of");
    }
    let by_system = world.store.all_jobs().into_iter().filter(|job| job.actor == "system");
    let states: Vec<JobState> = by_system.map(|job| job.state).collect();
    assert_eq!(states.len(), 2);
    assert!(states.contains(&JobState::Failed) && states.contains(&JobState::Succeeded));
}
