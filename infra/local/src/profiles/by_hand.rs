//! Playbooks run by hand, as the playbooks' guide tells: for what the API has no way to do, such as
//! a profile that this build does not know, or a run that is killed at a chosen moment.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::{Value, json};
use tokio::process::{Child, Command};

use super::node::{Lines, Login};
use crate::command::tail_of;
use crate::error::{IoContext, Result, XtaskError};
use crate::workspace::Workspace;

/// The playbooks in a folder of their own, with a profile added as a user would.
///
/// # Errors
/// A file cannot be copied.
pub fn with_own_profile(
    workspace: &Workspace,
    sources: &Path,
    folder: &Path,
    name: &str,
) -> Result<PathBuf> {
    let playbooks = folder.join("playbooks");
    if playbooks.exists() {
        std::fs::remove_dir_all(&playbooks).at(&playbooks)?;
    }
    let mut copy = std::process::Command::new("cp");
    copy.arg("-rT").arg(workspace.path("playbooks")).arg(&playbooks);
    if !copy.status().during("cp")?.success() {
        return Err(XtaskError::Check("the playbooks cannot be copied".to_owned()));
    }
    for ending in ["yml", "vars.json", "ready.json"] {
        let file = format!("{name}.{ending}");
        let to = playbooks.join("profiles").join(&file);
        std::fs::copy(sources.join(&file), &to).at(&to)?;
    }
    Ok(playbooks)
}

/// Runs playbooks from inside the lab.
#[derive(Debug, Clone)]
pub struct ByHand {
    pub login: Login,
    pub playbooks: PathBuf,
    /// Where `ansible-playbook` is.
    pub programs: PathBuf,
    pub folder: PathBuf,
}

impl ByHand {
    /// Runs playbooks to their end.
    ///
    /// # Errors
    /// They cannot be started, or left no result.
    pub async fn play(
        &self,
        lines: &Lines,
        profile: &str,
        vars: &Value,
        playbooks: &[&str],
    ) -> Result<Counts> {
        let (mut child, events) = self.start(lines, profile, vars, playbooks).await?;
        child.wait().await.during("ansible-playbook")?;
        let log = tail_of(&events.with_extension("log"));
        Counts::read(&events).ok_or_else(|| {
            XtaskError::Check(format!("{playbooks:?} on {} left no result\n{log}", lines.alias))
        })
    }

    /// Starts playbooks; gives the process, a group of its own, and the file of its events.
    ///
    /// # Errors
    /// They cannot be started.
    pub async fn start(
        &self,
        lines: &Lines,
        profile: &str,
        vars: &Value,
        playbooks: &[&str],
    ) -> Result<(Child, PathBuf)> {
        // All keys the user has, so that none is taken away.
        let keys = self.login.run(lines, "cat .ssh/authorized_keys", None).await?;
        let keys: Vec<&str> = keys.lines().filter(|line| !line.trim().is_empty()).collect();
        let host = json!({
            "ansible_host": lines.address, "ansible_port": 22, "ansible_user": "nodeyard",
            "ansible_ssh_common_args": self.login.options(lines)?.join(" "),
        });
        let inventory = json!({ "all": { "hosts": { lines.alias.as_str(): host } } });
        let vars = json!({
            "profile": profile, "profile_vars": vars, "allow_ssh_from": [],
            "ssh_admin_user": "nodeyard", "ssh_authorized_keys": keys, "ssh_port": 22,
        });
        let file = |ending: &str| self.folder.join(format!("{}.{ending}", lines.alias));
        let (inventory_file, vars_file) = (file("inventory.json"), file("vars.json"));
        std::fs::write(&inventory_file, inventory.to_string()).at(&inventory_file)?;
        std::fs::write(&vars_file, vars.to_string()).at(&vars_file)?;
        let events = file("events");
        if events.exists() {
            std::fs::remove_file(&events).at(&events)?;
        }
        let log_path = events.with_extension("log");
        let log = std::fs::File::create(&log_path).at(&log_path)?;
        let mut command: Command = self.login.inside("ansible-playbook");
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::iter::once(self.programs.clone()).chain(std::env::split_paths(&path));
        command
            .arg("-i")
            .arg(&inventory_file)
            .arg("-e")
            .arg(format!("@{}", vars_file.display()))
            .args(playbooks)
            .current_dir(&self.playbooks)
            .env("PATH", std::env::join_paths(folders).unwrap_or(path.clone()))
            .env("ANSIBLE_CONFIG", self.playbooks.join("ansible.cfg"))
            .env("ANSIBLE_HOME", self.folder.join("ansible"))
            // Machines of an earlier stack may have had the same addresses.
            .env("ANSIBLE_SSH_CONTROL_PATH_DIR", self.folder.join("cp"))
            .env("NODEYARD_EVENTS_FILE", &events)
            .env("LC_ALL", "C.UTF-8")
            .stdin(Stdio::null())
            .stdout(log.try_clone().at(&log_path)?)
            .stderr(log)
            .process_group(0);
        Ok((command.spawn().during("ansible-playbook")?, events))
    }
}

/// What a run came to, by its events.
#[derive(Debug)]
pub struct Counts {
    ok: u64,
    changed: u64,
    failed: u64,
    what: Vec<String>,
    findings: Vec<Value>,
}

impl Counts {
    fn read(events: &Path) -> Option<Self> {
        let text = std::fs::read_to_string(events).ok()?;
        let events: Vec<Value> =
            text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let last = events.iter().rev().find(|event| event["event"] == "stats")?;
        let host = last["hosts"].as_object()?.values().next()?;
        let count = |name: &str| host[name].as_u64().unwrap_or(0);
        let matters = |event: &&Value| {
            ["changed", "failed", "unreachable"].iter().any(|status| event["status"] == *status)
        };
        let tell =
            |event: &Value| format!("{}: {} {}", event["status"], event["task"], event["msg"]);
        Some(Self {
            ok: count("ok"),
            changed: count("changed"),
            failed: count("failures") + count("unreachable"),
            what: events.iter().filter(matters).map(tell).collect(),
            findings: last["custom"]["readiness"].as_array().cloned().unwrap_or_default(),
        })
    }

    /// What readiness found.
    pub fn findings(&self) -> &[Value] {
        &self.findings
    }

    /// # Errors
    /// Something failed, or nothing was done.
    pub fn succeeded(&self, what: &str) -> Result<()> {
        if self.ok > 0 && self.failed == 0 {
            return Ok(());
        }
        Err(XtaskError::Check(format!("{what} failed\n{}", self.what.join("\n"))))
    }

    /// # Errors
    /// Something failed or changed.
    pub fn changed_nothing(&self, what: &str) -> Result<()> {
        self.succeeded(what)?;
        if self.changed == 0 {
            return Ok(());
        }
        Err(XtaskError::Check(format!("{what}, run again, changed\n{}", self.what.join("\n"))))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::Counts;

    #[test]
    fn a_run_that_changed_or_failed_is_told_from_one_that_did_not() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("events");
        let counts = |counts: &str| {
            let task = r#"{"event":"task","task":"t","status":"changed","msg":"m"}"#;
            let stats =
                format!(r#"{{"event":"stats","hosts":{{"n":{{{counts}}}}},"custom":{{}}}}"#);
            std::fs::write(&file, format!("{task}\nhalf a li\n{stats}\n")).unwrap();
            Counts::read(&file).unwrap()
        };
        assert!(counts(r#""ok":3,"changed":0"#).changed_nothing("it").is_ok());
        let changed = counts(r#""ok":3,"changed":1"#);
        assert!(changed.succeeded("it").is_ok());
        assert!(changed.changed_nothing("it").unwrap_err().to_string().contains("\"t\""));
        assert!(counts(r#""ok":3,"failures":1"#).succeeded("it").is_err());
        assert!(counts(r#""ok":3,"unreachable":1"#).succeeded("it").is_err());
        assert!(counts("").succeeded("it").is_err());
        std::fs::write(&file, "").unwrap();
        assert!(Counts::read(&file).is_none());
    }
}
