//! Processes that outlive the call that started them: started in a group of
//! their own, recorded by id and start time, ended as a group.
//!
//! Nothing is ever ended by name: an id whose start time differs is another
//! program's by now, and is left alone.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use crate::command::tail_of;
use crate::error::{IoContext, Result, XtaskError};

/// One process, told apart from a later one with the same id by its start time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The process id.
    pub pid: u32,
    /// When it started, in the system's own notation.
    pub started: String,
}

impl Identity {
    /// The process with this id, unless it has ended.
    pub fn of(pid: u32) -> Option<Self> {
        start_time(pid).map(|started| Self { pid, started })
    }

    /// This program.
    pub fn own() -> Option<Self> {
        Self::of(std::process::id())
    }

    /// Kills this very process alone, as a crash would.
    pub fn kill(&self) {
        if self.lives() {
            // A process that is gone already is what was wanted.
            let _ = kill(Pid::from_raw(self.pid.cast_signed()), Signal::SIGKILL);
        }
    }

    /// Whether this very process still runs.
    pub fn lives(&self) -> bool {
        start_time(self.pid).is_some_and(|started| started == self.started)
    }
}

/// A process of the stack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// What it is, for messages.
    pub name: String,
    /// Which process, and so which group, it is.
    pub identity: Identity,
    /// What it writes to.
    pub log: PathBuf,
}

impl Process {
    /// Starts a program in a group of its own, its output going to a file.
    ///
    /// # Errors
    /// The file cannot be written or the program not be started.
    pub fn start(name: &str, command: &mut Command, log: &Path) -> Result<Self> {
        let output = File::create(log).at(log)?;
        let errors = output.try_clone().at(log)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .process_group(0)
            .spawn()
            .during(name)?;
        let pid = child.id();
        let started = start_time(pid).unwrap_or_default();
        let identity = Identity { pid, started };
        Ok(Self { name: name.to_owned(), identity, log: log.to_owned() })
    }

    /// Fails if the process has ended.
    ///
    /// # Errors
    /// It has; with the end of what it wrote.
    pub fn check_lives(&self) -> Result<()> {
        if self.identity.lives() {
            return Ok(());
        }
        Err(XtaskError::Command {
            command: self.name.clone(),
            detail: format!("it ended; it said\n{}", tail_of(&self.log)),
        })
    }

    /// Kills the process alone, as a crash would.
    pub fn crash(&self) {
        self.identity.kill();
    }

    /// Asks the process to end, gives it some time, then kills its group.
    pub async fn end(&self, grace: Duration) {
        if !self.identity.lives() {
            return;
        }
        let group = Pid::from_raw(self.identity.pid.cast_signed());
        // A group that is gone already is what was wanted.
        let _ = killpg(group, Signal::SIGTERM);
        let patience = Instant::now() + grace;
        while self.identity.lives() && Instant::now() < patience {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let _ = killpg(group, Signal::SIGKILL);
    }
}

/// Field 22 of `/proc/<pid>/stat`.
#[cfg(target_os = "linux")]
fn start_time(pid: u32) -> Option<String> {
    stat(pid)?.into_iter().nth(19)
}

/// The process that started this one, where `/proc` tells.
pub fn parent(pid: u32) -> Option<u32> {
    stat(pid)?.get(1)?.parse().ok()
}

/// `/proc/<pid>/stat` from its third field on; nothing for a process that only waits to be reaped.
fn stat(pid: u32) -> Option<Vec<String>> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field, the program's name, may hold blanks and brackets.
    let fields = stat.get(stat.rfind(')')? + 1..)?.split_whitespace();
    let fields: Vec<String> = fields.map(str::to_owned).collect();
    let has_ended = matches!(fields.first()?.as_str(), "Z" | "X");
    (!has_ended).then_some(fields)
}

#[cfg(not(target_os = "linux"))]
fn start_time(pid: u32) -> Option<String> {
    let pid = pid.to_string();
    let output = Command::new("ps").args(["-o", "stat=,lstart=", "-p", &pid]).output().ok()?;
    let line = String::from_utf8(output.stdout).ok()?;
    let (state, started) = line.trim().split_once(' ')?;
    (!state.starts_with('Z')).then(|| started.trim().to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{Identity, Process};
    use std::process::Command;
    use std::time::Duration;

    #[test]
    fn a_process_is_known_by_its_start_time() {
        let own = Identity::own().unwrap();
        assert!(own.lives());
        assert!(!Identity { started: "another time".to_owned(), ..own }.lives());
        if cfg!(target_os = "linux") {
            assert!(super::parent(std::process::id()).is_some_and(|pid| pid > 0));
        }
    }

    #[tokio::test]
    async fn ending_a_process_ends_its_group() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        // The shell ignores the polite signal and has a child: both must go.
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "trap '' TERM; /bin/sleep 1000 & echo $!; wait; wait; wait"]);
        let process = Process::start("shell", &mut command, &log).unwrap();
        let child = loop {
            if let Ok(pid) = std::fs::read_to_string(&log).unwrap_or_default().trim().parse() {
                break Identity::of(pid).unwrap();
            }
            tokio::task::yield_now().await;
        };
        process.end(Duration::ZERO).await;
        while process.identity.lives() || child.lives() {
            tokio::task::yield_now().await;
        }
    }
}
