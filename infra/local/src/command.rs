//! Runs a program to its end.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::Stdio;

use tokio::process::Command;

use crate::error::{IoContext, Result, XtaskError};

/// How much of a failed program's output is shown, in bytes.
const TAIL_BYTES: usize = 4_000;

/// A program that is ended when nobody waits for it any more, as after Ctrl-C.
pub fn interruptible(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.kill_on_drop(true);
    command
}

/// Runs a program whose output nobody needs unless it fails.
///
/// # Errors
/// It could not be started, or did not end well; with the end of its output.
pub async fn run_quietly(command: &mut Command) -> Result<()> {
    read_output(command).await.map(drop)
}

/// Runs a program and gives back what it wrote to its standard output.
///
/// # Errors
/// It could not be started, or did not end well; with the end of its output.
pub async fn read_output(command: &mut Command) -> Result<String> {
    let name = describe(command);
    let output = command.stdin(Stdio::null()).output().await.during(&name)?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(text);
    }
    let said = format!("{text}{}", String::from_utf8_lossy(&output.stderr));
    Err(XtaskError::Command {
        command: name,
        detail: format!("{}\n{}", output.status, tail(&said)),
    })
}

/// Runs a program that talks to the person itself.
///
/// # Errors
/// It could not be started, or did not end well.
pub async fn run_aloud(command: &mut Command) -> Result<()> {
    let name = describe(command);
    let status = command.stdin(Stdio::null()).status().await.during(&name)?;
    if status.success() {
        return Ok(());
    }
    Err(XtaskError::Command { command: name, detail: status.to_string() })
}

/// Takes out of a command's environment what `cargo run` has put there about this package.
///
/// Build scripts that watch these variables would otherwise run again, and all that depends on
/// them be compiled again, whenever cargo is called from here and from a shell in turn.
pub fn forget_own_package(command: &mut Command) -> &mut Command {
    for name in own_package_variables() {
        command.env_remove(name);
    }
    command
}

/// The variables that [`forget_own_package`] takes out.
pub fn own_package_variables() -> Vec<OsString> {
    let is_about_us = |name: &OsString| {
        name.to_str().is_some_and(|name| {
            name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")
        })
    };
    std::env::vars_os().map(|(name, _)| name).filter(is_about_us).collect()
}

/// Whether a program is on the search path.
pub fn on_path(program: &str) -> bool {
    let directories = std::env::var_os("PATH").unwrap_or_default();
    // Debian keeps some administration tools out of an ordinary user's search path.
    let extra = ["/usr/sbin", "/sbin"].map(Into::into);
    std::env::split_paths(&directories).chain(extra).any(|folder| folder.join(program).is_file())
}

/// The end of a text, cut at a line.
pub fn tail(text: &str) -> &str {
    let text = text.trim_end();
    let Some(excess) = text.len().checked_sub(TAIL_BYTES) else { return text };
    match text.as_bytes().iter().skip(excess).position(|byte| *byte == b'\n') {
        Some(line_end) => text.get(excess + line_end + 1..).unwrap_or(text),
        None => text,
    }
}

/// The end of a file, or nothing if it cannot be read.
pub fn tail_of(path: &Path) -> String {
    tail(&std::fs::read_to_string(path).unwrap_or_default()).to_owned()
}

fn describe(command: &Command) -> String {
    let command = command.as_std();
    let mut words = vec![command.get_program().to_string_lossy().into_owned()];
    words.extend(command.get_args().take(4).map(|word| word.to_string_lossy().into_owned()));
    words.join(" ")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{interruptible, read_output, tail};

    #[tokio::test]
    async fn output_is_read_and_a_failure_tells_what_was_said() {
        let said = read_output(interruptible("/bin/sh").args(["-c", "echo hello"])).await.unwrap();
        assert_eq!(said, "hello\n");
        let mut failing = interruptible("/bin/sh");
        let error = read_output(failing.args(["-c", "echo why >&2; exit 3"])).await.unwrap_err();
        let text = error.to_string();
        assert!(text.contains("why") && text.contains('3'), "{text}");
    }

    #[test]
    fn a_tail_starts_at_a_line() {
        let long = "a line of text\n".repeat(1000);
        let end = tail(&long);
        assert!(end.len() <= 4_000 && end.starts_with("a line"), "{}", end.len());
        assert_eq!(tail("short\n"), "short");
    }
}
