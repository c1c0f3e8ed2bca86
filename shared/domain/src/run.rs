//! A run: one execution of playbooks in a container task, bound to one server id.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    code::Code,
    connection::ConnectionName,
    evidence::RunEvidence,
    id::{JobId, NodeId},
    node::Node,
    readiness::Finding,
    spec::Profile,
};

/// Ansible's recap, summed over the run's playbooks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recap {
    pub ok: u32,
    pub changed: u32,
    pub failed: u32,
    pub unreachable: u32,
    pub skipped: u32,
}

impl Recap {
    /// The sum. The counts come from a node's side, so they may be anything: they stay at their
    /// most.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            ok: self.ok.saturating_add(other.ok),
            changed: self.changed.saturating_add(other.changed),
            failed: self.failed.saturating_add(other.failed),
            unreachable: self.unreachable.saturating_add(other.unreachable),
            skipped: self.skipped.saturating_add(other.skipped),
        }
    }
}

/// How a run ended. Written once, by the container task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunResult {
    /// `None`: every playbook succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
    /// A sentence for the operator.
    #[serde(default)]
    pub message: String,
    pub recap: Recap,
    #[serde(default)]
    pub readiness: Vec<Finding>,
    /// Of a smoke: its steps in order, those that were come to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub smokes: Vec<SmokeStep>,
    /// Results of tasks that Ansible told of, over all playbooks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tasks: Option<u32>,
    /// The version of the managed key that the node lets in alone, proved by a login.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_version: Option<u32>,
    /// Where the run's own chain of evidence ends, and which playbooks it ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<RunEvidence>,
    pub finished_at: Timestamp,
}

/// What a run is for, from which follows what it does on the node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// Set the node up with its profile, then probe it.
    #[default]
    Configure,
    /// Probe the node and change nothing.
    Check,
    /// Probe the node, then do on it what platforms buy it for.
    Smoke {
        /// Leave the sites it made.
        keep: bool,
    },
}

impl Purpose {
    fn is_configure(&self) -> bool {
        *self == Self::Configure
    }
}

/// One step of a smoke, as the node was found to do it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SmokeStep {
    pub suite: String,
    pub step: String,
    pub ok: bool,
    /// How long it took.
    pub millis: u64,
    /// What was done, without secrets.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub command: String,
    /// What came of it, where it matters.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

/// What the container task needs, nothing secret, and how far it came.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    pub job_id: JobId,
    pub number: u32,
    #[serde(default, skip_serializing_if = "Purpose::is_configure")]
    pub purpose: Purpose,
    /// How many results of tasks the last run of this profile had: what progress is told by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_tasks: Option<u32>,
    /// Of the request that asked for the job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    pub node_id: NodeId,
    pub connection: ConnectionName,
    pub server_id: u64,
    pub address: String,
    pub profile: Profile,
    #[serde(default)]
    pub vars: Map<String, Value>,
    #[serde(default)]
    pub authorized_keys: Vec<String>,
    #[serde(default)]
    pub allow_ssh_from: Vec<String>,
    /// Managed SSH key versions to offer, newest first.
    pub key_versions: Vec<u32>,
    /// The connection's, which the container task cannot read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_stem: Option<String>,
    pub created_at: Timestamp,
    /// The run gives up at this time by itself.
    pub deadline_at: Timestamp,
    /// The task's name at the container service, once it was started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// Set by whoever wants the run to end; a run that was never started does not start then.
    #[serde(default)]
    pub stop_requested: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<RunResult>,
}

impl Run {
    /// A record that only says: never start. Its inputs are as far as the node knows them.
    pub fn tombstone(job_id: JobId, number: u32, node: &Node, now: Timestamp) -> Self {
        let server = node.server.as_ref();
        Self {
            job_id,
            number,
            purpose: Purpose::Configure,
            expected_tasks: None,
            traceparent: None,
            node_id: node.id.clone(),
            connection: node.spec.connection.clone(),
            server_id: server.map_or(0, |server| server.id),
            address: server.and_then(|server| server.ipv4.clone()).unwrap_or_default(),
            profile: node.spec.profile.clone(),
            vars: Map::new(),
            authorized_keys: Vec::new(),
            allow_ssh_from: Vec::new(),
            key_versions: Vec::new(),
            key_stem: None,
            created_at: now,
            deadline_at: now,
            task: None,
            stop_requested: true,
            result: None,
        }
    }
}
