//! Container tasks in memory: started, alive until the world ends them, stopped.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use jiff::{SignedDuration, Timestamp};
use nodeyard_domain::{
    id::{JobId, NodeId},
    run::Run,
};
use nodeyard_engine::{
    Clock,
    runner::{Runner, RunnerError, Start, TaskState},
};

use crate::{
    clock::SimulatedClock,
    defects::Defect,
    faults::{Fault, Faults},
    held,
    pause::pause,
};

/// One task, as the container service knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    pub job: JobId,
    pub number: u32,
    pub node: NodeId,
    pub server_id: u64,
    pub started_at: Timestamp,
    pub ended_at: Option<Timestamp>,
    pub exit_code: Option<i32>,
    pub reason: String,
    /// Asked to stop: it ends then by itself.
    stops_at: Option<Timestamp>,
}

/// Every start that was asked for, and the tasks by job and run number.
#[derive(Debug, Default)]
struct Tasks {
    starts: Vec<(JobId, u32)>,
    all: BTreeMap<(JobId, u32), Task>,
    refuse: Option<String>,
    stop_secs: i64,
    most_alive_per_node: u32,
}

impl Tasks {
    /// Ends what was asked to stop and has had its time.
    fn settle(&mut self, now: Timestamp) {
        for task in self.all.values_mut().filter(|task| task.ended_at.is_none()) {
            if let Some(at) = task.stops_at.filter(|at| *at <= now) {
                task.end(at, None, "stopped");
            }
        }
    }
}

impl Task {
    pub fn is_alive(&self) -> bool {
        self.ended_at.is_none()
    }

    fn end(&mut self, at: Timestamp, exit_code: Option<i32>, reason: &str) {
        self.ended_at = Some(at);
        self.exit_code = exit_code;
        self.reason = reason.to_owned();
    }

    fn state(&self) -> TaskState {
        match self.ended_at {
            None => TaskState::Running,
            Some(_) => {
                TaskState::Stopped { exit_code: self.exit_code, reason: self.reason.clone() }
            }
        }
    }
}

#[derive(Debug, Clone, Default)]
pub struct MemoryRunner {
    clock: SimulatedClock,
    tasks: Arc<Mutex<Tasks>>,
    faults: Faults,
    defect: Option<Defect>,
}

impl MemoryRunner {
    pub fn new(clock: SimulatedClock) -> Self {
        Self { clock, ..Self::default() }
    }

    /// The same service, with faults and a defect for whoever calls through this handle.
    pub fn with(&self, faults: Faults, defect: Option<Defect>) -> Self {
        Self { faults, defect, ..self.clone() }
    }

    /// Every start that was asked for and not refused, repeated ones included.
    pub fn starts(&self) -> Vec<(JobId, u32)> {
        held(&self.tasks).starts.clone()
    }

    /// Tasks that are alive.
    pub fn running(&self) -> Vec<(JobId, u32)> {
        let tasks = self.settled();
        let alive = tasks.all.iter().filter(|(_, task)| task.is_alive());
        alive.map(|(key, _)| key.clone()).collect()
    }

    /// All tasks there ever were.
    pub fn tasks(&self) -> Vec<Task> {
        self.settled().all.values().cloned().collect()
    }

    /// How many tasks there ever were.
    pub fn started(&self) -> usize {
        held(&self.tasks).all.len()
    }

    /// The most tasks that were alive at once for one node. Above 1 is a doubled run.
    pub fn most_alive_per_node(&self) -> u32 {
        held(&self.tasks).most_alive_per_node
    }

    /// A task ends by itself.
    pub fn end(&self, job: &JobId, number: u32, exit_code: Option<i32>) {
        let now = self.clock.now();
        if let Some(task) = self.settled().all.get_mut(&(job.clone(), number)) {
            task.end(now, exit_code, "ended by the test");
        }
    }

    /// Refuses starts with this message until told otherwise.
    pub fn refuse(&self, message: Option<&str>) {
        held(&self.tasks).refuse = message.map(str::to_owned);
    }

    /// How long a task lives on after it was asked to stop.
    pub fn set_stop_secs(&self, secs: i64) {
        held(&self.tasks).stop_secs = secs;
    }

    fn settled(&self) -> std::sync::MutexGuard<'_, Tasks> {
        let mut tasks = held(&self.tasks);
        tasks.settle(self.clock.now());
        tasks
    }

    fn begin(&self, run: &Run) -> Result<Start, RunnerError> {
        let mut tasks = self.settled();
        if let Some(message) = tasks.refuse.clone() {
            return Ok(Start::Refused { message });
        }
        if self.faults.hits(Fault::StartRefused) {
            return Ok(Start::Refused { message: "no capacity".to_owned() });
        }
        if self.faults.hits(Fault::StartDropped) {
            return Err(unanswered());
        }
        let key = (run.job_id.clone(), run.number);
        tasks.starts.push(key.clone());
        // Idempotent by job and number: a start that is repeated finds the task it made.
        tasks.all.entry(key).or_insert_with(|| Task {
            job: run.job_id.clone(),
            number: run.number,
            node: run.node_id.clone(),
            server_id: run.server_id,
            started_at: self.clock.now(),
            ended_at: None,
            exit_code: None,
            reason: String::new(),
            stops_at: None,
        });
        let beside = tasks.all.values().filter(|task| task.is_alive() && task.node == run.node_id);
        tasks.most_alive_per_node = tasks.most_alive_per_node.max(beside.count() as u32);
        if self.faults.hits(Fault::StartAnswerLost) {
            return Err(unanswered());
        }
        Ok(Start::Started { task: format!("task/{}.{}", run.job_id, run.number) })
    }

    fn see(&self, run: &Run) -> Result<TaskState, RunnerError> {
        if self.faults.hits(Fault::LookUnanswered) {
            return Err(unanswered());
        }
        let tasks = self.settled();
        Ok(match tasks.all.get(&(run.job_id.clone(), run.number)) {
            None => TaskState::Missing,
            Some(_) if self.defect == Some(Defect::SecondRunBeforeStop) => {
                TaskState::Stopped { exit_code: None, reason: "believed to be".to_owned() }
            }
            Some(task) => task.state(),
        })
    }

    fn ask_to_stop(&self, run: &Run) -> Result<(), RunnerError> {
        if self.faults.hits(Fault::StopUnanswered) {
            return Err(unanswered());
        }
        if self.defect == Some(Defect::SecondRunBeforeStop) {
            return Ok(());
        }
        let mut tasks = self.settled();
        let at = self.clock.now() + SignedDuration::from_secs(tasks.stop_secs);
        if let Some(task) = tasks.all.get_mut(&(run.job_id.clone(), run.number)) {
            task.stops_at.get_or_insert(at);
        }
        Ok(())
    }
}

fn unanswered() -> RunnerError {
    RunnerError("no answer".to_owned())
}

impl Runner for MemoryRunner {
    async fn start(&self, run: &Run) -> Result<Start, RunnerError> {
        pause().await;
        let started = self.begin(run);
        pause().await;
        started
    }

    async fn look(&self, run: &Run) -> Result<TaskState, RunnerError> {
        pause().await;
        let state = self.see(run);
        pause().await;
        state
    }

    async fn stop(&self, run: &Run) -> Result<(), RunnerError> {
        pause().await;
        let asked = self.ask_to_stop(run);
        pause().await;
        asked
    }
}
