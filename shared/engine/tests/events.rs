//! Events on their way: sent after the commit, and by the sweep if that came to nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;

use jiff::SignedDuration;
use nodeyard_domain::{
    event::{Event, EventKind},
    job::JobKind,
};
use nodeyard_engine::{
    Clock as _,
    event::{MAX_EVENTS, send},
    store::{ApiStore as _, JobStore as _},
    sweep::Swept,
};
use nodeyard_testkit::{faults::Fault, world::World};

fn kinds(events: &[Event]) -> Vec<EventKind> {
    events.iter().map(Event::kind).collect()
}

async fn sweep_after(world: &World, secs: i64) -> Swept {
    world.clock.advance(SignedDuration::from_secs(secs));
    world.sweep().await.unwrap()
}

/// A world whose first node is ready, and of which the workers have told what `faults` let them.
async fn ready(faults: &[Fault]) -> World {
    let mut world = World::new().await;
    for fault in faults {
        world.faults.once(*fault);
    }
    world.provision(|_| {}).await;
    world.run_for(600).await.unwrap();
    world
}

#[tokio::test]
async fn a_life_is_told_once_and_nothing_is_left() {
    let mut world = ready(&[]).await;
    let node = world.store.all_nodes().remove(0).id;
    world.work(JobKind::NodeRelease, &node).await.unwrap();
    world.run_for(600).await.unwrap();
    let told = world.events.received();
    assert_eq!(kinds(&told), [EventKind::NodeReady, EventKind::NodeReleased]);
    assert!(told.iter().all(|event| event.change.subject() == node.as_str()));
    assert_eq!(world.store.outbox(), []);
    assert_eq!(world.events.calls(), 2, "there is nothing to say of other commits");
}

#[tokio::test]
async fn what_could_not_be_sent_is_sent_by_the_sweep() {
    let world = ready(&[Fault::EventsUnanswered]).await;
    assert_eq!((world.events.received().len(), world.store.outbox().len()), (0, 1));
    assert_eq!(sweep_after(&world, 10).await.events, 0, "it may be on its way");
    assert_eq!(sweep_after(&world, 10).await.events, 1);
    assert_eq!(sweep_after(&world, 600).await.events, 0);
    assert_eq!(kinds(&world.events.received()), [EventKind::NodeReady]);
    assert_eq!(world.store.outbox(), []);
}

#[tokio::test]
async fn what_is_told_twice_has_one_id() {
    let world = ready(&[Fault::EventsAnswerLost]).await;
    assert_eq!((world.events.received().len(), world.store.outbox().len()), (1, 1));
    assert_eq!(sweep_after(&world, 60).await.events, 1);
    let told = world.events.received();
    assert_eq!(told[0], told[1]);
    // Sent by the worker, and not taken out of the outbox.
    let event = &told[0];
    let outbox = &world.driver.store;
    world.faults.once(Fault::WriteUnavailable);
    send(outbox, &world.events, std::slice::from_ref(event)).await;
    assert_eq!(world.events.received().len(), 3);
}

#[tokio::test]
async fn one_that_is_refused_lets_the_others_go_first() {
    let mut world = World::new().await;
    world.faults.set(Fault::EventsUnanswered, 1000);
    for _ in 0..15 {
        world.provision(|_| {}).await;
    }
    world.run_for(600).await.unwrap();
    assert_eq!((world.events.received().len(), world.store.outbox().len()), (0, 15));
    world.faults.clear();
    world.faults.once(Fault::EventRefused);
    assert_eq!(sweep_after(&world, 200).await.events, 14);
    assert_eq!(world.store.outbox().len(), 1);
    assert_eq!(sweep_after(&world, 60).await.events, 0, "it rests");
    assert_eq!(sweep_after(&world, 60).await.events, 1);
    let ids: BTreeSet<_> = world.events.received().into_iter().map(|event| event.id).collect();
    assert_eq!(ids.len(), 15);
}

#[tokio::test]
async fn a_backlog_makes_no_storm() {
    let mut world = World::new().await;
    let (_, node) = world.provision(|_| {}).await;
    world.run_for(600).await.unwrap();
    let server = world.store.node(&node).await.unwrap().unwrap().server.unwrap();
    let first = world.events.calls();
    // A node that is left behind and taken back all the time.
    for _ in 0..MAX_EVENTS + 20 {
        let mut record = world.store.node(&node).await.unwrap().unwrap();
        record.status = nodeyard_domain::node::NodeStatus::Ready;
        world.store.put_node(record);
        world.clock.advance(SignedDuration::from_secs(1));
        world.store.keep_on_node(&node, &server, world.clock.now()).await.unwrap();
    }
    world.faults.set(Fault::EventsUnanswered, 1000);
    assert_eq!(sweep_after(&world, 30).await.events, 0);
    assert_eq!(world.events.calls(), first + 1, "a bus that takes nothing is left alone");
    world.faults.clear();
    assert_eq!(sweep_after(&world, 30).await.events, MAX_EVENTS);
    assert_eq!(sweep_after(&world, 120).await.events, 20);
    assert_eq!(world.store.outbox(), []);
}
