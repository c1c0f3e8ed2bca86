//! What the indexes find: jobs, nodes, events and unsigned evidence that the sweep looks at, and
//! jobs that share a poll.

use jiff::Timestamp;
use nodeyard_domain::{
    connection::ConnectionName,
    id::{EventId, JobId, NodeId},
    node::{Node, NodeStatus},
};
use nodeyard_engine::{
    event::DueEvent,
    evidence::Unsigned,
    store::{DueJob, StoreError},
};

use super::{
    change::text,
    evidence::read_unsigned,
    keys::{
        EVENT_DUE_SHARD, Item, Key, NODE_DUE_SHARD, UNSIGNED_DUE_SHARD, due_shards, exact_seconds,
        read_seconds,
    },
    outbox::read_due,
    row::{NodeRow, read, text_of},
    table::Table,
};

type Result<T> = std::result::Result<T, StoreError>;

/// An index by time, and the partition of it that is read.
struct Place<'a> {
    index: &'static str,
    hash: &'static str,
    range: &'static str,
    partition: &'a str,
}

fn due(shard: &str) -> Place<'_> {
    Place { index: "due", hash: "due_shard", range: "due_at", partition: shard }
}

/// One partition of an index, oldest first, page by page.
struct Found<'a> {
    table: &'a Table,
    place: Place<'a>,
    before: Timestamp,
    start: Option<Item>,
    at_end: bool,
}

impl<'a> Found<'a> {
    fn new(table: &'a Table, place: Place<'a>, before: Timestamp) -> Self {
        Self { table, place, before, start: None, at_end: false }
    }

    /// The next items, `most` at most, with their keys and times only. Empty pages may come
    /// before the end.
    async fn next(&mut self, most: usize) -> Result<Option<Vec<Item>>> {
        if self.at_end || most == 0 {
            return Ok(None);
        }
        let Place { index, hash, range, partition } = self.place;
        let query = self
            .table
            .new_query()
            .index_name(index)
            .key_condition_expression(format!("{hash} = :of AND {range} <= :before"))
            .expression_attribute_values(":of", text(partition))
            .expression_attribute_values(":before", exact_seconds(self.before))
            .projection_expression(format!("pk, sk, {range}"))
            .limit(i32::try_from(most).unwrap_or(i32::MAX))
            .set_exclusive_start_key(self.start.take());
        let answer = self.table.query(query).await?;
        self.start = answer.last_evaluated_key;
        self.at_end = self.start.is_none();
        Ok(Some(answer.items.unwrap_or_default()))
    }
}

/// Jobs of all shards, oldest first.
pub(super) async fn due_jobs(
    table: &Table,
    before: Timestamp,
    limit: usize,
) -> Result<Vec<DueJob>> {
    let mut jobs: Vec<DueJob> = Vec::new();
    for shard in due_shards() {
        let mut found = Found::new(table, due(&shard), before);
        let mut count = 0;
        while let Some(items) = found.next(limit - count).await? {
            count += items.len();
            for item in items {
                let look_at = item.get("due_at").and_then(read_seconds);
                let look_at = look_at.ok_or_else(|| stray(&item, "a time"))?;
                jobs.push(DueJob { id: job_of(&item)?, look_at });
            }
        }
    }
    jobs.sort_by(|a, b| a.look_at.cmp(&b.look_at).then_with(|| a.id.cmp(&b.id)));
    jobs.truncate(limit);
    Ok(jobs)
}

/// Jobs of a connection whose next effect is a shared poll.
pub(super) async fn polling_jobs(
    table: &Table,
    connection: &ConnectionName,
    before: Timestamp,
    limit: usize,
) -> Result<Vec<JobId>> {
    let partition = connection.as_str();
    let place = Place { index: "polls", hash: "poll_of", range: "poll_at", partition };
    let mut found = Found::new(table, place, before);
    let mut jobs = Vec::new();
    while let Some(items) = found.next(limit - jobs.len()).await? {
        for item in items {
            jobs.push(job_of(&item)?);
        }
    }
    Ok(jobs)
}

/// Nodes that were left behind, as the table has them: the index may still show one that a job is
/// at by now.
pub(super) async fn due_nodes(table: &Table, before: Timestamp, limit: usize) -> Result<Vec<Node>> {
    let mut found = Found::new(table, due(NODE_DUE_SHARD), before);
    let mut nodes = Vec::new();
    while let Some(items) = found.next(limit - nodes.len()).await? {
        for item in items {
            let id: Option<NodeId> =
                text_of(&item, "pk").strip_prefix("NODE#").and_then(|id| id.parse().ok());
            let id = id.ok_or_else(|| stray(&item, "a node's name"))?;
            let Some(item) = table.get(&Key::node(&id)).await? else { continue };
            let node = read::<NodeRow>(item)?.into_node();
            let is_due = node.release_at.is_some_and(|at| at <= before);
            if node.status == NodeStatus::CleanupPending && node.open_job.is_none() && is_due {
                nodes.push(node);
            }
        }
    }
    Ok(nodes)
}

/// Events as the table has them: the index may still show one that was sent by now.
pub(super) async fn due_events(
    table: &Table,
    before: Timestamp,
    limit: usize,
) -> Result<Vec<DueEvent>> {
    let mut found = Found::new(table, due(EVENT_DUE_SHARD), before);
    let mut events = Vec::new();
    while let Some(items) = found.next(limit - events.len()).await? {
        for item in items {
            let id: Option<EventId> =
                text_of(&item, "pk").strip_prefix("EVENT#").and_then(|id| id.parse().ok());
            let id = id.ok_or_else(|| stray(&item, "an event's name"))?;
            let Some(item) = table.get(&Key::event(&id)).await? else { continue };
            let event = read_due(item)?;
            if event.due_at <= before {
                events.push(event);
            }
        }
    }
    Ok(events)
}

/// Ended jobs as the table has them: the index may still show one that was signed by now.
pub(super) async fn unsigned(
    table: &Table,
    before: Timestamp,
    limit: usize,
) -> Result<Vec<Unsigned>> {
    let mut found = Found::new(table, due(UNSIGNED_DUE_SHARD), before);
    let mut unsigned = Vec::new();
    while let Some(items) = found.next(limit - unsigned.len()).await? {
        for item in items {
            let key = Key::signature(&job_of(&item)?);
            let item = table.get(&key).await?;
            let due = item.filter(|item| item.contains_key("due_shard"));
            unsigned.extend(due.map(read_unsigned).transpose()?);
        }
    }
    Ok(unsigned)
}

fn job_of(item: &Item) -> Result<JobId> {
    let id = text_of(item, "pk").strip_prefix("JOB#").and_then(|id| id.parse().ok());
    id.ok_or_else(|| stray(item, "a job's name"))
}

fn stray(item: &Item, lacks: &str) -> StoreError {
    StoreError::Unreadable {
        key: text_of(item, "pk").to_owned(),
        reason: format!("it is in an index without {lacks}"),
    }
}
