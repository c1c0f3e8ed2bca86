//! Events: what subscribers are told of a change, and which changes cause one.
//!
//! | what changes | event |
//! | --- | --- |
//! | a node's status becomes ready | NodeReady |
//! | a node's status becomes not_ready | NodeNotReady |
//! | a node's status becomes released | NodeReleased |
//! | a node's status becomes cleanup_pending | CleanupPending |
//! | a node's status becomes anything else | none |
//! | a job ends as failed | JobFailed |
//! | a job ends otherwise, or goes on | none |
//! | a connection becomes degraded or disconnected, or is so for another reason | ProviderDegraded |
//! | a connection becomes connected | ProviderConnected |
//! | an orphan is put on record | OrphanFound |
//! | an answer of the provider differs from its model | ApiDrift |
//!
//! An id follows from the change: whoever works the event out again, or sends it again, names the
//! same id, and no two changes share one. Details are small and hold no secret: ids, names, codes.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    code::Code,
    connection::{Connection, ConnectionName, ConnectionReason, ConnectionStatus},
    id::{EventId, JobId, NodeId},
    job::{Job, JobKind, JobState},
    node::{Node, NodeStatus, Server},
    orphan::{Orphan, OrphanId, OrphanReason, ResourceKind},
    readiness::ReadinessCode,
    step::Decision,
};

/// The form of the details. It grows when a field goes or changes its meaning; new fields may come
/// without that.
pub const VERSION: u32 = 1;
/// Who events are by, as rules on the bus name it.
pub const SOURCE: &str = "nodeyard";
/// The most characters of a text that is not ours.
const MAX_TEXT: usize = 300;

/// What an event is of; its name on the bus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventKind {
    ProviderDegraded,
    ProviderConnected,
    NodeReady,
    NodeNotReady,
    NodeReleased,
    JobFailed,
    OrphanFound,
    ApiDrift,
    CleanupPending,
}

impl EventKind {
    pub const ALL: &[EventKind] = &[
        Self::ProviderDegraded,
        Self::ProviderConnected,
        Self::NodeReady,
        Self::NodeNotReady,
        Self::NodeReleased,
        Self::JobFailed,
        Self::OrphanFound,
        Self::ApiDrift,
        Self::CleanupPending,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::ProviderDegraded => "ProviderDegraded",
            Self::ProviderConnected => "ProviderConnected",
            Self::NodeReady => "NodeReady",
            Self::NodeNotReady => "NodeNotReady",
            Self::NodeReleased => "NodeReleased",
            Self::JobFailed => "JobFailed",
            Self::OrphanFound => "OrphanFound",
            Self::ApiDrift => "ApiDrift",
            Self::CleanupPending => "CleanupPending",
        }
    }
}

/// What is told of a node, whatever became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeDetail {
    pub node_id: NodeId,
    pub name: String,
    pub connection: ConnectionName,
    /// The status before.
    pub was: NodeStatus,
    /// The job that changed it; absent when no job did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_id: Option<JobId>,
    /// The provider's id of its server, or of the one that was released.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_id: Option<u64>,
}

/// What has changed, with what is told of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind")]
pub enum Change {
    ProviderDegraded {
        connection: ConnectionName,
        status: ConnectionStatus,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<ConnectionReason>,
        /// The status before.
        was: ConnectionStatus,
    },
    ProviderConnected {
        connection: ConnectionName,
        /// The status before.
        was: ConnectionStatus,
    },
    NodeReady {
        #[serde(flatten)]
        node: NodeDetail,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ipv4: Option<String>,
    },
    NodeNotReady {
        #[serde(flatten)]
        node: NodeDetail,
        /// Readiness probes that failed, warnings left out.
        failing: Vec<ReadinessCode>,
    },
    NodeReleased {
        #[serde(flatten)]
        node: NodeDetail,
    },
    JobFailed {
        job_id: JobId,
        job_kind: JobKind,
        node_id: NodeId,
        connection: ConnectionName,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        code: Option<Code>,
    },
    OrphanFound {
        orphan_id: OrphanId,
        connection: ConnectionName,
        resource: ResourceKind,
        provider_id: u64,
        reason: OrphanReason,
        /// Whether it will be removed without being asked for.
        removed_by_itself: bool,
        /// The node that it names, whether or not there is such a record.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        node_id: Option<NodeId>,
    },
    ApiDrift {
        connection: ConnectionName,
        /// Which answer of the provider it is.
        answer: String,
        /// Where and how it differs.
        difference: String,
    },
    CleanupPending {
        #[serde(flatten)]
        node: NodeDetail,
        /// When it is released next, if nobody does so before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        release_at: Option<Timestamp>,
        /// How often it has become so since something of it was last gone.
        tries: u32,
    },
}

impl Change {
    pub fn kind(&self) -> EventKind {
        match self {
            Self::ProviderDegraded { .. } => EventKind::ProviderDegraded,
            Self::ProviderConnected { .. } => EventKind::ProviderConnected,
            Self::NodeReady { .. } => EventKind::NodeReady,
            Self::NodeNotReady { .. } => EventKind::NodeNotReady,
            Self::NodeReleased { .. } => EventKind::NodeReleased,
            Self::JobFailed { .. } => EventKind::JobFailed,
            Self::OrphanFound { .. } => EventKind::OrphanFound,
            Self::ApiDrift { .. } => EventKind::ApiDrift,
            Self::CleanupPending { .. } => EventKind::CleanupPending,
        }
    }

    /// The id or name of what has changed: a node, job, orphan or connection.
    pub fn subject(&self) -> &str {
        match self {
            Self::ProviderDegraded { connection, .. }
            | Self::ProviderConnected { connection, .. }
            | Self::ApiDrift { connection, .. } => connection.as_str(),
            Self::NodeReady { node, .. }
            | Self::NodeNotReady { node, .. }
            | Self::NodeReleased { node }
            | Self::CleanupPending { node, .. } => node.node_id.as_str(),
            Self::JobFailed { job_id, .. } => job_id.as_str(),
            Self::OrphanFound { orphan_id, .. } => orphan_id.as_str(),
        }
    }
}

/// One event: as it waits to be sent, and as the detail of what a subscriber receives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// [`VERSION`] of the release that told it.
    pub version: u32,
    /// The same for the same change, however often it is sent.
    pub id: EventId,
    /// When the change was made.
    pub at: Timestamp,
    #[serde(flatten)]
    pub change: Change,
}

impl Event {
    /// `cause` names the one write that makes the change.
    fn new(change: Change, cause: &str, at: Timestamp) -> Self {
        let id = format!("{}\n{}\n{cause}", change.kind().as_str(), change.subject());
        Self { version: VERSION, id: EventId::derived(&id), at, change }
    }

    pub fn kind(&self) -> EventKind {
        self.change.kind()
    }
}

/// What a job's commit causes. `before` and `node` are as they were loaded; the commit has to be
/// conditional on the job's version and on the node's status.
pub fn of_commit(before: &Job, node: &Node, decision: &Decision) -> Vec<Event> {
    let at = decision.job.updated_at;
    let cause = format!("{}\n{}", before.id, before.version + 1);
    let mut changes = Vec::new();
    if decision.node.status.is_some_and(|status| status != node.status) {
        let mut after = node.clone();
        decision.node.apply(&mut after, &before.id, at);
        changes.extend(of_node(node, &after, Some(&before.id)));
    }
    if decision.job.state == JobState::Failed && before.state != JobState::Failed {
        changes.push(Change::JobFailed {
            job_id: before.id.clone(),
            job_kind: before.kind,
            node_id: before.node_id.clone(),
            connection: before.connection.clone(),
            code: decision.job.error.as_ref().map(|error| error.code),
        });
    }
    changes.into_iter().map(|change| Event::new(change, &cause, at)).collect()
}

/// What is caused by a server that goes to its node without a job: `after` is the node with it.
pub fn of_left_server(before: &Node, after: &Node, server: &Server) -> Option<Event> {
    let at = after.updated_at;
    let cause = format!("{}\n{at}", server.id);
    of_node(before, after, None).map(|change| Event::new(change, &cause, at))
}

/// What a change of a node's status causes.
fn of_node(before: &Node, after: &Node, job: Option<&JobId>) -> Option<Change> {
    if before.status == after.status {
        return None;
    }
    let server = after.server.as_ref().or(before.server.as_ref());
    let node = NodeDetail {
        node_id: after.id.clone(),
        name: after.spec.name.clone(),
        connection: after.spec.connection.clone(),
        was: before.status,
        job_id: job.cloned(),
        server_id: server.map(|server| server.id),
    };
    match after.status {
        NodeStatus::Ready => {
            let ipv4 = after.server.as_ref().and_then(|server| server.ipv4.clone());
            Some(Change::NodeReady { node, ipv4 })
        }
        NodeStatus::NotReady => {
            let failing = after.readiness.iter().filter(|it| !it.ok && !it.warning);
            Some(Change::NodeNotReady { node, failing: failing.map(|it| it.code).collect() })
        }
        NodeStatus::Released => Some(Change::NodeReleased { node }),
        NodeStatus::CleanupPending => Some(Change::CleanupPending {
            node,
            release_at: after.release_at,
            tries: after.cleanup_tries,
        }),
        NodeStatus::Acquiring
        | NodeStatus::Configuring
        | NodeStatus::Kept
        | NodeStatus::Releasing
        | NodeStatus::Failed => None,
    }
}

/// What a change of a connection causes, where the write of `after` is conditional on the version
/// of `before`.
pub fn of_connection(before: &Connection, after: &Connection, now: Timestamp) -> Vec<Event> {
    let was = before.status;
    let connection = || after.name.clone();
    let change = match after.status {
        ConnectionStatus::Connected if was != after.status => {
            Some(Change::ProviderConnected { connection: connection(), was })
        }
        ConnectionStatus::Degraded | ConnectionStatus::Disconnected
            if (was, before.reason) != (after.status, after.reason) =>
        {
            let (status, reason) = (after.status, after.reason);
            Some(Change::ProviderDegraded { connection: connection(), status, reason, was })
        }
        _ => None,
    };
    let drift = after.drift.as_ref().filter(|_| after.drift != before.drift).map(|drift| {
        let cut = |text: &str| text.chars().take(MAX_TEXT).collect::<String>();
        let (answer, difference) = drift.split_once(": ").unwrap_or((drift, ""));
        let (answer, difference) = (cut(answer), cut(difference));
        Change::ApiDrift { connection: connection(), answer, difference }
    });
    let events = change.into_iter().chain(drift);
    events.map(|change| Event::new(change, &version_of(before), now)).collect()
}

/// A name may be used for another connection later, and versions then begin anew.
fn version_of(connection: &Connection) -> String {
    format!("{}\n{}", connection.created_at, connection.version)
}

/// What an orphan that is put on record causes.
pub fn of_orphan(orphan: &Orphan) -> Event {
    let change = Change::OrphanFound {
        orphan_id: orphan.id.clone(),
        connection: orphan.connection.clone(),
        resource: orphan.kind,
        provider_id: orphan.provider_id,
        reason: orphan.reason,
        removed_by_itself: orphan.reason.is_removed(),
        node_id: orphan.node.clone(),
    };
    Event::new(change, &orphan.last_seen_at.to_string(), orphan.last_seen_at)
}
