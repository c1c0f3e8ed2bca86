//! A stack that a drill has to itself, from its start to its end.

use std::cell::OnceCell;
use std::path::PathBuf;

use reqwest::Method;
use serde_json::{Value, json};

use crate::api::{Api, text};
use crate::cli::StackOptions;
use crate::ecs::running_tasks;
use crate::error::{Result, XtaskError};
use crate::report::Report;
use crate::signal::unless_interrupted;
use crate::simulator::Simulator;
use crate::stack;
use crate::state::StackState;
use crate::workspace::Workspace;

/// What a drill works with.
#[derive(Debug, Clone)]
pub struct Bench {
    /// Nodeyard's own API.
    pub api: Api,
    /// The provider's stand-in.
    pub simulator: Simulator,
    /// What was started.
    pub state: StackState,
    /// The stack's folder.
    pub folder: PathBuf,
    /// Where lines go.
    pub report: Report,
}

/// Brings a stack up, connects the provider, does the drill and ends the stack, whatever came of it.
///
/// # Errors
/// The drill's own, or the stack's.
pub async fn with_stack<T>(
    workspace: &Workspace,
    options: &StackOptions,
    report: Report,
    drill: impl AsyncFnOnce(&Bench) -> Result<T>,
) -> Result<T> {
    let up: OnceCell<StackState> = OnceCell::new();
    let folder = workspace.stack(&options.stack);
    let outcome = unless_interrupted(async {
        let state = stack::bring_up(workspace, options, report).await?;
        let _ = up.set(state.clone());
        let (api, simulator) = (Api::of(&state)?, Simulator::of(&state)?);
        let bench = Bench { api, simulator, state, folder: folder.clone(), report };
        bench.connect().await?;
        drill(&bench).await
    });
    let outcome = outcome.await;
    // Somebody else's stack is not ours to end.
    if matches!(outcome, Err(XtaskError::AlreadyUp { .. })) {
        return outcome;
    }
    let tasks = running_tasks(&folder.join("tasks"));
    let mut ended = stack::end(workspace, &options.stack, report).await;
    if let (Ok(()), Some(state)) = (&ended, up.get()) {
        ended = stack::nothing_is_left(workspace, state, &tasks).await;
    }
    // What went wrong first is what matters.
    match (outcome, ended) {
        (Ok(_), Err(error)) => Err(error),
        (outcome, _) => outcome,
    }
}

impl Bench {
    async fn connect(&self) -> Result<()> {
        let body = json!({ "provider": "hetzner", "token": self.state.provider_token });
        let connected = self.api.call(Method::PUT, "/providers/main", Some(&body)).await?;
        match text(&connected, "/status")?.as_str() {
            "connected" => Ok(()),
            status => Err(XtaskError::Check(format!("the provider is {status}\n{connected:#}"))),
        }
    }

    /// Where container tasks are on record.
    pub fn tasks_folder(&self) -> PathBuf {
        self.folder.join("tasks")
    }

    /// Every item of a list, page by page.
    ///
    /// # Errors
    /// A page cannot be read.
    pub async fn list(&self, path: &str) -> Result<Vec<Value>> {
        let mut items = Vec::new();
        let mut next = Some(format!("{path}?limit=100"));
        while let Some(page) = next {
            let page = self.api.get(&page).await?;
            items.extend(page.get("items").and_then(Value::as_array).cloned().unwrap_or_default());
            next = page.get("next").and_then(Value::as_str).map(str::to_owned);
        }
        Ok(items)
    }
}
