//! A run of profile `web` that is killed after each of its roles and run again, on a plain machine
//! of the simulator's: in the end the node is as if nothing had happened.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde_json::{Value, json};

use super::Site;
use super::node::Lines;
use crate::error::{IoContext, Result, XtaskError};

/// The machine's name.
const NAME: &str = "killed-web";
const PLAYBOOK: &str = "profiles/web.yml";
/// Between two looks at the events.
const LOOK: Duration = Duration::from_millis(50);
/// Longer than one run takes, in seconds.
const RUN_SECS: u64 = 30 * 60;
/// More than `web` has roles.
const MAX_RUNS: usize = 60;
/// Used by several roles in the middle of their work.
const SHARED_ROLE: &str = "guard";

/// Kills, runs again, and probes; answers with how many probes held.
///
/// # Errors
/// The last run fails, or leaves something that a run of its own would not.
pub async fn after_each_role(site: &Site) -> Result<u32> {
    let report = site.bench.report;
    let mut lines = machine(site).await?;
    play(site, &lines, "boot.yml").await?;
    replace_host_key(site, &mut lines).await?;
    let mut seen = BTreeSet::new();
    let mut kills = 0;
    for _ in 0..MAX_RUNS {
        match run_to_a_new_role(site, &lines, &mut seen).await? {
            Some(_) => kills += 1,
            None => break,
        }
    }
    report.line(format!("{NAME}: killed {kills} times, each time one role later"));
    if kills < 10 {
        return Err(XtaskError::Check(format!("only {kills} roles were met")));
    }
    let last = site.by_hand.play(&lines, "web", &json!({}), &[PLAYBOOK]).await?;
    last.changed_nothing("the run after the one that came through")?;
    let held = site.probe(&lines, NAME, &site.probes("web")?).await?;
    report.line(format!("{NAME}: {held} probes held"));
    Ok(held)
}

/// Plays the profile and kills it when it comes to a role that no run came to before; `None` when it
/// came to its end.
async fn run_to_a_new_role(
    site: &Site,
    lines: &Lines,
    seen: &mut BTreeSet<String>,
) -> Result<Option<String>> {
    let (mut child, events) = site.by_hand.start(lines, "web", &json!({}), &[PLAYBOOK]).await?;
    let group = child.id().and_then(|pid| i32::try_from(pid).ok()).map(Pid::from_raw);
    let deadline = Instant::now() + Duration::from_secs(RUN_SECS);
    loop {
        if let Some(status) = child.try_wait().during("ansible-playbook")? {
            if status.success() {
                return Ok(None);
            }
            let log = crate::command::tail_of(&events.with_extension("log"));
            return Err(XtaskError::Check(format!("{NAME}: {status}\n{log}")));
        }
        let met = roles(&events);
        if let (Some(new), Some(group)) = (met.iter().find(|role| !seen.contains(*role)), group) {
            // What it has left running on the node ends as it likes.
            let _ = killpg(group, Signal::SIGKILL);
            child.wait().await.during("ansible-playbook")?;
            seen.insert(new.clone());
            return Ok(Some(new.clone()));
        }
        if Instant::now() > deadline {
            let _ = group.map(|group| killpg(group, Signal::SIGKILL));
            let hint = String::new();
            return Err(XtaskError::TimedOut {
                what: format!("{NAME}: a run"),
                secs: RUN_SECS,
                hint,
            });
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// The roles that a run has come to, in order. The first of them is the one before which there is
/// nothing to interrupt.
fn roles(events: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(events).unwrap_or_default();
    let mut roles: Vec<String> = Vec::new();
    for line in text.lines() {
        let event: Value = serde_json::from_str(line).unwrap_or_default();
        if let Some(role) = event["role"].as_str()
            && role != SHARED_ROLE
            && !roles.iter().any(|known| known == role)
        {
            roles.push(role.to_owned());
        }
    }
    roles
}

async fn play(site: &Site, lines: &Lines, playbook: &str) -> Result<()> {
    let counts = site.by_hand.play(lines, "web", &json!({}), &[playbook]).await?;
    counts.succeeded(playbook)
}

/// Exchanges the delivered host key, as a run does.
async fn replace_host_key(site: &Site, lines: &mut Lines) -> Result<()> {
    play(site, lines, "host_key_prepare.yml").await?;
    let read = "cut -d' ' -f1,2 /etc/ssh/nodeyard_host_ed25519_key.pub";
    let own = site.login.run(lines, read, None).await?;
    let own = format!("{} {}\n", lines.alias, own.trim());
    lines.known_hosts.push_str(&own);
    play(site, lines, "host_key_switch.yml").await?;
    lines.known_hosts = own;
    Ok(())
}

/// A machine that only the simulator knows, with the user data of a node.
async fn machine(site: &Site) -> Result<Lines> {
    let folder = &site.by_hand.folder;
    let key = folder.join("host-key");
    for old in [key.clone(), key.with_extension("pub")] {
        if old.exists() {
            std::fs::remove_file(&old).at(&old)?;
        }
    }
    let made = tokio::process::Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "", "-f"])
        .arg(&key)
        .status()
        .await
        .during("ssh-keygen")?;
    if !made.success() {
        return Err(XtaskError::Check("ssh-keygen failed".to_owned()));
    }
    let private = std::fs::read_to_string(&key).at(&key)?;
    let public = key.with_extension("pub");
    let public = std::fs::read_to_string(&public).at(&public)?.trim().to_owned();
    let config = json!({
        "hostname": NAME, "manage_etc_hosts": true, "locale": false, "disable_root": true,
        "ssh_pwauth": false, "ssh_deletekeys": true, "ssh_genkeytypes": ["ed25519"],
        "ssh_keys": { "ed25519_private": private, "ed25519_public": public },
        "users": [{
            "name": "nodeyard", "shell": "/bin/bash", "lock_passwd": true,
            "sudo": "ALL=(ALL) NOPASSWD:ALL", "ssh_authorized_keys": [site.login.public],
        }],
    });
    let body = json!({
        "name": NAME, "server_type": "cx23", "location": "fsn1", "image": "debian-13",
        "user_data": format!("#cloud-config\n{config:#}\n"),
    });
    let address =
        site.bench.simulator.create_server(&site.bench.state.provider_token, &body).await?;
    let lines =
        Lines { alias: NAME.to_owned(), address, known_hosts: format!("{NAME} {public}\n") };
    let deadline = Instant::now() + Duration::from_secs(180);
    // Paced: sshd penalises hasty callers.
    while let Err(error) = site.login.run(&lines, "true", None).await {
        if Instant::now() > deadline {
            return Err(error);
        }
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::roles;

    #[test]
    fn roles_are_met_once_and_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("events");
        let event = |role: &str| format!("{{\"event\":\"task\",\"role\":{role}}}\n");
        let met =
            [r#""packages""#, r#""guard""#, "null", r#""sshd""#, r#""guard""#, r#""packages""#];
        std::fs::write(&file, met.map(event).concat() + "{\"eve").unwrap();
        assert_eq!(roles(&file), ["packages", "sshd"]);
        assert!(roles(&folder.path().join("none")).is_empty());
    }
}
