//! What an admin decides: that the table is the right one, and that an orphan is to go.

use jiff::Timestamp;
use nodeyard_domain::{
    connection::Connection,
    id::{JobId, NodeId},
    node::{Node, NodeStatus, Server},
    observation::ProviderFailure,
    orphan::{Orphan, OrphanReason, OrphanState, Resource, ResourceKind},
    pace::CallClass,
};

use super::{Inventory, MAX_SWAPS, OrphanStore};
use crate::{
    Clock,
    budget::{Taken, share_failure, take_calls},
    store::{ApiStore, AuditEntry, JobStore, StoreError},
};

/// What becomes of an orphan that an admin wants gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Removed {
    /// It was given back to its node, whose release proves, deletes and confirms.
    ThroughNode(NodeId),
    /// The provider has accepted its deletion.
    Deleted,
}

#[derive(Debug, thiserror::Error)]
pub enum RemovalError {
    /// A 404, which proves nothing by itself: the next check tells.
    #[error("it is not at the provider any more")]
    Gone,
    /// It is in use, lacks our label, or names another node.
    #[error("it is not what was reported any more")]
    Changed,
    #[error("a job is open on its node")]
    Busy(Option<JobId>),
    #[error("the rate budget has no calls for it in the next {0} s")]
    Short(i64),
    #[error("{} {}", .0.code, .0.message)]
    Provider(ProviderFailure),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Removes an orphan on an admin's word. It is looked at first: only what still carries our
/// deployment's label (or, for an address, what nobody uses) is touched. A server that is proved
/// ours goes through its node; others are deleted at the provider, the one exception to the rule
/// that a job does it.
///
/// # Errors
/// See [`RemovalError`]; nothing was deleted then.
pub async fn remove(
    store: &(impl JobStore + ApiStore + OrphanStore),
    provider: &impl Inventory,
    clock: &dyn Clock,
    deployment: &str,
    connection: &Connection,
    orphan: &Orphan,
    audit: &AuditEntry,
) -> Result<Removed, RemovalError> {
    let name = &connection.name;
    if let Taken::Short { wait_secs } =
        take_calls(store, clock, name, None, CallClass::Removal, 2).await?
    {
        return Err(RemovalError::Short(wait_secs));
    }
    let thing = match provider.look(connection, orphan.kind, orphan.provider_id).await {
        Ok(thing) => thing.ok_or(RemovalError::Gone)?,
        Err(failure) => {
            share_failure(store, clock, name, &failure).await;
            return Err(RemovalError::Provider(failure));
        }
    };
    if !is_as_reported(&thing, orphan, connection, deployment) {
        return Err(RemovalError::Changed);
    }
    // After the look, as in the check: what the record says now is what counts.
    let node = match &orphan.node {
        Some(id) => store.node(id).await?,
        None => None,
    };
    if let Some(node) = &node {
        if let Some(job) = &node.open_job {
            return Err(RemovalError::Busy(Some(job.clone())));
        }
        if let Some(known) = node.server.as_ref().filter(|known| known.id == thing.id) {
            return match node.status {
                NodeStatus::CleanupPending => Ok(Removed::ThroughNode(node.id.clone())),
                status if !status.is_gone() => Err(RemovalError::Changed),
                _ => give_back(store, node, known.clone(), clock.now(), audit).await,
            };
        }
    }
    if let (OrphanReason::LeftBehind, Some(attempt), Some(node)) =
        (orphan.reason, orphan.attempt, &node)
        && let Some(server) = thing.server
    {
        return give_back(store, node, Server { attempt, ..server }, clock.now(), audit).await;
    }
    store.append_audit(audit).await?;
    match provider.discard(connection, orphan.kind, orphan.provider_id).await {
        Ok(()) => Ok(Removed::Deleted),
        Err(failure) => {
            share_failure(store, clock, name, &failure).await;
            Err(RemovalError::Provider(failure))
        }
    }
}

fn is_as_reported(
    thing: &Resource,
    orphan: &Orphan,
    connection: &Connection,
    deployment: &str,
) -> bool {
    let managed = connection.key.as_ref().map(|key| key.provider_id);
    match thing.kind {
        ResourceKind::Server => thing.is_labelled(deployment) && thing.named_node() == orphan.node,
        ResourceKind::PlacementGroup => thing.is_labelled(deployment) && thing.servers == 0,
        ResourceKind::SshKey => thing.is_labelled(deployment) && managed != Some(thing.id),
        ResourceKind::PrimaryIp => thing.servers == 0,
    }
}

async fn give_back(
    store: &(impl OrphanStore + ApiStore),
    node: &Node,
    server: Server,
    now: Timestamp,
    audit: &AuditEntry,
) -> Result<Removed, RemovalError> {
    store.append_audit(audit).await?;
    if store.give_back(&node.id, &server, now).await? {
        Ok(Removed::ThroughNode(node.id.clone()))
    } else {
        Err(RemovalError::Busy(None))
    }
}

/// An admin says that the table and the projects belong together: from the next check on,
/// left-overs are removed again.
///
/// # Errors
/// When the store does not answer, or others change the record all the time.
pub async fn confirm(
    store: &(impl OrphanStore + ApiStore),
    audit: &AuditEntry,
) -> Result<OrphanState, StoreError> {
    for _ in 0..MAX_SWAPS {
        let mut state = store.orphan_state().await?;
        state.confirm(audit.at);
        if store.swap_orphan_state(&state).await? {
            // Confirming is harmless to repeat, which is what a failure here asks for.
            store.append_audit(audit).await?;
            return Ok(state);
        }
    }
    Err(StoreError::Unavailable("the orphan check's record is contended".to_owned()))
}
