//! SSH keys: unique by name and by fingerprint.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};

use super::create::is_over;
use super::error::ApiError;
use super::operation::{Kind, Labels, Reply, SshKeyDraft};
use super::{ProjectId, World};
use crate::clock::EpochMillis;

/// One SSH key.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub struct SshKey {
    pub id: u64,
    pub project: ProjectId,
    pub name: String,
    pub labels: Labels,
    pub created: EpochMillis,
    /// MD5 in colon form. [documented]
    pub fingerprint: String,
    pub public_key: String,
}

const KNOWN_TYPES: [&str; 7] = [
    "ssh-ed25519",
    "ssh-rsa",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
];

/// The MD5 fingerprint of a key in OpenSSH's one-line form, if it is one.
pub fn fingerprint(public_key: &str) -> Option<String> {
    let mut words = public_key.split_whitespace();
    let (name, encoded) = (words.next()?, words.next()?);
    let blob = STANDARD.decode(encoded).ok()?;
    // The blob begins with its own type as a length-prefixed string.
    let (length, rest) = blob.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let inner = rest.get(..length)?;
    let has_key = rest.len() > length;
    if !KNOWN_TYPES.contains(&name) || inner != name.as_bytes() || !has_key {
        return None;
    }
    let digest = Md5::digest(&blob);
    let pairs: Vec<String> = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    Some(pairs.join(":"))
}

impl World {
    pub(super) fn create_ssh_key(
        &mut self,
        project: ProjectId,
        draft: &SshKeyDraft,
    ) -> Result<Reply, ApiError> {
        let Some(fingerprint) = fingerprint(&draft.public_key) else {
            return Err(ApiError::invalid("public_key", "not a valid SSH key"));
        };
        if self.name_is_taken(project, Kind::SshKey, 0, &draft.name) {
            return Err(ApiError::not_unique("name", "SSH key name is already used"));
        }
        let mut held = self.ssh_keys.values().filter(|key| key.project == project);
        // [documented] the same key under another name is refused
        if held.clone().any(|key| key.fingerprint == fingerprint) {
            return Err(ApiError::not_unique(
                "public_key",
                "SSH key with the same fingerprint already exists",
            ));
        }
        let count = held.by_ref().count();
        if is_over(self.settings.limits.ssh_keys, count, 1) {
            return Err(ApiError::over_limit("ssh_key_limit"));
        }
        let id = self.new_id();
        self.ssh_keys.insert(
            id,
            SshKey {
                id,
                project,
                name: draft.name.clone(),
                labels: draft.labels.clone(),
                created: self.now,
                fingerprint,
                public_key: draft.public_key.trim().to_owned(),
            },
        );
        Ok(Reply::Created(Kind::SshKey, id, None))
    }

    /// The SSH key with this id.
    pub fn ssh_key(&self, id: u64) -> Option<&SshKey> {
        self.ssh_keys.get(&id)
    }
}

#[cfg(test)]
mod tests {
    use super::fingerprint;

    // Made with ssh-keygen; its own `-l -E md5` gave the fingerprint.
    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOrPkIC+HDkPNds5Qag2QmrYMWBRYhgAkFH/IXjpGn12 someone@example";

    #[test]
    fn the_fingerprint_is_the_one_that_ssh_keygen_shows() {
        assert_eq!(
            fingerprint(KEY).as_deref(),
            Some("18:dc:90:75:e6:98:39:f1:d3:83:75:f2:2a:45:16:9e")
        );
    }

    #[test]
    fn what_is_no_key_has_none() {
        for text in [
            "",
            "ssh-ed25519",
            "ssh-ed25519 AAAA",
            "ssh-ed25519 !!!",
            &KEY.replacen("ssh-ed25519", "ssh-rsa", 1),
            &KEY.replacen("ssh-ed25519", "ssh-other", 1),
        ] {
            assert_eq!(fingerprint(text), None, "{text}");
        }
    }
}
