//! What is on record of orphans, in memory.

use jiff::Timestamp;
use nodeyard_domain::{
    event::Event,
    id::NodeId,
    node::Server,
    orphan::{Orphan, OrphanId, OrphanState},
};
use nodeyard_engine::{orphan::OrphanStore, store::StoreError};

use crate::{
    faults::Fault,
    outbox::Changed,
    store::{MemoryStore, WRITE},
};

type Result<T> = std::result::Result<T, StoreError>;

impl OrphanStore for MemoryStore {
    async fn orphans(&self) -> Result<Vec<Orphan>> {
        self.look(Fault::ReadUnavailable, |items| Ok(items.orphans.values().cloned().collect()))
            .await
    }

    async fn orphan(&self, id: &OrphanId) -> Result<Option<Orphan>> {
        self.look(Fault::ReadUnavailable, |items| Ok(items.orphans.get(id).cloned())).await
    }

    async fn put_orphan(&self, orphan: &Orphan) -> Result<()> {
        self.change(WRITE, |items| {
            items.orphans.insert(orphan.id.clone(), orphan.clone());
            Ok(())
        })
        .await
    }

    async fn put_new_orphan(&self, orphan: &Orphan, found: &Event) -> Result<()> {
        self.change(WRITE, |items| {
            if items.orphans.insert(orphan.id.clone(), orphan.clone()).is_none() {
                items.changes.push(Changed::Orphan(orphan.id.clone()));
                items.post(std::slice::from_ref(found), self.defect());
            }
            Ok(())
        })
        .await
    }

    async fn forget_orphan(&self, id: &OrphanId) -> Result<()> {
        self.change(WRITE, |items| {
            items.orphans.remove(id);
            Ok(())
        })
        .await
    }

    async fn orphan_state(&self) -> Result<OrphanState> {
        self.look(Fault::ReadUnavailable, |items| {
            Ok(items.orphan_state.clone().unwrap_or_else(OrphanState::empty))
        })
        .await
    }

    async fn swap_orphan_state(&self, state: &OrphanState) -> Result<bool> {
        self.change(WRITE, |items| {
            let known = items.orphan_state.as_ref().map_or(0, |known| known.version);
            if known != state.version {
                return Ok(false);
            }
            items.orphan_state = Some(OrphanState { version: known + 1, ..state.clone() });
            Ok(true)
        })
        .await
    }

    async fn give_back(&self, node: &NodeId, server: &Server, now: Timestamp) -> Result<bool> {
        self.change(WRITE, |items| {
            let known = items.nodes.get(node);
            let is_free = known.is_some_and(|it| it.status.is_gone() && it.open_job.is_none());
            if is_free {
                items.leave(node, server, now, self.defect());
            }
            Ok(is_free)
        })
        .await
    }
}
