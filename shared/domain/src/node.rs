//! A node's record, and the change one commit makes to it.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    connection::keys::{first_key_version, is_first_key_version},
    id::{JobId, NodeId},
    placement::Price,
    readiness::Finding,
    spec::NodeSpec,
};

/// Waits before the sweep releases what could not be removed, in seconds.
const FIRST_RELEASE_SECS: i64 = 300;
const LAST_RELEASE_SECS: i64 = 6 * 3600;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeStatus {
    Acquiring,
    Configuring,
    Ready,
    NotReady,
    /// Failed, and kept on the caller's wish: still owned, still billed.
    Kept,
    Releasing,
    /// What could not be removed yet: retried until gone.
    CleanupPending,
    Released,
    Failed,
}

impl NodeStatus {
    pub const ALL: &[NodeStatus] = &[
        Self::Acquiring,
        Self::Configuring,
        Self::Ready,
        Self::NotReady,
        Self::Kept,
        Self::Releasing,
        Self::CleanupPending,
        Self::Released,
        Self::Failed,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Acquiring => "acquiring",
            Self::Configuring => "configuring",
            Self::Ready => "ready",
            Self::NotReady => "not_ready",
            Self::Kept => "kept",
            Self::Releasing => "releasing",
            Self::CleanupPending => "cleanup_pending",
            Self::Released => "released",
            Self::Failed => "failed",
        }
    }

    /// Nothing of the node is left at the provider.
    pub fn is_gone(self) -> bool {
        matches!(self, Self::Released | Self::Failed)
    }
}

/// What the provider told of the node's server. The id comes from our own create answer or from
/// an adoption with proof.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Server {
    pub id: u64,
    pub name: String,
    /// The attempt that made it.
    pub attempt: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv4: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv6: Option<String>,
    /// Primary IPs made with the server; they carry no labels, so they are known by id only.
    #[serde(default)]
    pub primary_ips: Vec<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Node {
    pub id: NodeId,
    pub status: NodeStatus,
    /// When it came to be of this status; absent on records of an older release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_since: Option<Timestamp>,
    pub spec: NodeSpec,
    /// The one name its server has, for all attempts.
    pub server_name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<Server>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<Price>,
    #[serde(default)]
    pub readiness: Vec<Finding>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checked_at: Option<Timestamp>,
    /// The labels as they are now; `spec.labels` are those of the acceptance.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open_job: Option<JobId>,
    /// A release that waits for the open job to end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queued_release: Option<JobId>,
    /// The newest attempt at creation: bounds the nonces that are ours.
    #[serde(default)]
    pub attempts: u32,
    /// When the sweep opens the next release: while the node is `cleanup_pending` and free.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release_at: Option<Timestamp>,
    /// How often the node has become `cleanup_pending` since something of it was last gone.
    #[serde(default)]
    pub cleanup_tries: u32,
    /// The last run number given out on this node's jobs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_run: Option<RunRef>,
    /// The oldest version of the managed key that may be the one the node lets in; it may be any
    /// newer one as well. No version from here on is destroyed.
    #[serde(default = "first_key_version", skip_serializing_if = "is_first_key_version")]
    pub key_version: u32,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl Node {
    /// What the node costs on a rung of its ladder, as priced at acceptance.
    pub fn price_on(&self, rung: usize) -> Option<Price> {
        self.spec.prices.get(rung).cloned().flatten()
    }

    /// Takes a status on. Each time that something is left behind, the next release comes later:
    /// 5 minutes, doubling to 6 hours.
    pub fn enter(&mut self, status: NodeStatus, now: Timestamp) {
        if self.status != status {
            self.status_since = Some(now);
        }
        self.status = status;
        self.release_at = None;
        if status == NodeStatus::CleanupPending {
            let doublings = self.cleanup_tries.min(16);
            let wait = (FIRST_RELEASE_SECS << doublings).min(LAST_RELEASE_SECS);
            self.cleanup_tries += 1;
            self.release_at = Some(now + SignedDuration::from_secs(wait));
        } else if status.is_gone() {
            self.cleanup_tries = 0;
        }
    }
}

/// Names a run: the job it belongs to and its number within that job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRef {
    pub job_id: JobId,
    pub number: u32,
    /// False once the run was seen stopped.
    pub active: bool,
}

/// What a commit changes on the node: only what is named.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NodeChange {
    pub status: Option<NodeStatus>,
    pub server: Option<Option<Server>>,
    pub attempts: Option<u32>,
    pub readiness: Option<(Vec<Finding>, Timestamp)>,
    pub last_run: Option<Option<RunRef>>,
    pub key_version: Option<u32>,
    /// The rung the server is on, which sets the node's price.
    pub rung: Option<usize>,
    /// The job has ended: the node is free, or its queued release has its turn.
    pub close_job: bool,
}

impl NodeChange {
    pub fn status(status: NodeStatus) -> Self {
        Self { status: Some(status), ..Self::default() }
    }

    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The node as it is after the change, which `job` makes.
    pub fn apply(&self, node: &mut Node, job: &JobId, now: Timestamp) {
        if let Some(status) = self.status {
            node.enter(status, now);
        }
        if let Some(server) = &self.server {
            node.server.clone_from(server);
        }
        if let Some(attempts) = self.attempts {
            node.attempts = attempts;
        }
        if let Some((findings, at)) = &self.readiness {
            node.readiness.clone_from(findings);
            node.checked_at = Some(*at);
        }
        if let Some(price) = self.rung.and_then(|rung| node.price_on(rung)) {
            node.price = Some(price);
        }
        if let Some(run) = &self.last_run {
            node.last_run.clone_from(run);
        }
        if let Some(version) = self.key_version {
            node.key_version = version;
        }
        if self.close_job {
            if node.open_job.as_ref() == Some(job) {
                node.open_job = node.queued_release.take();
            } else {
                // A job that only waited for the node leaves the open one alone.
                node.queued_release.take_if(|queued| queued == job);
            }
        }
        node.updated_at = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{acceptance, placement::Rung, spec::Profile};

    fn now() -> Timestamp {
        Timestamp::from_second(1_800_000_000).unwrap()
    }

    #[test]
    fn a_status_is_written_as_it_is_stored() {
        for status in NodeStatus::ALL {
            assert_eq!(serde_json::to_value(status).unwrap(), status.as_str());
        }
    }

    #[test]
    fn a_change_that_changes_nothing_is_empty() {
        assert!(NodeChange::default().is_empty());
        assert!(!NodeChange::status(NodeStatus::Ready).is_empty());
        assert!(!NodeChange { close_job: true, ..NodeChange::default() }.is_empty());
    }

    fn node() -> Node {
        let spec = NodeSpec {
            name: "web".into(),
            connection: "main".parse().unwrap(),
            profile: Profile::base(),
            vars: serde_json::Map::new(),
            placement: vec![Rung { server_type: "cx23".into(), location: "fsn1".into() }],
            image: "debian-13".into(),
            max_price: None,
            authorized_keys: Vec::new(),
            allow_ssh_from: Vec::new(),
            labels: BTreeMap::new(),
            keep_on_failure: false,
            spread: false,
            prices: vec![Some(Price { monthly_net: 3.49, currency: "EUR".into() })],
            deadline_secs: 1800,
        };
        let ids = (JobId::from_bits(1), NodeId::from_bits(2));
        acceptance::provision(ids.0, ids.1, spec, "actor", None, now()).1
    }

    #[test]
    fn what_is_left_behind_is_released_later_each_time() {
        let mut node = node();
        let mut waits = Vec::new();
        for _ in 0..20 {
            node.enter(NodeStatus::Releasing, now());
            assert_eq!(node.release_at, None);
            node.enter(NodeStatus::CleanupPending, now());
            waits.push((node.release_at.unwrap() - now()).get_seconds());
        }
        assert_eq!(waits[..8], [300, 600, 1200, 2400, 4800, 9600, 19_200, 21_600]);
        assert!(waits[8..].iter().all(|secs| *secs == 6 * 3600));
        assert_eq!(node.cleanup_tries, 20);
    }

    #[test]
    fn only_being_gone_makes_the_waits_start_anew() {
        for status in NodeStatus::ALL {
            let mut node = node();
            node.enter(NodeStatus::CleanupPending, now());
            node.enter(*status, now());
            assert_eq!(node.status, *status);
            let expected = match status {
                NodeStatus::Released | NodeStatus::Failed => 0,
                NodeStatus::CleanupPending => 2,
                _ => 1,
            };
            assert_eq!(node.cleanup_tries, expected, "{status:?}");
            assert_eq!(node.release_at.is_some(), *status == NodeStatus::CleanupPending);
        }
    }

    #[test]
    fn the_rung_a_server_is_on_sets_the_price() {
        let (mut node, job) = (node(), JobId::from_bits(1));
        NodeChange { rung: Some(7), ..NodeChange::default() }.apply(&mut node, &job, now());
        assert_eq!(node.price, None, "a rung that was never priced");
        NodeChange { rung: Some(0), ..NodeChange::default() }.apply(&mut node, &job, now());
        assert_eq!(node.price.unwrap().monthly_net, 3.49);
    }

    #[test]
    fn the_turn_passes_to_the_release_that_waits() {
        let (first, second) = (JobId::from_bits(1), JobId::from_bits(5));
        let close = NodeChange { close_job: true, ..NodeChange::default() };
        let mut waited = node();
        waited.queued_release = Some(second.clone());
        close.apply(&mut waited, &first, now());
        assert_eq!((&waited.open_job, &waited.queued_release), (&Some(second.clone()), &None));
        // One that ends while it waits leaves the open job alone.
        let mut left = node();
        left.queued_release = Some(second.clone());
        close.apply(&mut left, &second, now());
        assert_eq!((left.open_job, left.queued_release), (Some(first), None));
    }
}
