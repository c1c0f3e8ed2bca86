//! Proof of ownership: the one server name of a node, the nonce of an attempt, and what a server
//! that carries labels is to us.

use std::collections::BTreeMap;

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::id::NodeId;

pub const LABEL_DEPLOYMENT: &str = "nodeyard/deployment";
pub const LABEL_NODE: &str = "nodeyard/node";
pub const LABEL_NONCE: &str = "nodeyard/nonce";

/// The most attempts at creating a node's server. It bounds how many older nonces can be ours.
pub const MAX_ATTEMPTS: u32 = 10;

/// The deployment's own key. Everything derived from it can be derived again after a crash, so
/// nothing of it needs to be stored.
#[derive(Clone)]
pub struct DeploymentKey(Vec<u8>);

impl DeploymentKey {
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for DeploymentKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DeploymentKey(..)")
    }
}

/// The server's name at the provider: fixed before the first POST, the same for all attempts and
/// rungs. It is the only idempotency key the provider has.
pub fn server_name(node_name: &str, node: &NodeId) -> String {
    let stem: String = node_name.chars().take(50).collect();
    format!("{}-{}", stem.trim_end_matches(['-', '.']), &node.hex()[..12])
}

/// The nonce of one attempt: the first 32 hex digits of HMAC-SHA256(deployment key, node, attempt).
pub fn nonce(key: &DeploymentKey, node: &NodeId, attempt: u32) -> String {
    // HMAC takes keys of every length, so this never fails.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key.bytes()) else {
        unreachable!("HMAC accepts keys of any length")
    };
    mac.update(format!("nonce\n{node}\n{attempt}").as_bytes());
    hex::encode(mac.finalize().into_bytes())[..32].to_owned()
}

/// The labels of a server of ours.
pub fn labels(deployment: &str, node: &NodeId, nonce: &str) -> BTreeMap<String, String> {
    [(LABEL_DEPLOYMENT, deployment), (LABEL_NODE, node.as_str()), (LABEL_NONCE, nonce)]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into()
}

/// What a server found under the node's name is to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ownership {
    /// Ours, of the attempt that is open.
    Current,
    /// Ours, of an attempt before.
    Older { attempt: u32 },
    /// Not proved ours: neither adopted nor deleted.
    Foreign,
}

/// Judges a server by its labels. A name alone proves nothing.
pub fn judge(
    key: &DeploymentKey,
    deployment: &str,
    node: &NodeId,
    attempt: u32,
    found: &BTreeMap<String, String>,
) -> Ownership {
    let is = |label: &str, value: &str| found.get(label).is_some_and(|text| text == value);
    if !is(LABEL_DEPLOYMENT, deployment) || !is(LABEL_NODE, node.as_str()) {
        return Ownership::Foreign;
    }
    if is(LABEL_NONCE, &nonce(key, node, attempt)) {
        return Ownership::Current;
    }
    (1..attempt)
        .find(|older| is(LABEL_NONCE, &nonce(key, node, *older)))
        .map_or(Ownership::Foreign, |attempt| Ownership::Older { attempt })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> DeploymentKey {
        DeploymentKey::new(*b"a key of this deployment")
    }

    #[test]
    fn the_key_is_not_printed() {
        assert_eq!(format!("{:?}", key()), "DeploymentKey(..)");
    }

    #[test]
    fn a_name_is_a_host_name_and_the_same_every_time() {
        let node = NodeId::from_bits(7);
        let name = server_name(&format!("{}-", "a".repeat(49)), &node);
        assert!(crate::label::is_dns_label(&name), "{name}");
        assert_eq!(name, server_name(&format!("{}-", "a".repeat(49)), &node));
        assert_eq!(name.len(), 49 + 1 + 12);
        assert_ne!(
            server_name("web", &NodeId::from_bits(7 << 100)),
            server_name("web", &NodeId::from_bits(8 << 100))
        );
    }

    #[test]
    fn only_a_nonce_of_ours_proves_ownership() {
        let node = NodeId::from_bits(1);
        let of = |attempt| labels("dep", &node, &nonce(&key(), &node, attempt));
        assert_eq!(judge(&key(), "dep", &node, 3, &of(3)), Ownership::Current);
        assert_eq!(judge(&key(), "dep", &node, 3, &of(1)), Ownership::Older { attempt: 1 });
        // A nonce of a later attempt was never sent by this job.
        assert_eq!(judge(&key(), "dep", &node, 3, &of(4)), Ownership::Foreign);
        assert_eq!(judge(&key(), "other", &node, 3, &of(3)), Ownership::Foreign);
        assert_eq!(judge(&key(), "dep", &NodeId::from_bits(2), 3, &of(3)), Ownership::Foreign);
        assert_eq!(judge(&key(), "dep", &node, 3, &BTreeMap::new()), Ownership::Foreign);
        let forged = labels("dep", &node, "00000000000000000000000000000000");
        assert_eq!(judge(&key(), "dep", &node, 3, &forged), Ownership::Foreign);
        let other_key = DeploymentKey::new(*b"another");
        assert_eq!(judge(&other_key, "dep", &node, 3, &of(3)), Ownership::Foreign);
    }

    #[test]
    fn a_nonce_fits_a_label_value() {
        let text = nonce(&key(), &NodeId::from_bits(u128::MAX), MAX_ATTEMPTS);
        assert!(text.len() == 32 && crate::label::is_label_value(&text));
    }
}
