//! The job store: the truth. Three views of it, for the worker, the container task and the API.

use std::{collections::BTreeMap, future::Future};

use jiff::Timestamp;
pub use nodeyard_domain::audit::{AuditEntry, AuditFilter};
use nodeyard_domain::{
    connection::{Connection, ConnectionName},
    event::Event,
    evidence::{Entry, Signature, bundle::Stored},
    host_key::HostPins,
    id::{JobId, NodeId, TokenId},
    job::{Job, JobState},
    node::{Node, NodeStatus, Server},
    pace::Pace,
    run::{Run, RunResult},
    spec::Profile,
    step::Decision,
    timeline::TimelineEntry,
    token::Token,
    work::Work,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{evidence::Unsigned, provider::Catalogue};

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Throttled, timed out or unreachable: the caller may try again.
    #[error("the job store did not answer: {0}")]
    Unavailable(String),
    /// An item that this release cannot read.
    #[error("unreadable item {key}: {reason}")]
    Unreadable { key: String, reason: String },
    /// An item above its limit is refused before it is written.
    #[error("item {key} would have {bytes} bytes")]
    TooLarge { key: String, bytes: usize },
}

type Result<T> = std::result::Result<T, StoreError>;

/// A job and its node, read consistently.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    pub job: Job,
    pub node: Node,
}

/// What came of beginning an effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin {
    /// Go on; `crashes` is the count with this one.
    Proceed { crashes: u32 },
    /// The create's claim was already made: look instead of sending.
    AlreadySent,
    /// The job has moved on.
    Lost,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Commit {
    Done,
    /// Version, claim or news differ from what was loaded: reload and offer the observation again.
    Lost,
}

/// A job that the sweep has to look at.
#[derive(Debug, Clone, PartialEq)]
pub struct DueJob {
    pub id: JobId,
    pub look_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq)]
pub enum RunWrite {
    Written,
    /// There is a record of this number already (it may be a tombstone with `stop_requested`).
    Exists(Box<Run>),
}

/// What the worker and the sweep need.
pub trait JobStore: Send + Sync {
    /// Reads a job and its node consistently.
    fn load(&self, job: &JobId) -> impl Future<Output = Result<Option<Loaded>>> + Send;

    /// Raises the crash counter and, with `claim`, sets `sent_at` to the intent's id unless it is
    /// set; conditional on the version and not moving it.
    fn begin(&self, job: &Job, claim: bool) -> impl Future<Output = Result<Begin>> + Send;

    /// Writes a decision in one transaction: the job under `version + 1`, the node's change, the
    /// timeline, the evidence, and [`nodeyard_domain::event::of_commit`] into the outbox; for a job
    /// that ends, also that its evidence is unsigned. Conditional on version, `sent_at`, `news_at` and the cancel flag being as in `loaded`; where the node's status is set or the
    /// node is freed, also on its status, left-overs and open job.
    fn commit(
        &self,
        loaded: &Loaded,
        decision: &Decision,
    ) -> impl Future<Output = Result<Commit>> + Send;

    /// Gives the node to the job if no other job is open on it. True when the job has it.
    fn take_node(&self, node: &NodeId, job: &JobId) -> impl Future<Output = Result<bool>> + Send;

    /// A server id that came back for a job that has ended goes to the node, which becomes
    /// `cleanup_pending`. Answers the event that was put into the outbox with it, if that is news.
    fn keep_on_node(
        &self,
        node: &NodeId,
        server: &Server,
        now: Timestamp,
    ) -> impl Future<Output = Result<Option<Event>>> + Send;

    /// Jobs whose `look_at` is at or before `before`, oldest first, `limit` at most.
    fn due(
        &self,
        before: Timestamp,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<DueJob>>> + Send;

    /// Stamps a job as swept: it is not found by `due` again before `again_at`, unless a commit
    /// comes between.
    fn mark_swept(
        &self,
        job: &DueJob,
        again_at: Timestamp,
    ) -> impl Future<Output = Result<()>> + Send;

    /// Says that there is news for a job: it is looked at even if the wake gets lost. Nothing for
    /// a job that has ended.
    fn set_news(&self, job: &JobId, now: Timestamp) -> impl Future<Output = Result<()>> + Send;

    /// Jobs of a connection whose next effect is a shared poll, due at or before `before`, oldest
    /// first, `limit` at most. May lag behind: a job that is missing has a wake of its own.
    fn polling(
        &self,
        connection: &ConnectionName,
        before: Timestamp,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<JobId>>> + Send;

    /// What all jobs of a connection share; as new where nothing is stored.
    fn pace(
        &self,
        connection: &ConnectionName,
        now: Timestamp,
    ) -> impl Future<Output = Result<Pace>> + Send;

    /// Stores `pace` under the next version, if the stored one has `pace.version`. False when it
    /// has not.
    fn swap_pace(
        &self,
        connection: &ConnectionName,
        pace: &Pace,
    ) -> impl Future<Output = Result<bool>> + Send;

    /// Nodes that are `cleanup_pending` without an open job and whose `release_at` is at or before
    /// `before`, oldest first, `limit` at most.
    fn due_nodes(
        &self,
        before: Timestamp,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Node>>> + Send;

    /// Jobs that ended at or before `before` and whose evidence nobody has signed, oldest first,
    /// `limit` at most.
    fn unsigned(
        &self,
        before: Timestamp,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Unsigned>>> + Send;

    /// Stores the signature of an ended job's evidence, once. False when there was one already.
    fn put_signature(
        &self,
        job: &JobId,
        signature: &Signature,
    ) -> impl Future<Output = Result<bool>> + Send;

    fn connection(
        &self,
        name: &ConnectionName,
    ) -> impl Future<Output = Result<Option<Connection>>> + Send;

    /// Stores `connection` under the next version, if the stored one has `connection.version`, and
    /// puts `events` into the outbox with it. False, and nothing is written, when it has not:
    /// somebody else has changed or deleted it.
    fn swap_connection(
        &self,
        connection: &Connection,
        events: &[Event],
    ) -> impl Future<Output = Result<bool>> + Send;
}

/// What runs need: the worker writes them, the container task reads and finishes them.
pub trait RunStore: Send + Sync {
    /// Writes a run record unless one of this number exists.
    fn put_run(&self, run: &Run) -> impl Future<Output = Result<RunWrite>> + Send;

    fn run(&self, job: &JobId, number: u32) -> impl Future<Output = Result<Option<Run>>> + Send;

    fn set_run_task(
        &self,
        job: &JobId,
        number: u32,
        task: &str,
    ) -> impl Future<Output = Result<()>> + Send;

    /// Asks a run to stop; where no record exists, leaves a tombstone so that it never starts.
    /// Answers the record as it was, if there was one.
    fn stop_run(
        &self,
        job: &JobId,
        node: &NodeId,
        number: u32,
        now: Timestamp,
    ) -> impl Future<Output = Result<Option<Run>>> + Send;

    /// Records a run's result once, and sets the job's `news_at` with it. False when there was a
    /// result already.
    fn finish_run(
        &self,
        job: &JobId,
        number: u32,
        result: &RunResult,
    ) -> impl Future<Output = Result<bool>> + Send;

    fn pins(&self, node: &NodeId) -> impl Future<Output = Result<Option<HostPins>>> + Send;

    /// Replaces a node's pins if they are still as `expected`. False when they are not.
    fn put_pins(
        &self,
        node: &NodeId,
        expected: Option<&HostPins>,
        pins: &HostPins,
    ) -> impl Future<Output = Result<bool>> + Send;

    /// Appends to a job's timeline; never disturbs the job's version.
    fn append_timeline(
        &self,
        job: &JobId,
        entries: &[TimelineEntry],
    ) -> impl Future<Output = Result<()>> + Send;

    /// Appends a piece of a run's log, redacted by the caller. `sequence` orders the pieces.
    fn append_log(
        &self,
        job: &JobId,
        run: u32,
        sequence: u32,
        text: &str,
    ) -> impl Future<Output = Result<()>> + Send;

    /// Appends entries to a run's own chain of evidence, 48 KB at most as JSON. They are named by
    /// the number of the first. False when others are there: two tasks perform one run.
    fn append_run_evidence(
        &self,
        job: &JobId,
        run: u32,
        entries: &[Entry],
    ) -> impl Future<Output = Result<bool>> + Send;

    /// The entries of a run's own chain as they were written, in order: 512 KB and some at most.
    fn run_evidence(
        &self,
        job: &JobId,
        run: u32,
    ) -> impl Future<Output = Result<Vec<Value>>> + Send;
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// Where the next page starts; opaque to callers. `None` on the last page.
    pub next: Option<String>,
}

/// Where a page starts and how long it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PageRequest {
    /// A `next` of the page before. One that cannot be read is [`PageError::Cursor`].
    pub cursor: Option<String>,
    pub limit: usize,
}

#[derive(Debug, thiserror::Error)]
pub enum PageError {
    #[error("the cursor cannot be read")]
    Cursor,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The idempotency record: derived from caller, route and key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// A hash over caller, route and key.
    pub key: String,
    /// A hash over the body.
    pub body: String,
}

/// Work as it is accepted, in one transaction.
#[derive(Debug, Clone, PartialEq)]
pub struct Acceptance {
    pub job: Job,
    /// Set for a new node; otherwise the job is for a node that exists.
    pub new_node: Option<Node>,
    /// A release may wait behind the node's open job; other work may not.
    pub may_queue: bool,
    pub idempotency: Option<IdempotencyKey>,
    pub audit: AuditEntry,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Accepted {
    New,
    /// Same caller, same key, same body: the job of the first time.
    Replayed(Box<Loaded>),
    /// Same key, other body.
    KeyReused,
    /// Another job is open on the node.
    NodeBusy {
        open_job: Option<JobId>,
    },
}

/// Which nodes to list.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NodeFilter {
    pub status: Option<NodeStatus>,
    pub connections: Option<Vec<ConnectionName>>,
    pub profile: Option<Profile>,
    pub label: Option<(String, Option<String>)>,
}

impl NodeFilter {
    /// Whether a node is to be listed: everything that is set has to hold.
    pub fn matches(&self, node: &Node) -> bool {
        let label = |(key, value): &(String, Option<String>)| {
            node.labels.get(key).is_some_and(|known| value.as_ref().is_none_or(|v| v == known))
        };
        self.status.is_none_or(|status| status == node.status)
            && self.connections.as_ref().is_none_or(|list| list.contains(&node.spec.connection))
            && self.profile.as_ref().is_none_or(|profile| *profile == node.spec.profile)
            && self.label.as_ref().is_none_or(label)
    }
}

/// Which jobs to list.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct JobFilter {
    pub state: Option<JobState>,
    pub node: Option<NodeId>,
    pub connections: Option<Vec<ConnectionName>>,
}

impl JobFilter {
    /// Whether a job is to be listed: everything that is set has to hold.
    pub fn matches(&self, job: &Work) -> bool {
        self.state.is_none_or(|state| state == job.state())
            && self.node.as_ref().is_none_or(|node| job.node() == Some(node))
            && self.connections.as_ref().is_none_or(|list| list.contains(job.connection()))
    }
}

/// A catalogue and when it was read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StoredCatalogue {
    pub read_at: Timestamp,
    pub catalogue: Catalogue,
}

/// What the API needs.
pub trait ApiStore: Send + Sync {
    /// Writes job, node, idempotency record and audit entry in one transaction, or nothing.
    fn accept(&self, acceptance: &Acceptance) -> impl Future<Output = Result<Accepted>> + Send;

    /// Looks an idempotency record up without accepting anything.
    fn replay(&self, key: &IdempotencyKey)
    -> impl Future<Output = Result<Option<Accepted>>> + Send;

    /// Sets the job's cancel flag and `news_at`, unless the job is terminal or `if_version` is
    /// given and differs. False when nothing was set.
    fn request_cancel(
        &self,
        job: &JobId,
        if_version: Option<u64>,
        now: Timestamp,
        audit: &AuditEntry,
    ) -> impl Future<Output = Result<bool>> + Send;

    fn node(&self, id: &NodeId) -> impl Future<Output = Result<Option<Node>>> + Send;

    /// Replaces a node's labels if they are still as `expected`, and says so in the audit trail.
    /// False, and nothing is written, when they are not or when there is no such node.
    fn set_labels(
        &self,
        id: &NodeId,
        expected: &BTreeMap<String, String>,
        labels: &BTreeMap<String, String>,
        now: Timestamp,
        audit: &AuditEntry,
    ) -> impl Future<Output = Result<bool>> + Send;

    fn nodes(
        &self,
        filter: &NodeFilter,
        page: &PageRequest,
    ) -> impl Future<Output = std::result::Result<Page<Node>, PageError>> + Send;

    /// Jobs of every kind, newest first.
    fn jobs(
        &self,
        filter: &JobFilter,
        page: &PageRequest,
    ) -> impl Future<Output = std::result::Result<Page<Work>, PageError>> + Send;

    fn timeline(
        &self,
        job: &JobId,
        page: &PageRequest,
    ) -> impl Future<Output = std::result::Result<Page<TimelineEntry>, PageError>> + Send;

    /// The log's pieces in order, each a text of up to 64 KB.
    fn log(
        &self,
        job: &JobId,
        page: &PageRequest,
    ) -> impl Future<Output = std::result::Result<Page<String>, PageError>> + Send;

    /// All of a job's evidence, its runs' chains included: some megabytes at most, since chains are
    /// bounded.
    fn evidence(&self, job: &JobId) -> impl Future<Output = Result<Stored>> + Send;

    fn connections(&self) -> impl Future<Output = Result<Vec<Connection>>> + Send;

    /// What was last read of what is for sale on a connection.
    fn catalogue(
        &self,
        connection: &ConnectionName,
    ) -> impl Future<Output = Result<Option<StoredCatalogue>>> + Send;

    fn put_catalogue(
        &self,
        connection: &ConnectionName,
        catalogue: &StoredCatalogue,
    ) -> impl Future<Output = Result<()>> + Send;

    /// Stores a connection as [`JobStore::swap_connection`] does, and says so in the audit trail.
    /// False, and nothing is written, where that is false.
    fn change_connection(
        &self,
        connection: &Connection,
        events: &[Event],
        audit: &AuditEntry,
    ) -> impl Future<Output = Result<bool>> + Send;

    /// Removes a connection's record and what its jobs shared, and says so in the audit trail.
    fn delete_connection(
        &self,
        name: &ConnectionName,
        audit: &AuditEntry,
    ) -> impl Future<Output = Result<()>> + Send;

    fn token_by_hash(&self, hash: &str) -> impl Future<Output = Result<Option<Token>>> + Send;

    fn tokens(&self) -> impl Future<Output = Result<Vec<Token>>> + Send;

    /// Stores a token, and says so in the audit trail. With `only_first_admin`, only if no admin
    /// token was ever stored; false, and nothing is written, otherwise.
    fn put_token(
        &self,
        token: &Token,
        only_first_admin: bool,
        audit: &AuditEntry,
    ) -> impl Future<Output = Result<bool>> + Send;

    /// Deletes a token, and says so in the audit trail. False, and nothing is written, when there
    /// is none.
    fn delete_token(
        &self,
        id: &TokenId,
        audit: &AuditEntry,
    ) -> impl Future<Output = Result<bool>> + Send;

    /// Appends to the audit trail. Nothing that is in it is ever changed or taken away before its
    /// time; the same entry again is fine and is there once.
    fn append_audit(&self, entry: &AuditEntry) -> impl Future<Output = Result<()>> + Send;

    /// The audit trail, newest first. Entries that come while it is read are on no later page.
    fn audit_entries(
        &self,
        filter: &AuditFilter,
        page: &PageRequest,
    ) -> impl Future<Output = std::result::Result<Page<AuditEntry>, PageError>> + Send;
}
