//! Destroying versions of managed keys that no node record names.

use std::collections::BTreeSet;

use jiff::Timestamp;
use nodeyard_domain::{
    audit::{Action, AuditEntry, Outcome, Resource},
    connection::{Connection, keys::RetiredKey},
};
use tracing::{info, warn};

use crate::{
    check::CheckError,
    provider::Provider,
    secrets::Secrets,
    store::{ApiStore, JobStore, NodeFilter, PageError, PageRequest, StoreError},
};

const PAGE: usize = 100;
/// How often the record is changed against others.
const MAX_SWAPS: usize = 8;

/// Destroys what no node of the connection may need: first at the provider, then the private half,
/// then on record, so that what is left half-way is destroyed by the next check. Gives how many.
///
/// The list of nodes may lag behind, by far less than the time that a version rests before it can
/// be destroyed; who may still name it has named it by then.
///
/// # Errors
/// When the store or the secret store does not answer. The provider's failure leaves the version
/// for the next check.
pub async fn destroy_unused_keys(
    store: &(impl JobStore + ApiStore),
    secrets: &impl Secrets,
    provider: &impl Provider,
    connection: &Connection,
    now: Timestamp,
) -> Result<usize, CheckError> {
    // Without a marker nothing can be proved; and reading nodes for nothing is dear.
    if connection.key.is_none() || connection.destroyable_keys(None, now).is_empty() {
        return Ok(0);
    }
    let oldest = oldest_named(store, connection).await?;
    let mut destroyed = BTreeSet::new();
    for retired in connection.destroyable_keys(oldest, now) {
        if !remove(provider, connection, &retired).await {
            continue;
        }
        secrets.destroy_ssh_key(&connection.key_secret(retired.version)).await?;
        destroyed.insert(retired.version);
    }
    if !destroyed.is_empty() {
        forget(store, connection, &destroyed, now).await?;
        info!(connection = %connection.name, versions = ?destroyed, "managed keys destroyed");
    }
    Ok(destroyed.len())
}

/// The oldest version that a node may need; `None` when there is no node.
async fn oldest_named(
    store: &impl ApiStore,
    connection: &Connection,
) -> Result<Option<u32>, StoreError> {
    let connections = Some(vec![connection.name.clone()]);
    let filter = NodeFilter { connections, ..NodeFilter::default() };
    let mut page = PageRequest { cursor: None, limit: PAGE };
    let mut oldest: Option<u32> = None;
    loop {
        let found = store.nodes(&filter, &page).await.map_err(|error| match error {
            PageError::Store(error) => error,
            PageError::Cursor => StoreError::Unavailable("a cursor of its own".to_owned()),
        })?;
        let live = found.items.iter().filter(|node| !node.status.is_gone());
        oldest = live.map(|node| node.key_version).chain(oldest).min();
        page.cursor = found.next;
        if page.cursor.is_none() {
            return Ok(oldest);
        }
    }
}

/// True when the provider has it no more.
async fn remove(provider: &impl Provider, on: &Connection, retired: &RetiredKey) -> bool {
    let Some(public_key) = retired.at_provider() else { return true };
    let version = retired.version;
    match provider.remove_key(on, public_key).await {
        Ok(true) => true,
        Ok(false) => {
            warn!(connection = %on.name, version, "the marker is not seen: no key is deleted");
            false
        }
        Err(failure) => {
            warn!(connection = %on.name, version, code = failure.code, "a key was not deleted");
            false
        }
    }
}

async fn forget(
    store: &(impl JobStore + ApiStore),
    connection: &Connection,
    destroyed: &BTreeSet<u32>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let resource = Resource::from(&connection.name);
    let audit = AuditEntry::of_system(now, Action::ProviderDestroyKey, resource, Outcome::Done);
    for _ in 0..MAX_SWAPS {
        let Some(mut current) = store.connection(&connection.name).await? else { return Ok(()) };
        current.retired.retain(|retired| !destroyed.contains(&retired.version));
        if store.change_connection(&current, &[], &audit).await? {
            return Ok(());
        }
    }
    Err(StoreError::Unavailable("the connection changed each time".to_owned()))
}
