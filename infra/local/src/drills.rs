//! The drills in simulated worlds: a program of the workspace, run as it is.

use std::process::Stdio;

use crate::command::{forget_own_package, interruptible};
use crate::error::{IoContext, Result, XtaskError};
use crate::signal::unless_interrupted;
use crate::workspace::Workspace;

/// Runs one drill; its output and its exit code are the program's own.
///
/// # Errors
/// It could not be started, or it has said itself what is wrong.
pub async fn run(workspace: &Workspace, drill: &str, words: &[String]) -> Result<()> {
    let mut cargo = interruptible(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // Without --package, so that features are chosen as for the whole workspace.
    forget_own_package(&mut cargo)
        .args(["run", "--quiet", "--bin", "drills", "--", drill])
        .args(words)
        .current_dir(workspace.root())
        .stdin(Stdio::null());
    let status =
        unless_interrupted(async { cargo.status().await.during("cargo run --bin drills") }).await?;
    if status.success() {
        return Ok(());
    }
    let code = status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
    Err(XtaskError::Said(code))
}
