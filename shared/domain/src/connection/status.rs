//! What a check by live calls says of a connection: its status, the reason, and what to do. Pure.
//!
//! | seen | status | reason |
//! | --- | --- | --- |
//! | nothing connected | (no connection) | (none): how to connect |
//! | marker seen, a write succeeded | connected | (none) |
//! | marker seen, a write refused for the token's permission | degraded | token_readonly |
//! | marker seen, no write has ever told | degraded | permission_unknown |
//! | marker seen, this write told nothing, an earlier one succeeded | as it was | as it was, after the second in a row permission_unknown |
//! | refused as a token | disconnected | unauthorized |
//! | valid, marker not seen | degraded | marker_missing |
//! | no answer | as it was, after the second in a row degraded | provider_unreachable |
//! | a 5xx | as it was, after the second in a row degraded | provider_unavailable |
//! | maintenance | as it was, after the second in a row degraded | provider_maintenance |
//! | throttled | as it was, after the second in a row degraded | rate_limited |
//! | an answer without something we need | as it was, after the second in a row degraded | api_drift |
//!
//! What says nothing of the token changes neither its permission nor its key, and nothing at all
//! the first time: one failed check is no outage.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Connection, ManagedKey, RateBudget};
use crate::observation::{FailureClass, ProviderFailure};

/// So many checks in a row have to fail before the status says so.
pub const FAILED_CHECKS: u32 = 2;

/// How to go on while nothing is connected.
pub const NOTHING_CONNECTED: &str = "Make a read-write API token in a Hetzner Cloud project of its \
    own, then PUT /providers/{name} with {\"provider\": \"hetzner\", \"token\": \"…\"}.";

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConnectionStatus {
    Connected,
    Degraded,
    Disconnected,
}

/// What live calls have shown a token may do. Only a write that succeeds proves `ReadWrite`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Permission {
    ReadWrite,
    ReadOnly,
    Unknown,
}

/// Why a connection is not simply connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConnectionReason {
    Unauthorized,
    TokenReadonly,
    MarkerMissing,
    ProviderUnavailable,
    RateLimited,
    PermissionUnknown,
    ProviderUnreachable,
    ProviderMaintenance,
    ApiDrift,
}

impl ConnectionReason {
    /// In the order of the registry, which only grows.
    pub const ALL: &[ConnectionReason] = &[
        Self::Unauthorized,
        Self::TokenReadonly,
        Self::MarkerMissing,
        Self::ProviderUnavailable,
        Self::RateLimited,
        Self::PermissionUnknown,
        Self::ProviderUnreachable,
        Self::ProviderMaintenance,
        Self::ApiDrift,
    ];

    /// What an operator does next.
    pub fn guidance(self) -> &'static str {
        match self {
            Self::Unauthorized => {
                "The provider refused the token: store a valid read-write token of the same project."
            }
            Self::TokenReadonly => {
                "The token can only read: store a read-write token of the same project."
            }
            Self::MarkerMissing => {
                "The managed SSH key is not in the project: confirm that the token is of the same project."
            }
            Self::ProviderUnavailable => {
                "The provider answers with errors: check its status page. Jobs wait and go on by themselves."
            }
            Self::RateLimited => {
                "The project's rate budget is used up: slow other clients of the project, or wait."
            }
            Self::PermissionUnknown => {
                "No write of the last check succeeded: check the connection again."
            }
            Self::ProviderUnreachable => {
                "The provider does not answer: check its status page and the way out of this network."
            }
            Self::ProviderMaintenance => {
                "The provider is being maintained: wait. Jobs go on by themselves."
            }
            Self::ApiDrift => {
                "The provider's answer lacks something that is needed: update Nodeyard, and report it."
            }
        }
    }

    /// Says something of the provider and nothing of the token.
    pub fn is_outage(self) -> bool {
        match self {
            Self::ProviderUnavailable
            | Self::RateLimited
            | Self::ProviderUnreachable
            | Self::ProviderMaintenance
            | Self::ApiDrift => true,
            Self::Unauthorized
            | Self::TokenReadonly
            | Self::MarkerMissing
            | Self::PermissionUnknown => false,
        }
    }

    /// What a failed read of a check means.
    fn of(failure: &ProviderFailure) -> Self {
        match (failure.class, failure.code.as_str()) {
            (FailureClass::Unauthorized, _) => Self::Unauthorized,
            (FailureClass::RateLimited, _) => Self::RateLimited,
            (FailureClass::Drift, _) => Self::ApiDrift,
            (_, "maintenance") => Self::ProviderMaintenance,
            (_, "connection" | "timeout") => Self::ProviderUnreachable,
            _ => Self::ProviderUnavailable,
        }
    }
}

/// What live calls showed of a token.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenReport {
    pub permission: Permission,
    pub rate_budget: Option<RateBudget>,
    /// The managed key as it is at the provider, once a write has succeeded or it was found.
    pub key: Option<ManagedKey>,
    /// Whether the token sees the marker it was asked about.
    pub sees_marker: bool,
}

impl Connection {
    /// The connection after a check at `now`.
    pub fn judged(&self, seen: Result<TokenReport, ProviderFailure>, now: Timestamp) -> Self {
        let checked = Self { checked_at: now, ..self.clone() };
        match seen {
            Ok(report) => checked.seen(report),
            Err(failure) => match ConnectionReason::of(&failure) {
                ConnectionReason::Unauthorized => checked
                    .told(ConnectionStatus::Disconnected, Some(ConnectionReason::Unauthorized)),
                outage => checked.untold(outage),
            },
        }
    }

    fn seen(mut self, report: TokenReport) -> Self {
        self.rate_budget = report.rate_budget.or(self.rate_budget);
        if self.key.is_some() && !report.sees_marker {
            let reason = ConnectionReason::MarkerMissing;
            return self.told(ConnectionStatus::Degraded, Some(reason));
        }
        match (report.permission, self.permission) {
            (Permission::ReadWrite, _) => {
                self.permission = Permission::ReadWrite;
                self.key = report.key.or(self.key);
                self.told(ConnectionStatus::Connected, None)
            }
            (Permission::ReadOnly, _) => {
                self.permission = Permission::ReadOnly;
                let reason = ConnectionReason::TokenReadonly;
                self.told(ConnectionStatus::Degraded, Some(reason))
            }
            // The token has shown what it may do before; this once it could not.
            (Permission::Unknown, Permission::ReadWrite | Permission::ReadOnly) => {
                self.untold(ConnectionReason::PermissionUnknown)
            }
            (Permission::Unknown, Permission::Unknown) => {
                let reason = ConnectionReason::PermissionUnknown;
                self.told(ConnectionStatus::Degraded, Some(reason))
            }
        }
    }

    /// A check that told what the token is.
    fn told(self, status: ConnectionStatus, reason: Option<ConnectionReason>) -> Self {
        Self { status, reason, failed_checks: 0, ..self }
    }

    /// A check that told nothing of the token. What is known to be wrong with it stays said.
    fn untold(self, reason: ConnectionReason) -> Self {
        let failed_checks = self.failed_checks.saturating_add(1);
        let is_known_bad = self.reason.is_some_and(|known| {
            !known.is_outage() && known != ConnectionReason::PermissionUnknown
        });
        if failed_checks < FAILED_CHECKS || is_known_bad {
            return Self { failed_checks, ..self };
        }
        Self { status: ConnectionStatus::Degraded, reason: Some(reason), failed_checks, ..self }
    }
}

#[cfg(test)]
mod tests;
