//! Children: started with an environment of their own, ended with everything they started.

use std::{
    ffi::OsString,
    io,
    path::{Path, PathBuf},
    process::{Output, Stdio},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill, killpg},
    unistd::Pid,
};
use tokio::{
    io::AsyncWriteExt,
    process::{Child, Command},
};

use crate::scratch::Scratch;

/// How long the process table is looked through, at most, for what a child has started.
const SWEEPING: Duration = Duration::from_millis(300);

#[derive(Debug, thiserror::Error)]
pub(crate) enum ChildError {
    #[error("{program} cannot be started: {error}")]
    Start { program: String, error: io::Error },
    #[error("{program} did not end within {} s", .limit.as_secs())]
    Limit { program: String, limit: Duration },
    #[error("{program} could not be talked to: {error}")]
    Talk { program: String, error: io::Error },
}

/// A command that sees nothing of our environment: no credential of the task, no endpoint. `HOME`
/// is the scratch folder, which also marks what belongs to the run.
pub(crate) fn command(program: &str, search_path: &OsString, scratch: &Scratch) -> Command {
    // Found here, because the standard library may search by our own `PATH` instead.
    let found = find(program, search_path).unwrap_or_else(|| PathBuf::from(program));
    let mut command = Command::new(found);
    command
        .env_clear()
        .env("PATH", search_path)
        .env("HOME", scratch.path())
        .env("TMPDIR", scratch.tmp())
        .env("LANG", "C.UTF-8")
        .env("SSH_AUTH_SOCK", scratch.agent_socket())
        .env("SSH_ASKPASS_REQUIRE", "never")
        .current_dir(scratch.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    command
}

/// Like [`command`]; the kernel kills the child when this process dies in whatever way, where
/// that can be had.
pub(crate) fn tied_command(program: &str, search_path: &OsString, scratch: &Scratch) -> Command {
    let found = (find("setpriv", search_path), find(program, search_path));
    let (Some(_), Some(program), true) = (found.0, found.1, cfg!(target_os = "linux")) else {
        return command(program, search_path, scratch);
    };
    let mut tied = command("setpriv", search_path, scratch);
    tied.args(["--pdeathsig", "KILL"]).arg(program);
    tied
}

fn find(program: &str, search_path: &OsString) -> Option<PathBuf> {
    std::env::split_paths(search_path)
        .map(|folder| folder.join(program))
        .find(|path| path.is_file())
}

pub(crate) fn start(command: &mut Command) -> Result<Child, ChildError> {
    command.spawn().map_err(|error| ChildError::Start { program: name(command), error })
}

/// Runs a command to its end and gives its output. It is killed at the limit.
///
/// # Errors
/// When it cannot be started or does not end in time. Its exit code is no error here.
pub(crate) async fn output(
    mut command: Command,
    input: Option<&[u8]>,
    limit: Duration,
) -> Result<Output, ChildError> {
    if input.is_some() {
        command.stdin(Stdio::piped());
    }
    let mut child = start(&mut command)?;
    let talk = async {
        if let (Some(input), Some(mut stdin)) = (input, child.stdin.take()) {
            // A child that does not read its input says so by its exit code.
            let _ = stdin.write_all(input).await;
        }
        child.wait_with_output().await
    };
    match tokio::time::timeout(limit, talk).await {
        Ok(Ok(output)) => Ok(output),
        Ok(Err(error)) => Err(ChildError::Talk { program: name(&command), error }),
        Err(_) => Err(ChildError::Limit { program: name(&command), limit }),
    }
}

fn name(command: &Command) -> String {
    let program = Path::new(command.as_std().get_program());
    program.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Signals a child and its process group. One that has ended is left alone.
pub(crate) fn signal(child: &Child, signal: Signal) {
    if let Some(group) = child.id().and_then(|id| i32::try_from(id).ok()) {
        // It may end at any moment.
        let _ = killpg(Pid::from_raw(group), signal);
    }
}

/// Kills every process whose `HOME` is this folder. Ansible's workers and ssh's shared connections
/// leave the process group (setsid), so that a signal to the group does not reach them. Without
/// `/proc` nothing is found.
pub(crate) fn end_all_of(home: &Path) {
    let mut mark = b"HOME=".to_vec();
    mark.extend_from_slice(home.as_os_str().as_encoded_bytes());
    // What is killed may have started something meanwhile; what starts a program just now shows
    // nothing for a moment.
    let begun = Instant::now();
    while begun.elapsed() < SWEEPING {
        let Found { marked, is_unsure } = marked_processes(&mark);
        if marked.is_empty() && !is_unsure {
            return;
        }
        for process in marked {
            let _ = kill(process, Signal::SIGKILL);
        }
        std::thread::yield_now();
    }
}

struct Found {
    marked: Vec<Pid>,
    /// A process that lives showed no environment at all: it may be in the middle of an exec.
    is_unsure: bool,
}

fn marked_processes(mark: &[u8]) -> Found {
    let mut found = Found { marked: Vec::new(), is_unsure: false };
    let Ok(processes) = std::fs::read_dir("/proc") else { return found };
    for entry in processes.flatten() {
        let id = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok());
        let Some(id) = id.filter(|id| *id > 1) else { continue };
        let folder = entry.path();
        match std::fs::read(folder.join("environ")) {
            Ok(environment) if !environment.is_empty() => {
                if environment.split(|byte| *byte == 0).any(|variable| variable == mark) {
                    found.marked.push(Pid::from_raw(id));
                }
            }
            // The kernel's own threads, those that have ended and those of others show no program.
            _ => found.is_unsure |= folder.join("exe").read_link().is_ok(),
        }
    }
    found
}
