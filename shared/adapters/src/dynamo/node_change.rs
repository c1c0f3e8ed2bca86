//! What one commit changes on the node: only the attributes that are named.

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;
use nodeyard_domain::{
    id::JobId,
    node::{Node, NodeChange, NodeStatus},
};
use nodeyard_engine::store::StoreError;

use super::{
    change::{Condition, Write, number, text},
    keys::Key,
    row::{child_expiry, value},
    text::Text,
};

/// The update of a node that goes with a job's commit.
pub(super) fn write(
    node: &Node,
    job: &JobId,
    change: &NodeChange,
    now: Timestamp,
) -> Result<Write, StoreError> {
    let key = Key::node(&node.id);
    let mut write =
        Write::update(key.clone()).require(Condition::Exists).set("updated_at", value(&key, &now)?);
    if let Some(status) = change.status {
        write = set_status(write, status, now);
    }
    if let Some(server) = &change.server {
        let server = server.as_ref().map(|server| value(&key, &Text(server))).transpose()?;
        write = write.set_or_remove("server", server);
    }
    if let Some(attempts) = change.attempts {
        write = write.set("attempts", number(attempts));
    }
    if let Some((findings, at)) = &change.readiness {
        write = write
            .set("readiness", value(&key, &Text(findings))?)
            .set("checked_at", value(&key, at)?);
    }
    if let Some(run) = &change.last_run {
        let run = run.as_ref().map(|run| value(&key, &Text(run))).transpose()?;
        write = write.set_or_remove("last_run", run);
    }
    if change.close_job {
        write = close(write, node, job);
    }
    Ok(write)
}

/// A node of which nothing is left expires; any other does not.
pub(super) fn set_status(write: Write, status: NodeStatus, now: Timestamp) -> Write {
    let expiry = status.is_gone().then(|| number(child_expiry(now)));
    write.set("status", text(status.as_str())).set_or_remove("expires_at", expiry)
}

/// The job lets go of the node, and a release that waits has its turn. Conditional on what was
/// loaded, so that a release queued meanwhile is not lost. A job that only waited leaves the open
/// one alone.
fn close(write: Write, node: &Node, job: &JobId) -> Write {
    let id = |id: &Option<JobId>| id.as_ref().map(|id| text(id.as_str()));
    let (open, queued): (Option<AttributeValue>, _) =
        (id(&node.open_job), id(&node.queued_release));
    let write = write
        .require(Condition::same("open_job", open))
        .require(Condition::same("queued_release", queued.clone()));
    if node.open_job.as_ref() == Some(job) {
        write.set_or_remove("open_job", queued).remove("queued_release")
    } else if node.queued_release.as_ref() == Some(job) {
        write.remove("queued_release")
    } else {
        write
    }
}
