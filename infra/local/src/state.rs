//! What a stack has started, kept in a file so that another command, or the
//! next run after a crash, can use it and end it.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{IoContext, Result, XtaskError};
use crate::process::{Identity, Process};
use crate::workspace::Workspace;

/// What `GET /_sim/backing` says stands behind the servers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backing {
    /// `nspawn`, `podman` or `none`.
    pub backing: String,
    /// Path of the lab's network namespace, if there is one.
    pub netns: Option<PathBuf>,
    /// Whether servers are real machines.
    pub real: bool,
    /// One sentence for a person.
    pub note: String,
}

/// Everything needed to use a stack and to end it.
///
/// Its tokens open nothing but the stand-ins on this machine; the file is
/// readable by its owner only all the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StackState {
    /// Name of the stack.
    pub stack: String,
    /// The command that brought it up, unless it has handed over and ended.
    pub owner: Option<Identity>,
    /// What runs, in the order it was started.
    pub processes: Vec<Process>,
    /// The program that cleans up after a simulator.
    pub simulator_program: PathBuf,
    /// Base URL of the simulator, without `/v1`.
    pub simulator_url: String,
    /// The provider token of the only project.
    pub provider_token: String,
    /// A token of that project that can only read.
    pub observer_token: String,
    /// Endpoint of the AWS emulator.
    pub aws_url: String,
    /// Endpoint of the ECS stand-in.
    pub ecs_url: String,
    /// What stands behind the servers, once known.
    pub backing: Option<Backing>,
    /// Base URL of the API, once deployed.
    pub api_url: Option<String>,
    /// The queue that wakes jobs, once deployed.
    pub queue_url: Option<String>,
    /// An admin's API token, once made.
    pub token: Option<String>,
}

impl StackState {
    /// The state of a stack, if it has one.
    ///
    /// # Errors
    /// The file is there and cannot be read.
    pub fn load(workspace: &Workspace, stack: &str) -> Result<Option<Self>> {
        let file = file(workspace, stack);
        match std::fs::read_to_string(&file) {
            Ok(text) => serde_json::from_str(&text).map(Some).map_err(|error| XtaskError::Answer {
                context: file.display().to_string(),
                detail: error.to_string(),
            }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).at(&file),
        }
    }

    /// Writes the file anew, never half.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn save(&self, workspace: &Workspace) -> Result<()> {
        let file = file(workspace, &self.stack);
        let folder = workspace.stack(&self.stack);
        std::fs::create_dir_all(&folder).at(&folder)?;
        let draft = folder.join("state.json.new");
        let text = serde_json::to_string_pretty(self).map_err(|error| XtaskError::Answer {
            context: file.display().to_string(),
            detail: error.to_string(),
        })?;
        write_private(&draft, &text)?;
        std::fs::rename(&draft, &file).at(&file)
    }

    /// Forgets the stack.
    ///
    /// # Errors
    /// The file cannot be removed.
    pub fn forget(workspace: &Workspace, stack: &str) -> Result<()> {
        let file = file(workspace, stack);
        match std::fs::remove_file(&file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error).at(&file),
            _ => Ok(()),
        }
    }
}

fn file(workspace: &Workspace, stack: &str) -> PathBuf {
    workspace.stack(stack).join("state.json")
}

fn write_private(path: &Path, text: &str) -> Result<()> {
    let mut options = OpenOptions::new();
    let mut file =
        options.write(true).create(true).truncate(true).mode(0o600).open(path).at(path)?;
    file.write_all(text.as_bytes()).at(path)
}
