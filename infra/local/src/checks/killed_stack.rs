//! A stack that was killed in the middle of its work must leave nothing once
//! `cargo xtask down` has run: no process, no mount, no network namespace.

use std::path::Path;
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;

use crate::api::{Api, text};
use crate::cli::{BackingKind, StackOptions};
use crate::error::{IoContext, Result, XtaskError};
use crate::process::Identity;
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
    let options =
        StackOptions { stack: STACK.to_owned(), backing: BackingKind::Auto, task_image: None };
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
    let below = processes_below(workspace);
    stack::end(workspace, STACK, report).await?;
    nothing_is_left(workspace, &outcome?, &below).await?;
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

/// Container tasks on record.
fn processes_below(workspace: &Workspace) -> Vec<Identity> {
    let Ok(entries) = std::fs::read_dir(workspace.stack(STACK).join("tasks")) else {
        return Vec::new();
    };
    let identity = |path: &Path| {
        let record: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(path).ok()?).ok()?;
        serde_json::from_value(record.get("process")?.clone()).ok()
    };
    entries.flatten().filter_map(|entry| identity(&entry.path())).collect()
}

async fn nothing_is_left(
    workspace: &Workspace,
    state: &StackState,
    tasks: &[Identity],
) -> Result<()> {
    let mut left = Vec::new();
    for process in &state.processes {
        if process.identity.lives() {
            left.push(format!("process {} of {}", process.identity.pid, process.name));
        }
    }
    for task in tasks.iter().filter(|task| task.lives()) {
        left.push(format!("process {} of a container task", task.pid));
    }
    if let Some(netns) = state.backing.as_ref().and_then(|backing| backing.netns.as_ref())
        && netns.exists()
    {
        left.push(format!("network namespace {}", netns.display()));
    }
    let ours = workspace.nodeyard().join("sim").join(STACK);
    if cfg!(target_os = "linux") {
        let mounts = std::fs::read_to_string("/proc/self/mounts").during("reading the mounts")?;
        let ours = ours.display().to_string();
        left.extend(mounts.lines().filter(|mount| mount.contains(&ours)).map(str::to_owned));
    }
    if ours.exists() {
        left.push(format!("folder {}", ours.display()));
    }
    if left.is_empty() {
        return Ok(());
    }
    Err(XtaskError::Check(format!("left after `down`:\n{}", left.join("\n"))))
}
