//! A node that was asked for through the API, and how to look at it over SSH.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::api::text;
use crate::bench::Bench;
use crate::command::tail;
use crate::error::{IoContext, Result, XtaskError};

/// Between two looks at a job.
const LOOK: Duration = Duration::from_millis(1500);
/// Longer than a job may take, in seconds.
const PATIENCE_SECS: u64 = 35 * 60;

/// How a machine is logged in to: the words of ssh that are its own.
#[derive(Debug, Clone)]
pub struct Lines {
    /// What Ansible and `HostKeyAlias` call it.
    pub alias: String,
    /// Its address.
    pub address: String,
    /// Its pinned host keys, as lines of a `known_hosts` file.
    pub known_hosts: String,
}

/// A key of our own, and where the machines are.
#[derive(Debug, Clone)]
pub struct Login {
    /// The lab's network namespace.
    pub netns: PathBuf,
    folder: PathBuf,
    /// The public half.
    pub public: String,
}

impl Login {
    /// Makes a key in this folder.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn make(netns: PathBuf, folder: &Path) -> Result<Self> {
        let file = folder.join("id");
        for old in [file.clone(), file.with_extension("pub")] {
            if old.exists() {
                std::fs::remove_file(&old).at(&old)?;
            }
        }
        let made = std::process::Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-C", "profiles", "-f"])
            .arg(&file)
            .status()
            .during("ssh-keygen")?;
        if !made.success() {
            return Err(XtaskError::Check("ssh-keygen failed".to_owned()));
        }
        let public = file.with_extension("pub");
        let public = std::fs::read_to_string(&public).at(&public)?.trim().to_owned();
        Ok(Self { netns, folder: folder.to_owned(), public })
    }

    /// Options of ssh for a machine; its pins are written beside the key.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn options(&self, lines: &Lines) -> Result<Vec<String>> {
        let known = self.folder.join(format!("{}.known_hosts", lines.alias));
        std::fs::write(&known, &lines.known_hosts).at(&known)?;
        let pairs = [
            format!("HostKeyAlias={}", lines.alias),
            format!("UserKnownHostsFile={}", known.display()),
            format!("IdentityFile={}", self.folder.join("id").display()),
            "IdentitiesOnly=yes".to_owned(),
        ];
        Ok(pairs.into_iter().flat_map(|pair| ["-o".to_owned(), pair]).collect())
    }

    /// Runs a command on a machine and gives back what it said, whatever it ended with.
    ///
    /// # Errors
    /// ssh cannot log in.
    pub async fn run(&self, lines: &Lines, command: &str, input: Option<&str>) -> Result<String> {
        let mut ssh = self.ssh(lines)?;
        ssh.arg(command).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = ssh.spawn().during("ssh")?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(input.unwrap_or_default().as_bytes()).await.during("ssh")?;
        }
        let output = child.wait_with_output().await.during("ssh")?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        // ssh's own code.
        if output.status.code() == Some(255) {
            let detail = tail(&String::from_utf8_lossy(&output.stderr)).to_owned();
            return Err(XtaskError::Command { command: format!("ssh {}", lines.alias), detail });
        }
        Ok(said)
    }

    /// ssh to a machine, without the command.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn ssh(&self, lines: &Lines) -> Result<Command> {
        let mut ssh = self.inside("ssh");
        ssh.args(["-F", "/dev/null", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes"])
            .args(["-o", "ConnectTimeout=10"])
            .args(self.options(lines)?)
            .arg(format!("nodeyard@{}", lines.address));
        Ok(ssh)
    }

    /// A program inside the lab, ended when nobody waits for it any more.
    pub fn inside(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", self.netns.display())).arg(program).kill_on_drop(true);
        command
    }
}

/// A node that is ready.
#[derive(Debug, Clone)]
pub struct ProfileNode {
    pub id: String,
    /// The job that acquired it.
    pub job: String,
    address: String,
    known_hosts: String,
    /// From the request until it was seen to be ready, in seconds.
    pub ready_secs: f64,
}

impl ProfileNode {
    /// Asks for a node and waits until it is ready.
    ///
    /// # Errors
    /// It was refused, or did not become ready.
    pub async fn acquire(bench: &Bench, login: &Login, name: &str, profile: &str) -> Result<Self> {
        let body = json!({ "name": name, "profile": profile, "authorized_keys": [login.public] });
        let asked = Instant::now();
        let accepted = bench.api.call(Method::POST, "/nodes", Some(&body)).await?;
        let id = text(&accepted, "/node/id")?;
        let job = text(&accepted, "/job/id")?;
        succeeded(bench, name, &job).await?;
        let ready_secs = asked.elapsed().as_secs_f64();
        let node = bench.api.get(&format!("/nodes/{id}")).await?;
        if text(&node, "/status")? != "ready" {
            return Err(XtaskError::Check(format!("{name} is not ready\n{node:#}")));
        }
        // What a first boot leaves for its operator to do is told, and is no hindrance.
        let told = node.to_string().contains("reboot_required");
        if name == super::first_boot::ODD.prefix && !told {
            return Err(XtaskError::Check(format!("{name}: no word of the reboot\n{node:#}")));
        }
        let known_hosts = text(&node, "/ssh/known_hosts")?;
        Ok(Self { id, job, address: text(&node, "/ssh/address")?, known_hosts, ready_secs })
    }

    /// How to log in to it.
    pub fn login_lines(&self) -> Lines {
        Lines {
            alias: self.known_hosts.split_whitespace().next().unwrap_or_default().to_owned(),
            address: self.address.clone(),
            known_hosts: self.known_hosts.clone(),
        }
    }

    /// Configures it again, which has to change nothing.
    ///
    /// # Errors
    /// The run failed, did nothing, or changed something.
    pub async fn configure_again(&self, bench: &Bench) -> Result<()> {
        let path = format!("/nodes/{}/configure", self.id);
        let accepted = bench.api.call(Method::POST, &path, Some(&json!({}))).await?;
        let job = text(&accepted, "/job/id")?;
        let ended = succeeded(bench, &self.id, &job).await?;
        let count = |name: &str| ended.pointer(&format!("/result/{name}")).and_then(Value::as_u64);
        match (count("ok"), count("changed"), count("failed")) {
            (Some(1..), Some(0), Some(0)) => Ok(()),
            _ => {
                let timeline = bench.list(&format!("/jobs/{job}/timeline")).await?;
                let told: Vec<&str> =
                    timeline.iter().filter_map(|it| it["message"].as_str()).collect();
                let what = told.join("\n");
                Err(XtaskError::Check(format!("{}: a second run changed\n{what}", self.id)))
            }
        }
    }

    /// Asks for work on it and waits for the job's end, whichever.
    ///
    /// # Errors
    /// It was refused, or did not end in time.
    pub async fn work(&self, bench: &Bench, word: &str, body: &Value) -> Result<Value> {
        let path = format!("/nodes/{}/{word}", self.id);
        let accepted = bench.api.call(Method::POST, &path, Some(body)).await?;
        ended(bench, &self.id, &text(&accepted, "/job/id")?).await
    }

    /// Gives it back.
    ///
    /// # Errors
    /// It was not released.
    pub async fn release(&self, bench: &Bench) -> Result<()> {
        let accepted = bench.api.call(Method::DELETE, &format!("/nodes/{}", self.id), None).await?;
        succeeded(bench, &self.id, &text(&accepted, "/job/id")?).await.map(drop)
    }
}

/// Waits for a job's end, which has to be a good one.
async fn succeeded(bench: &Bench, name: &str, job: &str) -> Result<Value> {
    let seen = ended(bench, name, job).await?;
    match seen["state"].as_str() {
        Some("succeeded") => Ok(seen),
        _ => Err(XtaskError::Check(format!("{name}: {:#}", seen["error"]))),
    }
}

/// Waits for a job's end, whichever.
async fn ended(bench: &Bench, name: &str, job: &str) -> Result<Value> {
    let deadline = Instant::now() + Duration::from_secs(PATIENCE_SECS);
    while Instant::now() < deadline {
        let seen = bench.api.get(&format!("/jobs/{job}")).await?;
        match text(&seen, "/state")?.as_str() {
            "succeeded" | "failed" | "cancelled" => return Ok(seen),
            _ => tokio::time::sleep(LOOK).await,
        }
    }
    let hint = format!("the stack's logs are in {}", bench.folder.display());
    Err(XtaskError::TimedOut {
        what: format!("{name}: the end of {job}"),
        secs: PATIENCE_SECS,
        hint,
    })
}
