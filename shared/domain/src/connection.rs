//! A connection: one set of credentials for a provider, with its status.

mod key_secret;
pub mod keys;

use std::{fmt, str::FromStr};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use self::{
    key_secret::KeySecret,
    status::{
        ConnectionReason, ConnectionStatus, FAILED_CHECKS, NOTHING_CONNECTED, Permission,
        TokenReport,
    },
};

mod status;

use crate::id::JobId;

/// A connection's name: an RFC 1123 label, 1 to 40 characters (it becomes part of secret names).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ConnectionName(String);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a connection name has 1 to 40 lowercase letters, digits and inner hyphens")]
pub struct InvalidConnectionName;

impl ConnectionName {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ConnectionName {
    type Err = InvalidConnectionName;

    fn from_str(text: &str) -> Result<Self, InvalidConnectionName> {
        if text.len() <= 40 && crate::label::is_dns_label(text) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidConnectionName)
        }
    }
}

impl TryFrom<String> for ConnectionName {
    type Error = InvalidConnectionName;

    fn try_from(text: String) -> Result<Self, InvalidConnectionName> {
        text.parse()
    }
}

impl From<ConnectionName> for String {
    fn from(name: ConnectionName) -> String {
        name.0
    }
}

impl fmt::Display for ConnectionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A provider token in the secret store: one version of one secret. What is stored is never changed,
/// so a record that names it means the token that was judged for it, whoever stores another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredToken {
    /// The last part of the secret's name: the connection's, and a random suffix, so that a
    /// connection that comes back under its name never meets what was stored before.
    pub secret: String,
    pub version: String,
}

/// A version of the SSH key that Nodeyard manages at the provider. Its id at the provider is the
/// connection's marker: a token that sees it is a token of the same project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManagedKey {
    pub version: u32,
    pub provider_id: u64,
    /// MD5 in colon form, as the provider names keys.
    pub fingerprint: String,
    /// One line of OpenSSH public key.
    pub public_key: String,
}

/// What a check of the connection last saw of the rate budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateBudget {
    /// Calls an hour.
    pub limit: u32,
    pub remaining: u32,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Connection {
    pub name: ConnectionName,
    /// Grows with each change; a change is conditional on it. 0: nothing is stored yet.
    #[serde(default)]
    pub version: u64,
    pub provider: ProviderKind,
    pub status: ConnectionStatus,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<ConnectionReason>,
    pub permission: Permission,
    /// Which stored token is this connection's. Records of before there were versions have none:
    /// whatever is stored under the connection's name is meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<StoredToken>,
    /// Absent while no write has succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<ManagedKey>,
    /// What the secrets of its keys are called: the name, and a random suffix that is on record
    /// before the first of them is written. Each request that makes a first key sets its own; with
    /// the key on record it never changes. Records of before there were suffixes have none, see
    /// [`Connection::key_secret`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_stem: Option<String>,
    /// Versions of the managed key that are not the newest, until they are destroyed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub retired: Vec<keys::RetiredKey>,
    /// The `key_rotation` that is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotation: Option<JobId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_nodes: Option<u32>,
    /// Net, a month, in the project's currency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_monthly: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_budget: Option<RateBudget>,
    pub checked_at: Timestamp,
    /// Checks in a row that told nothing of the token.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub failed_checks: u32,
    /// All servers in the project, whosever they are, when a token was stored last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub servers_seen: Option<u64>,
    /// How an answer differs from what the provider documents, as the last check heard it. It
    /// stops nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drift: Option<String>,
    pub created_at: Timestamp,
}

fn is_zero(count: &u32) -> bool {
    *count == 0
}

impl ManagedKey {
    /// Its name at the provider, where names are unique.
    pub fn name(deployment: &str, connection: &ConnectionName, version: u32) -> String {
        format!("nodeyard-{deployment}-{connection}-{version}")
    }
}

impl Connection {
    /// New work needs a token that was seen to write.
    pub fn accepts_nodes(&self) -> bool {
        self.status == ConnectionStatus::Connected && self.key.is_some()
    }
}

/// A kind of cloud.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProviderKind {
    Hetzner,
}
