//! Container tasks in memory: started, running until the test ends them, stopped.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use nodeyard_domain::{id::JobId, run::Run};
use nodeyard_engine::runner::{Runner, RunnerError, Start, TaskState};

use crate::held;

/// Every start that was asked for, and the tasks by job and run number.
#[derive(Debug, Default)]
struct Tasks {
    starts: Vec<(JobId, u32)>,
    states: BTreeMap<(JobId, u32), TaskState>,
    refuse: Option<String>,
}

#[derive(Debug, Clone, Default)]
pub struct MemoryRunner(Arc<Mutex<Tasks>>);

impl MemoryRunner {
    pub fn starts(&self) -> Vec<(JobId, u32)> {
        held(&self.0).starts.clone()
    }

    /// Tasks that are alive.
    pub fn running(&self) -> Vec<(JobId, u32)> {
        let tasks = held(&self.0);
        let alive = |state: &TaskState| *state == TaskState::Running;
        tasks.states.iter().filter(|(_, state)| alive(state)).map(|(key, _)| key.clone()).collect()
    }

    pub fn end(&self, job: &JobId, number: u32, exit_code: Option<i32>) {
        let state = TaskState::Stopped { exit_code, reason: "ended by the test".into() };
        held(&self.0).states.insert((job.clone(), number), state);
    }

    /// Refuses starts with this message until told otherwise.
    pub fn refuse(&self, message: Option<&str>) {
        held(&self.0).refuse = message.map(str::to_owned);
    }
}

impl Runner for MemoryRunner {
    async fn start(&self, run: &Run) -> Result<Start, RunnerError> {
        let mut tasks = held(&self.0);
        if let Some(message) = tasks.refuse.clone() {
            return Ok(Start::Refused { message });
        }
        let key = (run.job_id.clone(), run.number);
        tasks.starts.push(key.clone());
        // Idempotent by job and number: a start that is repeated finds the task it made.
        tasks.states.entry(key).or_insert(TaskState::Running);
        Ok(Start::Started { task: format!("task/{}.{}", run.job_id, run.number) })
    }

    async fn look(&self, run: &Run) -> Result<TaskState, RunnerError> {
        let key = (run.job_id.clone(), run.number);
        Ok(held(&self.0).states.get(&key).cloned().unwrap_or(TaskState::Missing))
    }

    async fn stop(&self, run: &Run) -> Result<(), RunnerError> {
        let key = (run.job_id.clone(), run.number);
        if let Some(state) = held(&self.0).states.get_mut(&key) {
            *state = TaskState::Stopped { exit_code: None, reason: "stopped".into() };
        }
        Ok(())
    }
}
