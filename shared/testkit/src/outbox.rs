//! The outbox in memory, and the journal of changes that drills hold events against.

use jiff::Timestamp;
use nodeyard_domain::{
    connection::{Connection, ConnectionName, ConnectionStatus},
    event::Event,
    id::{EventId, JobId, NodeId},
    job::JobState,
    node::{Node, NodeStatus},
    orphan::OrphanId,
};
use nodeyard_engine::{
    event::{DueEvent, Outbox},
    store::StoreError,
};

use crate::{
    defects::Defect,
    faults::Fault,
    store::{Items, MemoryStore, WRITE},
};

type Result<T> = std::result::Result<T, StoreError>;

/// A change of a record as it was made, told from the records alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changed {
    Node {
        id: NodeId,
        to: NodeStatus,
    },
    Job {
        id: JobId,
        to: JobState,
    },
    /// Put on record where it was not.
    Orphan(OrphanId),
    /// It became connected, or otherwise not so, or is not so for another reason.
    Connection {
        name: ConnectionName,
        is_connected: bool,
    },
}

impl MemoryStore {
    /// Every change so far that somebody may want to be told of, in order.
    pub fn changes(&self) -> Vec<Changed> {
        self.with_items(|items| items.changes.clone())
    }

    /// What waits to be sent.
    pub fn outbox(&self) -> Vec<DueEvent> {
        self.with_items(|items| items.outbox.values().cloned().collect())
    }

    /// Whether an event waits that is due at `before`.
    pub fn has_due_event(&self, before: Timestamp) -> bool {
        self.with_items(|items| items.outbox.values().any(|due| due.due_at <= before))
    }
}

impl Items {
    /// Events go into the outbox with the write that causes them.
    pub(crate) fn post(&mut self, events: &[Event], defect: Option<Defect>) {
        if defect == Some(Defect::EventsUnkept) {
            return;
        }
        for event in events {
            let due = DueEvent { event: event.clone(), due_at: event.at };
            self.outbox.insert(event.id.clone(), due);
        }
    }

    pub(crate) fn note_node(&mut self, was: NodeStatus, node: &Node) {
        if was != node.status {
            self.changes.push(Changed::Node { id: node.id.clone(), to: node.status });
        }
    }

    pub(crate) fn note_connection(&mut self, was: Option<&Connection>, next: &Connection) {
        let state = |connection: &Connection| (connection.status, connection.reason);
        if was.is_some_and(|was| state(was) != state(next)) {
            let is_connected = next.status == ConnectionStatus::Connected;
            self.changes.push(Changed::Connection { name: next.name.clone(), is_connected });
        }
    }

    fn due_events(&self, before: Timestamp, limit: usize) -> Vec<DueEvent> {
        let mut due: Vec<&DueEvent> =
            self.outbox.values().filter(|event| event.due_at <= before).collect();
        due.sort_by_key(|event| event.due_at);
        due.into_iter().take(limit).cloned().collect()
    }
}

impl Outbox for MemoryStore {
    async fn due_events(&self, before: Timestamp, limit: usize) -> Result<Vec<DueEvent>> {
        self.look(Fault::ReadUnavailable, |items| {
            let hidden = self.lacks(Defect::NoSweep) || self.hits(Fault::IndexLags);
            Ok(items.due_events(before, if hidden { 0 } else { limit }))
        })
        .await
    }

    async fn forget_event(&self, id: &EventId) -> Result<()> {
        self.change(WRITE, |items| {
            items.outbox.remove(id);
            Ok(())
        })
        .await
    }

    async fn postpone_event(&self, event: &DueEvent, until: Timestamp) -> Result<()> {
        self.change(WRITE, |items| {
            let known = items.outbox.get_mut(&event.event.id);
            if let Some(known) = known.filter(|known| known.due_at == event.due_at) {
                known.due_at = until;
            }
            Ok(())
        })
        .await
    }
}
