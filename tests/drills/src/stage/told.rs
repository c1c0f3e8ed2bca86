//! What subscribers were told, held against what has changed: the store's journal of changes is
//! made from the records alone, and which change is told of is written down here once more.

use std::collections::{BTreeMap, BTreeSet};

use nodeyard_domain::{
    event::{Event, EventKind},
    id::EventId,
    job::JobState,
    node::NodeStatus,
};
use nodeyard_testkit::outbox::Changed;

use super::Stage;

/// Changes of one kind, of one thing.
type Of = (EventKind, String);

/// What is wrong with what was told, at rest: each change was told of at least once and under one
/// id, and nothing else was.
pub fn wrong(stage: &Stage) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut changed: BTreeMap<Of, usize> = BTreeMap::new();
    for (kind, subject) in stage.world.store.changes().iter().filter_map(worth_telling) {
        *changed.entry((kind, subject)).or_default() += 1;
    }
    let mut contents: BTreeMap<EventId, Event> = BTreeMap::new();
    let mut told: BTreeMap<Of, BTreeSet<EventId>> = BTreeMap::new();
    for event in stage.world.events.received() {
        let of = (event.kind(), event.change.subject().to_owned());
        told.entry(of).or_default().insert(event.id.clone());
        let known = contents.entry(event.id.clone()).or_insert_with(|| event.clone());
        if *known != event {
            wrong.push(format!("{} was told as {known:?} and as {event:?}", event.id));
        }
    }
    for (of, count) in &changed {
        let ids = told.get(of).map_or(0, BTreeSet::len);
        if ids < *count {
            wrong.push(format!("{:?} of {} happened {count} times, {ids} were told", of.0, of.1));
        }
    }
    for (of, ids) in &told {
        let count = changed.get(of).copied().unwrap_or_default();
        if ids.len() > count {
            let told = ids.len();
            wrong.push(format!("{:?} of {} was told {told} times, {count} happened", of.0, of.1));
        }
    }
    wrong
}

/// Events that nobody has sent.
pub fn unsent(stage: &Stage) -> Vec<String> {
    let left = stage.world.store.outbox();
    left.iter().map(|due| format!("{} was never sent: {:?}", due.event.id, due.event)).collect()
}

fn worth_telling(change: &Changed) -> Option<Of> {
    match change {
        Changed::Node { id, to } => {
            let kind = match to {
                NodeStatus::Ready => EventKind::NodeReady,
                NodeStatus::NotReady => EventKind::NodeNotReady,
                NodeStatus::Released => EventKind::NodeReleased,
                NodeStatus::CleanupPending => EventKind::CleanupPending,
                _ => return None,
            };
            Some((kind, id.to_string()))
        }
        Changed::Job { id, to: JobState::Failed } => Some((EventKind::JobFailed, id.to_string())),
        Changed::Job { .. } => None,
        Changed::Orphan(id) => Some((EventKind::OrphanFound, id.to_string())),
        Changed::Connection { name, is_connected } => {
            let kind = match is_connected {
                true => EventKind::ProviderConnected,
                false => EventKind::ProviderDegraded,
            };
            Some((kind, name.to_string()))
        }
    }
}
