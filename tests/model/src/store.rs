//! The job store, with the conditions that its writes have.

use std::sync::Arc;

use nodeyard_domain::{
    job::{Job, JobKind},
    node::{NodeStatus, Server},
    step::Decision,
    wake::WakeReason,
};

use crate::{
    run::{RunAt, Task},
    scenario::{Defect, Scenario},
    worker::Worker,
    world::World,
};

/// As `nodeyard_engine::store::Begin`.
pub enum Begin {
    Proceed { crashes: u32 },
    AlreadySent,
    Lost,
}

impl World {
    /// Mirrors `JobStore::begin`.
    pub fn begin_effect(&mut self, worker: usize, claim: bool, scenario: &Scenario) -> Begin {
        let loaded = Arc::clone(&self.workers[worker].job);
        let at = self.workers[worker].message.job;
        let stored = Arc::make_mut(&mut self.jobs[at]);
        if stored.version != loaded.version || stored.state.is_terminal() {
            return Begin::Lost;
        }
        let claim = claim && !scenario.lacks(Defect::NoClaim);
        if claim && stored.sent_at.is_some() {
            return Begin::AlreadySent;
        }
        if claim {
            stored.sent_at = stored.intent.as_ref().map(|intent| intent.id);
        }
        stored.crashes += 1;
        Begin::Proceed { crashes: stored.crashes }
    }

    /// Mirrors `JobStore::commit`: false when the fence is lost.
    pub fn commit(&mut self, worker: usize, decision: &Decision, scenario: &Scenario) -> bool {
        let Worker { job: before, node: node_before, message, .. } = &self.workers[worker];
        let (at, stored) = (message.job, &self.jobs[message.job]);
        let turn_as_loaded = !decision.node.close_job
            || (self.node.open_job == node_before.open_job
                && self.node.queued_release == node_before.queued_release);
        let node_as_loaded = (decision.node.status.is_none() && !decision.node.close_job)
            || (self.node.status == node_before.status
                && self.node.cleanup_tries == node_before.cleanup_tries);
        let as_loaded = stored.version == before.version
            && !stored.state.is_terminal()
            && (stored.sent_at == before.sent_at || scenario.lacks(Defect::NoClaim))
            && stored.news_at == before.news_at
            && turn_as_loaded
            && node_as_loaded;
        if !as_loaded && !scenario.lacks(Defect::NoFence) {
            return false;
        }
        let job = Job { version: before.version + 1, ..decision.job.clone() };
        self.broken.terminal_changed |= stored.state.is_terminal();
        self.broken.version_fell |= job.version <= stored.version;
        let now = self.clock();
        if !decision.node.is_empty() {
            decision.node.apply(Arc::make_mut(&mut self.node), &job.id, now);
        }
        self.jobs[at] = Arc::new(job);
        true
    }

    /// Mirrors `JobStore::take_node`.
    pub fn take_node(&mut self, at: usize) -> bool {
        let job = &self.jobs[at];
        if job.state.is_terminal() {
            return false;
        }
        if let Some(open) = &self.node.open_job {
            return *open == job.id;
        }
        let node = Arc::make_mut(&mut self.node);
        node.open_job = Some(job.id.clone());
        if node.queued_release.as_ref() == Some(&job.id) {
            node.queued_release = None;
        }
        true
    }

    /// Mirrors `JobStore::keep_on_node`.
    pub fn keep_on_node(&mut self, server: &Server) {
        let now = self.clock();
        let node = Arc::make_mut(&mut self.node);
        node.server = Some(server.clone());
        node.enter(NodeStatus::CleanupPending, now);
    }

    /// Mirrors `JobStore::set_news`, and the sender's wake.
    pub fn tell_news(&mut self, at: usize, reason: WakeReason, cancel: bool) {
        if self.jobs[at].state.is_terminal() {
            return;
        }
        self.news += 1;
        let news_at = crate::world::moment(self.now, self.news);
        let job = Arc::make_mut(&mut self.jobs[at]);
        job.news_at = Some(news_at);
        if cancel {
            job.cancel_requested_at.get_or_insert(news_at);
        }
        self.send(at, reason, 0);
    }

    /// Mirrors `RunStore::put_run`: the record there is now.
    pub fn put_run(&mut self, job: usize, number: u32, server: u64) -> &mut RunAt {
        self.run_or(RunAt {
            job,
            number,
            server,
            stop_requested: false,
            task: Task::Missing,
            result: None,
        })
    }

    /// Mirrors `RunStore::stop_run`: a tombstone where there is no record.
    pub fn request_stop(&mut self, job: usize, number: u32) -> &mut RunAt {
        let run = self.run_or(RunAt {
            job,
            number,
            server: 0,
            stop_requested: true,
            task: Task::Missing,
            result: None,
        });
        run.stop_requested = true;
        run
    }

    fn run_or(&mut self, new: RunAt) -> &mut RunAt {
        let known = self.runs.iter().position(|run| (run.job, run.number) == (new.job, new.number));
        let at = known.unwrap_or_else(|| {
            self.runs.push(new);
            self.runs.len() - 1
        });
        &mut self.runs[at]
    }

    /// Mirrors `sweep::release_left_over`, once the node's time has come.
    pub fn open_release(&mut self) {
        let Some(at) = self.node.release_at else { return };
        self.now = self.now.max(at.as_second() - moment_zero());
        let id = nodeyard_domain::id::JobId::from_bits(self.jobs.len() as u128 + 1);
        let job = nodeyard_domain::acceptance::on_node(
            id.clone(),
            JobKind::NodeRelease,
            &self.node,
            "system",
            None,
            self.clock(),
        );
        let far = self.clock() + jiff::SignedDuration::from_secs(crate::scenario::FAR_SECS);
        self.jobs.push(Arc::new(Job { deadline_at: far, ..job }));
        Arc::make_mut(&mut self.node).open_job = Some(id);
        self.send(self.jobs.len() - 1, WakeReason::Due, 0);
    }
}

fn moment_zero() -> i64 {
    crate::world::moment(0, 0).as_second()
}
