//! Builds our programs, and strips the functions for the emulator.
//!
//! The development profile is used throughout: tests, demo and stack then
//! share one compilation of the AWS SDK.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::command::{forget_own_package, run_quietly};
use crate::error::{IoContext, Result, XtaskError};
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
    pub fn build(workspace: &Workspace) -> Result<Self> {
        let packages: Vec<&str> = FUNCTIONS.iter().copied().chain([TASK, SIMULATOR]).collect();
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        forget_own_package(&mut cargo).current_dir(workspace.root());
        cargo.args(["build", "--bins", "--message-format=json-render-diagnostics"]);
        for package in &packages {
            cargo.args(["--package", package]);
        }
        let output =
            cargo.stdin(Stdio::null()).stderr(Stdio::inherit()).output().during("cargo build")?;
        if !output.status.success() {
            return Err(XtaskError::Command {
                command: "cargo build".to_owned(),
                detail: output.status.to_string(),
            });
        }
        let found = executables(&String::from_utf8_lossy(&output.stdout));
        match packages.iter().find(|package| !found.contains_key(**package)) {
            None => Ok(Self(found)),
            Some(package) => Err(XtaskError::Answer {
                context: "cargo build".to_owned(),
                detail: format!("named no program {package}"),
            }),
        }
    }

    /// Where a program lies; one that was not built is looked for on the search path.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.get(name).cloned().unwrap_or_else(|| PathBuf::from(name))
    }

    /// Puts the functions, stripped, where the deployment packs them from.
    ///
    /// # Errors
    /// `strip` failed or the folder cannot be written.
    pub fn strip_functions(&self, into: &Path) -> Result<()> {
        for name in FUNCTIONS {
            let folder = into.join(name);
            std::fs::create_dir_all(&folder).at(&folder)?;
            let mut strip = Command::new("strip");
            run_quietly(strip.arg("-o").arg(folder.join("bootstrap")).arg(self.path(name)))?;
        }
        Ok(())
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
