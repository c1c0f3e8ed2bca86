//! The first host key of a server, derived so that nothing is stored and a retry after a crash
//! can still pin it, and the pins that outlive it.

use hkdf::Hkdf;
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use ssh_key::{
    LineEnding, PrivateKey, PublicKey,
    private::{Ed25519Keypair, KeypairData},
};

use crate::{id::NodeId, ownership::DeploymentKey};

#[derive(Debug, thiserror::Error)]
#[error("the host key cannot be written in OpenSSH form: {0}")]
pub struct HostKeyError(#[from] ssh_key::Error);

/// A host key pair in OpenSSH text. The private half goes into user data only and is replaced on
/// the node at the first configuration.
pub struct HostKey {
    pub private: String,
    pub public: String,
}

/// Derives the host key of one attempt: HKDF-SHA256 of the deployment key, the node, the attempt.
///
/// # Errors
/// When the key cannot be encoded, which no input is known to cause.
pub fn first_host_key(
    key: &DeploymentKey,
    node: &NodeId,
    attempt: u32,
) -> Result<HostKey, HostKeyError> {
    let mut seed = [0_u8; 32];
    let info = format!("host key\n{node}\n{attempt}");
    // 32 bytes are far below HKDF's limit, so this never fails.
    if Hkdf::<Sha256>::new(None, key.bytes()).expand(info.as_bytes(), &mut seed).is_err() {
        unreachable!("HKDF-SHA256 gives up to 8160 bytes")
    }
    let pair = KeypairData::from(Ed25519Keypair::from_seed(&seed));
    let private = PrivateKey::new(pair, "")?;
    Ok(HostKey {
        private: private.to_openssh(LineEnding::LF)?.to_string(),
        public: private.public_key().to_openssh()?,
    })
}

/// Whether a text is one OpenSSH public key, as `authorized_keys[]` takes them. Options in front
/// of the key are refused, and control characters, which the comment could hold.
pub fn is_public_key(text: &str) -> bool {
    !text.contains(char::is_control) && PublicKey::from_openssh(text).is_ok()
}

/// The host keys a node may show. Written by the worker when the server is created and by the
/// container task while it replaces the key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostPins {
    /// Bound to this server: pins of another server mean nothing.
    pub server_id: u64,
    pub current: String,
    /// Made on the node, not yet proved by a fresh connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// True once `current` was made on the node: the delivered key is refused for ever.
    #[serde(default)]
    pub replaced: bool,
}

impl HostPins {
    pub fn delivered(server_id: u64, public: String) -> Self {
        Self { server_id, current: public, next: None, replaced: false }
    }

    /// The lines of `known_hosts` for a `HostKeyAlias`.
    pub fn known_hosts(&self, alias: &str) -> String {
        std::iter::once(&self.current)
            .chain(&self.next)
            .map(|key| format!("{alias} {}\n", key.trim()))
            .collect()
    }

    /// Takes up the key that was made on the node, beside the one in use.
    #[must_use]
    pub fn with_next(mut self, public: &str) -> Self {
        if self.current.trim() == public.trim() {
            self.next = None;
            self.replaced = true;
        } else {
            self.next = Some(public.trim().to_owned());
        }
        self
    }

    /// Keeps the new key alone, after a fresh connection has proved it.
    #[must_use]
    pub fn promoted(mut self) -> Self {
        if let Some(next) = self.next.take() {
            self.current = next;
            self.replaced = true;
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retry_derives_the_same_key_and_another_attempt_another() {
        let key = DeploymentKey::new(*b"deployment");
        let node = NodeId::from_bits(1);
        let first = first_host_key(&key, &node, 1).unwrap();
        let again = first_host_key(&key, &node, 1).unwrap();
        // Byte for byte: the create is repeated with the same body.
        assert_eq!((&first.private, &first.public), (&again.private, &again.public));
        assert_ne!(first.public, first_host_key(&key, &node, 2).unwrap().public);
        assert!(is_public_key(&first.public));
    }

    #[test]
    fn keys_with_options_or_second_lines_are_refused() {
        let key = DeploymentKey::new(*b"deployment");
        let public = first_host_key(&key, &NodeId::from_bits(1), 1).unwrap().public;
        assert!(!is_public_key(&format!("command=\"x\" {public}")));
        assert!(!is_public_key(&format!("{public}\n{public}")));
        assert!(!is_public_key("ssh-ed25519 AAAA"));
        for end in ["\0", "\u{1b}[2J", "\r", "\u{85}"] {
            assert!(is_public_key(&format!("{public} me")), "{public}");
            assert!(!is_public_key(&format!("{public} me{end}")), "{end:?}");
        }
    }

    #[test]
    fn pins_move_from_the_delivered_key_to_the_one_made_on_the_node() {
        let pins = HostPins::delivered(9, "ssh-ed25519 AAA".into()).with_next("ssh-ed25519 BBB\n");
        assert_eq!(pins.known_hosts("node-1"), "node-1 ssh-ed25519 AAA\nnode-1 ssh-ed25519 BBB\n");
        let pins = pins.promoted();
        assert_eq!(pins.known_hosts("node-1"), "node-1 ssh-ed25519 BBB\n");
        assert!(pins.replaced);
        // A run after the switch finds the same key again and nothing is left to do.
        let again = pins.clone().with_next("ssh-ed25519 BBB");
        assert_eq!(again, pins);
    }
}
