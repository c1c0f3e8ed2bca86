//! What a caller asked for: the parsed body of `POST /nodes`, valid by construction.

use std::{collections::BTreeMap, str::FromStr};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    connection::ConnectionName,
    label::is_dns_label,
    placement::{Price, Rung},
};

pub const DEFAULT_IMAGE: &str = "debian-13";
pub const DEFAULT_DEADLINE_SECS: i64 = 30 * 60;
/// The deadline a caller may set, in seconds.
pub const DEADLINE_SECS: std::ops::RangeInclusive<i64> = 300..=6 * 3600;
/// The longest node name, in characters.
pub const MAX_NAME_CHARS: usize = 63;
/// The most bytes `vars` may have as JSON: it travels in items that are bounded.
pub const MAX_VARS_BYTES: usize = 8 * 1024;
pub const MAX_AUTHORIZED_KEYS: usize = 16;
pub const MAX_ALLOW_SSH_FROM: usize = 32;
pub const MAX_LABELS: usize = 32;

/// The longest name of a profile, in characters.
pub const MAX_PROFILE_CHARS: usize = 32;

/// Playbooks that every run has; a profile of such a name could not be told from them.
const PLAYBOOKS_OF_EVERY_RUN: &[&str] = &["boot", "readiness", "smokes"];

/// The name of what a node is configured with: a playbook below `playbooks/profiles`. That there is
/// one is known where they are: at the API, which holds their list, and in the container task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Profile(String);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "a profile's name has 1 to {MAX_PROFILE_CHARS} lowercase letters, digits and inner hyphens and \
     begins with a letter; it is not boot, readiness or smokes"
)]
pub struct InvalidProfile;

impl Profile {
    /// The profile of every node; others build on it.
    pub fn base() -> Self {
        Self("base".into())
    }

    /// What a platform for WordPress needs of a node.
    pub fn web() -> Self {
        Self("web".into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Profile {
    type Err = InvalidProfile;

    /// The name becomes part of a path and of a host's facts: it holds nothing that means more.
    fn from_str(text: &str) -> Result<Self, InvalidProfile> {
        let begins_well = text.starts_with(|first: char| first.is_ascii_lowercase());
        let is_taken = PLAYBOOKS_OF_EVERY_RUN.contains(&text);
        if begins_well && !is_taken && text.len() <= MAX_PROFILE_CHARS && is_dns_label(text) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidProfile)
        }
    }
}

impl TryFrom<String> for Profile {
    type Error = InvalidProfile;

    fn try_from(text: String) -> Result<Self, InvalidProfile> {
        text.parse()
    }
}

impl From<Profile> for String {
    fn from(profile: Profile) -> String {
        profile.0
    }
}

/// The first key, at any depth, that Ansible would not read as plain data: it gives names that
/// start with `__ansible` a meaning of its own.
pub fn reserved_var(vars: &Map<String, Value>) -> Option<&str> {
    vars.iter().find_map(|(key, value)| {
        if key.starts_with("__ansible") { Some(key.as_str()) } else { reserved_within(value) }
    })
}

fn reserved_within(value: &Value) -> Option<&str> {
    match value {
        Value::Object(map) => reserved_var(map),
        Value::Array(list) => list.iter().find_map(reserved_within),
        _ => None,
    }
}

/// The images a node may be made of; the playbooks know these and no other.
pub const IMAGES: &[&str] = &[DEFAULT_IMAGE];

/// The ladder when the caller gives none: current shared types, cheapest first, then the next
/// location (dated list of server types, 2025-10-16).
pub fn default_ladder() -> Vec<Rung> {
    [("cx23", "fsn1"), ("cx23", "nbg1"), ("cx23", "hel1"), ("cpx22", "fsn1"), ("cpx22", "nbg1")]
        .map(|(server_type, location)| Rung {
            server_type: server_type.into(),
            location: location.into(),
        })
        .into()
}

/// The inputs of a node, fixed at acceptance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeSpec {
    pub name: String,
    pub connection: ConnectionName,
    pub profile: Profile,
    #[serde(default)]
    pub vars: Map<String, Value>,
    pub placement: Vec<Rung>,
    pub image: String,
    /// Net, a month, in the project's currency, Primary IPv4 included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_price: Option<f64>,
    #[serde(default)]
    pub authorized_keys: Vec<String>,
    #[serde(default)]
    pub allow_ssh_from: Vec<String>,
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    #[serde(default)]
    pub keep_on_failure: bool,
    /// Put the server into a spread placement group.
    #[serde(default)]
    pub spread: bool,
    /// What the node costs on each rung, as priced at acceptance; empty where nothing was priced.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prices: Vec<Option<Price>>,
    pub deadline_secs: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_is_named_by_a_word_that_can_be_no_path() {
        for good in ["base", "web", "shop-2", "w", &"a".repeat(MAX_PROFILE_CHARS)] {
            assert_eq!(good.parse::<Profile>().unwrap().as_str(), good);
        }
        let long = "a".repeat(MAX_PROFILE_CHARS + 1);
        for bad in ["", "2shop", "-a", "a-", "Web", "a/b", "..", "a.b", "a_b", "a b", "boot", &long]
        {
            assert_eq!(bad.parse::<Profile>(), Err(InvalidProfile), "{bad}");
            assert!(serde_json::from_value::<Profile>(bad.into()).is_err());
        }
        assert_eq!(serde_json::to_value(Profile::web()).unwrap(), "web");
    }

    #[test]
    fn names_that_ansible_keeps_for_itself_are_found_at_any_depth() {
        let vars = |text: &str| serde_json::from_str::<Map<String, Value>>(text).unwrap();
        assert_eq!(reserved_var(&vars(r#"{"timezone": "UTC", "a": [{"b": 1}]}"#)), None);
        let nested = vars(r#"{"a": [1, {"__ansible_unsafe": "x"}]}"#);
        assert_eq!(reserved_var(&nested), Some("__ansible_unsafe"));
    }
}
