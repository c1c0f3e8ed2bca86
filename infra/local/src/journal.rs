//! The simulator's journal, read for what happened at the provider: nothing of it is our own
//! record.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

/// Faults whose caller cannot know what happened.
const LOST: &[&str] =
    &["answer_lost", "drop", "bad_gateway", "timeout", "lands_late", "unreadable"];

/// What is for sale: read once for all nodes, and kept for a while.
const CATALOGUE: [&str; 4] = ["/server_types", "/locations", "/images", "/pricing"];

/// One request.
#[derive(Debug, Clone, Deserialize)]
pub struct Entry {
    /// When it came.
    pub at: Timestamp,
    /// Such as `POST`.
    pub method: String,
    /// Without `/v1`.
    pub path: String,
    /// Of the answer; none if the connection was closed instead.
    pub status: Option<u16>,
    /// Name of the token; none if it was missing or wrong.
    pub token: Option<String>,
    /// `name` in the body.
    pub name: Option<String>,
    /// Whether anything was changed.
    #[serde(default)]
    pub effect: bool,
    /// What was made.
    pub created_id: Option<u64>,
    /// Kinds of the faults that hit it.
    #[serde(default)]
    pub faults: Vec<String>,
    /// The body, if it was asked for.
    #[serde(default)]
    pub body: Value,
}

impl Entry {
    /// Method and path, with ids left out.
    pub fn route(&self) -> String {
        let is_id = |part: &str| part.parse::<u64>().is_ok();
        let parts = self.path.split('/').map(|part| if is_id(part) { "{id}" } else { part });
        format!("{} {}", self.method, parts.collect::<Vec<_>>().join("/"))
    }

    /// Whether it asks for a server.
    pub fn is_create(&self) -> bool {
        self.method == "POST" && self.path == "/servers"
    }

    /// The server that it asked to delete, if that had an effect.
    pub fn deleted_server(&self) -> Option<u64> {
        let id = self.path.strip_prefix("/servers/")?.parse().ok()?;
        (self.method == "DELETE" && self.effect).then_some(id)
    }

    /// Whether its answer was lost, garbled, or says nothing about what happened.
    pub fn is_lost(&self) -> bool {
        self.faults.iter().any(|fault| LOST.contains(&fault.as_str()))
    }

    /// Whether it was one request too many: 429, and not because a drill asked for that.
    pub fn is_over_the_limit(&self) -> bool {
        self.status == Some(429) && !self.faults.iter().any(|fault| fault == "rate_limited")
    }

    /// Whether it reads what is for sale.
    pub fn is_catalogue(&self) -> bool {
        CATALOGUE.iter().any(|path| self.path.ends_with(path))
    }

    /// A label that a server was asked for with.
    pub fn label(&self, key: &str) -> Option<&str> {
        self.body.get("labels")?.get(key)?.as_str()
    }
}

/// Requests by method and path, with ids left out.
pub fn by_route<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for entry in entries {
        *counts.entry(entry.route()).or_default() += 1;
    }
    counts
}

/// A request that nothing happened to.
#[cfg(test)]
pub fn entry(method: &str, path: &str, name: Option<&str>, status: u16) -> Entry {
    Entry {
        at: Timestamp::UNIX_EPOCH,
        method: method.to_owned(),
        path: path.to_owned(),
        status: Some(status),
        token: None,
        name: name.map(str::to_owned),
        effect: false,
        created_id: None,
        faults: Vec::new(),
        body: Value::Null,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{Entry, by_route, entry};
    use serde_json::json;

    #[test]
    fn entries_are_read_as_the_simulator_writes_them() {
        let entry: Entry = serde_json::from_value(json!({
            "seq": 3, "at": "2026-01-01T00:00:00.250Z", "method": "POST", "path": "/servers",
            "query": "", "status": null, "code": null, "correlation_id": "x", "token": "main",
            "project": "demo", "name": "a-1", "effect": true, "created_id": 7, "late": null,
            "faults": ["answer_lost"],
            "body": { "labels": { "nodeyard/node": "node-1" } },
        }))
        .unwrap();
        assert!(entry.is_create() && entry.is_lost() && !entry.is_over_the_limit());
        assert_eq!(entry.label("nodeyard/node"), Some("node-1"));
        let deleted = Entry { method: "DELETE".into(), path: "/servers/7".into(), ..entry };
        assert_eq!(deleted.deleted_server(), Some(7));
    }

    #[test]
    fn a_429_that_was_asked_for_is_not_ours() {
        let refused = entry("GET", "/servers", None, 429);
        let asked_for = Entry { faults: vec!["rate_limited".to_owned()], ..refused.clone() };
        assert!(refused.is_over_the_limit() && !asked_for.is_over_the_limit());
    }

    #[test]
    fn routes_are_counted_without_ids() {
        let entries =
            [entry("GET", "/servers/17", None, 200), entry("GET", "/servers/4", None, 429)];
        assert_eq!(by_route(&entries).get("GET /servers/{id}"), Some(&2));
        assert!(!entries[0].is_catalogue() && entry("GET", "/images", None, 200).is_catalogue());
    }
}
