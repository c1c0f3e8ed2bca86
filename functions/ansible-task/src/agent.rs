//! The ssh-agent that holds the managed keys while the run goes on. They come from the secret
//! store and go through a pipe: never onto a disk, into an argument or an environment.

use std::process::Stdio;

use secrecy::{ExposeSecret, SecretString};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    process::{Child, ChildStdin},
};

use crate::{child, failure::Failure, log::cut, site::Site};

/// A shell that ends the agent when its own input ends: by us, or because we are gone. The kernel
/// could not do it: it forgets `pdeathsig` for programs with a group of their own, such as
/// Debian's ssh-agent.
const KEEPER: &str =
    r#"ssh-agent -D -a "$0" -t "$1" & agent=$!; exec >&- 2>&-; read -r _; kill "$agent""#;

/// The agent forgets its keys by itself this long after the run's deadline.
const LIFE_AFTER_DEADLINE_SECS: u64 = 120;

const MAX_REASON_BYTES: usize = 300;

pub(crate) struct SshAgent {
    keeper: Child,
    input: ChildStdin,
}

impl SshAgent {
    /// Starts an agent on the scratch folder's socket and waits until it listens. It keeps keys
    /// for `life_secs` and a little more.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(crate) async fn start(site: &Site<'_>, life_secs: u64) -> Result<Self, Failure> {
        let mut command = child::command("sh", site.search_path(), site.scratch);
        command.args(["-c", KEEPER]).arg(site.scratch.agent_socket());
        command.arg((life_secs + LIFE_AFTER_DEADLINE_SECS).to_string());
        // The keeper ends itself and the agent; killing it would leave the agent behind.
        command.env("HOME", site.scratch.tmp()).kill_on_drop(false).stdin(Stdio::piped());
        let failed = |why: &str| Failure::of_task(format!("ssh-agent did not start: {why}"));
        let mut keeper = child::start(&mut command).map_err(|error| failed(&error.to_string()))?;
        let (Some(input), Some(said)) = (keeper.stdin.take(), keeper.stdout.take()) else {
            return Err(failed("it has no pipes"));
        };
        // It prints its socket once it listens there.
        let mut line = String::new();
        let mut said = BufReader::new(said);
        let read = tokio::time::timeout(site.settings.tempo.tool_limit, said.read_line(&mut line));
        match read.await {
            Ok(Ok(1..)) => Ok(Self { keeper, input }),
            Ok(_) => {
                let mut complaint = String::new();
                if let Some(mut stderr) = keeper.stderr.take() {
                    // What cannot be read is no worse than nothing said.
                    let _ = stderr.read_to_string(&mut complaint).await;
                }
                Err(failed(cut(complaint.trim(), MAX_REASON_BYTES)))
            }
            Err(_) => Err(failed("it says nothing")),
        }
    }

    /// Adds a private key in OpenSSH form.
    ///
    /// # Errors
    /// When the agent does not take it.
    pub(crate) async fn add(&self, site: &Site<'_>, key: &SecretString) -> Result<(), Failure> {
        let mut input = key.expose_secret().trim_end().to_owned();
        // ssh-add does not take a key without a last line feed.
        input.push('\n');
        let input = SecretString::from(input);
        ssh_add(site, &["-q", "-"], Some(input.expose_secret().as_bytes())).await.map(|_| ())
    }

    /// The public halves of what it holds, in the order they were added.
    ///
    /// # Errors
    /// When it does not answer.
    pub(crate) async fn public_keys(&self, site: &Site<'_>) -> Result<Vec<String>, Failure> {
        let listed = ssh_add(site, &["-L"], None).await?;
        Ok(listed.lines().map(|line| line.trim().to_owned()).filter(|it| !it.is_empty()).collect())
    }

    /// Ends the agent and waits until it is gone.
    pub(crate) async fn end(mut self, site: &Site<'_>) {
        drop(self.input);
        if tokio::time::timeout(site.settings.tempo.tool_limit, self.keeper.wait()).await.is_err() {
            tracing::warn!("ssh-agent did not end");
        }
    }
}

async fn ssh_add(site: &Site<'_>, args: &[&str], input: Option<&[u8]>) -> Result<String, Failure> {
    let mut command = child::tied_command("ssh-add", site.search_path(), site.scratch);
    command.args(args);
    let output = child::output(command, input, site.settings.tempo.tool_limit)
        .await
        .map_err(|error| Failure::of_task(error.to_string()))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    let complaint = cut(complaint.trim(), MAX_REASON_BYTES);
    Err(Failure::of_task(format!("ssh-add failed: {complaint}")))
}
