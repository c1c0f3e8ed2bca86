//! Runs: their records in the store, and the container tasks that execute them.

use nodeyard_domain::{
    code::Code,
    readiness::{Finding, ReadinessCode},
    run::{Recap, RunResult},
};

use crate::world::moment;

/// How far the container task of a run has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Task {
    /// The container service does not know it.
    Missing,
    /// It works on the server.
    Running,
    Stopped,
}

/// A run's record and its task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RunAt {
    pub job: usize,
    pub number: u32,
    pub server: u64,
    pub stop_requested: bool,
    pub task: Task,
    /// Set once; whether the playbooks succeeded.
    pub result: Option<bool>,
}

impl RunAt {
    /// It works on its server.
    pub fn is_alive(&self) -> bool {
        self.task == Task::Running
    }
}

pub fn result(ok: bool) -> RunResult {
    RunResult {
        smokes: Vec::new(),
        tasks: None,
        code: (!ok).then_some(Code::AnsibleHostFailed),
        message: String::new(),
        recap: Recap::default(),
        key_version: None,
        evidence: None,
        readiness: vec![Finding {
            code: ReadinessCode::ServiceDown,
            ok,
            warning: false,
            detail: String::new(),
        }],
        finished_at: moment(0, 0),
    }
}
