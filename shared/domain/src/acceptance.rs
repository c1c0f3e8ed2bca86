//! Making the records of accepted work. Pure: ids and time come in.

use jiff::{SignedDuration, Timestamp};

use crate::{
    connection::{Connection, keys::FIRST_KEY_VERSION},
    id::{JobId, NodeId},
    job::{Job, JobKind},
    node::{Node, NodeStatus},
    ownership,
    rotation::Rotation,
    spec::NodeSpec,
};

/// How long forward work may take when the caller does not say, per kind, in seconds.
pub const CONFIGURE_DEADLINE_SECS: i64 = 30 * 60;
pub const RELEASE_DEADLINE_SECS: i64 = 30 * 60;
pub const CHECK_DEADLINE_SECS: i64 = 10 * 60;
pub const SMOKE_DEADLINE_SECS: i64 = 20 * 60;
/// A rotation waits for the configuring of all nodes, some at a time.
pub const ROTATION_DEADLINE_SECS: i64 = 6 * 3600;

/// A new node and the job that acquires it.
pub fn provision(
    job_id: JobId,
    node_id: NodeId,
    spec: NodeSpec,
    actor: &str,
    traceparent: Option<String>,
    now: Timestamp,
) -> (Job, Node) {
    let deadline_secs = spec.deadline_secs;
    let mut job = Job::new(
        job_id.clone(),
        JobKind::NodeProvision,
        node_id.clone(),
        spec.connection.clone(),
        actor,
        deadline_secs,
        now,
    );
    job.ladder.clone_from(&spec.placement);
    job.keep_on_failure = spec.keep_on_failure;
    job.spread = spec.spread;
    job.server_name = ownership::server_name(&spec.name, &node_id);
    job.traceparent = traceparent;
    let node = Node {
        id: node_id,
        status: NodeStatus::Acquiring,
        status_since: Some(now),
        server_name: job.server_name.clone(),
        labels: spec.labels.clone(),
        spec,
        server: None,
        price: None,
        readiness: Vec::new(),
        checked_at: None,
        open_job: Some(job_id),
        queued_release: None,
        attempts: 0,
        release_at: None,
        cleanup_tries: 0,
        last_run: None,
        key_version: FIRST_KEY_VERSION,
        created_at: now,
        updated_at: now,
    };
    (job, node)
}

/// A job on a node that exists: it starts from what the node's record knows.
pub fn on_node(
    job_id: JobId,
    kind: JobKind,
    node: &Node,
    actor: &str,
    traceparent: Option<String>,
    now: Timestamp,
) -> Job {
    let deadline_secs = match kind {
        JobKind::NodeRelease => RELEASE_DEADLINE_SECS,
        JobKind::NodeCheck => CHECK_DEADLINE_SECS,
        JobKind::NodeSmoke => SMOKE_DEADLINE_SECS,
        JobKind::NodeProvision | JobKind::NodeConfigure => CONFIGURE_DEADLINE_SECS,
    };
    let mut job = Job::new(
        job_id,
        kind,
        node.id.clone(),
        node.spec.connection.clone(),
        actor,
        deadline_secs,
        now,
    );
    job.server.clone_from(&node.server);
    job.server_name.clone_from(&node.server_name);
    job.attempt = node.attempts;
    job.traceparent = traceparent;
    job
}

/// The rotation of a connection's managed key, and the connection as it is while it is open.
pub fn rotation(
    id: JobId,
    connection: &Connection,
    actor: &str,
    traceparent: Option<String>,
    now: Timestamp,
) -> (Rotation, Connection) {
    let deadline_at = now + SignedDuration::from_secs(ROTATION_DEADLINE_SECS);
    let mut rotation = Rotation::new(id, connection, actor, deadline_at, now);
    rotation.traceparent = traceparent;
    let open = Connection { rotation: Some(rotation.id.clone()), ..connection.clone() };
    (rotation, open)
}
