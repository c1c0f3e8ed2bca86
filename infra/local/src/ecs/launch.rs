//! Starts a container task: as a process inside the lab's network namespace,
//! or with podman.
//!
//! Either way it gets what a container would get and the endpoints, and
//! nothing of this program's own environment.

use std::collections::BTreeMap;
use std::fs::{File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tokio::process::{Child, Command};

use crate::command::on_path;
use crate::error::{IoContext, Result};
use crate::stack::PLANTED;

/// Enough for Ansible, and within what any root may set.
const PODMAN_LIMITS: &[&str] =
    &["--pids-limit=-1", "--ulimit=nofile=1024:4096", "--ulimit=nproc=4096:4096"];

/// How tasks are run.
#[derive(Debug, Clone)]
pub struct Launcher {
    /// What runs them.
    pub runner: Runner,
    /// Where logs go.
    pub folder: PathBuf,
    /// The network namespace that machines are reached from.
    pub netns: Option<PathBuf>,
    /// Endpoint of the AWS emulator, also reachable from that namespace.
    pub aws_url: String,
}

/// What runs a task.
#[derive(Debug, Clone)]
pub enum Runner {
    /// The entry point itself.
    Process {
        /// The program and its first arguments.
        program: Vec<String>,
        /// Its search path.
        path: String,
        /// The playbooks it runs.
        playbooks: PathBuf,
    },
    /// podman.
    Podman {
        /// The image.
        image: String,
    },
}

/// A task that runs.
#[derive(Debug)]
pub struct Launched {
    /// Its process.
    pub child: Child,
    /// Its scratch folder, to be removed when it has ended.
    pub scratch: PathBuf,
}

impl Launcher {
    /// Starts a task.
    ///
    /// # Errors
    /// A folder cannot be made or the program not be started.
    pub fn launch(
        &self,
        id: &str,
        mut variables: BTreeMap<String, String>,
        arguments: &[String],
    ) -> Result<Launched> {
        if let Runner::Process { program, .. } = &self.runner
            && let Some(program) = program.first().map(Path::new)
        {
            // The wrappers below would start, and the task look as if it had.
            std::fs::metadata(program).at(program)?;
        }
        let scratch = make_scratch(id)?;
        variables.extend(
            [
                ("AWS_ENDPOINT_URL", self.aws_url.as_str()),
                ("AWS_REGION", "us-east-1"),
                ("AWS_ACCESS_KEY_ID", "test"),
                ("AWS_SECRET_ACCESS_KEY", "test"),
                ("LANG", "C.UTF-8"),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned())),
        );
        if let Ok(planted) = std::env::var(PLANTED) {
            variables.insert(PLANTED.to_owned(), planted);
        }
        let words = self.words(id, &mut variables, &scratch, arguments);
        let log = self.folder.join(format!("{id}.log"));
        let output = File::create(&log).at(&log)?;
        let errors = output.try_clone().at(&log)?;
        let (program, rest) = words
            .split_first()
            .map_or(("", [].as_slice()), |(program, rest)| (program.as_str(), rest));
        let child = Command::new(program)
            .args(rest)
            .env_clear()
            .envs(&variables)
            .current_dir(&scratch)
            .stdin(std::process::Stdio::null())
            .stdout(output)
            .stderr(errors)
            .process_group(0)
            .spawn()
            .during(format!("starting {program}"));
        child.map(|child| Launched { child, scratch: scratch.clone() }).inspect_err(|_| {
            // The folder is empty, and nobody else will remove it.
            let _ = std::fs::remove_dir(&scratch);
        })
    }

    /// Whether tasks are containers, which do not end with the process that started them.
    pub fn runs_containers(&self) -> bool {
        matches!(self.runner, Runner::Podman { .. })
    }

    fn words(
        &self,
        id: &str,
        variables: &mut BTreeMap<String, String>,
        scratch: &Path,
        arguments: &[String],
    ) -> Vec<String> {
        let mut words: Vec<String> = Vec::new();
        match &self.runner {
            Runner::Process { program, path, playbooks } => {
                let folder = scratch.display().to_string();
                variables.insert("PATH".to_owned(), path.clone());
                variables.insert("HOME".to_owned(), folder.clone());
                variables.insert("TMPDIR".to_owned(), folder.clone());
                variables.insert("NODEYARD_SCRATCH".to_owned(), folder);
                variables.insert("NODEYARD_PLAYBOOKS".to_owned(), playbooks.display().to_string());
                if let Some(netns) = &self.netns {
                    words.extend(["nsenter".to_owned(), format!("--net={}", netns.display())]);
                }
                if cfg!(target_os = "linux") {
                    // A task must not outlive this endpoint, however that ends.
                    words.extend(["setpriv", "--pdeathsig", "TERM"].map(str::to_owned));
                }
                words.extend(program.iter().cloned());
            }
            Runner::Podman { image } => {
                words.extend(["podman", "run", "--rm"].map(str::to_owned));
                // Without limits given, podman asks for more than a confined root may have; and
                // crun refuses what is left of the old control groups, where runc does not.
                words.extend(PODMAN_LIMITS.iter().map(|word| (*word).to_owned()));
                // As the task definition has it: the image's volume is all that can be written.
                words.extend(["--read-only", "--read-only-tmpfs=false"].map(str::to_owned));
                if on_path("runc") {
                    words.push("--runtime=runc".to_owned());
                }
                words.push("--name".to_owned());
                let network = self
                    .netns
                    .as_ref()
                    .map_or("host".to_owned(), |netns| format!("ns:{}", netns.display()));
                words.extend([name(id), "--network".to_owned(), network]);
                for (name, value) in &*variables {
                    words.extend(["--env".to_owned(), format!("{name}={value}")]);
                }
                words.push(image.clone());
                // podman itself needs to find its programs and its storage.
                let own = ["PATH", "HOME", "XDG_RUNTIME_DIR"];
                *variables = own
                    .iter()
                    .filter_map(|name| Some(((*name).to_owned(), std::env::var(name).ok()?)))
                    .collect();
            }
        }
        words.extend(arguments.iter().cloned());
        words
    }
}

/// Where a task may write. A short path: ssh's control sockets lie below it, and their paths may
/// have only some hundred bytes.
pub fn scratch_of(id: &str) -> PathBuf {
    std::env::temp_dir().join(name(id))
}

fn make_scratch(id: &str) -> Result<PathBuf> {
    let scratch = scratch_of(id);
    std::fs::create_dir(&scratch).at(&scratch)?;
    std::fs::set_permissions(&scratch, Permissions::from_mode(0o700)).at(&scratch)?;
    Ok(scratch)
}

/// Removes a task's container; one that is gone is fine.
pub async fn remove_container(id: &str) {
    let _ = Command::new("podman").args(["rm", "-f", "-t", "0", &name(id)]).output().await;
}

/// What a task is called outside: its container, its scratch folder.
pub fn name(id: &str) -> String {
    format!("nodeyard-{}", id.get(..12).unwrap_or(id))
}
