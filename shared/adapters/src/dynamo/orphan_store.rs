//! What is on record of orphans: few, in one partition, and the check's own record beside them.

use jiff::Timestamp;
use nodeyard_domain::{
    event::Event,
    id::NodeId,
    node::{NodeStatus, Server},
    orphan::{Orphan, OrphanId, OrphanState},
};
use nodeyard_engine::{orphan::OrphanStore, store::StoreError};
use serde::{Deserialize, Serialize};

use super::{
    DynamoStore,
    change::{Condition, Write, number, text},
    keys::{Item, Key, ORPHANS},
    list::read_partition,
    node_change,
    row::{NodeRow, item, read},
    text::Text,
};

type Result<T> = std::result::Result<T, StoreError>;

#[derive(Serialize, Deserialize)]
struct OrphanRow {
    orphan: Text<Orphan>,
}

/// The version stands beside the document, for conditions.
#[derive(Serialize, Deserialize)]
struct StateRow {
    state: Text<OrphanState>,
    version: u64,
}

fn read_orphan(item: Item) -> Result<Orphan> {
    read::<OrphanRow>(item).map(|row| row.orphan.0)
}

fn orphan_write(orphan: &Orphan) -> Result<Write> {
    let key = Key::orphan(&orphan.id);
    let row = OrphanRow { orphan: Text(orphan.clone()) };
    Ok(Write::put(key.clone(), item(&key, &row)?))
}

impl OrphanStore for DynamoStore {
    async fn orphans(&self) -> Result<Vec<Orphan>> {
        let items = read_partition(&self.table, ORPHANS).await?;
        items.into_iter().map(read_orphan).collect()
    }

    async fn orphan(&self, id: &OrphanId) -> Result<Option<Orphan>> {
        self.table.get(&Key::orphan(id)).await?.map(read_orphan).transpose()
    }

    async fn put_orphan(&self, orphan: &Orphan) -> Result<()> {
        self.table.write(orphan_write(orphan)?).await.map(|_| ())
    }

    async fn put_new_orphan(&self, orphan: &Orphan, found: &Event) -> Result<()> {
        let new = orphan_write(orphan)?.require(Condition::New);
        if self.write_and_post(new, std::slice::from_ref(found)).await? {
            return Ok(());
        }
        self.put_orphan(orphan).await
    }

    async fn forget_orphan(&self, id: &OrphanId) -> Result<()> {
        self.table.write(Write::delete(Key::orphan(id))).await.map(|_| ())
    }

    async fn orphan_state(&self) -> Result<OrphanState> {
        let Some(found) = self.table.get(&Key::orphan_state()).await? else {
            return Ok(OrphanState::empty());
        };
        let StateRow { state: Text(state), version } = read(found)?;
        Ok(OrphanState { version, ..state })
    }

    async fn swap_orphan_state(&self, state: &OrphanState) -> Result<bool> {
        let key = Key::orphan_state();
        let version = state.version + 1;
        let row = StateRow { state: Text(OrphanState { version, ..state.clone() }), version };
        let as_read = match state.version {
            0 => Condition::New,
            known => Condition::Is("version", number(known)),
        };
        let write = Write::put(key.clone(), item(&key, &row)?).require(as_read);
        Ok(self.table.write(write).await?.is_done())
    }

    async fn give_back(&self, node: &NodeId, server: &Server, now: Timestamp) -> Result<bool> {
        let Some(found) = self.table.get(&Key::node(node)).await? else { return Ok(false) };
        let node = read::<NodeRow>(found)?.into_node();
        if !node.status.is_gone() || node.open_job.is_some() {
            return Ok(false);
        }
        let gone = NodeStatus::ALL.iter().filter(|status| status.is_gone());
        let gone = gone.map(|status| text(status.as_str())).collect();
        let (write, event) = node_change::keep(&node, server, now)?;
        let write = write.require(Condition::OneOf("status", gone));
        self.write_and_post(write, event.as_slice()).await
    }
}
