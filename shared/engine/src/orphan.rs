//! The orphan check: what is at the provider is held against the records, and what nobody
//! accounts for is reported, and removed where it is proved ours and needed by nobody.
//!
//! Must not: delete a server by itself (it is given back to its node, whose release proves,
//! deletes and confirms), or touch what lacks our deployment's label.

mod check;
mod groups;
mod remove;
mod view;

use std::future::Future;

use jiff::Timestamp;
use nodeyard_domain::{
    connection::Connection,
    event::Event,
    id::NodeId,
    node::Server,
    observation::ProviderFailure,
    orphan::{Orphan, OrphanId, OrphanState, Resource, ResourceKind},
};

pub use self::{
    check::{Checked, OrphanCheck, OrphanCheckError},
    remove::{RemovalError, Removed, confirm, remove},
};
use crate::store::StoreError;

/// How often a change of a shared item is tried against others' changes.
const MAX_SWAPS: usize = 8;

/// What is on record of orphans. They are few: everything is read consistently and whole.
pub trait OrphanStore: Send + Sync {
    fn orphans(&self) -> impl Future<Output = Result<Vec<Orphan>, StoreError>> + Send;

    fn orphan(
        &self,
        id: &OrphanId,
    ) -> impl Future<Output = Result<Option<Orphan>, StoreError>> + Send;

    fn put_orphan(&self, orphan: &Orphan) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Puts an orphan on record, and `found` into the outbox with it unless the orphan is on record
    /// already: two checks at once tell of it once.
    fn put_new_orphan(
        &self,
        orphan: &Orphan,
        found: &Event,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Forgets an orphan; one that is not on record is fine.
    fn forget_orphan(&self, id: &OrphanId) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// The check's own record; as empty where nothing is stored.
    fn orphan_state(&self) -> impl Future<Output = Result<OrphanState, StoreError>> + Send;

    /// Stores `state` under the next version, if the stored one has `state.version`. False when it
    /// has not.
    fn swap_orphan_state(
        &self,
        state: &OrphanState,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Gives a server back to its node, which becomes `cleanup_pending`: only while the node is
    /// released or failed and no job is open on it. False when that is not so. The event that this
    /// causes is put into the outbox with it, for the sweep to send.
    fn give_back(
        &self,
        node: &NodeId,
        server: &Server,
        now: Timestamp,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;
}

/// One page of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedPage {
    pub things: Vec<Resource>,
    /// The number of the next page.
    pub next: Option<u64>,
}

/// What the orphan check asks the provider, with the connection's stored token. One call each.
pub trait Inventory: Send + Sync {
    /// One page, counted from 1, of the things of a kind that carry our deployment's label, by id.
    /// An entry that cannot be read fails the page: what is not seen would count as gone.
    fn labelled(
        &self,
        connection: &Connection,
        kind: ResourceKind,
        deployment: &str,
        page: u64,
    ) -> impl Future<Output = Result<ListedPage, ProviderFailure>> + Send;

    /// How many servers the project has, whoever's; `None` when the provider does not say.
    fn count_servers(
        &self,
        connection: &Connection,
    ) -> impl Future<Output = Result<Option<u64>, ProviderFailure>> + Send;

    /// One thing by its id. `None` proves nothing: the token may be of another project.
    fn look(
        &self,
        connection: &Connection,
        kind: ResourceKind,
        id: u64,
    ) -> impl Future<Output = Result<Option<Resource>, ProviderFailure>> + Send;

    /// Deletes a thing; one that is gone is fine.
    fn discard(
        &self,
        connection: &Connection,
        kind: ResourceKind,
        id: u64,
    ) -> impl Future<Output = Result<(), ProviderFailure>> + Send;
}
