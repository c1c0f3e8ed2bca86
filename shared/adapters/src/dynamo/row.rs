//! How records of the domain become items and come back.

mod job;
mod node;
mod rotation;
mod run;

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::{SignedDuration, Timestamp};
use nodeyard_engine::store::StoreError;
use serde::{Serialize, de::DeserializeOwned};

pub(super) use self::{
    job::JobRow,
    node::{NodeRow, due_place},
    rotation::{RotationRow, is_rotation},
    run::RunRow,
};
use super::keys::{Item, Key};

/// How long a job is kept after its end.
const JOB_RETENTION: SignedDuration = SignedDuration::from_hours(90 * 24);
/// Everything that hangs on a job or node outlives it: counted from writing (a job takes a day at
/// most), or from the node's end.
const CHILD_RETENTION: SignedDuration = SignedDuration::from_hours(120 * 24);

/// Epoch seconds, as the table's time to live wants them.
pub(super) fn child_expiry(written_at: Timestamp) -> i64 {
    (written_at + CHILD_RETENTION).as_second()
}

fn job_expiry(ended_at: Timestamp) -> i64 {
    (ended_at + JOB_RETENTION).as_second()
}

/// An item of a key and a row's attributes.
pub(super) fn item(key: &Key, row: &impl Serialize) -> Result<Item, StoreError> {
    let mut item: Item = serde_dynamo::to_item(row).map_err(|error| unreadable(key, &error))?;
    item.extend(key.attributes());
    Ok(item)
}

pub(super) fn read<T: DeserializeOwned>(item: Item) -> Result<T, StoreError> {
    let name = name_of(&item);
    if !item.values().all(is_known) {
        let reason = "an attribute has a type that is not known".to_owned();
        return Err(StoreError::Unreadable { key: name, reason });
    }
    serde_dynamo::from_item(item)
        .map_err(|error| StoreError::Unreadable { key: name, reason: error.to_string() })
}

/// `serde_dynamo` panics on types that the SDK does not know.
fn is_known(value: &AttributeValue) -> bool {
    match value {
        AttributeValue::L(items) => items.iter().all(is_known),
        AttributeValue::M(members) => members.values().all(is_known),
        other => !other.is_unknown(),
    }
}

pub(super) fn unreadable(key: &Key, reason: &impl ToString) -> StoreError {
    StoreError::Unreadable { key: key.to_string(), reason: reason.to_string() }
}

fn name_of(item: &Item) -> String {
    format!("{}/{}", text_of(item, "pk"), text_of(item, "sk"))
}

/// A text attribute, empty when absent.
pub(super) fn text_of<'a>(item: &'a Item, name: &str) -> &'a str {
    item.get(name).and_then(|value| value.as_s().ok()).map_or("", String::as_str)
}

/// The value of one attribute, written as in a row.
pub(super) fn value(key: &Key, value: &impl Serialize) -> Result<AttributeValue, StoreError> {
    serde_dynamo::to_attribute_value(value).map_err(|error| unreadable(key, &error))
}
