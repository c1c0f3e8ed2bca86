//! The local stack: brought up, kept, and ended.
//!
//! The emulator, the simulator's API and the ECS endpoint listen on 127.0.0.1
//! of the host; only machines and container tasks live in the lab's network
//! namespace.

mod deployment;
mod end;
mod services;

use std::time::Instant;

use crate::api::Api;
use crate::binaries::Binaries;
use crate::cli::StackOptions;
use crate::error::{Result, XtaskError};
use crate::prerequisites;
use crate::python::{self, Venv};
use crate::report::Report;
use crate::state::StackState;
use crate::workspace::Workspace;

pub use deployment::DEPLOYMENT;
pub use end::{end, nothing_is_left};
pub use services::PLANTED;

/// Brings a stack up and gives back what is needed to use it.
///
/// What has been started is on record from its first moment; on an error, or
/// when this is dropped half-way, [`end`] removes it.
///
/// # Errors
/// The stack is up already, something is missing, or a part did not start.
pub async fn bring_up(
    workspace: &Workspace,
    options: &StackOptions,
    report: Report,
) -> Result<StackState> {
    refuse_or_clear(workspace, &options.stack, report).await?;
    prerequisites::ensure(prerequisites::STACK, report).await?;
    if options.task_image.is_some() {
        prerequisites::ensure(prerequisites::TASK_IMAGE, report).await?;
    }
    let venv = Venv::ensure(workspace, python::STACK, report).await?;

    let start = Instant::now();
    let binaries = if options.packaged {
        Binaries::packaged(workspace).await?
    } else {
        Binaries::build(workspace).await?
    };
    report.took(start, "programs built");

    let mut state = services::start(workspace, options, &venv, &binaries, report).await?;
    deployment::deploy(workspace, options, &venv, &binaries, &mut state, report).await?;
    let api = Api::of(&state)?;
    state.token = Some(api.make_token("local-admin", &["read", "operate", "admin"]).await?);
    state.save(workspace)?;
    report.line(format!("API answers at {}", api.url()));
    Ok(state)
}

/// Ends what a dead run left; refuses to touch a run that lives.
async fn refuse_or_clear(workspace: &Workspace, stack: &str, report: Report) -> Result<()> {
    let Some(state) = StackState::load(workspace, stack)? else { return Ok(()) };
    let detached = state.owner.is_none();
    if let Some(owner) = state.owner.as_ref().filter(|owner| owner.lives()) {
        return Err(XtaskError::AlreadyUp { stack: stack.to_owned(), pid: owner.pid });
    }
    let living = state.processes.iter().find(|process| process.identity.lives());
    if let (true, Some(process)) = (detached, living) {
        return Err(XtaskError::AlreadyUp { stack: stack.to_owned(), pid: process.identity.pid });
    }
    report.line("an earlier run died; cleaning up after it");
    end(workspace, stack, report).await
}
