//! What is on record of orphans: few, in one partition, and the check's own record beside them.

use jiff::Timestamp;
use nodeyard_domain::{
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

impl OrphanStore for DynamoStore {
    async fn orphans(&self) -> Result<Vec<Orphan>> {
        let items = read_partition(&self.table, ORPHANS).await?;
        items.into_iter().map(read_orphan).collect()
    }

    async fn orphan(&self, id: &OrphanId) -> Result<Option<Orphan>> {
        self.table.get(&Key::orphan(id)).await?.map(read_orphan).transpose()
    }

    async fn put_orphan(&self, orphan: &Orphan) -> Result<()> {
        let key = Key::orphan(&orphan.id);
        let row = OrphanRow { orphan: Text(orphan.clone()) };
        self.table.write(Write::put(key.clone(), item(&key, &row)?)).await.map(|_| ())
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
        let write =
            node_change::keep(&node, server, now)?.require(Condition::OneOf("status", gone));
        Ok(self.table.write(write).await?.is_done())
    }
}
