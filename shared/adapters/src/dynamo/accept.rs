//! Accepting work: one transaction, or nothing.

use nodeyard_domain::{id::JobId, node::Node};
use nodeyard_engine::store::{Acceptance, Accepted, IdempotencyKey, JobStore, StoreError};
use serde::{Deserialize, Serialize};

use super::{
    DynamoStore, audit,
    change::{Condition, Write, number, text},
    keys::Key,
    node_change,
    row::{JobRow, NodeRow, child_expiry, item, read, value},
    table::Transacted,
};

type Result<T> = std::result::Result<T, StoreError>;

/// How often the node may change under us before we say that it is busy.
const MAX_TRIES: usize = 4;
/// Where the job stands among the writes of one acceptance.
const JOB_WRITE: usize = 0;

#[derive(Serialize, Deserialize)]
pub(super) struct IdempotencyRow {
    pub(super) job_id: JobId,
    pub(super) body: String,
    pub(super) expires_at: i64,
}

/// How the node stands to a job that wants it.
enum Turn {
    Now,
    Queued,
    Busy { open_job: Option<JobId> },
}

fn turn(node: Option<&Node>, may_queue: bool) -> Turn {
    match node {
        None => Turn::Busy { open_job: None },
        Some(Node { open_job: None, .. }) => Turn::Now,
        Some(Node { queued_release: None, .. }) if may_queue => Turn::Queued,
        Some(node) => Turn::Busy { open_job: node.open_job.clone() },
    }
}

impl DynamoStore {
    pub(super) async fn accept_work(&self, work: &Acceptance) -> Result<Accepted> {
        for _ in 0..MAX_TRIES {
            let node = match &work.new_node {
                Some(node) => {
                    let key = Key::node(&node.id);
                    Write::put(key, NodeRow::item(node)?).require(Condition::New)
                }
                None => match self.turn_of(work).await? {
                    Turn::Busy { open_job } => {
                        // A request that was accepted before is no rival of itself.
                        let known = self.known_work(work).await?;
                        return Ok(known.unwrap_or(Accepted::NodeBusy { open_job }));
                    }
                    turn => node_write(work, &turn)?,
                },
            };
            let mut writes = work_writes(work)?;
            writes.push(node);
            match self.table.transact(writes).await? {
                Transacted::Done => return Ok(Accepted::New),
                Transacted::Refused(which) => {
                    if let Some(known) = self.known_work(work).await? {
                        return Ok(known);
                    }
                    // Job ids are random: one that is there already is this very request, whose
                    // answer got lost.
                    if which.contains(&JOB_WRITE) {
                        return Ok(Accepted::New);
                    }
                }
            }
        }
        Err(StoreError::Unavailable("the node changed each time it was asked for".to_owned()))
    }

    async fn turn_of(&self, work: &Acceptance) -> Result<Turn> {
        let found = self.table.get(&Key::node(&work.job.node_id)).await?;
        let node = found.map(|item| read::<NodeRow>(item).map(NodeRow::into_node)).transpose()?;
        Ok(turn(node.as_ref(), work.may_queue))
    }

    async fn known_work(&self, work: &Acceptance) -> Result<Option<Accepted>> {
        match &work.idempotency {
            Some(key) => self.known(key).await,
            None => Ok(None),
        }
    }

    /// What an idempotency record says. It outlives its job by some days, in which it means
    /// nothing and makes room.
    pub(super) async fn known(&self, key: &IdempotencyKey) -> Result<Option<Accepted>> {
        let Some(found) = self.table.get(&Key::idempotency(&key.key)).await? else {
            return Ok(None);
        };
        let row: IdempotencyRow = read(found)?;
        let Some(loaded) = self.load(&row.job_id).await? else {
            let same = Condition::Is("job_id", text(row.job_id.as_str()));
            let write = Write::delete(Key::idempotency(&key.key)).require(same);
            self.table.write(write).await?;
            return Ok(None);
        };
        Ok(Some(if row.body == key.body {
            Accepted::Replayed(Box::new(loaded))
        } else {
            Accepted::KeyReused
        }))
    }
}

/// Everything but the node.
fn work_writes(work: &Acceptance) -> Result<Vec<Write>> {
    let job = &work.job;
    let key = Key::job(&job.id);
    let mut writes = vec![Write::put(key, JobRow::item(job)?).require(Condition::New)];
    let expires_at = child_expiry(job.created_at);

    let pointer = Key::node_job(&job.node_id, &job.id, job.created_at);
    let mut named = pointer.attributes();
    named.insert("job_id".to_owned(), text(job.id.as_str()));
    named.insert("expires_at".to_owned(), number(expires_at));
    writes.push(Write::put(pointer, named));

    if let Some(given) = &work.idempotency {
        let key = Key::idempotency(&given.key);
        let row = IdempotencyRow { job_id: job.id.clone(), body: given.body.clone(), expires_at };
        writes.push(Write::put(key.clone(), item(&key, &row)?).require(Condition::New));
    }
    writes.push(audit::append(&work.audit)?);
    Ok(writes)
}

fn node_write(work: &Acceptance, turn: &Turn) -> Result<Write> {
    let key = Key::node(&work.job.node_id);
    let id = text(work.job.id.as_str());
    let write = Write::update(key.clone())
        .require(Condition::Exists)
        .require(Condition::Absent("queued_release"))
        .set("updated_at", value(&key, &work.job.created_at)?);
    Ok(match turn {
        Turn::Queued => write.require(Condition::Present("open_job")).set("queued_release", id),
        // With a job at it, a node is no longer the sweep's.
        _ => node_change::hide(write.require(Condition::Absent("open_job")).set("open_job", id)),
    })
}
