//! The runner: starts a run in a container task, looks at it, stops it.

use std::future::Future;

use nodeyard_domain::run::Run;

#[derive(Debug, thiserror::Error)]
#[error("the container service did not answer: {0}")]
pub struct RunnerError(pub String);

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// The task's name at the service: the same for a start that is repeated.
    Started {
        task: String,
    },
    Refused {
        message: String,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TaskState {
    Running,
    Stopped {
        exit_code: Option<i32>,
        reason: String,
    },
    /// The service does not know the task (any more).
    Missing,
}

pub trait Runner: Send + Sync {
    /// Starts the run's task; idempotent by job and run number.
    fn start(&self, run: &Run) -> impl Future<Output = Result<Start, RunnerError>> + Send;

    /// The run's task by its recorded name, else by job and run number.
    fn look(&self, run: &Run) -> impl Future<Output = Result<TaskState, RunnerError>> + Send;

    /// Asks the run's task to end; harmless when it has.
    fn stop(&self, run: &Run) -> impl Future<Output = Result<(), RunnerError>> + Send;
}
