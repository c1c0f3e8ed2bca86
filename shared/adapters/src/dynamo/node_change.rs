//! What one write changes on the node: only the attributes that are named.

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;
use nodeyard_domain::{
    event::{self, Event},
    id::JobId,
    node::{Node, NodeChange, NodeStatus, Server},
};
use nodeyard_engine::store::StoreError;

use super::{
    change::{Condition, Write, number, text},
    keys::Key,
    row::{child_expiry, due_place, value},
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
    let mut after = node.clone();
    change.apply(&mut after, job, now);
    let mut write =
        Write::update(key.clone()).require(Condition::Exists).set("updated_at", value(&key, &now)?);
    if change.status.is_some() {
        write = set_status(write, &after, now)?;
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
    if let Some(price) = change.rung.and_then(|rung| node.price_on(rung)) {
        write = write.set("price", value(&key, &Text(price))?);
    }
    if let Some(run) = &change.last_run {
        let run = run.as_ref().map(|run| value(&key, &Text(run))).transpose()?;
        write = write.set_or_remove("last_run", run);
    }
    if let Some(version) = change.key_version {
        write = write.set("key_version", number(version));
    }
    if change.close_job {
        write = close(write, node, job);
    }
    if change.status.is_some() || change.close_job {
        write = show(as_loaded(write, node), &after);
    }
    Ok(write)
}

/// The update of a node that a server came back for too late: it is left behind.
/// The event that goes with it, if the node was not left behind before.
pub(super) fn keep(
    node: &Node,
    server: &Server,
    now: Timestamp,
) -> Result<(Write, Option<Event>), StoreError> {
    let key = Key::node(&node.id);
    let mut after = node.clone();
    after.server = Some(server.clone());
    after.enter(NodeStatus::CleanupPending, now);
    after.updated_at = now;
    let write = Write::update(key.clone())
        .require(Condition::Exists)
        .set("server", value(&key, &Text(server))?)
        .set("updated_at", value(&key, &now)?);
    let write = show(as_loaded(set_status(write, &after, now)?, node), &after);
    Ok((write, event::of_left_server(node, &after, server)))
}

/// Takes a node out of what the sweep looks at.
pub(super) fn hide(write: Write) -> Write {
    write.remove("due_shard").remove("due_at")
}

/// What [`Node::enter`] made of the node. One of which nothing is left expires; any other does
/// not.
fn set_status(write: Write, after: &Node, now: Timestamp) -> Result<Write, StoreError> {
    let key = Key::node(&after.id);
    let release_at = after.release_at.as_ref().map(|at| value(&key, at)).transpose()?;
    let since = after.status_since.as_ref().map(|at| value(&key, at)).transpose()?;
    let expiry = after.status.is_gone().then(|| number(child_expiry(now)));
    Ok(write
        .set("status", text(after.status.as_str()))
        .set("cleanup_tries", number(after.cleanup_tries))
        .set_or_remove("status_since", since)
        .set_or_remove("release_at", release_at)
        .set_or_remove("expires_at", expiry))
}

/// What the node's time and place in the sweep's index are worked out from is as it was loaded:
/// whose the node is, and how often it was left behind (each time raises the number). So is its
/// status: what is told of the change is worked out from that.
fn as_loaded(write: Write, node: &Node) -> Write {
    let tries = Condition::Is("cleanup_tries", number(node.cleanup_tries));
    let tries = match node.cleanup_tries {
        0 => Condition::Any(vec![Condition::Absent("cleanup_tries"), tries]),
        _ => tries,
    };
    write
        .require(Condition::same("open_job", id(&node.open_job)))
        .require(Condition::Is("status", text(node.status.as_str())))
        .require(tries)
}

fn show(write: Write, after: &Node) -> Write {
    match due_place(after) {
        Some((shard, at)) => write.set("due_shard", shard).set("due_at", at),
        None => hide(write),
    }
}

/// The job lets go of the node, and a release that waits has its turn. Conditional on what was
/// loaded, so that a release queued meanwhile is not lost. A job that only waited leaves the open
/// one alone.
fn close(write: Write, node: &Node, job: &JobId) -> Write {
    let queued = id(&node.queued_release);
    let write = write.require(Condition::same("queued_release", queued.clone()));
    if node.open_job.as_ref() == Some(job) {
        write.set_or_remove("open_job", queued).remove("queued_release")
    } else if node.queued_release.as_ref() == Some(job) {
        write.remove("queued_release")
    } else {
        write
    }
}

fn id(id: &Option<JobId>) -> Option<AttributeValue> {
    id.as_ref().map(|id| text(id.as_str()))
}
