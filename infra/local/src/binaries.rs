//! Builds our programs, and strips the functions for the emulator.
//!
//! The development profile is used throughout: tests, demo and stack then
//! share one compilation of the AWS SDK.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;

use crate::cli::Architecture;
use crate::command::{forget_own_package, interruptible, run_quietly};
use crate::error::{IoContext, Result, XtaskError};
use crate::package::{Release, functions};
use crate::workspace::Workspace;

/// The functions, by the names of their programs.
pub const FUNCTIONS: &[&str] = &["nodeyard-api", "nodeyard-worker", "nodeyard-health"];
/// The container task's entry point.
pub const TASK: &str = "nodeyard-ansible-task";
/// The simulator.
pub const SIMULATOR: &str = "hetzner-sim";

/// Where each program lies, by name.
#[derive(Debug, Clone)]
pub struct Binaries(BTreeMap<String, PathBuf>);

impl Binaries {
    /// Builds the functions, the container task and the simulator.
    ///
    /// # Errors
    /// cargo failed; it has said why itself.
    pub async fn build(workspace: &Workspace) -> Result<Self> {
        // The whole workspace, as everywhere: with fewer packages chosen, cargo would choose fewer
        // features for the crates they share, and compile those crates once more.
        let found = Self::of_cargo(workspace, &["--workspace"]).await?;
        let needed = || FUNCTIONS.iter().chain(&[TASK, SIMULATOR]);
        match needed().find(|name| !found.0.contains_key(**name)) {
            None => Ok(found),
            Some(name) => Err(not_named(name)),
        }
    }

    /// Takes the container task from a release, and builds the simulator alone.
    ///
    /// # Errors
    /// There is no release, or cargo failed; it has said why itself.
    pub async fn packaged(workspace: &Workspace) -> Result<Self> {
        let task = functions::task_program(&Release::of(workspace));
        if !task.is_file() {
            return Err(XtaskError::Missing {
                what: "a release for this machine".to_owned(),
                remedy: format!("`cargo xtask package --arch {}`", Architecture::OWN.word()),
            });
        }
        let mut found = Self::of_cargo(workspace, &["--package", SIMULATOR]).await?;
        found.0.insert(TASK.to_owned(), task);
        if found.0.contains_key(SIMULATOR) { Ok(found) } else { Err(not_named(SIMULATOR)) }
    }

    async fn of_cargo(workspace: &Workspace, packages: &[&str]) -> Result<Self> {
        let mut cargo = interruptible(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        forget_own_package(&mut cargo).current_dir(workspace.root());
        cargo.args(["build", "--bins"]).args(packages);
        cargo.arg("--message-format=json-render-diagnostics");
        let output = cargo
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()
            .await
            .during("cargo build")?;
        if !output.status.success() {
            return Err(XtaskError::Command {
                command: "cargo build".to_owned(),
                detail: output.status.to_string(),
            });
        }
        Ok(Self(executables(&String::from_utf8_lossy(&output.stdout))))
    }

    /// Where a program lies; one that was not built is looked for on the search path.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.get(name).cloned().unwrap_or_else(|| PathBuf::from(name))
    }

    /// Puts the functions, stripped, where the deployment packs them from.
    ///
    /// # Errors
    /// `strip` failed or the folder cannot be written.
    pub async fn strip_functions(&self, into: &Path) -> Result<()> {
        for name in FUNCTIONS {
            let folder = into.join(name);
            std::fs::create_dir_all(&folder).at(&folder)?;
            let mut strip = interruptible("strip");
            strip.arg("-o").arg(folder.join("bootstrap")).arg(self.path(name));
            run_quietly(&mut strip).await?;
        }
        Ok(())
    }
}

fn not_named(program: &str) -> XtaskError {
    XtaskError::Answer {
        context: "cargo build".to_owned(),
        detail: format!("named no program {program}"),
    }
}

/// The executables that cargo's messages name, by target.
fn executables(messages: &str) -> BTreeMap<String, PathBuf> {
    let named = |line: &str| {
        let message: Value = serde_json::from_str(line).ok()?;
        let name = message.pointer("/target/name")?.as_str()?.to_owned();
        Some((name, PathBuf::from(message.get("executable")?.as_str()?)))
    };
    messages.lines().filter_map(named).collect()
}

#[cfg(test)]
mod tests {
    use super::executables;
    use std::path::PathBuf;

    #[test]
    fn executables_are_read_from_cargos_messages() {
        let messages = concat!(
            r#"{"reason":"compiler-artifact","target":{"name":"nodeyard_api"},"executable":null}"#,
            "\n",
            r#"{"reason":"compiler-artifact","target":{"name":"nodeyard-api"},"executable":"/t/a"}"#,
            "\n",
            r#"{"reason":"build-finished","success":true}"#,
        );
        let found = executables(messages);
        assert_eq!(found.len(), 1);
        assert_eq!(found.get("nodeyard-api"), Some(&PathBuf::from("/t/a")));
    }
}
