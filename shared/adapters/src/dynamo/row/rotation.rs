//! The rotation's item. It stands at the place of a job, so that flags, stamps and history are the
//! same writes for both; the document's attribute tells which it is.

use jiff::Timestamp;
use nodeyard_domain::{job::JobState, rotation::Rotation};
use nodeyard_engine::store::StoreError;
use serde::{Deserialize, Serialize};

use super::{Item, Key, item, job_expiry};
use crate::dynamo::{
    change::text,
    keys::{JOB_LIST, due_shard, exact_seconds, list_place},
    text::Text,
};

const DOCUMENT: &str = "rotation";

#[derive(Serialize, Deserialize)]
pub(in crate::dynamo) struct RotationRow {
    rotation: Text<Rotation>,
    version: u64,
    state: JobState,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cancel_requested_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    news_at: Option<Timestamp>,
    crashes: u32,
    /// Beside the jobs on nodes, in one order. Absent on rows of before they were listed.
    #[serde(default)]
    list_pk: String,
    #[serde(default)]
    list_sk: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<i64>,
}

impl RotationRow {
    /// The whole item. One that has ended has its end of life and is in no sweep's way.
    pub(in crate::dynamo) fn item(rotation: &Rotation) -> Result<Item, StoreError> {
        let ended_at = rotation.finished_at.unwrap_or(rotation.updated_at);
        let row = Self {
            rotation: Text(rotation.clone()),
            version: rotation.version,
            state: rotation.state,
            cancel_requested_at: rotation.cancel_requested_at,
            news_at: rotation.news_at,
            crashes: rotation.crashes,
            list_pk: JOB_LIST.to_owned(),
            list_sk: list_place(rotation.created_at, rotation.id.as_str()),
            expires_at: rotation.state.is_terminal().then(|| job_expiry(ended_at)),
        };
        let mut item = item(&Key::job(&rotation.id), &row)?;
        if let Some(look_at) = rotation.look_at() {
            item.insert("due_shard".to_owned(), text(due_shard(&rotation.id)));
            item.insert("due_at".to_owned(), exact_seconds(look_at));
        }
        Ok(item)
    }

    pub(in crate::dynamo) fn into_rotation(self) -> Rotation {
        let Text(mut rotation) = self.rotation;
        rotation.version = self.version;
        rotation.cancel_requested_at = self.cancel_requested_at;
        rotation.news_at = self.news_at;
        rotation.crashes = self.crashes;
        rotation
    }
}

pub(in crate::dynamo) fn is_rotation(item: &Item) -> bool {
    item.contains_key(DOCUMENT)
}
