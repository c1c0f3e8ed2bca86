//! Evidence: chains in pieces, compressed as log pieces are; and the signature, or that it is due.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::{primitives::Blob, types::AttributeValue};
use nodeyard_domain::{
    evidence::{Entry, Head, Owner, Signature, bundle::Stored, pieces},
    id::JobId,
};
use nodeyard_engine::{evidence::Unsigned, store::StoreError};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    DynamoStore,
    change::{Condition, Write, number, text},
    keys::{
        EVIDENCE_PREFIX, Item, Key, RUN_EVIDENCE_PREFIX, UNSIGNED_DUE_SHARD, exact_seconds,
        job_partition, run_evidence_prefix,
    },
    log_text,
    row::{child_expiry, item, read, text_of, unreadable, value},
    text::Text,
};

type Result<T> = std::result::Result<T, StoreError>;

/// What there is to sign, and once it was signed, the signature.
#[derive(Serialize, Deserialize)]
struct SignatureRow {
    job: JobId,
    head: Text<Head>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    signature: Option<Text<Signature>>,
    expires_at: i64,
}

/// Adds what a commit tells to its writes; for a job that ends, also that it is to be signed.
pub(super) fn add(writes: &mut Vec<Write>, after: Owner<'_>, entries: &[Entry]) -> Result<()> {
    let expiry = child_expiry(after.updated_at);
    for (index, piece) in pieces(entries).iter().enumerate() {
        let key = Key::evidence(after.job, after.version, index);
        let whole = piece_item(&key, piece, expiry)?;
        writes.push(Write::put(key, whole));
    }
    if let Some(head) = after.to_sign() {
        let key = Key::signature(after.job);
        let row = SignatureRow {
            job: after.job.clone(),
            head: Text(head.clone()),
            signature: None,
            expires_at: expiry,
        };
        let mut whole = item(&key, &row)?;
        whole.insert("due_shard".to_owned(), text(UNSIGNED_DUE_SHARD));
        whole.insert("due_at".to_owned(), exact_seconds(after.updated_at));
        writes.push(Write::put(key, whole));
    }
    Ok(())
}

fn piece_item(key: &Key, piece: &str, expires_at: i64) -> Result<Item> {
    if piece.len() > log_text::MAX_PIECE_BYTES {
        return Err(StoreError::TooLarge { key: key.to_string(), bytes: piece.len() });
    }
    let bytes = log_text::compress(piece).map_err(|error| unreadable(key, &error))?;
    let mut whole = key.attributes();
    whole.insert("entries".to_owned(), AttributeValue::B(Blob::new(bytes)));
    whole.insert("expires_at".to_owned(), number(expires_at));
    Ok(whole)
}

/// The one write that signs: it takes the job out of the sweep's index.
pub(super) fn sign(job: &JobId, signature: &Signature) -> Result<Write> {
    let key = Key::signature(job);
    let signed = value(&key, &Text(signature))?;
    Ok(Write::update(key)
        .set("signature", signed)
        .remove("due_shard")
        .remove("due_at")
        .require(Condition::Exists)
        .require(Condition::Absent("signature")))
}

/// The write of a run's entries, and them as text. `None` when there are none.
pub(super) fn of_run(job: &JobId, run: u32, entries: &[Entry]) -> Result<Option<(Write, String)>> {
    let Some(first) = entries.first() else { return Ok(None) };
    let key = Key::run_evidence(job, run, first.number);
    let mut pieces = pieces(entries);
    let (Some(piece), true) = (pieces.pop(), pieces.is_empty()) else {
        let bytes = pieces.iter().map(String::len).sum();
        return Err(StoreError::TooLarge { key: key.to_string(), bytes });
    };
    let whole = piece_item(&key, &piece, child_expiry(first.at))?;
    Ok(Some((Write::put(key, whole).require(Condition::New), piece)))
}

/// Whether an item has just these entries.
pub(super) fn holds(known: &Item, piece: &str) -> bool {
    text_in(known).is_ok_and(|text| text == piece)
}

fn text_in(item: &Item) -> Result<String> {
    let key = Key { pk: text_of(item, "pk").to_owned(), sk: text_of(item, "sk").to_owned() };
    let bytes = item.get("entries").and_then(|value| value.as_b().ok());
    let bytes = bytes.ok_or_else(|| unreadable(&key, &"it has no entries"))?;
    log_text::expand(bytes.as_ref()).map_err(|error| unreadable(&key, &error))
}

pub(super) fn read_unsigned(item: Item) -> Result<Unsigned> {
    let SignatureRow { job, head: Text(head), .. } = read(item)?;
    Ok(Unsigned { job, head })
}

impl DynamoStore {
    pub(super) async fn read_evidence(&self, job: &JobId) -> Result<Stored> {
        let mut stored = Stored::default();
        for item in self.of_partition(job, EVIDENCE_PREFIX).await? {
            stored.entries.extend(entries_in(&item)?);
        }
        let mut runs: BTreeMap<u32, Vec<Value>> = BTreeMap::new();
        for item in self.of_partition(job, RUN_EVIDENCE_PREFIX).await? {
            let run = text_of(&item, "sk").split('#').nth(1).and_then(|run| run.parse().ok());
            runs.entry(run.unwrap_or_default()).or_default().extend(entries_in(&item)?);
        }
        stored.runs = runs;
        let found = self.table.get(&Key::signature(job)).await?;
        let row: Option<SignatureRow> = found.map(read).transpose()?;
        stored.signature = row.and_then(|row| row.signature).map(|text| text.0);
        Ok(stored)
    }

    pub(super) async fn read_run_evidence(&self, job: &JobId, run: u32) -> Result<Vec<Value>> {
        let mut entries = Vec::new();
        for item in self.of_partition(job, &run_evidence_prefix(run)).await? {
            entries.extend(entries_in(&item)?);
        }
        Ok(entries)
    }

    /// The items of a job whose sort keys begin so, in order.
    async fn of_partition(&self, job: &JobId, prefix: &str) -> Result<Vec<Item>> {
        let mut items = Vec::new();
        let mut start: Option<Item> = None;
        loop {
            let query = self
                .table
                .new_query()
                .consistent_read(true)
                .key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
                .expression_attribute_values(":pk", text(job_partition(job)))
                .expression_attribute_values(":prefix", text(prefix))
                .set_exclusive_start_key(start);
            let answer = self.table.query(query).await?;
            items.extend(answer.items.unwrap_or_default());
            start = answer.last_evaluated_key;
            if start.is_none() {
                return Ok(items);
            }
        }
    }
}

fn entries_in(item: &Item) -> Result<Vec<Value>> {
    let text = text_in(item)?;
    serde_json::from_str(&text).map_err(|error| StoreError::Unreadable {
        key: format!("{}/{}", text_of(item, "pk"), text_of(item, "sk")),
        reason: error.to_string(),
    })
}
