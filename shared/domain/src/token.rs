//! Bearer API tokens: a name, scopes, and optionally the connections they may touch.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{connection::ConnectionName, id::TokenId};

/// What a caller may do. Each scope includes the ones before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    Read,
    Operate,
    Admin,
}

/// An API token as it is stored: the secret only as a hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    pub id: TokenId,
    /// The actor in the audit trail.
    pub name: String,
    pub scopes: Vec<Scope>,
    /// `None`: every connection. What a token may not see is answered as absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connections: Option<Vec<ConnectionName>>,
    pub secret_hash: String,
    pub created_at: Timestamp,
}

impl Token {
    pub fn allows(&self, needed: Scope) -> bool {
        self.scopes.iter().any(|scope| *scope >= needed)
    }

    pub fn sees(&self, connection: &ConnectionName) -> bool {
        self.connections.as_ref().is_none_or(|list| list.contains(connection))
    }
}

/// Hashes a token's secret. The secret holds 256 random bits, so a fast hash without salt is
/// enough: there is nothing to guess.
pub fn hash_secret(secret: &str) -> String {
    hex::encode(Sha256::digest(secret.as_bytes()))
}
