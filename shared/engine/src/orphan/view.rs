//! What one connection's project holds of ours, and what of it no record accounts for.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use nodeyard_domain::{
    connection::{Connection, ConnectionReason, ConnectionStatus},
    id::NodeId,
    node::{Node, Server},
    observation::ProviderFailure,
    orphan::{
        ConnectionSeen, GroupSeen, Judge, Orphan, OrphanId, OrphanReason, Resource, ResourceKind,
        Verdict, judge_address,
    },
    ownership::DeploymentKey,
    pace::CallClass,
};

use super::{
    Inventory, OrphanCheck, OrphanStore,
    groups::{self, ListedGroup},
};
use crate::{
    Clock,
    budget::{Taken, share_failure, take_calls},
    provider::Provider,
    secrets::Secrets,
    store::{ApiStore, JobStore, StoreError},
};

/// The most Primary IPs that are looked at one by one for a connection.
const MAX_ADDRESSES: usize = 25;
/// Ends a listing that never ends.
const MAX_PAGES: usize = 100;

/// Why a connection's findings stay as they are.
#[derive(Debug, thiserror::Error)]
pub(super) enum Skipped {
    #[error("the connection is {0:?}")]
    Status(ConnectionStatus),
    #[error("the rate budget has no calls for it in the next {0} s")]
    Budget(i64),
    #[error("{} {}", .0.code, .0.message)]
    Provider(ProviderFailure),
    #[error("the listing of {0:?} has no end")]
    Endless(ResourceKind),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What carries labels and may be ours.
const LISTED: [ResourceKind; 3] =
    [ResourceKind::Server, ResourceKind::PlacementGroup, ResourceKind::SshKey];

/// A thing that no record accounts for.
pub(super) struct Sighting {
    pub(super) thing: Resource,
    pub(super) orphan: Orphan,
    /// For a server that is proved ours: what its node's record is to hold.
    pub(super) server: Option<Server>,
}

/// A connection as it was listed.
pub(super) struct View {
    pub(super) connection: Connection,
    pub(super) sightings: Vec<Sighting>,
    pub(super) seen: ConnectionSeen,
    /// Addresses that were not looked at: what is known of them stays.
    pub(super) left_out: BTreeSet<u64>,
}

impl View {
    /// Whether a finding names an address that was not looked at.
    pub(super) fn leaves_out(&self, orphan: &Orphan) -> bool {
        let is_address = orphan.kind == ResourceKind::PrimaryIp;
        let own = is_address.then_some(&orphan.provider_id);
        orphan.primary_ips.iter().chain(own).any(|id| self.left_out.contains(id))
    }

    /// Every server with our label belongs to a node whose record says what is to become of it.
    pub(super) fn explains_all_servers(&self) -> bool {
        self.sightings.iter().all(|sighting| sighting.thing.kind != ResourceKind::Server)
    }
}

/// Primary IPs on record with nodes that are gone, by connection.
pub(super) type Addresses = BTreeMap<String, Vec<(u64, NodeId)>>;

impl<S, P, X, C> OrphanCheck<'_, S, P, X, C>
where
    S: JobStore + ApiStore + OrphanStore,
    P: Provider + Inventory,
    X: Secrets,
    C: Clock,
{
    /// Lists a connection and judges what is there.
    ///
    /// The order matters: first the listing, then the records, each read consistently. A node's
    /// record is written before its create is sent, and its open job before that, so whatever is
    /// in the listing was asked for by a record that is there by now: a server that was made in
    /// between is in neither, or accounted for. Records first would show the server of a node
    /// accepted in between as one of an unknown node. What ends in between (a server that is
    /// deleted after it was listed) is seen once at most, and one sighting removes nothing.
    pub(super) async fn view(
        &self,
        connection: &Connection,
        key: &DeploymentKey,
        known: &[Orphan],
        addresses: &Addresses,
        earlier: Option<&ConnectionSeen>,
    ) -> Result<View, Skipped> {
        // A token of another project sees nothing of ours, and a listing of nothing would make
        // every finding vanish. A provider that has just not answered is not waited for again.
        let is_useless = matches!(
            connection.reason,
            Some(
                ConnectionReason::MarkerMissing
                    | ConnectionReason::ProviderUnavailable
                    | ConnectionReason::RateLimited
            )
        );
        if connection.status == ConnectionStatus::Disconnected || is_useless {
            return Err(Skipped::Status(connection.status));
        }
        let now = self.clock.now();
        let before = self.store.pace(&connection.name, now).await?;
        let before = before.groups.iter().map(|group| group.id).collect();

        // All at once: calls for half a listing would be spent for nothing.
        self.take_calls(connection, LISTED.len() as u32 + 1).await?;
        let mut things = Vec::new();
        for kind in LISTED {
            things.extend(self.list(connection, kind).await?);
        }
        let counted = self.told(connection, self.provider.count_servers(connection).await).await?;
        let servers = things.iter().filter(|thing| thing.kind == ResourceKind::Server).count();
        let unlabelled = counted.map(|all| all.saturating_sub(servers as u64));

        let groups = self.refresh_groups(connection, &things, &before, earlier).await?;
        let seen = ConnectionSeen { at: now, unlabelled_servers: unlabelled, groups };
        let mut view = View {
            connection: connection.clone(),
            sightings: Vec::new(),
            seen,
            left_out: BTreeSet::new(),
        };
        for thing in things {
            let sighting = self.judge(connection, key, thing, known, now).await?;
            view.sightings.extend(sighting);
        }
        self.look_at_addresses(&mut view, known, addresses, now).await?;
        Ok(view)
    }

    /// The call for the first page is taken already.
    async fn list(
        &self,
        connection: &Connection,
        kind: ResourceKind,
    ) -> Result<Vec<Resource>, Skipped> {
        let mut things = Vec::new();
        let mut page = 1;
        for _ in 0..MAX_PAGES {
            if page > 1 {
                self.take_calls(connection, 1).await?;
            }
            let listed = self.provider.labelled(connection, kind, self.deployment, page).await;
            let listed = self.told(connection, listed).await?;
            things.extend(listed.things);
            match listed.next {
                Some(next) if next > page => page = next,
                _ => return Ok(things),
            }
        }
        Err(Skipped::Endless(kind))
    }

    async fn take_calls(&self, connection: &Connection, calls: u32) -> Result<(), Skipped> {
        let name = &connection.name;
        let seen = self.provider.seen_rate(name);
        match take_calls(self.store, self.clock, name, seen, CallClass::Poll, calls).await? {
            Taken::Calls(_) => Ok(()),
            Taken::Short { wait_secs } => Err(Skipped::Budget(wait_secs)),
        }
    }

    async fn told<T>(
        &self,
        connection: &Connection,
        answer: Result<T, ProviderFailure>,
    ) -> Result<T, Skipped> {
        if let Err(failure) = &answer {
            share_failure(self.store, self.clock, &connection.name, failure).await;
        }
        answer.map_err(Skipped::Provider)
    }

    async fn refresh_groups(
        &self,
        connection: &Connection,
        things: &[Resource],
        before: &BTreeSet<u64>,
        earlier: Option<&ConnectionSeen>,
    ) -> Result<Vec<GroupSeen>, StoreError> {
        let is_group = |thing: &&Resource| thing.kind == ResourceKind::PlacementGroup;
        let listed: Vec<ListedGroup> =
            things.iter().filter(is_group).map(|thing| (thing.id, thing.servers)).collect();
        let earlier = earlier.map_or(&[][..], |seen| &seen.groups);
        let mut pace = self.store.pace(&connection.name, self.clock.now()).await?;
        // One try: what jobs change meanwhile is newer than the listing, and the next one comes.
        if groups::refresh(&mut pace, before, &listed, earlier) {
            self.store.swap_pace(&connection.name, &pace).await?;
        }
        Ok(groups::seen(&pace, &listed))
    }

    async fn judge(
        &self,
        connection: &Connection,
        key: &DeploymentKey,
        thing: Resource,
        known: &[Orphan],
        now: Timestamp,
    ) -> Result<Option<Sighting>, StoreError> {
        let judge = Judge {
            key,
            deployment: self.deployment,
            connection: &connection.name,
            managed_key: connection.key.as_ref().map(|key| key.provider_id),
        };
        let named = thing.named_node();
        let node = match (&named, thing.kind) {
            (Some(id), ResourceKind::Server) => self.store.node(id).await?,
            _ => None,
        };
        let Verdict::Orphan(reason) = judge.judge(&thing, node.as_ref()) else { return Ok(None) };
        let server = match (reason, &node) {
            (
                OrphanReason::LeftBehind | OrphanReason::OlderAttempt | OrphanReason::SecondServer,
                Some(node),
            ) => judge.proved_server(&thing, node),
            _ => None,
        };
        let mut sighting = sighting(connection, thing, reason, named, known, now);
        sighting.orphan.attempt = server.as_ref().map(|server| server.attempt);
        Ok(Some(Sighting { server, ..sighting }))
    }

    /// Primary IPs carry no labels. Each one whose id is on record is looked at: with a node that
    /// is gone, or with an orphan that is not there any more.
    async fn look_at_addresses(
        &self,
        view: &mut View,
        known: &[Orphan],
        addresses: &Addresses,
        now: Timestamp,
    ) -> Result<(), Skipped> {
        let connection = view.connection.clone();
        let mut wanted: BTreeMap<u64, Option<NodeId>> = BTreeMap::new();
        for orphan in known.iter().filter(|orphan| orphan.connection == connection.name) {
            let is_there = view.sightings.iter().any(|seen| seen.orphan.id == orphan.id);
            if orphan.kind == ResourceKind::PrimaryIp {
                wanted.insert(orphan.provider_id, None);
            } else if !is_there {
                wanted.extend(orphan.primary_ips.iter().map(|id| (*id, None)));
            }
        }
        let recorded = addresses.get(connection.name.as_str()).into_iter().flatten();
        wanted.extend(recorded.map(|(id, node)| (*id, Some(node.clone()))));
        let last_seen = |id: u64| {
            let orphan = OrphanId::new(ResourceKind::PrimaryIp, id, &connection.name);
            known.iter().find(|known| known.id == orphan).map(|known| known.last_seen_at)
        };
        let mut wanted: Vec<(u64, Option<NodeId>)> = wanted.into_iter().collect();
        // Those that had to wait the last time come first.
        wanted.sort_by_key(|(id, _)| last_seen(*id));
        let mut wanted = wanted.into_iter();
        for (id, recorded_on) in wanted.by_ref().take(MAX_ADDRESSES) {
            match self.take_calls(&connection, 1).await {
                Ok(()) => {}
                // What was listed still counts.
                Err(Skipped::Budget(_)) => {
                    view.left_out.insert(id);
                    break;
                }
                Err(other) => return Err(other),
            }
            let looked = self.provider.look(&connection, ResourceKind::PrimaryIp, id).await;
            let Some(thing) = self.told(&connection, looked).await? else { continue };
            let node = match &recorded_on {
                Some(node) => self.store.node(node).await?.filter(|node| holds(node, id)),
                None => None,
            };
            if let Verdict::Orphan(reason) = judge_address(&thing, node.as_ref()) {
                let named = node.map(|node| node.id);
                view.sightings.push(sighting(&connection, thing, reason, named, known, now));
            }
        }
        view.left_out.extend(wanted.map(|(id, _)| id));
        Ok(())
    }
}

/// Whether a node's record still names the Primary IP.
fn holds(node: &Node, address: u64) -> bool {
    node.server.as_ref().is_some_and(|server| server.primary_ips.contains(&address))
}

fn sighting(
    connection: &Connection,
    thing: Resource,
    reason: OrphanReason,
    named: Option<NodeId>,
    known: &[Orphan],
    now: Timestamp,
) -> Sighting {
    let orphan = Orphan::seen(&thing, &connection.name, reason, named, known, now);
    Sighting { thing, orphan, server: None }
}
