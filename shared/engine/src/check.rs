//! Checking a connection by live calls, and mending its marker. What the calls show is judged by
//! the domain.

use jiff::Timestamp;
use nodeyard_domain::{
    audit::{Action, AuditEntry, Outcome, Resource},
    connection::{Connection, ManagedKey, TokenReport},
    event,
    observation::{FailureClass, ProviderFailure},
};
use secrecy::SecretString;
use tracing::{info, warn};

use crate::{
    provider::ProviderCheck,
    secrets::{Secrets, SecretsError},
    store::{ApiStore, JobStore, NodeFilter, PageError, PageRequest, StoreError},
};

/// So many servers on record are looked for, before a marker that is missing counts as another
/// project's.
const LOOKED_FOR: usize = 3;
/// Nodes read at most to find servers on record.
const NODES_READ: usize = 50;

#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Secrets(#[from] SecretsError),
}

/// Checks one connection by live calls and stores what was found, unless the connection has been
/// changed meanwhile: then the answers may be about another token, and the next check tells.
///
/// A connection without a managed key is left as it is: its key is made when a caller connects or
/// checks it, who alone may write the key's private half.
///
/// # Errors
/// When the store or the secret store does not answer. What the provider answers is the result.
pub async fn check(
    store: &(impl JobStore + ApiStore),
    secrets: &impl Secrets,
    provider: &impl ProviderCheck,
    deployment: &str,
    connection: &Connection,
    now: Timestamp,
) -> Result<Connection, CheckError> {
    let Some(key) = &connection.key else { return Ok(connection.clone()) };
    let token = secrets.provider_token(connection, connection.token.is_none()).await?;
    let report = examine(store, provider, deployment, &token, connection, key).await?;
    let judged = Connection { drift: provider.take_drift(), ..connection.judged(report, now) };
    let events = event::of_connection(connection, &judged, now);
    let seen = |of: &Connection| (of.status, of.reason, of.permission, of.key.clone());
    // Only what changed is in the trail: nothing else would be, once in five minutes.
    let stored = if seen(&judged) == seen(connection) {
        store.swap_connection(&judged, &events).await?
    } else {
        let resource = Resource::from(&connection.name);
        let audit = AuditEntry::of_system(now, Action::ProviderCheck, resource, Outcome::Done);
        store.change_connection(&judged, &events, &audit).await?
    };
    if !stored {
        info!(connection = %connection.name, "changed meanwhile; the check says nothing");
        return Ok(connection.clone());
    }
    if (judged.status, judged.reason) != (connection.status, connection.reason) {
        info!(
            connection = %connection.name,
            from = ?connection.status,
            to = ?judged.status,
            reason = ?judged.reason,
            "connection status changed"
        );
    }
    if let Some(drift) = judged.drift.as_ref().filter(|_| judged.drift != connection.drift) {
        warn!(connection = %connection.name, drift, "the provider's answers have changed");
    }
    Ok(judged)
}

/// What live calls show of a token of the connection. A marker that is missing is made again when
/// the token still sees a server on record: then it is of the same project.
///
/// # Errors
/// When the store does not answer.
pub async fn examine(
    store: &impl ApiStore,
    provider: &impl ProviderCheck,
    deployment: &str,
    token: &SecretString,
    connection: &Connection,
    key: &ManagedKey,
) -> Result<Result<TokenReport, ProviderFailure>, StoreError> {
    let name = ManagedKey::name(deployment, &connection.name, key.version);
    let report = look(provider, token, &name, key).await;
    let is_blind = matches!(&report, Ok(seen) if !seen.sees_marker);
    if is_blind && sees_a_server(store, provider, token, connection).await? {
        warn!(connection = %connection.name, "the managed SSH key was deleted; it is made again");
        return Ok(remake(provider, token, &name, key).await);
    }
    Ok(report)
}

/// A refusal of the token is heard twice before it counts.
async fn look(
    provider: &impl ProviderCheck,
    token: &SecretString,
    name: &str,
    key: &ManagedKey,
) -> Result<TokenReport, ProviderFailure> {
    match provider.check_token(token, name, &key.public_key, Some(key)).await {
        Err(failure) if failure.class == FailureClass::Unauthorized => {
            provider.check_token(token, name, &key.public_key, Some(key)).await
        }
        other => other,
    }
}

/// The managed key is made again in the token's project, or found there under another id: the same
/// key, and from now on the marker. Only where the project is known to be the right one.
///
/// # Errors
/// What the provider answered.
pub async fn remake(
    provider: &impl ProviderCheck,
    token: &SecretString,
    name: &str,
    key: &ManagedKey,
) -> Result<TokenReport, ProviderFailure> {
    let report = provider.check_token(token, name, &key.public_key, None).await?;
    let made = report.key.map(|made| ManagedKey { version: key.version, ..made });
    Ok(TokenReport { sees_marker: made.is_some(), key: made, ..report })
}

/// The token sees a server that is on record: it is of the same project, whatever became of the
/// marker.
async fn sees_a_server(
    store: &impl ApiStore,
    provider: &impl ProviderCheck,
    token: &SecretString,
    connection: &Connection,
) -> Result<bool, StoreError> {
    let connections = Some(vec![connection.name.clone()]);
    let filter = NodeFilter { connections, ..NodeFilter::default() };
    let page = PageRequest { cursor: None, limit: NODES_READ };
    let nodes = store.nodes(&filter, &page).await.map_err(|error| match error {
        PageError::Store(error) => error,
        PageError::Cursor => StoreError::Unavailable("its own cursor".to_owned()),
    })?;
    let servers = nodes.items.iter().filter_map(|node| node.server.as_ref());
    for server in servers.take(LOOKED_FOR) {
        // No answer proves nothing.
        if let Ok(true) = provider.sees_server(token, server.id).await {
            return Ok(true);
        }
    }
    Ok(false)
}
