//! What a thing at the provider is to us when it is held against our records.
//!
//! Only what carries our deployment's label is looked at, and Primary IPs, which carry none, by
//! an id on record. The records have to be read after the thing was listed: a node's record is
//! written before its server is asked for, so a server that is listed and has no record was never
//! asked for by one that is still on its way.
//!
//! | thing | what the records say | then |
//! | --- | --- | --- |
//! | server | it is its node's server | accounted for |
//! | server | its node has an open job, or is cleanup_pending | accounted for |
//! | server | its node is released or failed, its nonce is one of the node's | left_behind: removed |
//! | server | its node lives, its nonce is of an older attempt | older_attempt |
//! | server | its node lives and has another server, its nonce is the newest attempt's | second_server |
//! | server | its nonce is none of its node's | not_proven |
//! | server | its node is another connection's | other_connection |
//! | server | it names no node, or none that is on record | unknown_node |
//! | placement group | it has servers | accounted for |
//! | placement group | it is empty | empty_group: removed |
//! | SSH key | it is the connection's managed key | accounted for |
//! | SSH key | it is another | unused_key |
//! | Primary IP | it is assigned, or its node has a job or a server | accounted for |
//! | Primary IP | it is on record with a node that is released or failed | left_address: removed |
//! | Primary IP | it was seen with an orphan that is gone | unproven_address |
//!
//! What is not "removed" is reported only, for an admin to decide on.

mod report;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use self::report::{
    ConnectionSeen, GroupSeen, LONGEST_GAP_SECS, Orphan, OrphanId, OrphanState, REMOVAL_AFTER_SECS,
};

use crate::{
    connection::ConnectionName,
    id::NodeId,
    node::{Node, NodeStatus, Server},
    ownership::{self, DeploymentKey, LABEL_DEPLOYMENT, LABEL_NODE, Ownership},
};

/// What kind of thing it is at the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResourceKind {
    Server,
    PrimaryIp,
    PlacementGroup,
    SshKey,
}

impl ResourceKind {
    pub const ALL: &[ResourceKind] =
        &[Self::Server, Self::PrimaryIp, Self::PlacementGroup, Self::SshKey];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::PrimaryIp => "primary_ip",
            Self::PlacementGroup => "placement_group",
            Self::SshKey => "ssh_key",
        }
    }
}

/// A thing as the provider lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    pub kind: ResourceKind,
    pub id: u64,
    pub name: String,
    pub labels: BTreeMap<String, String>,
    /// How many servers use it: the members of a group, the holder of a Primary IP. 0 for others.
    pub servers: u32,
    /// For a server: what its node's record would hold of it. `attempt` is 0: the labels tell.
    pub server: Option<Server>,
}

impl Resource {
    fn label(&self, key: &str) -> Option<&str> {
        self.labels.get(key).map(String::as_str)
    }

    /// Whether the provider shows our deployment's label on it.
    pub fn is_labelled(&self, deployment: &str) -> bool {
        self.label(LABEL_DEPLOYMENT) == Some(deployment)
    }

    /// The node that a server says it is of. A label proves nothing.
    pub fn named_node(&self) -> Option<NodeId> {
        self.label(LABEL_NODE)?.parse().ok()
    }
}

/// Why a thing is an orphan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrphanReason {
    LeftBehind,
    OlderAttempt,
    SecondServer,
    NotProven,
    OtherConnection,
    UnknownNode,
    EmptyGroup,
    UnusedKey,
    LeftAddress,
    UnprovenAddress,
}

impl OrphanReason {
    pub const ALL: &[OrphanReason] = &[
        Self::LeftBehind,
        Self::OlderAttempt,
        Self::SecondServer,
        Self::NotProven,
        Self::OtherConnection,
        Self::UnknownNode,
        Self::EmptyGroup,
        Self::UnusedKey,
        Self::LeftAddress,
        Self::UnprovenAddress,
    ];

    /// Proved ours and needed by nobody, so that it goes without being asked for.
    ///
    /// A server of a node that lives is not among them, whatever its nonce: it can only be given
    /// back to its node, whose place another server has. It is removed once the node is gone.
    pub fn is_removed(self) -> bool {
        matches!(self, Self::LeftBehind | Self::EmptyGroup | Self::LeftAddress)
    }

    /// For people.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::LeftBehind => "It is proved ours, and its node is released or failed.",
            Self::OlderAttempt => {
                "It was made by an older attempt, and its node has a newer server."
            }
            Self::SecondServer => "It is proved ours, and its node's record names another server.",
            Self::NotProven => "It names one of our nodes and has none of its nonces.",
            Self::OtherConnection => "It names a node that belongs to another connection.",
            Self::UnknownNode => "It has our deployment's label and names no node on record.",
            Self::EmptyGroup => "It is a placement group of ours without servers.",
            Self::UnusedKey => "It has our deployment's label and is not the managed key.",
            Self::LeftAddress => "It is on record with a node that is released or failed.",
            Self::UnprovenAddress => "It was seen on a server that is gone, and nobody uses it.",
        }
    }
}

/// What a thing is to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Without our label: none of our business.
    NotOurs,
    /// A record says what is to become of it.
    Accounted,
    Orphan(OrphanReason),
}

/// What things of one connection are held against.
#[derive(Debug, Clone, Copy)]
pub struct Judge<'a> {
    pub key: &'a DeploymentKey,
    pub deployment: &'a str,
    pub connection: &'a ConnectionName,
    /// The id of the connection's managed SSH key.
    pub managed_key: Option<u64>,
}

impl Judge<'_> {
    /// Judges a labelled thing; `node` is the record of the node that it names.
    pub fn judge(&self, thing: &Resource, node: Option<&Node>) -> Verdict {
        if !thing.is_labelled(self.deployment) {
            return Verdict::NotOurs;
        }
        match thing.kind {
            ResourceKind::Server => self.judge_server(thing, node),
            ResourceKind::PlacementGroup if thing.servers == 0 => {
                Verdict::Orphan(OrphanReason::EmptyGroup)
            }
            ResourceKind::SshKey if self.managed_key != Some(thing.id) => {
                Verdict::Orphan(OrphanReason::UnusedKey)
            }
            // Ours carry no labels: one that does was labelled by somebody who has use for it.
            ResourceKind::PrimaryIp => Verdict::NotOurs,
            ResourceKind::PlacementGroup | ResourceKind::SshKey => Verdict::Accounted,
        }
    }

    fn judge_server(&self, thing: &Resource, node: Option<&Node>) -> Verdict {
        let Some(node) = node.filter(|node| thing.named_node().as_ref() == Some(&node.id)) else {
            return Verdict::Orphan(OrphanReason::UnknownNode);
        };
        if node.spec.connection != *self.connection {
            return Verdict::Orphan(OrphanReason::OtherConnection);
        }
        let is_on_record = node.server.as_ref().is_some_and(|server| server.id == thing.id);
        if has_work(node) || is_on_record && !node.status.is_gone() {
            return Verdict::Accounted;
        }
        Verdict::Orphan(match (self.proof(thing, node), node.status.is_gone()) {
            // An id on record is proof as well: it came from our own create answer.
            _ if is_on_record => OrphanReason::LeftBehind,
            (Ownership::Foreign, _) => OrphanReason::NotProven,
            (Ownership::Current | Ownership::Older { .. }, true) => OrphanReason::LeftBehind,
            (Ownership::Older { .. }, false) => OrphanReason::OlderAttempt,
            (Ownership::Current, false) => OrphanReason::SecondServer,
        })
    }

    fn proof(&self, thing: &Resource, node: &Node) -> Ownership {
        ownership::judge(self.key, self.deployment, &node.id, node.attempts, &thing.labels)
    }

    /// The server as its node's record is to hold it when it is given back: as it is on record, or
    /// with the attempt that its nonce tells. `None` when nothing proves it ours.
    pub fn proved_server(&self, thing: &Resource, node: &Node) -> Option<Server> {
        if let Some(known) = node.server.as_ref().filter(|known| known.id == thing.id) {
            return Some(known.clone());
        }
        let attempt = match self.proof(thing, node) {
            Ownership::Current => node.attempts,
            Ownership::Older { attempt } => attempt,
            Ownership::Foreign => return None,
        };
        thing.server.clone().map(|server| Server { attempt, ..server })
    }
}

/// Judges a Primary IP whose id is on record: with `node`, or only seen on an orphan that is gone.
pub fn judge_address(thing: &Resource, node: Option<&Node>) -> Verdict {
    match node {
        _ if thing.servers > 0 => Verdict::Accounted,
        None => Verdict::Orphan(OrphanReason::UnprovenAddress),
        Some(node) if has_work(node) || !node.status.is_gone() => Verdict::Accounted,
        Some(_) => Verdict::Orphan(OrphanReason::LeftAddress),
    }
}

/// Somebody is at it, or will be: the sweep opens a release on each node that is left behind.
fn has_work(node: &Node) -> bool {
    node.open_job.is_some() || node.status == NodeStatus::CleanupPending
}

#[cfg(test)]
mod tests;
