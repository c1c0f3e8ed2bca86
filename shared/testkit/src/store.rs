//! The job store in memory, for the worker and the runs. It keeps the same promises as the real
//! one; the conformance suite holds both to them.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex},
};

use jiff::Timestamp;
use nodeyard_domain::{
    connection::{Connection, ConnectionName},
    host_key::HostPins,
    id::{JobId, NodeId},
    job::Job,
    node::{Node, NodeStatus, Server},
    pace::Pace,
    run::{Run, RunResult},
    step::Decision,
    timeline::TimelineEntry,
    token::Token,
};
use nodeyard_engine::store::{
    AuditEntry, Begin, Commit, DueJob, JobStore, Loaded, RunStore, RunWrite, StoreError,
};

use crate::held;

type Result<T> = std::result::Result<T, StoreError>;

/// The limits of the real store, so that tests meet them too.
const MAX_JOB_BYTES: usize = 32 * 1024;
const MAX_ITEM_BYTES: usize = 64 * 1024;

/// Refuses what the real store would refuse to write.
fn check_size(key: &str, record: &impl serde::Serialize, limit: usize) -> Result<()> {
    let bytes = serde_json::to_vec(record).expect("a record serialises").len();
    if bytes > limit {
        return Err(StoreError::TooLarge { key: key.to_owned(), bytes });
    }
    Ok(())
}

/// Everything that is stored.
#[derive(Debug, Default)]
pub(crate) struct Items {
    pub jobs: BTreeMap<JobId, Job>,
    pub nodes: BTreeMap<NodeId, Node>,
    pub runs: BTreeMap<(JobId, u32), Run>,
    pub pins: HashMap<NodeId, HostPins>,
    pub timeline: HashMap<JobId, Vec<TimelineEntry>>,
    pub log: HashMap<JobId, BTreeMap<(u32, u32), String>>,
    pub connections: BTreeMap<ConnectionName, Connection>,
    pub paces: BTreeMap<ConnectionName, Pace>,
    pub tokens: Vec<Token>,
    pub had_admin: bool,
    pub idempotency: HashMap<String, (String, JobId)>,
    pub audit: Vec<AuditEntry>,
    /// Until when a swept job rests; a commit or news take the stamp away.
    pub swept: HashMap<JobId, Timestamp>,
}

/// Clones share what is stored.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore {
    pub(crate) items: Arc<Mutex<Items>>,
}

impl MemoryStore {
    /// The audit trail, for tests that check it.
    pub fn audit(&self) -> Vec<AuditEntry> {
        held(&self.items).audit.clone()
    }

    pub fn all_jobs(&self) -> Vec<Job> {
        held(&self.items).jobs.values().cloned().collect()
    }

    pub fn all_nodes(&self) -> Vec<Node> {
        held(&self.items).nodes.values().cloned().collect()
    }

    pub fn history(&self, job: &JobId) -> Vec<TimelineEntry> {
        held(&self.items).timeline.get(job).cloned().unwrap_or_default()
    }

    /// Replaces a stored job: for tests that need one in a certain state.
    pub fn put_job(&self, job: Job) {
        held(&self.items).jobs.insert(job.id.clone(), job);
    }
}

impl JobStore for MemoryStore {
    async fn load(&self, job: &JobId) -> Result<Option<Loaded>> {
        let items = held(&self.items);
        Ok(items.jobs.get(job).and_then(|job| {
            let node = items.nodes.get(&job.node_id)?.clone();
            Some(Loaded { job: job.clone(), node })
        }))
    }

    async fn begin(&self, job: &Job, claim: bool) -> Result<Begin> {
        let mut items = held(&self.items);
        let Some(stored) = items.jobs.get_mut(&job.id) else { return Ok(Begin::Lost) };
        if stored.version != job.version || stored.state.is_terminal() {
            return Ok(Begin::Lost);
        }
        if claim && stored.sent_at.is_some() {
            return Ok(Begin::AlreadySent);
        }
        if claim {
            stored.sent_at = stored.intent.as_ref().map(|intent| intent.id);
        }
        stored.crashes += 1;
        Ok(Begin::Proceed { crashes: stored.crashes })
    }

    async fn commit(&self, loaded: &Loaded, decision: &Decision) -> Result<Commit> {
        let mut items = held(&self.items);
        let before = &loaded.job;
        let Some(stored) = items.jobs.get(&before.id) else { return Ok(Commit::Lost) };
        let as_loaded = stored.version == before.version
            && !stored.state.is_terminal()
            && stored.sent_at == before.sent_at
            && stored.news_at == before.news_at;
        let Some(node) = items.nodes.get(&before.node_id) else { return Ok(Commit::Lost) };
        let turn_as_loaded = !decision.node.close_job
            || (node.open_job == loaded.node.open_job
                && node.queued_release == loaded.node.queued_release);
        if !as_loaded || !turn_as_loaded {
            return Ok(Commit::Lost);
        }
        let job = Job { version: before.version + 1, ..decision.job.clone() };
        check_size(job.id.as_str(), &job, MAX_JOB_BYTES)?;
        if let Some(node) =
            items.nodes.get_mut(&before.node_id).filter(|_| !decision.node.is_empty())
        {
            decision.node.apply(node, &job.id, job.updated_at);
        }
        items.timeline.entry(job.id.clone()).or_default().extend(decision.entries.iter().cloned());
        items.swept.remove(&job.id);
        items.jobs.insert(job.id.clone(), job);
        Ok(Commit::Done)
    }

    async fn take_node(&self, node: &NodeId, job: &JobId) -> Result<bool> {
        let mut items = held(&self.items);
        // A job that has ended gets nothing: nobody would close it.
        if items.jobs.get(job).is_none_or(|job| job.state.is_terminal()) {
            return Ok(false);
        }
        let Some(node) = items.nodes.get_mut(node) else { return Ok(false) };
        match &node.open_job {
            Some(open) => Ok(open == job),
            None => {
                node.open_job = Some(job.clone());
                if node.queued_release.as_ref() == Some(job) {
                    node.queued_release = None;
                }
                Ok(true)
            }
        }
    }

    async fn keep_on_node(&self, node: &NodeId, server: &Server, now: Timestamp) -> Result<()> {
        if let Some(node) = held(&self.items).nodes.get_mut(node) {
            node.server = Some(server.clone());
            node.enter(NodeStatus::CleanupPending, now);
            node.updated_at = now;
        }
        Ok(())
    }

    async fn due(&self, before: Timestamp, limit: usize) -> Result<Vec<DueJob>> {
        let items = held(&self.items);
        let mut due: Vec<DueJob> = items
            .jobs
            .values()
            .filter_map(|job| {
                let look_at = match items.swept.get(&job.id) {
                    Some(again_at) => *again_at,
                    None => job.look_at()?,
                };
                (look_at <= before && !job.state.is_terminal())
                    .then(|| DueJob { id: job.id.clone(), look_at })
            })
            .collect();
        due.sort_by_key(|job| job.look_at);
        due.truncate(limit);
        Ok(due)
    }

    async fn mark_swept(&self, job: &DueJob, again_at: Timestamp) -> Result<()> {
        let mut items = held(&self.items);
        // A commit or news in between have set another time, which goes first.
        let as_found = match items.swept.get(&job.id) {
            Some(again_at) => *again_at == job.look_at,
            None => items.jobs.get(&job.id).and_then(Job::look_at) == Some(job.look_at),
        };
        if as_found {
            items.swept.insert(job.id.clone(), again_at);
        }
        Ok(())
    }

    async fn set_news(&self, job: &JobId, now: Timestamp) -> Result<()> {
        let mut items = held(&self.items);
        if let Some(stored) = items.jobs.get_mut(job).filter(|job| !job.state.is_terminal()) {
            stored.news_at = Some(now);
            items.swept.remove(job);
        }
        Ok(())
    }

    async fn polling(
        &self,
        connection: &ConnectionName,
        before: Timestamp,
        limit: usize,
    ) -> Result<Vec<JobId>> {
        let items = held(&self.items);
        let polls = |job: &&Job| {
            job.connection == *connection
                && !job.state.is_terminal()
                && job.waiting_on.is_none()
                && job.is_due(before)
                && job.intent.as_ref().is_some_and(|intent| intent.effect.is_shared())
        };
        let mut due: Vec<&Job> = items.jobs.values().filter(polls).collect();
        due.sort_by_key(|job| job.due_at);
        Ok(due.into_iter().take(limit).map(|job| job.id.clone()).collect())
    }

    async fn pace(&self, connection: &ConnectionName, now: Timestamp) -> Result<Pace> {
        let stored = held(&self.items).paces.get(connection).cloned();
        Ok(stored.unwrap_or_else(|| Pace::new(now)))
    }

    async fn swap_pace(&self, connection: &ConnectionName, pace: &Pace) -> Result<bool> {
        let mut items = held(&self.items);
        let stored = items.paces.get(connection).map_or(0, |stored| stored.version);
        if stored != pace.version {
            return Ok(false);
        }
        let next = Pace { version: pace.version + 1, ..pace.clone() };
        items.paces.insert(connection.clone(), next);
        Ok(true)
    }

    async fn due_nodes(&self, before: Timestamp, limit: usize) -> Result<Vec<Node>> {
        let items = held(&self.items);
        let is_due = |node: &&Node| {
            node.status == NodeStatus::CleanupPending
                && node.open_job.is_none()
                && node.release_at.is_some_and(|at| at <= before)
        };
        let mut due: Vec<&Node> = items.nodes.values().filter(is_due).collect();
        due.sort_by_key(|node| node.release_at);
        Ok(due.into_iter().take(limit).cloned().collect())
    }

    async fn connection(&self, name: &ConnectionName) -> Result<Option<Connection>> {
        Ok(held(&self.items).connections.get(name).cloned())
    }

    async fn put_connection(&self, connection: &Connection) -> Result<()> {
        held(&self.items).connections.insert(connection.name.clone(), connection.clone());
        Ok(())
    }
}

impl RunStore for MemoryStore {
    async fn put_run(&self, run: &Run) -> Result<RunWrite> {
        let mut items = held(&self.items);
        let key = (run.job_id.clone(), run.number);
        if let Some(known) = items.runs.get(&key) {
            return Ok(RunWrite::Exists(Box::new(known.clone())));
        }
        items.runs.insert(key, run.clone());
        Ok(RunWrite::Written)
    }

    async fn run(&self, job: &JobId, number: u32) -> Result<Option<Run>> {
        Ok(held(&self.items).runs.get(&(job.clone(), number)).cloned())
    }

    async fn set_run_task(&self, job: &JobId, number: u32, task: &str) -> Result<()> {
        if let Some(run) = held(&self.items).runs.get_mut(&(job.clone(), number)) {
            run.task = Some(task.to_owned());
        }
        Ok(())
    }

    async fn stop_run(
        &self,
        job: &JobId,
        node: &NodeId,
        number: u32,
        now: Timestamp,
    ) -> Result<Option<Run>> {
        let mut items = held(&self.items);
        let key = (job.clone(), number);
        if let Some(run) = items.runs.get_mut(&key) {
            let before = run.clone();
            run.stop_requested = true;
            return Ok(Some(before));
        }
        let Some(node) = items.nodes.get(node) else { return Ok(None) };
        let tombstone = Run::tombstone(job.clone(), number, node, now);
        items.runs.insert(key, tombstone);
        Ok(None)
    }

    async fn finish_run(&self, job: &JobId, number: u32, result: &RunResult) -> Result<bool> {
        let mut items = held(&self.items);
        let Some(run) = items.runs.get_mut(&(job.clone(), number)) else { return Ok(false) };
        if run.result.is_some() {
            return Ok(false);
        }
        run.result = Some(result.clone());
        if let Some(job) = items.jobs.get_mut(job).filter(|job| !job.state.is_terminal()) {
            job.news_at = Some(result.finished_at);
            let id = job.id.clone();
            items.swept.remove(&id);
        }
        Ok(true)
    }

    async fn pins(&self, node: &NodeId) -> Result<Option<HostPins>> {
        Ok(held(&self.items).pins.get(node).cloned())
    }

    async fn put_pins(
        &self,
        node: &NodeId,
        expected: Option<&HostPins>,
        pins: &HostPins,
    ) -> Result<bool> {
        let mut items = held(&self.items);
        if items.pins.get(node) != expected {
            return Ok(false);
        }
        items.pins.insert(node.clone(), pins.clone());
        Ok(true)
    }

    async fn append_timeline(&self, job: &JobId, entries: &[TimelineEntry]) -> Result<()> {
        for entry in entries {
            check_size(job.as_str(), entry, MAX_ITEM_BYTES)?;
        }
        held(&self.items).timeline.entry(job.clone()).or_default().extend(entries.iter().cloned());
        Ok(())
    }

    async fn append_log(&self, job: &JobId, run: u32, sequence: u32, text: &str) -> Result<()> {
        if text.len() > MAX_ITEM_BYTES {
            return Err(StoreError::TooLarge { key: job.to_string(), bytes: text.len() });
        }
        let mut items = held(&self.items);
        items.log.entry(job.clone()).or_default().insert((run, sequence), text.to_owned());
        Ok(())
    }
}
