//! The managed SSH keys: from the secret store into the agent, newest first.

use nodeyard_domain::code::Code;
use nodeyard_engine::{
    Clock,
    secrets::{Secrets, SecretsError},
    store::RunStore,
};

use crate::{
    agent::SshAgent,
    boot,
    failure::Failure,
    login::{self, Login},
    persist::persist,
    report::Report,
    site::Site,
};

/// What `authorized_keys` calls the managed key on the node.
const COMMENT: &str = "nodeyard";

/// Tries to prove the newest version: a login may meet a machine that is busy.
const PROOF_TRIES: u32 = 3;

/// Loads every version of the run into the agent and gives the public half of the newest: the one
/// that is to stay on the node.
///
/// # Errors
/// When the newest version is missing, or the secret store or the agent fail. An older version
/// that is gone already is only noted.
pub(crate) async fn load<S: RunStore, K: Secrets, C: Clock>(
    site: &Site<'_>,
    secrets: &K,
    agent: &SshAgent,
    report: &mut Report<'_, S, C>,
) -> Result<String, Failure> {
    let mut newest = None;
    for version in &site.run.key_versions {
        let secret = site.run.key_secret(*version);
        let get = persist(
            "reading a managed key",
            site.settings.tempo.retry_pause,
            |error| matches!(error, SecretsError::Unavailable(_)),
            async || secrets.ssh_key(&secret).await,
        );
        match get.await {
            Ok(key) => {
                report.know(&key);
                agent.add(site, &key).await?;
                if newest.is_none() {
                    newest = agent.public_keys(site).await?.first().map(|line| public_half(line));
                }
            }
            Err(SecretsError::Missing(_)) if newest.is_some() => {
                report
                    .say(format!("version {version} of the managed key is gone; going on without"));
            }
            Err(error) => {
                return Err(Failure::of_task(format!(
                    "version {version} of the managed key cannot be had: {error}"
                )));
            }
        }
    }
    newest.ok_or_else(|| Failure::of_task("the run names no managed key"))
}

/// Proves by a login with the newest version alone that the node lets it in. The profile has
/// replaced the node's list of keys by then, and kept it only because a login went through: no other
/// version is in it. `None` where the run has one version only: there is nothing to learn.
///
/// # Errors
/// When the login fails: the node's record goes on naming the older version.
pub(crate) async fn prove<S: RunStore, C: Clock>(
    site: &Site<'_>,
    public_key: &str,
    report: &mut Report<'_, S, C>,
) -> Result<Option<u32>, Failure> {
    let [newest, _, ..] = site.run.key_versions[..] else { return Ok(None) };
    let file = site.scratch.path().join("newest.pub");
    site.scratch.write(&file, format!("{public_key}\n").as_bytes())?;
    let mut stop = site.stop.clone();
    let mut tries = 1;
    loop {
        let words = match stop.or(login::try_key(site, &file)).await?? {
            Login::Done => break,
            Login::OtherHostKey(words) => return Err(boot::other_host_key(&words)),
            Login::Away(words) | Login::Denied(words) => words,
        };
        if tries == PROOF_TRIES {
            let message = format!("version {newest} of the managed key opens nothing: {words}");
            return Err(Failure::new(Code::NodeUnreachable, message));
        }
        tries += 1;
        stop.or(tokio::time::sleep(site.settings.tempo.login_gap)).await?;
    }
    report.say(format!("version {newest} of the managed key is proved and in force alone"));
    Ok(Some(newest))
}

/// Type and key without whatever comment the private half carries.
fn public_half(line: &str) -> String {
    let words: Vec<&str> = line.split_whitespace().take(2).chain([COMMENT]).collect();
    words.join(" ")
}
