//! What is reported of orphans, and the check's own record.

use std::{collections::BTreeMap, fmt};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{OrphanReason, Resource, ResourceKind};
use crate::{connection::ConnectionName, id::NodeId};

/// How long a thing has to be seen as the same left-over before it is removed, in seconds.
pub const REMOVAL_AFTER_SECS: i64 = 15 * 60;
/// A check that comes this long after the last one, in seconds, may work on a restored table.
pub const LONGEST_GAP_SECS: i64 = 30 * 60;

/// An orphan's name: kind, id at the provider and connection. It can stand in a path as it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OrphanId(String);

impl OrphanId {
    pub fn new(kind: ResourceKind, provider_id: u64, connection: &ConnectionName) -> Self {
        Self(format!("{}-{provider_id}@{connection}", kind.as_str()))
    }

    /// A text that a caller gave; one of another form names nothing.
    pub fn from_text(text: &str) -> Option<Self> {
        let (thing, connection) = text.split_once('@')?;
        let (kind, id) = thing.rsplit_once('-')?;
        let kind = ResourceKind::ALL.iter().find(|known| known.as_str() == kind)?;
        let whole = Self::new(*kind, id.parse().ok()?, &connection.parse().ok()?);
        (whole.0 == text).then_some(whole)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for OrphanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A thing at the provider that no record accounts for, as it is reported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Orphan {
    pub id: OrphanId,
    pub connection: ConnectionName,
    pub kind: ResourceKind,
    pub provider_id: u64,
    pub name: String,
    pub reason: OrphanReason,
    /// The node that it names, whether or not there is such a record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<NodeId>,
    /// For a server that is proved ours: the attempt that made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// A server's Primary IPs: they are known by these ids only once it is gone.
    #[serde(default)]
    pub primary_ips: Vec<u64>,
    /// Since when it is seen for this reason.
    pub first_seen_at: Timestamp,
    pub last_seen_at: Timestamp,
}

impl Orphan {
    /// The report of a sighting; `known` are the reports of the checks before. The time of the
    /// first sighting counts anew when the reason was another, or the thing was not there.
    pub fn seen(
        thing: &Resource,
        connection: &ConnectionName,
        reason: OrphanReason,
        node: Option<NodeId>,
        known: &[Self],
        now: Timestamp,
    ) -> Self {
        let id = OrphanId::new(thing.kind, thing.id, connection);
        let same = known.iter().find(|earlier| earlier.id == id && earlier.reason == reason);
        Self {
            id,
            connection: connection.clone(),
            kind: thing.kind,
            provider_id: thing.id,
            name: thing.name.clone(),
            reason,
            node,
            attempt: None,
            primary_ips: thing.server.iter().flat_map(|it| it.primary_ips.clone()).collect(),
            first_seen_at: same.map_or(now, |earlier| earlier.first_seen_at.min(now)),
            last_seen_at: now,
        }
    }

    /// Whether it is to be removed without being asked for: seen at least twice, far enough apart.
    pub fn is_due(&self) -> bool {
        let apart = SignedDuration::from_secs(REMOVAL_AFTER_SECS);
        self.reason.is_removed() && self.first_seen_at + apart <= self.last_seen_at
    }
}

/// A placement group as the last check saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupSeen {
    pub id: u64,
    /// Servers in it, by the provider's listing.
    pub servers: u32,
    /// Places it had left, by what the connection's jobs share.
    pub free: u32,
}

/// What the last check that could list a connection saw of it as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionSeen {
    pub at: Timestamp,
    /// Servers in the project without our label: counted, never touched. `None` when the provider
    /// does not say how many servers there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unlabelled_servers: Option<u64>,
    #[serde(default)]
    pub groups: Vec<GroupSeen>,
}

/// The orphan check's own record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrphanState {
    /// Grows with each change; a change is conditional on it. 0: nothing is stored yet.
    pub version: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_run_at: Option<Timestamp>,
    /// Set while nothing is removed: the table may be one that was restored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report_only_since: Option<Timestamp>,
    /// When an admin last said that the table and the project belong together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmed_at: Option<Timestamp>,
    #[serde(default)]
    pub connections: BTreeMap<ConnectionName, ConnectionSeen>,
}

impl OrphanState {
    /// As it is before the first check.
    pub fn empty() -> Self {
        Self {
            version: 0,
            last_run_at: None,
            report_only_since: None,
            confirmed_at: None,
            connections: BTreeMap::new(),
        }
    }

    /// Whether a check that begins now must not remove anything. A restored table is older than
    /// its last check, so a long gap is the sign of one. Before the first check of all,
    /// `all_accounted` decides: servers of ours that a table without a past cannot explain.
    pub fn must_only_report(&self, all_accounted: bool, now: Timestamp) -> bool {
        if self.report_only_since.is_some() {
            return true;
        }
        match self.last_run_at.max(self.confirmed_at) {
            Some(last) => last + SignedDuration::from_secs(LONGEST_GAP_SECS) < now,
            None => !all_accounted,
        }
    }

    /// A check has run, and only reported if it had to.
    pub fn ran(&mut self, only_reported: bool, now: Timestamp) {
        self.last_run_at = Some(now);
        if only_reported {
            self.report_only_since.get_or_insert(now);
        }
    }

    /// An admin says that the table and the projects belong together.
    pub fn confirm(&mut self, now: Timestamp) {
        self.report_only_since = None;
        self.confirmed_at = Some(now);
    }
}
