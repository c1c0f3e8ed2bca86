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
    /// From then on it is refused. `None`: it lasts until it is deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

impl Token {
    pub fn allows(&self, needed: Scope) -> bool {
        self.scopes.iter().any(|scope| *scope >= needed)
    }

    pub fn has_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|expires| expires <= now)
    }

    /// An admin of everything, for good: as long as there is one, nobody is locked out.
    pub fn rules(&self) -> bool {
        self.allows(Scope::Admin) && self.connections.is_none() && self.expires_at.is_none()
    }

    pub fn sees(&self, connection: &ConnectionName) -> bool {
        self.connections.as_ref().is_none_or(|list| list.contains(connection))
    }
}

/// Whether two hashes are the same, in a time that depends on their lengths only.
pub fn same_hash(a: &str, b: &str) -> bool {
    a.len() == b.len() && a.bytes().zip(b.bytes()).fold(0, |diff, (a, b)| diff | (a ^ b)) == 0
}

/// Hashes a token's secret. The secret holds 256 random bits, so a fast hash without salt is
/// enough: there is nothing to guess.
pub fn hash_secret(secret: &str) -> String {
    hex::encode(Sha256::digest(secret.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(scopes: &[Scope], expires_at: Option<i64>) -> Token {
        Token {
            id: TokenId::from_bits(1),
            name: "ci".into(),
            scopes: scopes.into(),
            connections: None,
            secret_hash: hash_secret("secret"),
            created_at: Timestamp::UNIX_EPOCH,
            expires_at: expires_at.map(|at| Timestamp::from_second(at).unwrap()),
        }
    }

    #[test]
    fn each_scope_includes_the_ones_before_it() {
        for (scope, allowed) in [
            (Scope::Read, [true, false, false]),
            (Scope::Operate, [true, true, false]),
            (Scope::Admin, [true, true, true]),
        ] {
            let of = token(&[scope], None);
            assert_eq!(
                [Scope::Read, Scope::Operate, Scope::Admin].map(|it| of.allows(it)),
                allowed
            );
        }
        assert!(!token(&[], None).allows(Scope::Read));
    }

    #[test]
    fn it_expires_in_the_second_it_says() {
        let now = Timestamp::from_second(100).unwrap();
        for (expires, expired) in
            [(Some(99), true), (Some(100), true), (Some(101), false), (None, false)]
        {
            assert_eq!(token(&[Scope::Read], expires).has_expired(now), expired);
        }
    }

    #[test]
    fn only_an_admin_of_everything_for_good_rules() {
        assert!(token(&[Scope::Admin], None).rules());
        assert!(!token(&[Scope::Admin], Some(100)).rules());
        assert!(!token(&[Scope::Operate], None).rules());
        let some = Some(vec!["main".parse().unwrap()]);
        assert!(!Token { connections: some, ..token(&[Scope::Admin], None) }.rules());
    }

    #[test]
    fn hashes_are_compared_whole() {
        let hash = hash_secret("secret");
        assert!(same_hash(&hash, &hash_secret("secret")));
        assert!(!same_hash(&hash, &hash_secret("Secret")));
        assert!(!same_hash(&hash, &hash[1..]));
        assert_eq!(hash.len(), 64);
    }
}
