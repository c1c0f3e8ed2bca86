//! Events that wait to be sent: each an item of its own, in the index that the sweep reads. They
//! stay until they are sent, however long that takes.

use jiff::Timestamp;
use nodeyard_domain::{event::Event, id::EventId};
use nodeyard_engine::{
    event::{DueEvent, Outbox},
    store::StoreError,
};
use serde::{Deserialize, Serialize};

use super::{
    DynamoStore,
    change::{Condition, Write, text},
    index,
    keys::{EVENT_DUE_SHARD, Item, Key, exact_seconds, read_seconds},
    row::{item, read, unreadable},
    text::Text,
};

type Result<T> = std::result::Result<T, StoreError>;

#[derive(Serialize, Deserialize)]
struct EventRow {
    event: Text<Event>,
}

/// The write that puts an event into the outbox, beside the one that causes it.
pub(super) fn post(event: &Event) -> Result<Write> {
    let key = Key::event(&event.id);
    let mut whole = item(&key, &EventRow { event: Text(event.clone()) })?;
    whole.insert("due_shard".to_owned(), text(EVENT_DUE_SHARD));
    whole.insert("due_at".to_owned(), exact_seconds(event.at));
    Ok(Write::put(key, whole))
}

pub(super) fn read_due(item: Item) -> Result<DueEvent> {
    let due_at = item.get("due_at").and_then(read_seconds);
    let EventRow { event: Text(event) } = read(item)?;
    let due_at =
        due_at.ok_or_else(|| unreadable(&Key::event(&event.id), &"it has no time to be sent"))?;
    Ok(DueEvent { event, due_at })
}

impl Outbox for DynamoStore {
    async fn due_events(&self, before: Timestamp, limit: usize) -> Result<Vec<DueEvent>> {
        index::due_events(&self.table, before, limit).await
    }

    async fn forget_event(&self, id: &EventId) -> Result<()> {
        self.table.write(Write::delete(Key::event(id))).await.map(|_| ())
    }

    async fn postpone_event(&self, event: &DueEvent, until: Timestamp) -> Result<()> {
        let write = Write::update(Key::event(&event.event.id))
            .set("due_at", exact_seconds(until))
            .require(Condition::Is("due_at", exact_seconds(event.due_at)));
        self.table.write(write).await.map(|_| ())
    }
}
