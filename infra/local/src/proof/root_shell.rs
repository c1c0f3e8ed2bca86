//! A root shell on a node that stays open: whoever breaks logging in repairs it through this.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio::time::timeout;

use crate::error::{IoContext as _, Result, XtaskError};
use crate::profiles::node::{Lines as LoginLines, Login};

const LIMIT: Duration = Duration::from_secs(60);
/// What says that a command has ended, with its code.
const END: &str = "#ended";

/// An open session.
pub struct RootShell {
    _child: Child,
    stdin: ChildStdin,
    said: Lines<BufReader<ChildStdout>>,
}

impl RootShell {
    /// Logs in.
    ///
    /// # Errors
    /// The login fails.
    pub async fn open(login: &Login, lines: &LoginLines) -> Result<Self> {
        let mut ssh = login.ssh(lines)?;
        ssh.arg("sudo bash -s").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = ssh.spawn().during("ssh")?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(XtaskError::Check("ssh without pipes".to_owned()));
        };
        let said = BufReader::new(stdout).lines();
        let mut shell = Self { _child: child, stdin, said };
        shell.run("exec 2>&1; cd /root").await?;
        Ok(shell)
    }

    /// Runs a command, which has to succeed.
    ///
    /// # Errors
    /// It fails, or the session has ended.
    pub async fn run(&mut self, command: &str) -> Result<String> {
        let line = format!("{{ {command}\n}} < /dev/null; printf '\\n{END} %s\\n' $?\n");
        self.stdin.write_all(line.as_bytes()).await.during("the root shell")?;
        let mut told = String::new();
        let answer = async {
            while let Some(line) = self.said.next_line().await.during("the root shell")? {
                if let Some(code) = line.strip_prefix(END) {
                    return Ok(Some(code.trim() == "0"));
                }
                told.push_str(&line);
                told.push('\n');
            }
            Ok(None)
        };
        let ended: Result<Option<bool>> = timeout(LIMIT, answer).await.unwrap_or(Ok(None));
        match ended? {
            Some(true) => Ok(told),
            Some(false) => Err(XtaskError::Check(format!("{command}\n{told}"))),
            None => Err(XtaskError::Check(format!("{command}: the session has ended\n{told}"))),
        }
    }
}
