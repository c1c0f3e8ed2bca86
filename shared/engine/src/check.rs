//! Checking a connection: what live calls show of its token becomes its status.

use jiff::Timestamp;
use nodeyard_domain::{
    connection::{Connection, ConnectionReason, ConnectionStatus, Permission},
    observation::{FailureClass, ProviderFailure},
};
use tracing::info;

use crate::{
    provider::{ProviderCheck, TokenReport},
    secrets::{Secrets, SecretsError},
    store::{JobStore, StoreError},
};

#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Secrets(#[from] SecretsError),
}

/// What a check says of a connection. Pure.
///
/// A provider that is down says nothing of the token: permission and key stay as they were known.
pub fn judge(
    connection: &Connection,
    report: Result<TokenReport, ProviderFailure>,
    now: Timestamp,
) -> Connection {
    let mut judged = Connection { checked_at: now, ..connection.clone() };
    let (status, reason) = match report {
        Ok(report) => {
            judged.rate_budget = report.rate_budget.or(judged.rate_budget);
            judged.permission = report.permission;
            match report.permission {
                _ if connection.key.is_some() && !report.sees_marker => {
                    (ConnectionStatus::Degraded, Some(ConnectionReason::MarkerMissing))
                }
                Permission::ReadWrite => {
                    judged.key = report.key.or(judged.key);
                    (ConnectionStatus::Connected, None)
                }
                Permission::ReadOnly => {
                    (ConnectionStatus::Degraded, Some(ConnectionReason::TokenReadonly))
                }
                Permission::Unknown => {
                    (ConnectionStatus::Degraded, Some(ConnectionReason::PermissionUnknown))
                }
            }
        }
        Err(failure) => match failure.class {
            FailureClass::Unauthorized => {
                (ConnectionStatus::Disconnected, Some(ConnectionReason::Unauthorized))
            }
            FailureClass::RateLimited => {
                (ConnectionStatus::Degraded, Some(ConnectionReason::RateLimited))
            }
            _ => (ConnectionStatus::Degraded, Some(ConnectionReason::ProviderUnavailable)),
        },
    };
    judged.status = status;
    judged.reason = reason;
    judged
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
    store: &impl JobStore,
    secrets: &impl Secrets,
    provider: &impl ProviderCheck,
    connection: &Connection,
    now: Timestamp,
) -> Result<Connection, CheckError> {
    let Some(key) = &connection.key else { return Ok(connection.clone()) };
    let token = secrets.provider_token(&connection.name, true).await?;
    let report = provider.check_token(&token, "", &key.public_key, Some(key)).await;
    let judged = judge(connection, report, now);
    if !store.swap_connection(&judged, &[]).await? {
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
    Ok(judged)
}
