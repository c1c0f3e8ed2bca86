//! Logging in with ssh: the settings, one try, and what a refusal means.

use std::{ffi::OsString, path::Path};

use nodeyard_domain::user_data::ADMIN_USER;
use tokio::process::Command;

use crate::{
    child::{self, ChildError},
    failure::Failure,
    log::cut,
    scratch::Scratch,
    site::Site,
};

/// ssh(1): "exits with the exit status of the remote command or with 255 if an error occurred".
const SSH_ERROR: i32 = 255;
const MAX_REASON_BYTES: usize = 300;

/// What came of one try to log in. The texts are ssh's own words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Login {
    Done,
    /// Nobody answers, or not yet in a way that lets us in.
    Away(String),
    /// Somebody answers, with a host key that is not pinned.
    OtherHostKey(String),
    /// The pinned machine answers and refuses user or key.
    Denied(String),
}

/// The settings of every connection to the node. None of their values has blanks or quotes, so
/// they can be joined by blanks and split again.
pub(crate) fn options(alias: &str, known_hosts: &Path, agent_socket: &Path) -> Vec<String> {
    let settings = [
        format!("HostKeyAlias={alias}"),
        format!("UserKnownHostsFile={}", known_hosts.display()),
        "StrictHostKeyChecking=yes".to_owned(),
        "GlobalKnownHostsFile=/dev/null".to_owned(),
        format!("IdentityAgent={}", agent_socket.display()),
        // Only the agent's keys: whoever runs the task may have some of their own.
        "IdentityFile=none".to_owned(),
        "PasswordAuthentication=no".to_owned(),
        "KbdInteractiveAuthentication=no".to_owned(),
        "ConnectTimeout=5".to_owned(),
    ];
    settings.into_iter().flat_map(|setting| ["-o".to_owned(), setting]).collect()
}

/// One try, over a connection of its own: nothing that is already open can make it succeed.
///
/// # Errors
/// When there is no ssh: waiting would not help.
pub(crate) async fn try_once(site: &Site<'_>, known_hosts: &Path) -> Result<Login, Failure> {
    attempt(site, known_hosts, &[]).await
}

/// As [`try_once`], but with one of the agent's keys: the one whose public half is in a file.
///
/// # Errors
/// As [`try_once`].
pub(crate) async fn try_key(site: &Site<'_>, public_key: &Path) -> Result<Login, Failure> {
    let file = format!("IdentityFile={}", public_key.display());
    attempt(site, &site.scratch.known_hosts(), &["-o", "IdentitiesOnly=yes", "-o", &file]).await
}

async fn attempt(site: &Site<'_>, known_hosts: &Path, identity: &[&str]) -> Result<Login, Failure> {
    let mut command = child::tied_command("ssh", site.search_path(), site.scratch);
    command
        .args(["-F", "/dev/null", "-o", "BatchMode=yes", "-o", "ControlMaster=no"])
        .args(["-o", "ControlPath=none", "-o", "UpdateHostKeys=no"])
        .args(["-o", "PreferredAuthentications=publickey"])
        .args(identity)
        .args(options(site.alias(), known_hosts, &site.scratch.agent_socket()))
        .args(["-p", "22", "-l", ADMIN_USER, &site.run.address, "true"]);
    match child::output(command, None, site.settings.tempo.login_limit).await {
        Ok(output) => Ok(classify(output.status.code(), &String::from_utf8_lossy(&output.stderr))),
        Err(error @ ChildError::Limit { .. }) => Ok(Login::Away(error.to_string())),
        Err(error) => Err(Failure::of_task(error.to_string())),
    }
}

fn classify(exit_code: Option<i32>, stderr: &str) -> Login {
    match exit_code {
        Some(0) => Login::Done,
        Some(SSH_ERROR) => refusal(stderr),
        // Logged in, and even `true` fails: the machine is not up yet.
        Some(code) => Login::Away(format!("`true` ended with {code}: {}", reason(stderr))),
        None => Login::Away("ssh was killed".to_owned()),
    }
}

/// What ssh's words about a failed connection mean. The order matters: a foreign host key comes
/// with other complaints.
pub(crate) fn refusal(stderr: &str) -> Login {
    let says = |words: &[&str]| words.iter().any(|word| stderr.contains(word));
    if says(&[
        "Host key verification failed",
        "REMOTE HOST IDENTIFICATION HAS CHANGED",
        "no matching host key type found",
    ]) {
        Login::OtherHostKey("the node shows a host key that is not pinned".to_owned())
    } else if says(&["Permission denied", "Too many authentication failures"]) {
        Login::Denied(reason(stderr))
    } else {
        Login::Away(reason(stderr))
    }
}

/// The last line that says something.
fn reason(stderr: &str) -> String {
    let told = stderr.lines().map(str::trim).rfind(|line| {
        !line.is_empty() && !line.starts_with("Warning:") && !line.starts_with("debug1:")
    });
    cut(told.unwrap_or("ssh gave no reason"), MAX_REASON_BYTES).to_owned()
}

/// Ends the connections that Ansible keeps open to share them: each serves a node by the pin it
/// was opened with.
pub(crate) async fn close_shared(site: &Site<'_>) {
    let Ok(sockets) = std::fs::read_dir(site.scratch.control_sockets()) else { return };
    for socket in sockets.flatten() {
        let command = exit_command(site.search_path(), site.scratch, &socket.path());
        // One that has ended already is what we want.
        let _ = child::output(command, None, site.settings.tempo.tool_limit).await;
    }
}

fn exit_command(search_path: &OsString, scratch: &Scratch, socket: &Path) -> Command {
    let mut command = child::command("ssh", search_path, scratch);
    command.args(["-F", "/dev/null", "-O", "exit", "-o"]);
    command.arg(format!("ControlPath={}", socket.display())).arg("shared");
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_pin_the_alias_and_survive_being_joined() {
        let options = options("node-1", Path::new("/s/known_hosts"), Path::new("/s/agent"));
        for wanted in [
            "HostKeyAlias=node-1",
            "UserKnownHostsFile=/s/known_hosts",
            "StrictHostKeyChecking=yes",
            "GlobalKnownHostsFile=/dev/null",
            "IdentityAgent=/s/agent",
            "PasswordAuthentication=no",
            "ConnectTimeout=5",
        ] {
            let at = options.iter().position(|option| option == wanted).unwrap();
            assert_eq!(options[at - 1], "-o");
        }
        let joined = options.join(" ");
        assert!(joined.split(' ').eq(options.iter().map(String::as_str)));
    }

    #[test]
    fn ssh_s_words_are_understood() {
        // As OpenSSH 9.2 and 10 print them.
        let changed = "@@@@@@@@@@@\n@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\n\
            Someone could be eavesdropping on you right now\n\
            Host key for node-1 has changed and you have requested strict checking.\n\
            Host key verification failed.\r\n";
        assert!(matches!(refusal(changed), Login::OtherHostKey(_)));
        let unknown = "No ED25519 host key is known for node-1 and you have requested strict \
            checking.\r\nHost key verification failed.\r\n";
        assert!(matches!(refusal(unknown), Login::OtherHostKey(_)));
        let other_type = "Unable to negotiate with 198.18.0.10 port 22: no matching host key type \
            found. Their offer: rsa-sha2-512";
        assert!(matches!(refusal(other_type), Login::OtherHostKey(_)));
        let denied = "nodeyard@198.18.0.10: Permission denied (publickey).\r\n";
        let words = "nodeyard@198.18.0.10: Permission denied (publickey).".to_owned();
        assert_eq!(refusal(denied), Login::Denied(words));
        for away in [
            "ssh: connect to host 198.18.0.10 port 22: Connection refused",
            "ssh: connect to host 198.18.0.10 port 22: No route to host",
            "ssh: connect to host 198.18.0.10 port 22: Connection timed out",
            "Connection timed out during banner exchange\nConnection to 198.18.0.10 timed out",
            "kex_exchange_identification: read: Connection reset by peer",
            "Connection closed by 198.18.0.10 port 22",
            "Not allowed at this time",
            "\"System is booting up. Unprivileged users are not permitted to log in yet. \
             pam_nologin(8)\"\nConnection closed by 198.18.0.10 port 22",
        ] {
            assert!(matches!(refusal(away), Login::Away(_)), "{away}");
        }
    }

    #[test]
    fn the_exit_code_comes_before_the_words() {
        assert_eq!(classify(Some(0), "Warning: Permission denied"), Login::Done);
        assert!(matches!(classify(Some(1), "Permission denied"), Login::Away(_)));
        assert!(matches!(classify(None, ""), Login::Away(_)));
        assert_eq!(classify(Some(255), "\n"), Login::Away("ssh gave no reason".into()));
    }
}
