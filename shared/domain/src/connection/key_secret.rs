//! What the private halves of a connection's managed key are called in the secret store.

use std::fmt;

use super::{Connection, ConnectionName};
use crate::run::Run;

/// The private half of one version of a managed key: the end of its secret's name, after the
/// deployment's prefix.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeySecret(String);

impl KeySecret {
    /// `stem` is what a record says of the connection's keys. Records of before there were stems
    /// have none: their keys are called by the connection's name alone, and will always be.
    fn new(connection: &ConnectionName, stem: Option<&str>, version: u32) -> Self {
        let stem = stem.unwrap_or(connection.as_str());
        Self(format!("ssh-key/{stem}/{version}"))
    }
}

impl fmt::Display for KeySecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Connection {
    pub fn key_secret(&self, version: u32) -> KeySecret {
        KeySecret::new(&self.name, self.key_stem.as_deref(), version)
    }
}

impl Run {
    pub fn key_secret(&self, version: u32) -> KeySecret {
        KeySecret::new(&self.connection, self.key_stem.as_deref(), version)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        id::{JobId, NodeId},
        spec::Profile,
    };

    /// As 0.1.0 wrote them.
    fn of_old() -> (Value, Value) {
        let at = "2026-01-01T00:00:00Z";
        let key = json!({"version": 1, "provider_id": 7, "fingerprint": "a", "public_key": "b"});
        let connection = json!({
            "name": "main", "version": 3, "provider": "hetzner", "status": "connected",
            "permission": "read_write", "key": key, "checked_at": at, "created_at": at
        });
        let run = json!({
            "job_id": JobId::from_bits(1), "number": 1, "node_id": NodeId::from_bits(2),
            "connection": "main", "server_id": 3, "address": "198.18.0.1",
            "profile": Profile::web(), "key_versions": [1], "created_at": at, "deadline_at": at
        });
        (connection, run)
    }

    fn names((connection, run): (Value, Value), version: u32) -> [String; 2] {
        let connection: Connection = serde_json::from_value(connection).unwrap();
        let run: Run = serde_json::from_value(run).unwrap();
        [connection.key_secret(version), run.key_secret(version)].map(|it| it.to_string())
    }

    #[test]
    fn records_of_old_keep_their_names_for_every_version() {
        assert_eq!(names(of_old(), 1), ["ssh-key/main/1", "ssh-key/main/1"]);
        assert_eq!(names(of_old(), 2), ["ssh-key/main/2", "ssh-key/main/2"]);
        let (connection, run) = of_old();
        let connection: Connection = serde_json::from_value(connection).unwrap();
        let run: Run = serde_json::from_value(run).unwrap();
        let written = [serde_json::to_value(connection), serde_json::to_value(run)];
        for record in written {
            assert!(record.unwrap().get("key_stem").is_none(), "they are written as before");
        }
    }

    #[test]
    fn a_stem_names_every_version_on_both_records() {
        let (mut connection, mut run) = of_old();
        for record in [&mut connection, &mut run] {
            record["key_stem"] = json!("main-0c0ffee0");
        }
        let expected = "ssh-key/main-0c0ffee0/12";
        assert_eq!(names((connection, run), 12), [expected, expected]);
    }
}
