//! Actions: work that goes on after the answer.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::operation::Kind;
use super::{Event, ProjectId, World};
use crate::clock::EpochMillis;

/// One action.
#[derive(Debug, Clone)]
pub struct Action {
    /// Its id.
    pub id: u64,
    /// Whose it is.
    pub project: ProjectId,
    /// Such as `create_server`.
    pub command: &'static str,
    /// When it was begun.
    pub started: EpochMillis,
    /// When it is to end at the earliest; none for one that waits or hangs.
    pub due: Option<EpochMillis>,
    /// When it ended.
    pub finished: Option<EpochMillis>,
    /// How it stands.
    pub outcome: Outcome,
    /// What it works on.
    pub resources: Vec<(Kind, u64)>,
    pub(super) ending: Ending,
    pub(super) fate: Option<Failure>,
    pub(super) awaits_machine: bool,
    pub(super) time_is_up: bool,
}

/// How an action stands.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub enum Outcome {
    Running,
    Success,
    Error(Failure),
}

/// Why an action failed. [documented] such as `action_failed`; [observed]
/// `unknown_error`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Failure {
    pub code: String,
    pub message: String,
}

impl Failure {
    /// `action_failed`
    pub fn action_failed(message: impl Into<String>) -> Self {
        Self { code: "action_failed".to_owned(), message: message.into() }
    }
}

/// What the end of an action means for its server.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Ending {
    Nothing,
    Created { start: Option<u64> },
    Started,
    Stopped,
    Restarted,
    Deleted,
}

/// What is needed to begin an action.
pub(super) struct Beginning {
    pub command: &'static str,
    pub resources: Vec<(Kind, u64)>,
    /// None: it waits for another, or for ever.
    pub lasts: Option<Duration>,
    pub ending: Ending,
    pub fate: Option<Failure>,
    pub awaits_machine: bool,
}

impl Action {
    /// As the API writes it.
    pub fn status(&self) -> &'static str {
        match self.outcome {
            Outcome::Running => "running",
            Outcome::Success => "success",
            Outcome::Error(_) => "error",
        }
    }

    /// 0 to 100, by the time passed; it stays below 100 until the end.
    // [documented] that it is no promise
    pub fn progress(&self, now: EpochMillis) -> i64 {
        if self.finished.is_some() {
            return 100;
        }
        let Some(due) = self.due else { return 0 };
        let whole = (due - self.started).max(1);
        ((now - self.started) * 100 / whole).clamp(0, 95)
    }
}

impl World {
    pub(super) fn begin_action(&mut self, project: ProjectId, beginning: Beginning) -> u64 {
        let id = self.new_id();
        let action = Action {
            id,
            project,
            command: beginning.command,
            started: self.now,
            due: None,
            finished: None,
            outcome: Outcome::Running,
            resources: beginning.resources,
            ending: beginning.ending,
            fate: beginning.fate,
            awaits_machine: beginning.awaits_machine,
            time_is_up: false,
        };
        self.actions.insert(id, action);
        if let Some(lasts) = beginning.lasts {
            self.run_action_for(id, lasts);
        }
        id
    }

    /// An action that has ended when it is first seen.
    pub(super) fn ended_action(
        &mut self,
        project: ProjectId,
        command: &'static str,
        resources: Vec<(Kind, u64)>,
    ) -> u64 {
        let id = self.begin_action(
            project,
            Beginning {
                command,
                resources,
                lasts: None,
                ending: Ending::Nothing,
                fate: None,
                awaits_machine: false,
            },
        );
        let now = self.now;
        if let Some(action) = self.actions.get_mut(&id) {
            action.outcome = Outcome::Success;
            action.finished = Some(now);
        }
        id
    }

    pub(super) fn run_action_for(&mut self, id: u64, lasts: Duration) {
        let lasts_millis = i64::try_from(lasts.as_millis()).unwrap_or(i64::MAX);
        if let Some(action) = self.actions.get_mut(&id) {
            action.due = Some(self.now.saturating_add(lasts_millis));
            self.schedule(lasts, Event::ActionDue(id));
        }
    }

    /// The action with this id.
    pub fn action(&self, id: u64) -> Option<&Action> {
        self.actions.get(&id)
    }
}
