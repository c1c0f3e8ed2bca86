//! SSH keys: the fingerprint the provider knows one by, and a new pair.

use md5::{Digest as _, Md5};
use secrecy::SecretString;
use ssh_key::{Algorithm, LineEnding, PrivateKey, PublicKey, rand_core::OsRng};

#[derive(Debug, thiserror::Error)]
#[error("no key pair could be made: {0}")]
pub struct KeyPairError(#[from] ssh_key::Error);

/// The MD5 fingerprint of a line of OpenSSH public key, in colon form, as the provider names
/// keys. `None` when the line is no public key.
pub fn fingerprint(public_key: &str) -> Option<String> {
    let blob = PublicKey::from_openssh(public_key.trim()).ok()?.to_bytes().ok()?;
    let pairs: Vec<String> = Md5::digest(blob).iter().map(|byte| format!("{byte:02x}")).collect();
    Some(pairs.join(":"))
}

/// A new Ed25519 pair: the private half in OpenSSH form, and the public line with the comment.
///
/// # Errors
/// When the system gives no randomness.
pub fn new_key_pair(comment: &str) -> Result<(SecretString, String), KeyPairError> {
    let mut private = PrivateKey::random(&mut OsRng, Algorithm::Ed25519)?;
    private.set_comment(comment);
    let public = private.public_key().to_openssh()?;
    let text = private.to_openssh(LineEnding::LF)?;
    Ok((SecretString::from(text.as_str()), public))
}
