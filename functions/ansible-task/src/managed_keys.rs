//! The managed SSH keys: from the secret store into the agent, newest first.

use nodeyard_engine::{
    Clock,
    secrets::{Secrets, SecretsError},
    store::RunStore,
};

use crate::{agent::SshAgent, failure::Failure, persist::persist, report::Report, site::Site};

/// What `authorized_keys` calls the managed key on the node.
const COMMENT: &str = "nodeyard";

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
    let connection = &site.run.connection;
    let mut newest = None;
    for version in &site.run.key_versions {
        let get = persist(
            "reading a managed key",
            site.settings.tempo.retry_pause,
            |error| matches!(error, SecretsError::Unavailable(_)),
            async || secrets.ssh_key(connection, *version).await,
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

/// Type and key without whatever comment the private half carries.
fn public_half(line: &str) -> String {
    let words: Vec<&str> = line.split_whitespace().take(2).chain([COMMENT]).collect();
    words.join(" ")
}
