//! The job store in memory, for the worker. It keeps the same promises as the real one; the
//! conformance suite holds both to them.

mod evidence;
mod rotations;
mod runs;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex},
};

use jiff::Timestamp;
use nodeyard_domain::{
    connection::{Connection, ConnectionName},
    event::{self, Event},
    evidence::{Entry, Head, Signature},
    host_key::HostPins,
    id::{EventId, JobId, NodeId},
    job::Job,
    node::{Node, NodeStatus, Server},
    orphan::{Orphan, OrphanId, OrphanState},
    pace::Pace,
    rotation::Rotation,
    run::Run,
    step::Decision,
    timeline::TimelineEntry,
    token::Token,
};
use nodeyard_engine::{
    event::DueEvent,
    evidence::Unsigned,
    store::{AuditEntry, Begin, Commit, DueJob, JobStore, Loaded, StoreError, StoredCatalogue},
};

use crate::{
    defects::Defect,
    faults::{Fault, Faults},
    held,
    outbox::Changed,
    pause::pause,
};

type Result<T> = std::result::Result<T, StoreError>;

/// The limits of the real store, so that tests meet them too.
const MAX_JOB_BYTES: usize = 32 * 1024;
const MAX_ITEM_BYTES: usize = 64 * 1024;

/// How a write fails: without effect, and with it.
pub(crate) type Failures = (Fault, Fault);

pub(crate) const WRITE: Failures = (Fault::WriteUnavailable, Fault::WriteAnswerLost);

/// Refuses what the real store would refuse to write; else tells the size.
fn check_size(key: &str, record: &impl serde::Serialize, limit: usize) -> Result<usize> {
    let bytes = serde_json::to_vec(record).expect("a record serialises").len();
    if bytes > limit {
        return Err(StoreError::TooLarge { key: key.to_owned(), bytes });
    }
    Ok(bytes)
}

/// Everything that is stored.
#[derive(Debug, Default)]
pub(crate) struct Items {
    pub jobs: BTreeMap<JobId, Job>,
    pub rotations: BTreeMap<JobId, Rotation>,
    pub nodes: BTreeMap<NodeId, Node>,
    pub runs: BTreeMap<(JobId, u32), Run>,
    pub pins: HashMap<NodeId, HostPins>,
    pub timeline: HashMap<JobId, Vec<TimelineEntry>>,
    pub log: HashMap<JobId, BTreeMap<(u32, u32), String>>,
    pub connections: BTreeMap<ConnectionName, Connection>,
    pub paces: BTreeMap<ConnectionName, Pace>,
    pub catalogues: BTreeMap<ConnectionName, StoredCatalogue>,
    pub tokens: Vec<Token>,
    pub had_admin: bool,
    pub idempotency: HashMap<String, (String, JobId)>,
    pub audit: Vec<AuditEntry>,
    pub orphans: BTreeMap<OrphanId, Orphan>,
    pub orphan_state: Option<OrphanState>,
    pub outbox: BTreeMap<EventId, DueEvent>,
    pub evidence: HashMap<JobId, Vec<Entry>>,
    pub run_evidence: BTreeMap<(JobId, u32), Vec<Entry>>,
    /// When a job ended whose evidence is unsigned, and what is to be signed.
    pub unsigned: BTreeMap<JobId, (Timestamp, Head)>,
    pub signatures: HashMap<JobId, Signature>,
    pub changes: Vec<Changed>,
    /// Until when a swept job rests; a commit or news take the stamp away.
    pub swept: HashMap<JobId, Timestamp>,
    largest_job_bytes: usize,
}

/// Clones share what is stored.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore {
    pub(crate) items: Arc<Mutex<Items>>,
    faults: Faults,
    defect: Option<Defect>,
}

impl MemoryStore {
    /// The same items, with faults and a defect for whoever calls through this handle.
    pub fn with(&self, faults: Faults, defect: Option<Defect>) -> Self {
        Self { items: Arc::clone(&self.items), faults, defect }
    }

    /// The audit trail, for tests that check it.
    pub fn audit(&self) -> Vec<AuditEntry> {
        held(&self.items).audit.clone()
    }

    pub fn all_jobs(&self) -> Vec<Job> {
        held(&self.items).jobs.values().cloned().collect()
    }

    /// Looks at all jobs without a copy.
    pub fn with_jobs<T>(&self, look: impl FnOnce(&BTreeMap<JobId, Job>) -> T) -> T {
        look(&held(&self.items).jobs)
    }

    /// Looks at all nodes without a copy.
    pub fn with_nodes<T>(&self, look: impl FnOnce(&BTreeMap<NodeId, Node>) -> T) -> T {
        look(&held(&self.items).nodes)
    }

    pub fn all_nodes(&self) -> Vec<Node> {
        held(&self.items).nodes.values().cloned().collect()
    }

    pub fn all_runs(&self) -> Vec<Run> {
        held(&self.items).runs.values().cloned().collect()
    }

    pub fn all_connections(&self) -> Vec<Connection> {
        held(&self.items).connections.values().cloned().collect()
    }

    /// Whether no job is open, no node waits to be removed, no event waits to be sent and no
    /// evidence to be signed.
    pub fn is_at_rest(&self) -> bool {
        let items = held(&self.items);
        items.outbox.is_empty()
            && items.unsigned.is_empty()
            && items.jobs.values().all(|job| job.state.is_terminal())
            && items.rotations.values().all(|rotation| rotation.state.is_terminal())
            && items.nodes.values().all(|node| node.release_at.is_none())
    }

    /// The largest that a job item ever was, in bytes of JSON.
    pub fn largest_job_bytes(&self) -> usize {
        held(&self.items).largest_job_bytes
    }

    pub fn history(&self, job: &JobId) -> Vec<TimelineEntry> {
        held(&self.items).timeline.get(job).cloned().unwrap_or_default()
    }

    /// Replaces a stored job: for tests that need one in a certain state.
    pub fn put_job(&self, job: Job) {
        held(&self.items).jobs.insert(job.id.clone(), job);
    }

    /// Replaces a stored node: for tests that need one in a certain state.
    pub fn put_node(&self, node: Node) {
        held(&self.items).nodes.insert(node.id.clone(), node);
    }

    pub(crate) fn lacks(&self, safeguard: Defect) -> bool {
        self.defect == Some(safeguard)
    }

    pub(crate) fn hits(&self, fault: Fault) -> bool {
        self.faults.hits(fault)
    }

    pub(crate) fn defect(&self) -> Option<Defect> {
        self.defect
    }

    pub(crate) fn with_items<T>(&self, look: impl FnOnce(&Items) -> T) -> T {
        look(&held(&self.items))
    }

    /// A read, between two pauses.
    pub(crate) async fn look<T, E: From<StoreError>>(
        &self,
        fault: Fault,
        look: impl FnOnce(&Items) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        pause().await;
        let seen = if self.faults.hits(fault) {
            Err(unavailable(fault).into())
        } else {
            look(&held(&self.items))
        };
        pause().await;
        seen
    }

    /// A write, between two pauses: all of it or nothing.
    pub(crate) async fn change<T>(
        &self,
        (refused, lost): Failures,
        change: impl FnOnce(&mut Items) -> Result<T>,
    ) -> Result<T> {
        pause().await;
        let changed = if self.faults.hits(refused) {
            Err(unavailable(refused))
        } else {
            let changed = change(&mut held(&self.items));
            if changed.is_ok() && self.faults.hits(lost) { Err(unavailable(lost)) } else { changed }
        };
        pause().await;
        changed
    }
}

fn unavailable(fault: Fault) -> StoreError {
    StoreError::Unavailable(fault.name().to_owned())
}

impl Items {
    fn begin(&mut self, job: &Job, claim: bool, defect: Option<Defect>) -> Begin {
        let Some(stored) = self.jobs.get_mut(&job.id) else { return Begin::Lost };
        if stored.version != job.version || stored.state.is_terminal() {
            return Begin::Lost;
        }
        let claim = claim && defect != Some(Defect::NoClaim);
        if claim && stored.sent_at.is_some() {
            return Begin::AlreadySent;
        }
        if claim {
            stored.sent_at = stored.intent.as_ref().map(|intent| intent.id);
        }
        if defect != Some(Defect::CrashesUncounted) {
            stored.crashes += 1;
        }
        Begin::Proceed { crashes: stored.crashes }
    }

    fn is_as_loaded(&self, loaded: &Loaded, decision: &Decision, defect: Option<Defect>) -> bool {
        let before = &loaded.job;
        let (Some(stored), Some(node)) =
            (self.jobs.get(&before.id), self.nodes.get(&before.node_id))
        else {
            return false;
        };
        let Decision { node: change, .. } = decision;
        let turn_as_loaded = !change.close_job || node.queued_release == loaded.node.queued_release;
        let node_as_loaded = (change.status.is_none() && !change.close_job)
            || (node.open_job == loaded.node.open_job
                && node.status == loaded.node.status
                && node.cleanup_tries == loaded.node.cleanup_tries);
        // Two pieces of news may have come in the same instant.
        let has_same_news = stored.news_at == before.news_at
            && stored.cancel_requested_at == before.cancel_requested_at;
        stored.version == before.version
            && !stored.state.is_terminal()
            && (stored.sent_at == before.sent_at || defect == Some(Defect::NoClaim))
            && (has_same_news || defect == Some(Defect::NewsIgnored))
            && turn_as_loaded
            && node_as_loaded
    }

    fn commit(
        &mut self,
        loaded: &Loaded,
        decision: &Decision,
        defect: Option<Defect>,
    ) -> Result<Commit> {
        let before = &loaded.job;
        let is_fenced = defect != Some(Defect::NoFence);
        if is_fenced && !self.is_as_loaded(loaded, decision, defect) {
            let dropped = defect == Some(Defect::ObservationDropped);
            return Ok(if dropped { Commit::Done } else { Commit::Lost });
        }
        let job = Job { version: before.version + 1, ..decision.job.clone() };
        let bytes = check_size(job.id.as_str(), &job, MAX_JOB_BYTES)?;
        self.largest_job_bytes = self.largest_job_bytes.max(bytes);
        let node = self.nodes.get(&before.node_id).filter(|_| !decision.node.is_empty());
        if let Some(mut node) = node.cloned() {
            let was = node.status;
            decision.node.apply(&mut node, &job.id, job.updated_at);
            self.note_node(was, &node);
            self.nodes.insert(node.id.clone(), node);
        }
        if job.state.is_terminal() {
            self.changes.push(Changed::Job { id: job.id.clone(), to: job.state });
        }
        self.post(&event::of_commit(before, &loaded.node, decision), defect);
        self.timeline.entry(job.id.clone()).or_default().extend(decision.entries.iter().cloned());
        self.add_evidence((&job).into(), &decision.evidence);
        self.swept.remove(&job.id);
        self.jobs.insert(job.id.clone(), job);
        Ok(Commit::Done)
    }

    fn take_node(&mut self, node: &NodeId, job: &JobId) -> bool {
        // A job that has ended gets nothing: nobody would close it.
        if self.jobs.get(job).is_none_or(|job| job.state.is_terminal()) {
            return false;
        }
        let Some(node) = self.nodes.get_mut(node) else { return false };
        if let Some(open) = &node.open_job {
            return open == job;
        }
        node.open_job = Some(job.clone());
        if node.queued_release.as_ref() == Some(job) {
            node.queued_release = None;
        }
        true
    }

    fn due(&self, before: Timestamp, limit: usize) -> Vec<DueJob> {
        let look_at = |job: &Job| match self.swept.get(&job.id) {
            Some(again_at) => Some(*again_at),
            None => job.look_at(),
        };
        let open = self.jobs.values().filter(|job| !job.state.is_terminal());
        let mut due: Vec<DueJob> = open
            .filter_map(|job| Some((job, look_at(job).filter(|at| *at <= before)?)))
            .map(|(job, look_at)| DueJob { id: job.id.clone(), look_at })
            .collect();
        due.extend(self.due_rotations(before));
        due.sort_by_key(|job| job.look_at);
        due.truncate(limit);
        due
    }

    fn mark_swept(&mut self, job: &DueJob, again_at: Timestamp) {
        // A commit or news in between have set another time, which goes first.
        let as_found = match self.swept.get(&job.id) {
            Some(again_at) => *again_at == job.look_at,
            None => {
                let rotation = self.rotations.get(&job.id).and_then(Rotation::look_at);
                self.jobs.get(&job.id).and_then(Job::look_at).or(rotation) == Some(job.look_at)
            }
        };
        if as_found {
            self.swept.insert(job.id.clone(), again_at);
        }
    }

    /// News for a job that has not ended take its rest away.
    fn set_news(&mut self, job: &JobId, now: Timestamp) {
        if let Some(stored) = self.jobs.get_mut(job).filter(|job| !job.state.is_terminal()) {
            stored.news_at = Some(now);
            self.swept.remove(job);
        }
        let rotation = self.rotations.get_mut(job);
        if let Some(stored) = rotation.filter(|stored| !stored.state.is_terminal()) {
            stored.news_at = Some(now);
            self.swept.remove(job);
        }
    }

    fn polling(&self, connection: &ConnectionName, before: Timestamp, limit: usize) -> Vec<JobId> {
        let polls = |job: &&Job| {
            job.connection == *connection
                && !job.state.is_terminal()
                && job.waiting_on.is_none()
                && job.is_due(before)
                && job.intent.as_ref().is_some_and(|intent| intent.effect.is_shared())
        };
        let mut due: Vec<&Job> = self.jobs.values().filter(polls).collect();
        due.sort_by_key(|job| job.due_at);
        due.into_iter().take(limit).map(|job| job.id.clone()).collect()
    }

    fn swap_pace(&mut self, connection: &ConnectionName, pace: &Pace, is_fenced: bool) -> bool {
        let stored = self.paces.get(connection).map_or(0, |stored| stored.version);
        if is_fenced && stored != pace.version {
            return false;
        }
        let next = Pace { version: pace.version + 1, ..pace.clone() };
        self.paces.insert(connection.clone(), next);
        true
    }

    /// A server is left with its node, which is in nobody's hands.
    pub(crate) fn leave(
        &mut self,
        node: &NodeId,
        server: &Server,
        now: Timestamp,
        defect: Option<Defect>,
    ) -> Option<Event> {
        let before = self.nodes.get(node)?;
        let mut after = before.clone();
        after.server = Some(server.clone());
        after.enter(NodeStatus::CleanupPending, now);
        after.updated_at = now;
        let event = event::of_left_server(before, &after, server);
        self.note_node(before.status, &after);
        self.nodes.insert(after.id.clone(), after);
        self.post(event.as_slice(), defect);
        event
    }

    pub(crate) fn swap_connection(&mut self, connection: &Connection) -> bool {
        let stored = self.connections.get(&connection.name).cloned();
        if stored.as_ref().map_or(0, |stored| stored.version) != connection.version {
            return false;
        }
        let next = Connection { version: connection.version + 1, ..connection.clone() };
        self.note_connection(stored.as_ref(), &next);
        self.connections.insert(next.name.clone(), next);
        true
    }

    fn due_nodes(&self, before: Timestamp, limit: usize) -> Vec<Node> {
        let is_due = |node: &&Node| {
            node.status == NodeStatus::CleanupPending
                && node.open_job.is_none()
                && node.release_at.is_some_and(|at| at <= before)
        };
        let mut due: Vec<&Node> = self.nodes.values().filter(is_due).collect();
        due.sort_by_key(|node| node.release_at);
        due.into_iter().take(limit).cloned().collect()
    }
}

impl JobStore for MemoryStore {
    async fn load(&self, job: &JobId) -> Result<Option<Loaded>> {
        self.look(Fault::LoadUnavailable, |items| {
            Ok(items.jobs.get(job).and_then(|job| {
                let node = items.nodes.get(&job.node_id)?.clone();
                Some(Loaded { job: job.clone(), node })
            }))
        })
        .await
    }

    async fn begin(&self, job: &Job, claim: bool) -> Result<Begin> {
        let failures = (Fault::BeginUnavailable, Fault::BeginAnswerLost);
        self.change(failures, |items| Ok(items.begin(job, claim, self.defect))).await
    }

    async fn commit(&self, loaded: &Loaded, decision: &Decision) -> Result<Commit> {
        let failures = (Fault::CommitUnavailable, Fault::CommitAnswerLost);
        self.change(failures, |items| items.commit(loaded, decision, self.defect)).await
    }

    async fn take_node(&self, node: &NodeId, job: &JobId) -> Result<bool> {
        self.change(WRITE, |items| Ok(items.take_node(node, job))).await
    }

    async fn keep_on_node(
        &self,
        node: &NodeId,
        server: &Server,
        now: Timestamp,
    ) -> Result<Option<Event>> {
        self.change(WRITE, |items| {
            if self.lacks(Defect::LateServerForgotten) {
                return Ok(None);
            }
            Ok(items.leave(node, server, now, self.defect))
        })
        .await
    }

    async fn due(&self, before: Timestamp, limit: usize) -> Result<Vec<DueJob>> {
        self.look(Fault::ReadUnavailable, |items| {
            let hidden = self.lacks(Defect::NoSweep) || self.faults.hits(Fault::IndexLags);
            Ok(items.due(before, if hidden { 0 } else { limit }))
        })
        .await
    }

    async fn mark_swept(&self, job: &DueJob, again_at: Timestamp) -> Result<()> {
        self.change(WRITE, |items| {
            items.mark_swept(job, again_at);
            Ok(())
        })
        .await
    }

    async fn set_news(&self, job: &JobId, now: Timestamp) -> Result<()> {
        self.change(WRITE, |items| {
            items.set_news(job, now);
            Ok(())
        })
        .await
    }

    async fn polling(
        &self,
        connection: &ConnectionName,
        before: Timestamp,
        limit: usize,
    ) -> Result<Vec<JobId>> {
        self.look(Fault::ReadUnavailable, |items| {
            let hidden = self.faults.hits(Fault::IndexLags);
            Ok(items.polling(connection, before, if hidden { 0 } else { limit }))
        })
        .await
    }

    async fn pace(&self, connection: &ConnectionName, now: Timestamp) -> Result<Pace> {
        let stored = |items: &Items| Ok(items.paces.get(connection).cloned());
        let stored: Option<Pace> = self.look(Fault::ReadUnavailable, stored).await?;
        Ok(stored.unwrap_or_else(|| Pace::new(now)))
    }

    async fn swap_pace(&self, connection: &ConnectionName, pace: &Pace) -> Result<bool> {
        let failures = (Fault::PaceUnavailable, Fault::PaceAnswerLost);
        let is_fenced = !self.lacks(Defect::PaceUnfenced);
        self.change(failures, |items| Ok(items.swap_pace(connection, pace, is_fenced))).await
    }

    async fn due_nodes(&self, before: Timestamp, limit: usize) -> Result<Vec<Node>> {
        self.look(Fault::ReadUnavailable, |items| {
            let hidden = self.lacks(Defect::NoSweep) || self.faults.hits(Fault::IndexLags);
            Ok(items.due_nodes(before, if hidden { 0 } else { limit }))
        })
        .await
    }

    async fn unsigned(&self, before: Timestamp, limit: usize) -> Result<Vec<Unsigned>> {
        let unsigned = |items: &Items| Ok(items.unsigned_jobs(before, limit));
        self.look(Fault::ReadUnavailable, unsigned).await
    }

    async fn put_signature(&self, job: &JobId, signature: &Signature) -> Result<bool> {
        self.change(WRITE, |items| Ok(items.put_signature(job, signature))).await
    }

    async fn connection(&self, name: &ConnectionName) -> Result<Option<Connection>> {
        let stored = |items: &Items| Ok(items.connections.get(name).cloned());
        self.look(Fault::ReadUnavailable, stored).await
    }

    async fn swap_connection(&self, connection: &Connection, events: &[Event]) -> Result<bool> {
        self.change(WRITE, |items| {
            let swapped = items.swap_connection(connection);
            if swapped {
                items.post(events, self.defect);
            }
            Ok(swapped)
        })
        .await
    }
}
