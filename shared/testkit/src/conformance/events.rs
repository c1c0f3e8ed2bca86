//! What every bus promises, seen from both of its ends.

use std::{collections::BTreeSet, future::Future};

use nodeyard_domain::{
    connection::{ConnectionName, ConnectionStatus},
    event::{Change, Event, EventKind, NodeDetail, SOURCE, VERSION},
    id::{EventId, JobId, NodeId},
    job::JobKind,
    node::NodeStatus,
    orphan::{OrphanId, OrphanReason, ResourceKind},
};
use nodeyard_engine::event::Events;

use super::fixture::later;

/// An event as a subscriber receives it. When it was is in the detail: the envelope's own time is
/// the bus's affair (one of the emulators puts its own there).
#[derive(Debug, Clone, PartialEq)]
pub struct Received {
    pub source: String,
    pub kind: String,
    pub detail: serde_json::Value,
}

/// A bus, and one subscriber to all of it.
pub trait Subscribed {
    type Bus: Events;

    fn bus(&self) -> &Self::Bus;

    /// What has come by the time that so many have, or that no more come.
    fn receive(&self, count: usize) -> impl Future<Output = Vec<Received>>;
}

/// Runs every case, each on a bus of its own.
///
/// # Panics
/// When a bus breaks a promise.
pub async fn hold<B: Subscribed>(fresh: impl AsyncFn() -> B) {
    every_kind_arrives_as_it_was_put(&fresh().await).await;
    the_same_event_again_has_the_same_id(&fresh().await).await;
    more_than_one_call_takes_arrive_each(&fresh().await).await;
    what_is_too_large_is_refused_alone(&fresh().await).await;
    large_ones_arrive_though_not_in_one_call(&fresh().await).await;
    nothing_put_is_nothing(&fresh().await).await;
}

fn connection() -> ConnectionName {
    "main".parse().expect("a name")
}

fn event(bits: u128, change: Change) -> Event {
    Event { version: VERSION, id: EventId::from_bits(bits), at: later(bits as i64), change }
}

fn drift(bits: u128, difference: String) -> Event {
    event(bits, Change::ApiDrift { connection: connection(), answer: "Server".into(), difference })
}

/// One of each kind.
fn each() -> Vec<Event> {
    let job_id = JobId::from_bits(1);
    let node_id = NodeId::from_bits(2);
    let node = NodeDetail {
        node_id: node_id.clone(),
        name: "web".into(),
        connection: connection(),
        was: NodeStatus::Configuring,
        job_id: Some(job_id.clone()),
        server_id: Some(u64::MAX),
    };
    let changes = [
        Change::ProviderDegraded {
            connection: connection(),
            status: ConnectionStatus::Degraded,
            reason: None,
            was: ConnectionStatus::Connected,
        },
        Change::ProviderConnected { connection: connection(), was: ConnectionStatus::Disconnected },
        Change::NodeReady { node: node.clone(), ipv4: Some("198.18.0.10".into()) },
        Change::NodeNotReady { node: node.clone(), failing: Vec::new() },
        Change::NodeReleased { node: node.clone() },
        Change::JobFailed {
            job_id,
            job_kind: JobKind::NodeProvision,
            node_id,
            connection: connection(),
            code: None,
        },
        Change::OrphanFound {
            orphan_id: OrphanId::new(ResourceKind::Server, 9, &connection()),
            connection: connection(),
            resource: ResourceKind::Server,
            provider_id: 9,
            reason: OrphanReason::NotProven,
            removed_by_itself: false,
            node_id: None,
        },
        Change::ApiDrift {
            connection: connection(),
            answer: "Server".into(),
            difference: "at \"name\": \u{1F980} \\ <b>&amp;</b>\n".into(),
        },
        Change::CleanupPending { node, release_at: Some(later(300)), tries: 1 },
    ];
    assert_eq!(changes.len(), EventKind::ALL.len());
    (1..).zip(changes).map(|(bits, change)| event(bits, change)).collect()
}

async fn put_all<B: Subscribed>(ends: &B, events: &[Event]) {
    let put = ends.bus().put(events).await;
    assert_eq!(put, vec![Ok(()); events.len()]);
}

/// The events that came, each as often as it did, by their ids.
async fn arrived<B: Subscribed>(ends: &B, count: usize) -> Vec<Event> {
    let mut events = Vec::new();
    for received in ends.receive(count).await {
        let event: Event = serde_json::from_value(received.detail).expect("an event");
        assert_eq!((received.source.as_str(), &*received.kind), (SOURCE, event.kind().as_str()));
        events.push(event);
    }
    events.sort_by(|a, b| a.id.cmp(&b.id));
    events
}

async fn every_kind_arrives_as_it_was_put<B: Subscribed>(ends: &B) {
    let events = each();
    put_all(ends, &events).await;
    assert_eq!(arrived(ends, events.len()).await, events);
}

async fn the_same_event_again_has_the_same_id<B: Subscribed>(ends: &B) {
    let event = drift(1, "once".into());
    for _ in 0..2 {
        put_all(ends, std::slice::from_ref(&event)).await;
    }
    assert_eq!(arrived(ends, 2).await, [event.clone(), event]);
}

async fn more_than_one_call_takes_arrive_each<B: Subscribed>(ends: &B) {
    let events: Vec<Event> = (1..=23).map(|bits| drift(bits, "many".into())).collect();
    put_all(ends, &events).await;
    let came = arrived(ends, events.len()).await;
    let ids: BTreeSet<&EventId> = came.iter().map(|event| &event.id).collect();
    assert_eq!((came.len(), ids.len()), (23, 23));
}

async fn what_is_too_large_is_refused_alone<B: Subscribed>(ends: &B) {
    let events =
        [drift(1, "before".into()), drift(2, "x".repeat(256 * 1024)), drift(3, "after".into())];
    let put: Vec<bool> = ends.bus().put(&events).await.iter().map(Result::is_ok).collect();
    assert_eq!(put, [true, false, true]);
    assert_eq!(arrived(ends, 2).await, [events[0].clone(), events[2].clone()]);
}

async fn large_ones_arrive_though_not_in_one_call<B: Subscribed>(ends: &B) {
    let events: Vec<Event> = (1..=3).map(|bits| drift(bits, "x".repeat(100 * 1024))).collect();
    put_all(ends, &events).await;
    assert_eq!(arrived(ends, 3).await, events);
}

async fn nothing_put_is_nothing<B: Subscribed>(ends: &B) {
    put_all(ends, &[]).await;
    assert_eq!(arrived(ends, 0).await, []);
}
