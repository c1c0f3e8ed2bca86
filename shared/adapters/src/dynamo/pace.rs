//! What all jobs of a connection share: one item, whose version stands beside the document.

use jiff::Timestamp;
use nodeyard_domain::{connection::ConnectionName, pace::Pace};
use nodeyard_engine::store::StoreError;
use serde::{Deserialize, Serialize};

use super::{
    DynamoStore,
    change::{Condition, Write, number},
    keys::Key,
    row::{item, read},
    text::Text,
};

type Result<T> = std::result::Result<T, StoreError>;

#[derive(Serialize, Deserialize)]
struct PaceRow {
    pace: Text<Pace>,
    version: u64,
}

impl DynamoStore {
    pub(super) async fn read_pace(
        &self,
        connection: &ConnectionName,
        now: Timestamp,
    ) -> Result<Pace> {
        let Some(found) = self.table.get(&Key::pace(connection)).await? else {
            return Ok(Pace::new(now));
        };
        let PaceRow { pace: Text(pace), version } = read(found)?;
        Ok(Pace { version, ..pace })
    }

    pub(super) async fn replace_pace(
        &self,
        connection: &ConnectionName,
        pace: &Pace,
    ) -> Result<bool> {
        let key = Key::pace(connection);
        let version = pace.version + 1;
        let row = PaceRow { pace: Text(Pace { version, ..pace.clone() }), version };
        let as_read = match pace.version {
            0 => Condition::New,
            known => Condition::Is("version", number(known)),
        };
        let write = Write::put(key.clone(), item(&key, &row)?).require(as_read);
        Ok(self.table.write(write).await?.is_done())
    }
}
