//! Many new items at once, each for itself.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::{PutRequest, WriteRequest};
use nodeyard_engine::store::StoreError;

use super::{MAX_TRIES, Result, Table, check_size, pause, sent, unavailable};
use crate::dynamo::{change::Write, keys::Item, keys::Key, row::unreadable};

/// What one BatchWriteItem takes.
const BATCH: usize = 25;

impl Table {
    /// Puts items whose keys nobody else uses. What the service leaves undone is sent again.
    pub(in crate::dynamo) async fn put_all(&self, items: Vec<(Key, Item)>) -> Result<()> {
        let mut requests = Vec::with_capacity(items.len());
        for (key, item) in items {
            let write = Write::put(key.clone(), item);
            check_size(&write)?;
            let put = PutRequest::builder().set_item(write.parts().item).build();
            let put = put.map_err(|error| unreadable(&key, &error))?;
            requests.push(WriteRequest::builder().put_request(put).build());
        }
        for batch in requests.chunks(BATCH) {
            self.put_batch(batch.to_vec()).await?;
        }
        Ok(())
    }

    async fn put_batch(&self, batch: Vec<WriteRequest>) -> Result<()> {
        let mut left = HashMap::from([(self.name.clone(), batch)]);
        for tries in 1..=MAX_TRIES {
            let call = self.client.batch_write_item().set_request_items(Some(left));
            let answer = sent(call.send()).await.map_err(|error| unavailable(&error))?;
            left = answer.unprocessed_items.unwrap_or_default();
            if left.values().all(Vec::is_empty) {
                return Ok(());
            }
            pause(tries).await;
        }
        Err(StoreError::Unavailable("some items were left unwritten".to_owned()))
    }
}
