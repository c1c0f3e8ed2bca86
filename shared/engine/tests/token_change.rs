//! A token is revoked while jobs run, and another takes its place: every job goes on.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use hetzner_sim::Access;
use jiff::SignedDuration;
use nodeyard_domain::{
    connection::{ConnectionReason as Reason, ConnectionStatus as Status, Permission},
    job::{JobState, ParkReason},
};
use nodeyard_engine::{Clock as _, store::JobStore as _};
use nodeyard_testkit::{
    provider::PROJECT,
    world::{World, name},
};

const JOBS: usize = 10;

async fn standing(world: &World) -> (Status, Option<Reason>) {
    world.check_connection().await.unwrap();
    let connection = world.store.connection(&name()).await.unwrap().unwrap();
    (connection.status, connection.reason)
}

/// Lets `secs` go by although nothing may be open.
async fn pass(world: &World, secs: i64) {
    let end = world.clock.now() + SignedDuration::from_secs(secs);
    world.run_for(secs).await.unwrap();
    let left = end.duration_since(world.clock.now());
    if left.is_positive() {
        world.clock.advance(left);
    }
}

/// Revoked at every second of the way, so that each step of a provision meets it.
#[tokio::test]
async fn jobs_of_a_revoked_token_wait_and_finish_with_another() {
    let mut parked = 0;
    for revoked_after in 0..40 {
        let mut world = World::new().await;
        let mut jobs = Vec::new();
        for _ in 0..JOBS {
            jobs.push(world.provision(|_| {}).await.0);
        }
        pass(&world, revoked_after).await;
        world.provider.revoke_token(true);
        pass(&world, 200).await;
        let open = world.open_jobs();
        let waiting = open.iter().filter(|job| job.waiting_on == Some(ParkReason::ProviderToken));
        parked += waiting.count();
        assert_eq!(standing(&world).await, (Status::Disconnected, Some(Reason::Unauthorized)));

        // A token of another project gets nothing done, and nothing is done there.
        world.provider.add_token("another", "another project", Access::ReadWrite);
        world.replace_token("another").await;
        pass(&world, 60).await;
        assert_eq!(world.open_jobs().len(), open.len(), "after {revoked_after} s");
        assert_eq!(standing(&world).await, (Status::Degraded, Some(Reason::MarkerMissing)));

        world.provider.add_token("its successor", PROJECT, Access::ReadWrite);
        world.replace_token("its successor").await;
        assert_eq!(standing(&world).await, (Status::Connected, None));
        world.resume_parked().await;
        pass(&world, 900).await;
        for job in &jobs {
            assert_eq!(world.state(job), JobState::Succeeded, "after {revoked_after} s");
        }
        let books = world.provider.books();
        assert_eq!((books.made, books.alive.len()), (10, JOBS), "after {revoked_after} s");
        assert!(books.servers.iter().all(|server| server.project == PROJECT));
    }
    assert!(parked > 10 * JOBS, "it was the revocation that they met: {parked}");
}

/// Whatever a check meets, and in whatever order, a token that cannot write is never called
/// writable, and a job never takes it for one.
#[tokio::test]
async fn a_token_that_only_reads_is_never_called_writable() {
    let world = World::new().await;
    world.provider.read_only(true);
    let mut has_told = 0;
    for turn in 0..24_u32 {
        world.provider.set_down(turn % 3 == 0);
        world.provider.set_maintenance(turn % 4 == 0);
        if turn % 5 == 0 {
            world.provider.throttle(1);
        }
        standing(&world).await;
        let known = world.store.connection(&name()).await.unwrap().unwrap();
        // Once a write was refused, whatever a later check meets changes nothing of it.
        has_told += u32::from(known.permission == Permission::ReadOnly);
        if has_told > 0 {
            assert_eq!(known.permission, Permission::ReadOnly, "turn {turn}");
            assert!(!known.accepts_nodes(), "turn {turn}");
        }
    }
    assert!(has_told > 12, "told in {has_told} of 24 turns");
    world.provider.set_down(false);
    world.provider.set_maintenance(false);
    assert_eq!(standing(&world).await, (Status::Degraded, Some(Reason::TokenReadonly)));
    world.provider.read_only(false);
    assert_eq!(standing(&world).await, (Status::Connected, None), "the provider gave it back");
}
