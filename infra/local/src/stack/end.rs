//! Ends a stack from what is on record, whoever started it and however that ended.

use std::path::Path;
use std::time::Duration;

use super::services::EMULATOR_FOLDER;
use crate::command::{interruptible, read_output};
use crate::ecs;
use crate::error::{IoContext, Result, XtaskError};
use crate::process::Identity;
use crate::python::{Venv, run_script};
use crate::report::Report;
use crate::state::StackState;
use crate::workspace::Workspace;

/// The simulator takes its machines down before it ends.
const GRACE: Duration = Duration::from_secs(60);

/// Ends the processes of a stack, last first, and what they left behind.
/// A stack that is not there is ended already.
///
/// # Errors
/// Something of it cannot be removed; all that can be has been.
pub async fn end(workspace: &Workspace, stack: &str, report: Report) -> Result<()> {
    let Some(state) = StackState::load(workspace, stack)? else {
        report.line(format!("stack {stack} is not up"));
        return Ok(());
    };
    let folder = workspace.stack(stack);
    keep_function_logs(workspace, &state, &folder.join("logs")).await;
    for process in state.processes.iter().rev() {
        process.end(GRACE).await;
    }
    ecs::end_left_over_tasks(&folder.join("tasks")).await;
    // Unpacked functions, of no use to the next run.
    let _ = std::fs::remove_dir_all(folder.join(EMULATOR_FOLDER));
    clean_up_machines(workspace, &state, report).await?;
    StackState::forget(workspace, stack)?;
    report.line(format!("stack {stack} is down; logs are in .nodeyard/{stack}"));
    Ok(())
}

/// The functions' logs lie in the emulator's memory: they are taken out
/// before it goes. Missing logs must not keep a stack from ending.
async fn keep_function_logs(workspace: &Workspace, state: &StackState, into: &Path) {
    let emulator = state.processes.iter().find(|process| process.name == "emulator");
    if !emulator.is_some_and(|process| process.identity.lives()) {
        return;
    }
    let arguments = ["logs", "--endpoint", &state.aws_url, "--into", &into.display().to_string()]
        .map(str::to_owned);
    let script = workspace.path("infra/local/deploy.py");
    let _ = run_script(&Venv::found(workspace), &script, &arguments).await;
}

/// Whatever a killed simulator left: machines, mounts, namespaces.
async fn clean_up_machines(
    workspace: &Workspace,
    state: &StackState,
    report: Report,
) -> Result<()> {
    let mut cleanup = interruptible(&state.simulator_program);
    cleanup.args(["cleanup", "--stack", &state.stack]);
    cleanup.arg("--state-dir").arg(workspace.nodeyard().join("sim"));
    let removed = read_output(&mut cleanup).await?;
    for line in removed.lines() {
        report.line(format!("cleaned up: {line}"));
    }
    Ok(())
}

/// Fails if anything of a stack that has been ended is still there.
///
/// # Errors
/// With what was found.
pub async fn nothing_is_left(
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
    let ours = workspace.nodeyard().join("sim").join(&state.stack);
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
