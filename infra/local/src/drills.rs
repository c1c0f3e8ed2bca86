//! The drills in simulated worlds and the model: programs of the workspace, run as they are.

use std::process::Stdio;

use crate::command::{forget_own_package, interruptible};
use crate::error::{IoContext, Result, XtaskError};
use crate::signal::unless_interrupted;
use crate::workspace::Workspace;

/// Runs one of them, by the name of its program and then of the drill; output and exit code are the
/// program's own.
///
/// # Errors
/// It could not be started, or it has said itself what is wrong.
pub async fn run(workspace: &Workspace, program: &[&str], words: &[String]) -> Result<()> {
    let (program, drill) =
        program.split_first().map_or(("", [].as_slice()), |(it, rest)| (*it, rest));
    let mut cargo = interruptible(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // Without --package, so that features are chosen as for the whole workspace.
    forget_own_package(&mut cargo)
        .args(["run", "--quiet", "--bin", program, "--"])
        .args(drill)
        .args(words)
        .current_dir(workspace.root())
        .stdin(Stdio::null());
    let status = unless_interrupted(async { cargo.status().await.during("cargo run") }).await?;
    if status.success() {
        return Ok(());
    }
    let code = status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
    Err(XtaskError::Said(code))
}
