//! What the worker and the sweep need.

use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use jiff::Timestamp;
use nodeyard_domain::{
    connection::{Connection, ConnectionName},
    event::{self, Event},
    evidence::Signature,
    id::{JobId, NodeId},
    job::Job,
    node::{Node, Server},
    pace::Pace,
    step::Decision,
    timeline::TimelineEntry,
};
use nodeyard_engine::evidence::Unsigned;
use nodeyard_engine::store::{Begin, Commit, DueJob, JobStore, Loaded, StoreError};

use super::{
    DynamoStore,
    change::{Condition, Write, number, text},
    evidence, index,
    keys::{Item, Key, exact_seconds},
    node_change, outbox,
    row::{JobRow, NodeRow, child_expiry, is_rotation, item, read, unreadable, value},
    table::{Transacted, Wrote},
    text::Text,
};

type Result<T> = std::result::Result<T, StoreError>;

/// How often a node may change under us before a server that came back for it is offered again.
const MAX_KEEPS: usize = 8;

impl DynamoStore {
    pub(super) async fn read_job(&self, id: &JobId) -> Result<Option<Job>> {
        let found = self.table.get(&Key::job(id)).await?;
        // A rotation stands at the place of a job.
        let found = found.filter(|item| !is_rotation(item));
        found.map(|item| read::<JobRow>(item).map(JobRow::into_job)).transpose()
    }

    /// A write with the events that it causes. False when its conditions do not hold.
    pub(super) async fn write_and_post(&self, write: Write, events: &[Event]) -> Result<bool> {
        if events.is_empty() {
            return Ok(self.table.write(write).await?.is_done());
        }
        let mut writes = vec![write];
        for event in events {
            writes.push(outbox::post(event)?);
        }
        Ok(self.table.transact(writes).await? == Transacted::Done)
    }
}

/// An entry's item. `writer` says who wrote it, and is never used twice for the same time.
pub(super) fn timeline_item(
    job: &JobId,
    writer: &str,
    entry: &TimelineEntry,
) -> Result<(Key, Item)> {
    let key = Key::timeline(job, entry.at, writer);
    let mut whole = key.attributes();
    whole.insert("entry".to_owned(), value(&key, &Text(entry))?);
    whole.insert("expires_at".to_owned(), number(child_expiry(entry.at)));
    Ok((key, whole))
}

/// Says that there is news for a job that has not ended, and makes it due.
pub(super) fn news(job: &JobId, at: Timestamp) -> Result<Write> {
    let key = Key::job(job);
    Ok(Write::update(key.clone())
        .set("news_at", value(&key, &at)?)
        .set("due_at", exact_seconds(at))
        .require(Condition::open_job()))
}

/// The job and what it is fenced by.
fn job_write(before: &Job, after: &Job) -> Result<Write> {
    let key = Key::job(&after.id);
    let time = |at: &Option<Timestamp>| at.as_ref().map(|at| value(&key, at)).transpose();
    Ok(Write::put(key.clone(), JobRow::item(after)?)
        .require(Condition::Is("version", number(before.version)))
        .require(Condition::open_job())
        .require(Condition::same("sent_at", before.sent_at.map(|effect| number(effect.0))))
        .require(Condition::same("news_at", time(&before.news_at)?))
        .require(Condition::same("cancel_requested_at", time(&before.cancel_requested_at)?)))
}

impl JobStore for DynamoStore {
    async fn load(&self, job: &JobId) -> Result<Option<Loaded>> {
        let Some(job) = self.read_job(job).await? else { return Ok(None) };
        let key = Key::node(&job.node_id);
        match self.table.get(&key).await? {
            Some(item) => {
                let node = read::<NodeRow>(item)?.into_node();
                Ok(Some(Loaded { job, node }))
            }
            None => Err(unreadable(&key, &"a job names this node, and it does not exist")),
        }
    }

    async fn begin(&self, job: &Job, claim: bool) -> Result<Begin> {
        let Some(intent) = &job.intent else { return Ok(Begin::Lost) };
        let mut write = Write::update(Key::job(&job.id))
            .raise("crashes")
            .require(Condition::Is("version", number(job.version)))
            .require(Condition::open_job());
        if claim {
            write = write.set("sent_at", number(intent.id.0)).require(Condition::Absent("sent_at"));
        }
        match self.table.write_returning(write, ReturnValue::UpdatedNew).await? {
            Wrote::Done(now) => {
                let crashes = now.as_ref().and_then(|item| count(item, "crashes"));
                Ok(Begin::Proceed { crashes: crashes.unwrap_or(job.crashes + 1) })
            }
            Wrote::Refused(Some(item)) => {
                let known = read::<JobRow>(item)?.into_job();
                let same = known.version == job.version && !known.state.is_terminal();
                let sent = claim && known.sent_at.is_some();
                Ok(if same && sent { Begin::AlreadySent } else { Begin::Lost })
            }
            Wrote::Refused(None) => Ok(Begin::Lost),
        }
    }

    async fn commit(&self, loaded: &Loaded, decision: &Decision) -> Result<Commit> {
        let before = &loaded.job;
        let mut after = decision.job.clone();
        after.version = before.version + 1;
        let mut writes = vec![job_write(before, &after)?];
        if !decision.node.is_empty() {
            let now = after.updated_at;
            writes.push(node_change::write(&loaded.node, &before.id, &decision.node, now)?);
        }
        for (index, entry) in decision.entries.iter().enumerate() {
            // A version is committed once, so this name is used once.
            let writer = format!("worker#{:08}#{index:03}", after.version);
            let (key, item) = timeline_item(&after.id, &writer, entry)?;
            writes.push(Write::put(key, item));
        }
        evidence::add(&mut writes, (&after).into(), &decision.evidence)?;
        for event in event::of_commit(before, &loaded.node, decision) {
            writes.push(outbox::post(&event)?);
        }
        Ok(match self.table.transact(writes).await? {
            Transacted::Done => Commit::Done,
            Transacted::Refused(_) => Commit::Lost,
        })
    }

    async fn take_node(&self, node: &NodeId, job: &JobId) -> Result<bool> {
        let id = || text(job.as_str());
        // A late worker must not take the node for a job that has ended: nobody would close it.
        let job = Write::check(Key::job(job)).require(Condition::open_job());
        // With a job at it, a node is no longer the sweep's.
        let node = node_change::hide(Write::update(Key::node(node)).set("open_job", id()));
        let node = node.require(Condition::Exists);
        let free = vec![Condition::Absent("open_job"), Condition::Is("open_job", id())];
        let writes = vec![job, node.require(Condition::Any(free))];
        Ok(self.table.transact(writes).await? == Transacted::Done)
    }

    async fn keep_on_node(
        &self,
        node: &NodeId,
        server: &Server,
        now: Timestamp,
    ) -> Result<Option<Event>> {
        let key = Key::node(node);
        for _ in 0..MAX_KEEPS {
            let Some(found) = self.table.get(&key).await? else {
                return Err(unreadable(&key, &"a server came back for it, and it does not exist"));
            };
            let node = read::<NodeRow>(found)?.into_node();
            let (write, event) = node_change::keep(&node, server, now)?;
            if self.write_and_post(write, event.as_slice()).await? {
                return Ok(event);
            }
        }
        Err(StoreError::Unavailable("the node changed each time a server was kept on it".into()))
    }

    async fn due(&self, before: Timestamp, limit: usize) -> Result<Vec<DueJob>> {
        index::due_jobs(&self.table, before, limit).await
    }

    async fn mark_swept(&self, job: &DueJob, again_at: Timestamp) -> Result<()> {
        // A commit or news in between has set another time, which goes first.
        let write = Write::update(Key::job(&job.id))
            .set("due_at", exact_seconds(again_at))
            .require(Condition::Is("due_at", exact_seconds(job.look_at)))
            .require(Condition::Present("due_shard"));
        self.table.write(write).await.map(|_| ())
    }

    async fn set_news(&self, job: &JobId, now: Timestamp) -> Result<()> {
        let write = news(job, now)?;
        self.table.write(write).await.map(|_| ())
    }

    async fn polling(
        &self,
        connection: &ConnectionName,
        before: Timestamp,
        limit: usize,
    ) -> Result<Vec<JobId>> {
        index::polling_jobs(&self.table, connection, before, limit).await
    }

    async fn pace(&self, connection: &ConnectionName, now: Timestamp) -> Result<Pace> {
        self.read_pace(connection, now).await
    }

    async fn swap_pace(&self, connection: &ConnectionName, pace: &Pace) -> Result<bool> {
        self.replace_pace(connection, pace).await
    }

    async fn due_nodes(&self, before: Timestamp, limit: usize) -> Result<Vec<Node>> {
        index::due_nodes(&self.table, before, limit).await
    }

    async fn unsigned(&self, before: Timestamp, limit: usize) -> Result<Vec<Unsigned>> {
        index::unsigned(&self.table, before, limit).await
    }

    async fn put_signature(&self, job: &JobId, signature: &Signature) -> Result<bool> {
        let write = evidence::sign(job, signature)?;
        Ok(self.table.write(write).await?.is_done())
    }

    async fn connection(&self, name: &ConnectionName) -> Result<Option<Connection>> {
        let found = self.table.get(&Key::connection(name)).await?;
        found.map(read_connection).transpose()
    }

    async fn swap_connection(&self, connection: &Connection, events: &[Event]) -> Result<bool> {
        self.write_and_post(connection_write(connection)?, events).await
    }
}

/// Puts a connection under the next version, where its own is the stored one.
pub(super) fn connection_write(connection: &Connection) -> Result<Write> {
    let key = Key::connection(&connection.name);
    let next = Connection { version: connection.version + 1, ..connection.clone() };
    let row = ConnectionRow { version: next.version, connection: Text(next) };
    let as_read = match connection.version {
        0 => Condition::New,
        known => Condition::Is("version", number(known)),
    };
    Ok(Write::put(key.clone(), item(&key, &row)?).require(as_read))
}

pub(super) fn count(item: &Item, name: &str) -> Option<u32> {
    item.get(name).map(AttributeValue::as_n)?.ok()?.parse().ok()
}

#[derive(serde::Serialize, serde::Deserialize)]
struct ConnectionRow {
    connection: Text<Connection>,
    version: u64,
}

pub(super) fn read_connection(item: Item) -> Result<Connection> {
    let ConnectionRow { connection: Text(connection), version } = read(item)?;
    Ok(Connection { version, ..connection })
}
