//! The table: reads that are consistent, writes that are conditional.

mod batch;
mod transaction;

use std::time::Duration;

use aws_sdk_dynamodb::{
    Client,
    error::{ProvideErrorMetadata, SdkError},
    operation::{
        delete_item::DeleteItemError,
        put_item::PutItemError,
        query::{QueryOutput, builders::QueryFluentBuilder},
        update_item::UpdateItemError,
    },
    types::{ReturnValue, ReturnValuesOnConditionCheckFailure},
};
use nodeyard_engine::store::StoreError;

pub(super) use self::transaction::Transacted;
use super::{
    change::{Parts, Write},
    error::{is_conflict, unavailable},
    keys::{Item, Key},
};
use crate::{aws::sent, clock::random_bits};

/// A job's item above this is refused; it is meant to stay below 8 KB.
const MAX_JOB_BYTES: usize = 32 * 1024;
const MAX_ITEM_BYTES: usize = 64 * 1024;
/// How often a write that only met another one is made, the first time included.
const MAX_TRIES: u32 = 6;
const FIRST_PAUSE_MS: u64 = 15;

type Result<T> = std::result::Result<T, StoreError>;

#[derive(Debug, Clone)]
pub(super) struct Table {
    client: Client,
    name: String,
}

/// What came of a conditional write.
pub(super) enum Wrote {
    /// With the attributes that were asked for.
    Done(Option<Item>),
    /// A condition did not hold, with the item as it is.
    Refused(Option<Item>),
}

impl Wrote {
    pub(super) fn is_done(&self) -> bool {
        matches!(self, Self::Done(_))
    }
}

enum Attempt {
    Settled(Wrote),
    /// Another write was at the item.
    Conflict(StoreError),
}

impl Table {
    pub(super) fn new(client: Client, name: String) -> Self {
        Self { client, name }
    }

    pub(super) async fn get(&self, key: &Key) -> Result<Option<Item>> {
        let call = self.client.get_item().table_name(&self.name);
        let call = call.set_key(Some(key.attributes())).consistent_read(true);
        let answer = sent(call.send()).await.map_err(|error| unavailable(&error))?;
        Ok(answer.item)
    }

    /// A query of this table, to be completed and sent with [`Table::query`].
    pub(super) fn new_query(&self) -> QueryFluentBuilder {
        self.client.query().table_name(&self.name)
    }

    pub(super) async fn query(&self, query: QueryFluentBuilder) -> Result<QueryOutput> {
        sent(query.send()).await.map_err(|error| unavailable(&error))
    }

    pub(super) async fn write(&self, write: Write) -> Result<Wrote> {
        self.write_returning(write, ReturnValue::None).await
    }

    /// One write. `returning` says what an update answers with; other writes answer nothing.
    pub(super) async fn write_returning(
        &self,
        write: Write,
        returning: ReturnValue,
    ) -> Result<Wrote> {
        check_size(&write)?;
        let parts = write.parts();
        let mut tries = 1;
        loop {
            match self.attempt(parts.clone(), returning.clone()).await? {
                Attempt::Settled(wrote) => return Ok(wrote),
                Attempt::Conflict(error) if tries >= MAX_TRIES => return Err(error),
                Attempt::Conflict(_) => pause(tries).await,
            }
            tries += 1;
        }
    }

    async fn attempt(&self, parts: Parts, returning: ReturnValue) -> Result<Attempt> {
        let Parts { key, item, update, condition, names, values } = parts;
        let old = ReturnValuesOnConditionCheckFailure::AllOld;
        if item.is_some() {
            let call = self.client.put_item().table_name(&self.name).set_item(item);
            let call = call.set_condition_expression(condition);
            let call = call.set_expression_attribute_names(names);
            let call = call.set_expression_attribute_values(values);
            return match sent(call.return_values_on_condition_check_failure(old).send()).await {
                Ok(_) => Ok(Attempt::Settled(Wrote::Done(None))),
                Err(error) => judge(&error, |error| match error {
                    PutItemError::ConditionalCheckFailedException(known) => Some(&known.item),
                    _ => None,
                }),
            };
        }
        if update.is_some() {
            let call = self.client.update_item().table_name(&self.name).set_key(Some(key));
            let call = call.set_update_expression(update).set_condition_expression(condition);
            let call = call.set_expression_attribute_names(names);
            let call = call.set_expression_attribute_values(values).return_values(returning);
            return match sent(call.return_values_on_condition_check_failure(old).send()).await {
                Ok(answer) => Ok(Attempt::Settled(Wrote::Done(answer.attributes))),
                Err(error) => judge(&error, |error| match error {
                    UpdateItemError::ConditionalCheckFailedException(known) => Some(&known.item),
                    _ => None,
                }),
            };
        }
        let call = self.client.delete_item().table_name(&self.name).set_key(Some(key));
        let call = call.set_condition_expression(condition);
        let call = call.set_expression_attribute_names(names);
        let call = call.set_expression_attribute_values(values);
        match sent(call.return_values_on_condition_check_failure(old).send()).await {
            Ok(_) => Ok(Attempt::Settled(Wrote::Done(None))),
            Err(error) => judge(&error, |error| match error {
                DeleteItemError::ConditionalCheckFailedException(known) => Some(&known.item),
                _ => None,
            }),
        }
    }
}

/// Tells a condition that did not hold from a conflict and from no answer.
fn judge<E: ProvideErrorMetadata, R>(
    error: &SdkError<E, R>,
    refused: impl Fn(&E) -> Option<&Option<Item>>,
) -> Result<Attempt> {
    if let Some(item) = error.as_service_error().and_then(refused) {
        Ok(Attempt::Settled(Wrote::Refused(item.clone())))
    } else if is_conflict(error.code()) {
        Ok(Attempt::Conflict(unavailable(error)))
    } else {
        Err(unavailable(error))
    }
}

fn check_size(write: &Write) -> Result<()> {
    let limit = if write.key.is_job() { MAX_JOB_BYTES } else { MAX_ITEM_BYTES };
    let bytes = write.bytes();
    if bytes > limit {
        return Err(StoreError::TooLarge { key: write.key.to_string(), bytes });
    }
    Ok(())
}

/// Doubles from 15 ms, half of it at random so that two writers do not meet again.
async fn pause(tries: u32) {
    let most = FIRST_PAUSE_MS << tries.min(MAX_TRIES);
    let random = random_bits().map_or(0, |bits| u64::try_from(bits % 1024).unwrap_or(0));
    tokio::time::sleep(Duration::from_millis(most / 2 + most * random / 2048)).await;
}
