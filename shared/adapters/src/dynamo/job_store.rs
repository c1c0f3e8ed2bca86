//! What the worker and the sweep need.

use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use jiff::Timestamp;
use nodeyard_domain::{
    connection::{Connection, ConnectionName},
    id::{JobId, NodeId},
    job::Job,
    node::{NodeStatus, Server},
    step::Decision,
    timeline::TimelineEntry,
};
use nodeyard_engine::store::{Begin, Commit, DueJob, JobStore, Loaded, StoreError};

use super::{
    DynamoStore,
    change::{Condition, Write, number, text},
    keys::{Item, Key, due_shards, exact_seconds, read_seconds},
    node_change,
    row::{JobRow, NodeRow, child_expiry, item, read, text_of, unreadable, value},
    table::{Transacted, Wrote},
    text::Text,
};

type Result<T> = std::result::Result<T, StoreError>;

impl DynamoStore {
    pub(super) async fn read_job(&self, id: &JobId) -> Result<Option<Job>> {
        let found = self.table.get(&Key::job(id)).await?;
        found.map(|item| read::<JobRow>(item).map(JobRow::into_job)).transpose()
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
        Ok(match self.table.transact(writes).await? {
            Transacted::Done => Commit::Done,
            Transacted::Refused(_) => Commit::Lost,
        })
    }

    async fn take_node(&self, node: &NodeId, job: &JobId) -> Result<bool> {
        let id = || text(job.as_str());
        // A late worker must not take the node for a job that has ended: nobody would close it.
        let job = Write::check(Key::job(job)).require(Condition::open_job());
        let node = Write::update(Key::node(node)).set("open_job", id()).require(Condition::Exists);
        let free = vec![Condition::Absent("open_job"), Condition::Is("open_job", id())];
        let writes = vec![job, node.require(Condition::Any(free))];
        Ok(self.table.transact(writes).await? == Transacted::Done)
    }

    async fn keep_on_node(&self, node: &NodeId, server: &Server, now: Timestamp) -> Result<()> {
        let key = Key::node(node);
        let write = Write::update(key.clone())
            .set("server", value(&key, &Text(server))?)
            .set("updated_at", value(&key, &now)?)
            .require(Condition::Exists);
        let write = node_change::set_status(write, NodeStatus::CleanupPending, now);
        match self.table.write(write).await? {
            Wrote::Done(_) => Ok(()),
            Wrote::Refused(_) => {
                Err(unreadable(&key, &"a server came back for it, and it does not exist"))
            }
        }
    }

    async fn due(&self, before: Timestamp, limit: usize) -> Result<Vec<DueJob>> {
        let mut jobs = Vec::new();
        for shard in due_shards() {
            jobs.extend(self.due_in(&shard, before, limit).await?);
        }
        jobs.sort_by(|a, b| a.look_at.cmp(&b.look_at).then_with(|| a.id.cmp(&b.id)));
        jobs.truncate(limit);
        Ok(jobs)
    }

    async fn mark_swept(&self, job: &DueJob, again_at: Timestamp) -> Result<()> {
        // A commit or news in between has set another time, which goes first.
        let write = Write::update(Key::job(&job.id))
            .set("due_at", exact_seconds(again_at))
            .require(Condition::Is("due_at", exact_seconds(job.look_at)))
            .require(Condition::Present("due_shard"));
        self.table.write(write).await.map(|_| ())
    }

    async fn connection(&self, name: &ConnectionName) -> Result<Option<Connection>> {
        let found = self.table.get(&Key::connection(name)).await?;
        found.map(read_connection).transpose()
    }

    async fn put_connection(&self, connection: &Connection) -> Result<()> {
        let key = Key::connection(&connection.name);
        let row = item(&key, &ConnectionRow { connection: Text(connection.clone()) })?;
        self.table.write(Write::put(key, row)).await.map(|_| ())
    }
}

impl DynamoStore {
    async fn due_in(&self, shard: &str, before: Timestamp, limit: usize) -> Result<Vec<DueJob>> {
        let mut jobs = Vec::new();
        let mut start: Option<Item> = None;
        while jobs.len() < limit {
            let most = i32::try_from(limit - jobs.len()).unwrap_or(i32::MAX);
            let query = self
                .table
                .new_query()
                .index_name("due")
                .key_condition_expression("due_shard = :shard AND due_at <= :before")
                .expression_attribute_values(":shard", text(shard))
                .expression_attribute_values(":before", exact_seconds(before))
                .projection_expression("pk, sk, due_at")
                .limit(most)
                .set_exclusive_start_key(start);
            let answer = self.table.query(query).await?;
            for item in answer.items() {
                jobs.push(due_job(item)?);
            }
            start = answer.last_evaluated_key;
            if start.is_none() {
                break;
            }
        }
        Ok(jobs)
    }
}

fn due_job(item: &Item) -> Result<DueJob> {
    let pk = text_of(item, "pk");
    let id = pk.strip_prefix("JOB#").and_then(|id| id.parse().ok());
    let look_at = item.get("due_at").and_then(read_seconds);
    match (id, look_at) {
        (Some(id), Some(look_at)) => Ok(DueJob { id, look_at }),
        _ => Err(StoreError::Unreadable {
            key: pk.to_owned(),
            reason: "it is in the index of due jobs without a job's name or time".to_owned(),
        }),
    }
}

fn count(item: &Item, name: &str) -> Option<u32> {
    item.get(name).map(AttributeValue::as_n)?.ok()?.parse().ok()
}

#[derive(serde::Serialize, serde::Deserialize)]
struct ConnectionRow {
    connection: Text<Connection>,
}

pub(super) fn read_connection(item: Item) -> Result<Connection> {
    read::<ConnectionRow>(item).map(|row| row.connection.0)
}
