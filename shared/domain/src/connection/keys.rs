//! The versions of a connection's managed key: the newest one, which is the marker, and those
//! before it, each of which some node may still need.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Connection, ManagedKey};

/// The version that connecting makes. Records of before there were versions mean this one.
pub const FIRST_KEY_VERSION: u32 = 1;

/// So many versions may be kept beside the newest one: a run offers all that its node may need,
/// and sshd on a node takes four tries.
pub const MAX_EARLIER_KEYS: usize = 2;

/// So many versions may be kept in all, those included that nothing ever named.
const MAX_RETIRED_KEYS: usize = 12;

/// A version is destroyed this long after the last time that a worker may have chosen it for a new
/// node, in seconds: a worker goes on for 60 s with what it has read, and what the connection's
/// jobs share of the key is good for 600 s.
const LEAST_RETIRED_SECS: i64 = 900;

/// Serde's default for records of before there were versions.
pub fn first_key_version() -> u32 {
    FIRST_KEY_VERSION
}

/// Keeps records as they were while there is only one version.
pub fn is_first_key_version(version: &u32) -> bool {
    *version == FIRST_KEY_VERSION
}

/// A version that is not the newest one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetiredKey {
    pub version: u32,
    pub retired_at: Timestamp,
    /// Set for one that was the newest once: nodes may know it. Without it nothing ever named the
    /// version: its rotation ended, or went on with another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<ManagedKey>,
    /// The public half of one that was never the newest, if it may be at the provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_key: Option<String>,
}

impl RetiredKey {
    /// The public half, if the provider may have it.
    pub fn at_provider(&self) -> Option<&str> {
        let known = self.key.as_ref().map(|key| key.public_key.as_str());
        known.or(self.public_key.as_deref())
    }
}

impl Connection {
    /// A version that nodes are made with or that they may know.
    pub fn key_of(&self, version: u32) -> Option<&ManagedKey> {
        self.known_keys().find(|key| key.version == version)
    }

    fn known_keys(&self) -> impl Iterator<Item = &ManagedKey> {
        let retired = self.retired.iter().rev().filter_map(|retired| retired.key.as_ref());
        self.key.iter().chain(retired)
    }

    /// What a run offers to a node that may need `oldest`: that version and all that came after it,
    /// the newest first.
    pub fn key_versions_from(&self, oldest: u32) -> Vec<u32> {
        let newest = self.key.as_ref().map(|key| key.version);
        let known = self.known_keys().map(|key| key.version);
        known.filter(|version| *version >= oldest || Some(*version) == newest).collect()
    }

    /// A number that no version on record has.
    pub fn next_key_version(&self) -> u32 {
        let newest = self.key.as_ref().map_or(0, |key| key.version);
        self.retired.iter().map(|retired| retired.version).fold(newest, u32::max) + 1
    }

    /// Versions that were the newest once and are still kept.
    pub fn earlier_keys(&self) -> usize {
        self.retired.iter().filter(|retired| retired.key.is_some()).count()
    }

    /// Whether there is room for another version.
    pub fn may_rotate(&self) -> bool {
        self.earlier_keys() < MAX_EARLIER_KEYS && self.retired.len() < MAX_RETIRED_KEYS
    }

    /// Takes on a new version, which is the marker from here on, and keeps the one before.
    pub fn adopt_key(&mut self, key: ManagedKey, now: Timestamp) {
        if let Some(before) = self.key.replace(key) {
            self.retired.push(RetiredKey {
                version: before.version,
                retired_at: now,
                key: Some(before),
                public_key: None,
            });
        }
    }

    /// Notes a version that was begun and that nothing will ever name.
    pub fn abandon_key(&mut self, version: u32, public_key: Option<String>, now: Timestamp) {
        if self.key_of(version).is_none() && self.retired.iter().all(|it| it.version != version) {
            self.retired.push(RetiredKey { version, retired_at: now, key: None, public_key });
        }
    }

    /// Versions that can be destroyed: no node needs `oldest_named` or anything older, and no
    /// worker can be about to name them.
    pub fn destroyable_keys(&self, oldest_named: Option<u32>, now: Timestamp) -> Vec<RetiredKey> {
        let least = SignedDuration::from_secs(LEAST_RETIRED_SECS);
        let is_named = |retired: &RetiredKey| {
            retired.key.is_some() && oldest_named.is_some_and(|oldest| retired.version >= oldest)
        };
        let rested = self.retired.iter().filter(|retired| retired.retired_at + least <= now);
        rested.filter(|retired| !is_named(retired)).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::{ConnectionStatus, Permission, ProviderKind};

    fn now() -> Timestamp {
        Timestamp::from_second(1_800_000_000).unwrap()
    }

    fn later(secs: i64) -> Timestamp {
        now() + SignedDuration::from_secs(secs)
    }

    fn key(version: u32) -> ManagedKey {
        ManagedKey {
            version,
            provider_id: 100 + u64::from(version),
            fingerprint: format!("{version:02}"),
            public_key: format!("ssh-ed25519 {version}"),
        }
    }

    fn connection() -> Connection {
        Connection {
            name: "main".parse().unwrap(),
            version: 1,
            provider: ProviderKind::Hetzner,
            status: ConnectionStatus::Connected,
            reason: None,
            permission: Permission::ReadWrite,
            key: Some(key(1)),
            token: None,
            key_stem: None,
            retired: Vec::new(),
            rotation: None,
            max_nodes: None,
            max_monthly: None,
            rate_budget: None,
            checked_at: now(),
            failed_checks: 0,
            servers_seen: None,
            drift: None,
            created_at: now(),
        }
    }

    #[test]
    fn a_run_offers_what_its_node_may_need_the_newest_first() {
        let mut connection = connection();
        assert_eq!(connection.key_versions_from(1), [1]);
        connection.abandon_key(2, Some("ssh-ed25519 2".into()), now());
        connection.adopt_key(key(3), now());
        connection.adopt_key(key(4), now());
        for (oldest, offered) in
            [(1, vec![4, 3, 1]), (2, vec![4, 3]), (3, vec![4, 3]), (4, vec![4]), (9, vec![4])]
        {
            assert_eq!(connection.key_versions_from(oldest), offered, "{oldest}");
        }
        assert_eq!(connection.key_of(3), Some(&key(3)));
        assert_eq!(connection.key_of(2), None, "it was never anybody's");
        assert_eq!((connection.earlier_keys(), connection.next_key_version()), (2, 5));
        connection.key = None;
        assert_eq!(connection.key_versions_from(1), [3, 1]);
    }

    #[test]
    fn what_a_node_may_need_is_never_destroyed() {
        let mut connection = connection();
        connection.adopt_key(key(2), now());
        connection.abandon_key(3, None, now());
        connection.adopt_key(key(4), now());
        let destroyed = |oldest, secs| {
            let keys = connection.destroyable_keys(oldest, later(secs));
            keys.into_iter().map(|retired| retired.version).collect::<Vec<u32>>()
        };
        assert!(destroyed(None, 899).is_empty(), "a worker may still be about to name one");
        assert_eq!(destroyed(None, 900), [1, 3, 2]);
        assert_eq!(destroyed(Some(1), 900), [3], "nobody can know what was abandoned");
        assert_eq!(destroyed(Some(2), 900), [1, 3], "a node may have any that came later");
        assert_eq!(destroyed(Some(4), 900), [1, 3, 2]);
    }

    #[test]
    fn a_version_is_abandoned_once_and_never_one_that_is_known() {
        let mut connection = connection();
        for version in [1, 2, 2] {
            connection.abandon_key(version, None, now());
        }
        let versions: Vec<u32> = connection.retired.iter().map(|it| it.version).collect();
        assert_eq!((versions, connection.next_key_version()), (vec![2], 3));
    }

    #[test]
    fn records_with_one_version_are_written_as_before() {
        let written = serde_json::to_value(connection()).unwrap();
        assert!(written.get("retired").is_none() && written.get("rotation").is_none());
        let mut connection = connection();
        connection.adopt_key(key(2), now());
        let written = serde_json::to_string(&connection).unwrap();
        assert_eq!(serde_json::from_str::<Connection>(&written).unwrap(), connection);
    }
}
