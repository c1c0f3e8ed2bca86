//! What runs need.

use aws_sdk_dynamodb::{
    primitives::Blob,
    types::{AttributeValue, ReturnValue},
};
use jiff::Timestamp;
use nodeyard_domain::{
    evidence::Entry,
    host_key::HostPins,
    id::{JobId, NodeId},
    run::{Run, RunResult},
    timeline::TimelineEntry,
};
use nodeyard_engine::store::{RunStore, RunWrite, StoreError};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{
    DynamoStore,
    change::{Condition, Write, number, text},
    evidence,
    job_store::{news, timeline_item},
    keys::Key,
    log_text,
    row::{NodeRow, RunRow, child_expiry, read, unreadable, value},
    table::{Transacted, Wrote},
    text::Text,
};

type Result<T> = std::result::Result<T, StoreError>;

/// A node's pins, with a number that grows with each change: what they are compared by.
#[derive(Default, Serialize, Deserialize)]
struct PinsRow {
    #[serde(default)]
    pins: Option<Text<HostPins>>,
    #[serde(default)]
    pins_revision: u64,
}

impl DynamoStore {
    async fn read_pins(&self, node: &NodeId) -> Result<PinsRow> {
        let found = self.table.get(&Key::node(node)).await?;
        found.map_or_else(|| Ok(PinsRow::default()), read)
    }

    /// The node's tombstone for a run that never started.
    async fn tombstone(
        &self,
        job: &JobId,
        node: &NodeId,
        number: u32,
        now: Timestamp,
    ) -> Result<Run> {
        let key = Key::node(node);
        let Some(found) = self.table.get(&key).await? else {
            return Err(unreadable(&key, &"a run was to be stopped on it, and it does not exist"));
        };
        let node = read::<NodeRow>(found)?.into_node();
        Ok(Run::tombstone(job.clone(), number, &node, now))
    }

    /// Sets a stop on a record that exists. The outer `None` says that there is none.
    async fn ask_to_stop(&self, key: &Key) -> Result<Option<Run>> {
        let write = Write::update(key.clone())
            .set("stop_requested", AttributeValue::Bool(true))
            .require(Condition::Exists);
        match self.table.write_returning(write, ReturnValue::AllOld).await? {
            Wrote::Done(Some(before)) => read::<RunRow>(before).map(|row| Some(row.into_run())),
            Wrote::Done(None) => Err(unreadable(key, &"the store did not answer with what it was")),
            Wrote::Refused(_) => Ok(None),
        }
    }
}

impl RunStore for DynamoStore {
    async fn put_run(&self, run: &Run) -> Result<RunWrite> {
        let key = Key::run(&run.job_id, run.number);
        let write = Write::put(key.clone(), RunRow::item(run)?).require(Condition::New);
        match self.table.write(write).await? {
            Wrote::Done(_) => Ok(RunWrite::Written),
            Wrote::Refused(Some(item)) => {
                let known = read::<RunRow>(item)?.into_run();
                Ok(RunWrite::Exists(Box::new(known)))
            }
            Wrote::Refused(None) => Err(unreadable(&key, &"it exists and does not")),
        }
    }

    async fn run(&self, job: &JobId, number: u32) -> Result<Option<Run>> {
        let found = self.table.get(&Key::run(job, number)).await?;
        found.map(|item| read::<RunRow>(item).map(RunRow::into_run)).transpose()
    }

    async fn set_run_task(&self, job: &JobId, number: u32, task: &str) -> Result<()> {
        let key = Key::run(job, number);
        let write = Write::update(key.clone()).set("task", text(task)).require(Condition::Exists);
        if self.table.write(write).await?.is_done() {
            return Ok(());
        }
        Err(unreadable(&key, &"a task was started for it, and it does not exist"))
    }

    async fn stop_run(
        &self,
        job: &JobId,
        node: &NodeId,
        number: u32,
        now: Timestamp,
    ) -> Result<Option<Run>> {
        let key = Key::run(job, number);
        if let Some(before) = self.ask_to_stop(&key).await? {
            return Ok(Some(before));
        }
        let tombstone = self.tombstone(job, node, number, now).await?;
        match self.put_run(&tombstone).await? {
            RunWrite::Written => Ok(None),
            // It was written in between.
            RunWrite::Exists(_) => self.ask_to_stop(&key).await,
        }
    }

    async fn finish_run(&self, job: &JobId, number: u32, result: &RunResult) -> Result<bool> {
        let key = Key::run(job, number);
        let text = value(&key, &Text(result))?;
        let finish = || {
            Write::update(key.clone())
                .set("result", text.clone())
                .require(Condition::Exists)
                .require(Condition::Absent("result"))
        };
        match self.table.transact(vec![finish(), news(job, result.finished_at)?]).await? {
            Transacted::Done => Ok(true),
            // The job has ended and stays as it is; the record still says how its run went.
            Transacted::Refused(which) if which == [1] => {
                Ok(self.table.write(finish()).await?.is_done())
            }
            Transacted::Refused(_) => Ok(false),
        }
    }

    async fn pins(&self, node: &NodeId) -> Result<Option<HostPins>> {
        Ok(self.read_pins(node).await?.pins.map(|text| text.0))
    }

    async fn put_pins(
        &self,
        node: &NodeId,
        expected: Option<&HostPins>,
        pins: &HostPins,
    ) -> Result<bool> {
        let key = Key::node(node);
        let known = self.read_pins(node).await?;
        if known.pins.as_ref().map(|text| &text.0) != expected {
            return Ok(false);
        }
        let revision = (known.pins_revision > 0).then(|| number(known.pins_revision));
        let write = Write::update(key.clone())
            .set("pins", value(&key, &Text(pins))?)
            .set("pins_revision", number(known.pins_revision + 1))
            .require(Condition::Exists)
            .require(Condition::same("pins_revision", revision));
        Ok(self.table.write(write).await?.is_done())
    }

    async fn append_timeline(&self, job: &JobId, entries: &[TimelineEntry]) -> Result<()> {
        let mut items = Vec::with_capacity(entries.len());
        for (index, entry) in entries.iter().enumerate() {
            // Named after what it says: sent twice, it is still one entry.
            let said = serde_json::to_vec(entry).unwrap_or_default();
            let digest = hex::encode(Sha256::digest(&said));
            items.push(timeline_item(job, &format!("{index:04}#{}", &digest[..16]), entry)?);
        }
        self.table.put_all(items).await
    }

    async fn append_log(&self, job: &JobId, run: u32, sequence: u32, piece: &str) -> Result<()> {
        let key = Key::log(job, run, sequence);
        if piece.len() > log_text::MAX_PIECE_BYTES {
            return Err(StoreError::TooLarge { key: key.to_string(), bytes: piece.len() });
        }
        let bytes = log_text::compress(piece).map_err(|error| unreadable(&key, &error))?;
        let mut item = key.attributes();
        item.insert("text".to_owned(), AttributeValue::B(Blob::new(bytes)));
        let now = Timestamp::now();
        item.insert("expires_at".to_owned(), number(child_expiry(now)));
        // A piece that is sent twice is there once; one that is there is never overwritten.
        let write = Write::put(key, item).require(Condition::New);
        self.table.write(write).await.map(|_| ())
    }

    async fn append_run_evidence(&self, job: &JobId, run: u32, entries: &[Entry]) -> Result<bool> {
        let Some(write) = evidence::of_run(job, run, entries)? else { return Ok(true) };
        let ours = write.1;
        Ok(match self.table.write(write.0).await? {
            Wrote::Done(_) => true,
            // An answer that got lost, or another task of the same run.
            Wrote::Refused(known) => known.is_some_and(|known| evidence::holds(&known, &ours)),
        })
    }

    async fn run_evidence(&self, job: &JobId, run: u32) -> Result<Vec<Value>> {
        self.read_run_evidence(job, run).await
    }
}
