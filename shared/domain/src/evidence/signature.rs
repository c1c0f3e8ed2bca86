//! The signature of a chain's head: ECDSA on P-256 over the head's hash, taken as the digest.

use aws_lc_rs::{
    digest::{Digest, SHA256},
    signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Hash;

/// As the key service names it; the message type is `DIGEST`.
pub const ALGORITHM: &str = "ECDSA_SHA_256";

/// Written once, when the job has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    pub algorithm: String,
    /// The key's name at the key service.
    pub key_id: String,
    /// SubjectPublicKeyInfo in DER, as base64. It tells which key it was, and proves nothing.
    pub public_key: String,
    /// ASN.1 DER, as base64.
    pub signature: String,
    pub at: Timestamp,
}

impl Signature {
    /// Whether the key has signed this head.
    pub fn is_by(&self, key: &PublicKey, head: &Hash) -> bool {
        let Ok(signature) = STANDARD.decode(&self.signature) else { return false };
        let Ok(digest) = Digest::import_less_safe(&head.to_bytes(), &SHA256) else { return false };
        let known = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &key.0);
        self.algorithm == ALGORITHM && known.verify_digest(&digest, &signature).is_ok()
    }
}

/// A public key, as SubjectPublicKeyInfo in DER.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey(Vec<u8>);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it is no public key on P-256 (PEM, or DER as base64)")]
pub struct UnreadableKey;

impl PublicKey {
    /// Reads PEM, or DER as base64.
    ///
    /// # Errors
    /// When it is neither, or no key on P-256.
    pub fn parse(text: &str) -> Result<Self, UnreadableKey> {
        let lines = text.lines().map(str::trim).filter(|line| !line.starts_with("-----"));
        let der = STANDARD.decode(lines.collect::<String>()).map_err(|_| UnreadableKey)?;
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &der);
        key.parse().map_err(|_| UnreadableKey)?;
        Ok(Self(der))
    }
}
