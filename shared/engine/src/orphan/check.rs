//! One check of all connections: look, decide whether anything may be removed, then act.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use nodeyard_domain::{
    connection::ConnectionName,
    event,
    orphan::{ConnectionSeen, Orphan, OrphanState, ResourceKind},
    pace::CallClass,
};
use tracing::{info, warn};

use super::{
    Inventory, MAX_SWAPS, OrphanStore,
    view::{Addresses, Sighting, View},
};
use crate::{
    Clock,
    budget::{Taken, share_failure, take_calls},
    provider::Provider,
    secrets::{Secrets, SecretsError},
    store::{ApiStore, JobStore, NodeFilter, PageError, PageRequest, StoreError},
};

/// No further connection is listed this long after the check began, in seconds: with a provider
/// that hangs it still ends in time to say that it has run.
const LISTING_SECS: i64 = 20;
/// The most things one check removes or gives back; the rest is the next one's.
const MAX_REMOVALS: usize = 50;
/// Nodes read at a time, and how often, to find addresses that are on record.
const NODES_A_PAGE: usize = 1000;
const MAX_NODE_PAGES: usize = 20;

#[derive(Debug, thiserror::Error)]
pub enum OrphanCheckError {
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Without the deployment key nothing can be proved.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
}

/// What a check came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Checked {
    /// Connections that could be listed.
    pub listed: usize,
    /// Orphans in them, the removed ones included.
    pub found: usize,
    /// Servers given back to their nodes, groups and addresses deleted.
    pub removed: usize,
    pub only_reported: bool,
}

/// The check over its ports.
pub struct OrphanCheck<'a, S, P, X, C> {
    pub store: &'a S,
    pub provider: &'a P,
    pub secrets: &'a X,
    pub clock: &'a C,
    /// The value of our deployment label.
    pub deployment: &'a str,
}

impl<S, P, X, C> OrphanCheck<'_, S, P, X, C>
where
    S: JobStore + ApiStore + OrphanStore,
    P: Provider + Inventory,
    X: Secrets,
    C: Clock,
{
    /// Checks every connection. One that cannot be listed keeps its findings as they are, and
    /// keeps no other from being checked.
    ///
    /// # Errors
    /// When the check's own records or the deployment key cannot be read, or when a finding could
    /// not be written; the other connections are done first.
    pub async fn run(&self) -> Result<Checked, OrphanCheckError> {
        let state = self.store.orphan_state().await?;
        let key = self.secrets.deployment_key().await?;
        let known = self.store.orphans().await?;
        let mut connections = self.store.connections().await?;
        let addresses = self.recorded_addresses().await?;

        // Those that had to wait the last time come first.
        let earlier = |name: &ConnectionName| state.connections.get(name);
        connections.sort_by_key(|connection| earlier(&connection.name).map(|seen| seen.at));
        let end = self.clock.now() + SignedDuration::from_secs(LISTING_SECS);
        let mut views = Vec::new();
        for connection in &connections {
            if self.clock.now() > end {
                warn!(connection = %connection.name, "not checked for orphans: out of time");
                continue;
            }
            let earlier = earlier(&connection.name);
            match self.view(connection, &key, &known, &addresses, earlier).await {
                Ok(view) => views.push(view),
                Err(why) => {
                    warn!(connection = %connection.name, %why, "not checked for orphans");
                }
            }
        }
        let accounted =
            views.len() == connections.len() && views.iter().all(View::explains_all_servers);
        let only_report = state.must_only_report(accounted, self.clock.now());
        if only_report && state.report_only_since.is_none() {
            warn!("the table may be a restored one: orphans are only reported until confirmed");
        }
        let mut checked =
            Checked { listed: views.len(), only_reported: only_report, ..Checked::default() };
        let mut failed = None;
        for view in &views {
            if let Err(error) = self.settle(view, &known, &mut checked).await {
                warn!(connection = %view.connection.name, %error, "findings not kept");
                failed = Some(error);
            }
        }
        // Nobody can ask about or remove what was on a connection that is no more.
        let is_there = |name: &ConnectionName| connections.iter().any(|it| it.name == *name);
        for orphan in known.iter().filter(|orphan| !is_there(&orphan.connection)) {
            self.store.forget_orphan(&orphan.id).await?;
        }
        let seen = views.into_iter().map(|view| (view.connection.name, view.seen)).collect();
        self.conclude(&state, only_report, seen, is_there).await?;
        info!(
            listed = checked.listed,
            found = checked.found,
            removed = checked.removed,
            only_reported = checked.only_reported,
            "orphan check"
        );
        failed.map_or(Ok(checked), |error| Err(error.into()))
    }

    /// Primary IPs of nodes that are gone and still have a server on record. A node's server is
    /// taken off its record only once it and its addresses were seen gone, so there are none
    /// unless something went past that.
    async fn recorded_addresses(&self) -> Result<Addresses, StoreError> {
        let mut addresses = Addresses::new();
        let mut page = PageRequest { cursor: None, limit: NODES_A_PAGE };
        for _ in 0..MAX_NODE_PAGES {
            let nodes = self.store.nodes(&NodeFilter::default(), &page).await;
            let nodes = nodes.map_err(|error| match error {
                PageError::Store(error) => error,
                PageError::Cursor => StoreError::Unavailable("its own cursor".to_owned()),
            })?;
            for node in nodes.items.into_iter().filter(|node| node.status.is_gone()) {
                let of_connection = addresses.entry(node.spec.connection.to_string()).or_default();
                let ids = node.server.iter().flat_map(|server| server.primary_ips.clone());
                of_connection.extend(ids.map(|id| (id, node.id.clone())));
            }
            page.cursor = nodes.next;
            if page.cursor.is_none() {
                break;
            }
        }
        Ok(addresses)
    }

    /// Removes what is due, keeps the other findings, and forgets what is not there any more.
    async fn settle(
        &self,
        view: &View,
        known: &[Orphan],
        checked: &mut Checked,
    ) -> Result<(), StoreError> {
        for sighting in &view.sightings {
            checked.found += 1;
            let orphan = &sighting.orphan;
            let is_new = !known.iter().any(|earlier| earlier.id == orphan.id);
            if is_new {
                warn!(
                    orphan = %orphan.id,
                    name = orphan.name,
                    reason = ?orphan.reason,
                    node_id = orphan.node.as_ref().map(|node| node.as_str()),
                    "orphan found"
                );
            }
            let may_go = orphan.is_due() && !checked.only_reported;
            if may_go && checked.removed < MAX_REMOVALS && self.remove(view, sighting).await? {
                checked.removed += 1;
                self.store.forget_orphan(&orphan.id).await?;
            } else if is_new {
                self.store.put_new_orphan(orphan, &event::of_orphan(orphan)).await?;
            } else {
                self.store.put_orphan(orphan).await?;
            }
        }
        for orphan in known.iter().filter(|orphan| orphan.connection == view.connection.name) {
            let is_seen = view.sightings.iter().any(|seen| seen.orphan.id == orphan.id);
            if !is_seen && !view.leaves_out(orphan) {
                info!(orphan = %orphan.id, "gone, or accounted for by now");
                self.store.forget_orphan(&orphan.id).await?;
            }
        }
        Ok(())
    }

    /// True when it is on its way out.
    async fn remove(&self, view: &View, sighting: &Sighting) -> Result<bool, StoreError> {
        let orphan = &sighting.orphan;
        if orphan.kind == ResourceKind::Server {
            let (Some(node), Some(server)) = (&orphan.node, &sighting.server) else {
                return Ok(false);
            };
            // Its node's release proves, deletes and confirms.
            let given = self.store.give_back(node, server, self.clock.now()).await?;
            if given {
                info!(orphan = %orphan.id, node_id = %node, "given back to its node, to be removed");
            }
            return Ok(given);
        }
        self.discard(view, sighting).await
    }

    /// Groups and addresses have no node whose job could remove them.
    async fn discard(&self, view: &View, sighting: &Sighting) -> Result<bool, StoreError> {
        let (connection, orphan) = (&view.connection, &sighting.orphan);
        let (name, id) = (&connection.name, orphan.provider_id);
        let seen = self.provider.seen_rate(name);
        let taken = take_calls(self.store, self.clock, name, seen, CallClass::Removal, 2).await?;
        let Taken::Calls(mut pace) = taken else { return Ok(false) };
        if orphan.kind == ResourceKind::PlacementGroup {
            // Nobody takes a place in it from here on.
            pace.drop_group(id);
            if !self.store.swap_pace(name, &pace).await? {
                return Ok(false);
            }
        }
        // Looked at once more: a job may have taken a place before that.
        let removal = async {
            match self.provider.look(connection, orphan.kind, id).await? {
                Some(thing) if thing.servers == 0 => {
                    self.provider.discard(connection, orphan.kind, id).await.map(|()| true)
                }
                _ => Ok(false),
            }
        };
        match removal.await {
            Ok(removed) => {
                if removed {
                    info!(orphan = %orphan.id, name = orphan.name, "deleted");
                }
                Ok(removed)
            }
            Err(failure) => {
                warn!(orphan = %orphan.id, code = failure.code, "not deleted");
                share_failure(self.store, self.clock, name, &failure).await;
                Ok(false)
            }
        }
    }

    /// Writes down that the check has run. An admin's word that came meanwhile stays.
    async fn conclude(
        &self,
        began_with: &OrphanState,
        only_reported: bool,
        seen: BTreeMap<ConnectionName, ConnectionSeen>,
        is_there: impl Fn(&ConnectionName) -> bool,
    ) -> Result<(), StoreError> {
        for _ in 0..MAX_SWAPS {
            let mut state = self.store.orphan_state().await?;
            let confirmed_meanwhile = state.confirmed_at != began_with.confirmed_at;
            state.ran(only_reported && !confirmed_meanwhile, self.clock.now());
            state.connections.extend(seen.clone());
            state.connections.retain(|name, _| is_there(name));
            if self.store.swap_orphan_state(&state).await? {
                return Ok(());
            }
        }
        Err(StoreError::Unavailable("the orphan check's record is contended".to_owned()))
    }
}
