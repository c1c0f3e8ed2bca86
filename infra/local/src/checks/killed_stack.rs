//! A stack that was killed in the middle of its work must leave nothing once
//! `cargo xtask down` has run: no process, no mount, no network namespace.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;

use crate::api::{Api, text};
use crate::cli::{BackingKind, StackOptions};
use crate::ecs::running_tasks;
use crate::error::{Result, XtaskError};
use crate::report::Report;
use crate::signal::unless_interrupted;
use crate::stack;
use crate::state::StackState;
use crate::workspace::Workspace;

/// The stack that this check has to itself.
const STACK: &str = "killed";
/// How long the node's job may take to get to its run, in seconds.
const RUN_SECS: u64 = 120;

/// Brings a stack up, kills it while a node is being configured, takes it down.
///
/// # Errors
/// Something was left.
pub async fn check(workspace: &Workspace, report: Report) -> Result<()> {
    let options = StackOptions::of(STACK.to_owned(), BackingKind::Auto);
    let outcome = unless_interrupted(async {
        let state = stack::bring_up(workspace, &options, report).await?;
        begin_a_node(&state).await?;
        Ok(state)
    });
    let outcome = outcome.await;
    if let Err(error @ XtaskError::AlreadyUp { .. }) = outcome {
        return Err(error);
    }
    if let Ok(state) = &outcome {
        state.processes.iter().for_each(|process| process.crash());
    }
    let tasks = running_tasks(&workspace.stack(STACK).join("tasks"));
    stack::end(workspace, STACK, report).await?;
    stack::nothing_is_left(workspace, &outcome?, &tasks).await?;
    report.line("a killed stack left nothing after `down`");
    Ok(())
}

/// Asks for a node and waits until its playbooks run, or it is ready.
async fn begin_a_node(state: &StackState) -> Result<()> {
    let api = Api::of(state)?;
    let body = json!({ "provider": "hetzner", "token": state.provider_token });
    api.call(Method::PUT, "/providers/main", Some(&body)).await?;
    let body = json!({ "profile": "base" });
    let accepted = api.call(Method::POST, "/nodes", Some(&body)).await?;
    let path = format!("/jobs/{}", text(&accepted, "/job/id")?);
    let deadline = Instant::now() + Duration::from_secs(RUN_SECS);
    while Instant::now() < deadline {
        let job = api.get(&path).await?;
        match (text(&job, "/step")?.as_str(), text(&job, "/state")?.as_str()) {
            ("await_run", _) | (_, "succeeded") => return Ok(()),
            (_, "failed" | "cancelled") => return Err(XtaskError::Check(format!("{job:#}"))),
            _ => tokio::time::sleep(Duration::from_millis(500)).await,
        }
    }
    Err(XtaskError::TimedOut {
        what: "a run on the node".to_owned(),
        secs: RUN_SECS,
        hint: format!("the logs are in .nodeyard/{STACK}"),
    })
}
