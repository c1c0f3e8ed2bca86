//! Several writes, or none.

use aws_sdk_dynamodb::{
    error::ProvideErrorMetadata, operation::transact_write_items::TransactWriteItemsError,
};
use nodeyard_engine::store::StoreError;

use super::{MAX_TRIES, Result, Table, check_size, is_conflict, pause, sent, unavailable};
use crate::{
    clock::random_bits,
    dynamo::{change::Write, row::unreadable},
};

const CONDITION: &str = "ConditionalCheckFailed";

/// What came of a transaction.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::dynamo) enum Transacted {
    Done,
    /// Indexes of the writes whose conditions did not hold.
    Refused(Vec<usize>),
}

impl Table {
    /// Makes all the writes, 100 at most, or none. Tried again when it only met other writes.
    pub(in crate::dynamo) async fn transact(&self, writes: Vec<Write>) -> Result<Transacted> {
        let mut items = Vec::with_capacity(writes.len());
        for write in writes {
            check_size(&write)?;
            let key = write.key.clone();
            let item = write.into_transaction(&self.name);
            items.push(item.map_err(|error| unreadable(&key, &error))?);
        }
        let mut token = token()?;
        let mut tries = 1;
        loop {
            // The token makes a repeat harmless when an answer got lost: the service remembers it
            // for ten minutes.
            let call = self.client.transact_write_items();
            let call = call.set_transact_items(Some(items.clone())).client_request_token(&token);
            let Err(error) = sent(call.send()).await else { return Ok(Transacted::Done) };
            let cancelled = match error.as_service_error() {
                Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
                    Some(codes(cancelled.cancellation_reasons()))
                }
                _ => None,
            };
            let retry = match &cancelled {
                Some(codes) => {
                    let refused = positions(codes);
                    if !refused.is_empty() {
                        return Ok(Transacted::Refused(refused));
                    }
                    codes.iter().any(|code| is_conflict(Some(code)))
                }
                None => is_conflict(error.code()),
            };
            if !retry || tries >= MAX_TRIES {
                return Err(match cancelled {
                    Some(codes) => StoreError::Unavailable(format!("cancelled: {codes:?}")),
                    None => unavailable(&error),
                });
            }
            if cancelled.is_some() {
                token = self::token()?;
            }
            pause(tries).await;
            tries += 1;
        }
    }
}

fn token() -> Result<String> {
    let bits = random_bits().map_err(|error| StoreError::Unavailable(error.to_string()))?;
    Ok(format!("{bits:032x}"))
}

fn codes(reasons: &[aws_sdk_dynamodb::types::CancellationReason]) -> Vec<String> {
    reasons.iter().map(|reason| reason.code().unwrap_or("None").to_owned()).collect()
}

fn positions(codes: &[String]) -> Vec<usize> {
    let failed = |(index, code): (usize, &String)| (code == CONDITION).then_some(index);
    codes.iter().enumerate().filter_map(failed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_that_failed_goes_before_a_conflict() {
        let codes = ["None", "TransactionConflict", CONDITION].map(str::to_owned);
        assert_eq!(positions(&codes), [2]);
        assert!(is_conflict(Some("TransactionConflict")) && !is_conflict(Some("None")));
    }
}
