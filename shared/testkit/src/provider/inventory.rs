//! What the orphan check asks the simulated cloud.

use hetzner_sim::world::{
    World,
    label::Selector,
    operation::{Kind, ListQuery, Operation, Reply},
};
use nodeyard_domain::{
    connection::Connection,
    observation::{FailureClass, ProviderFailure},
    orphan::{Resource, ResourceKind},
    ownership::LABEL_DEPLOYMENT,
};
use nodeyard_engine::orphan::{Inventory, ListedPage};

use super::{MemoryProvider, view};

type Result<T> = std::result::Result<T, ProviderFailure>;

const PER_PAGE: usize = 50;

impl Inventory for MemoryProvider {
    async fn labelled(
        &self,
        on: &Connection,
        kind: ResourceKind,
        deployment: &str,
        page: u64,
    ) -> Result<ListedPage> {
        let selector = Selector::parse(&format!("{LABEL_DEPLOYMENT}={deployment}"));
        let query = ListQuery {
            selector: Some(selector.map_err(|error| view::refusal(&error, 1))?),
            page: usize::try_from(page).unwrap_or(usize::MAX),
            per_page: PER_PAGE,
            ..ListQuery::default()
        };
        let listing = Operation::List(of(kind), query);
        let (things, total) = self.session(on, 1).await?.read(&listing, things).await?;
        let more = page.saturating_mul(PER_PAGE as u64) < total as u64;
        Ok(ListedPage { things, next: more.then_some(page + 1) })
    }

    async fn count_servers(&self, on: &Connection) -> Result<Option<u64>> {
        let query = ListQuery { per_page: 1, ..ListQuery::default() };
        let listing = Operation::List(Kind::Server, query);
        let (_, total) = self.session(on, 1).await?.read(&listing, things).await?;
        Ok(Some(total as u64))
    }

    async fn look(&self, on: &Connection, kind: ResourceKind, id: u64) -> Result<Option<Resource>> {
        let operation = Operation::Get(of(kind), id);
        let found = self.session(on, 1).await?.look(&operation, things).await?;
        Ok(found.and_then(|(things, _)| things.into_iter().next()))
    }

    async fn discard(&self, on: &Connection, kind: ResourceKind, id: u64) -> Result<()> {
        let operation = Operation::Delete(of(kind), id);
        match self.session(on, 1).await?.write(&operation, view::nothing).await {
            Err(failure) if failure.class != FailureClass::NotFound => Err(failure),
            _ => Ok(()),
        }
    }
}

fn of(kind: ResourceKind) -> Kind {
    match kind {
        ResourceKind::Server => Kind::Server,
        ResourceKind::PrimaryIp => Kind::PrimaryIp,
        ResourceKind::PlacementGroup => Kind::PlacementGroup,
        ResourceKind::SshKey => Kind::SshKey,
    }
}

/// The things of an answer, one or a page, and how many there are in all.
fn things(world: &World, reply: &Reply) -> (Vec<Resource>, usize) {
    match reply {
        Reply::One(kind, id) => (thing(world, *kind, *id).into_iter().collect(), 1),
        Reply::Page(kind, page) => {
            (page.ids.iter().filter_map(|id| thing(world, *kind, *id)).collect(), page.total)
        }
        _ => (Vec::new(), 0),
    }
}

fn thing(world: &World, kind: Kind, id: u64) -> Option<Resource> {
    let plain = |kind, name: &str, labels: &hetzner_sim::world::operation::Labels| Resource {
        kind,
        id,
        name: name.to_owned(),
        labels: labels.clone(),
        servers: 0,
        server: None,
    };
    Some(match kind {
        Kind::Server => {
            let server = world.server(id)?;
            Resource {
                server: Some(view::server(world, server)),
                ..plain(ResourceKind::Server, &server.name, &server.labels)
            }
        }
        Kind::PrimaryIp => {
            let ip = world.primary_ip(id)?;
            let servers = u32::from(ip.assignee.is_some());
            Resource { servers, ..plain(ResourceKind::PrimaryIp, &ip.name, &ip.labels) }
        }
        Kind::PlacementGroup => {
            let group = world.placement_group(id)?;
            let servers = u32::try_from(world.members(id).len()).unwrap_or(u32::MAX);
            Resource { servers, ..plain(ResourceKind::PlacementGroup, &group.name, &group.labels) }
        }
        Kind::SshKey => {
            let key = world.ssh_key(id)?;
            plain(ResourceKind::SshKey, &key.name, &key.labels)
        }
        _ => return None,
    })
}
