//! What the orphan check asks: labelled things page by page, one thing by its id, and deletions.

use std::collections::BTreeMap;

use nodeyard_domain::{
    connection::Connection,
    observation::{FailureClass, ProviderFailure},
    orphan::{Resource, ResourceKind},
    ownership::LABEL_DEPLOYMENT,
};
use nodeyard_engine::{
    orphan::{Inventory, ListedPage},
    secrets::Secrets,
};
use serde::Deserialize;
use serde_json::Value;

use super::{
    HetznerProvider,
    failure::drift,
    marker::look,
    projection::{ServerView, loose_id, view},
    session::Reader as _,
    transport::Call,
};

type Result<T> = std::result::Result<T, ProviderFailure>;

/// The most a list call gives (API reference, "Pagination").
const PER_PAGE: u64 = 50;

/// How a kind is called on the wire.
struct Words {
    list: &'static str,
    item: &'static str,
    /// The key of a listing's entries.
    many: &'static str,
    /// A JSON pointer to the one thing of an answer.
    one: &'static str,
}

fn words(kind: ResourceKind) -> Words {
    let (list, item, many, one) = match kind {
        ResourceKind::Server => ("/servers", "/servers/{id}", "servers", "/server"),
        ResourceKind::PrimaryIp => {
            ("/primary_ips", "/primary_ips/{id}", "primary_ips", "/primary_ip")
        }
        ResourceKind::PlacementGroup => {
            ("/placement_groups", "/placement_groups/{id}", "placement_groups", "/placement_group")
        }
        ResourceKind::SshKey => ("/ssh_keys", "/ssh_keys/{id}", "ssh_keys", "/ssh_key"),
    };
    Words { list, item, many, one }
}

impl<S: Secrets> Inventory for HetznerProvider<S> {
    async fn labelled(
        &self,
        connection: &Connection,
        kind: ResourceKind,
        deployment: &str,
        page: u64,
    ) -> Result<ListedPage> {
        let words = words(kind);
        let call = Call::get(words.list)
            .query("label_selector", format!("{LABEL_DEPLOYMENT}={deployment}"))
            // What comes or goes between two pages moves nothing that was there before it.
            .query("sort", "id:asc")
            .page(page, PER_PAGE);
        let mut body: Value = self.session(connection, 1).await?.read(&call).await?.json()?;
        let Some(Value::Array(entries)) = body.get_mut(words.many).map(Value::take) else {
            return Err(drift(&format!("a list without `{}`", words.many)));
        };
        let mut things = Vec::new();
        for entry in entries {
            let thing = resource(kind, entry)?;
            if !thing.is_labelled(deployment) {
                return Err(drift("a listing by label with a thing that lacks it"));
            }
            things.push(thing);
        }
        let next = body.pointer("/meta/pagination/next_page").and_then(Value::as_u64);
        Ok(ListedPage { things, next })
    }

    async fn count_servers(&self, connection: &Connection) -> Result<Option<u64>> {
        let call = Call::get("/servers").page(1, 1);
        let body: Value = self.session(connection, 1).await?.read(&call).await?.json()?;
        Ok(body.pointer("/meta/pagination/total_entries").and_then(Value::as_u64))
    }

    async fn look(
        &self,
        connection: &Connection,
        kind: ResourceKind,
        id: u64,
    ) -> Result<Option<Resource>> {
        let words = words(kind);
        let mut session = self.session(connection, 1).await?;
        let Some(answer) = look(&mut session, &Call::get(words.item).id(id)).await? else {
            return Ok(None);
        };
        let mut body: Value = answer.json()?;
        let thing = body.pointer_mut(words.one).map(Value::take).unwrap_or_default();
        let thing = resource(kind, thing)?;
        if thing.id != id {
            return Err(drift("another thing than was asked for"));
        }
        Ok(Some(thing))
    }

    async fn discard(&self, connection: &Connection, kind: ResourceKind, id: u64) -> Result<()> {
        let call = Call::delete(words(kind).item).id(id);
        match self.session(connection, 1).await?.write(&call).await {
            Err(failure) if failure.class != FailureClass::NotFound => Err(failure),
            _ => Ok(()),
        }
    }
}

/// A thing that is no server. Unlike elsewhere nothing may be missing: what cannot be read cannot
/// be judged, and who uses a thing must never be taken for nobody.
#[derive(Deserialize)]
struct ThingView {
    id: u64,
    name: String,
    labels: BTreeMap<String, String>,
}

fn resource(kind: ResourceKind, value: Value) -> Result<Resource> {
    if kind == ResourceKind::Server {
        let found = view::<ServerView>(value, "a server")?.found();
        return Ok(Resource {
            kind,
            id: found.server.id,
            name: found.server.name.clone(),
            labels: found.labels,
            servers: 0,
            server: Some(found.server),
        });
    }
    let servers = users(kind, &value)?;
    let ThingView { id, name, labels } = view(value, kind.as_str())?;
    Ok(Resource { kind, id, name, labels, servers, server: None })
}

/// How many servers use it.
fn users(kind: ResourceKind, value: &Value) -> Result<u32> {
    match kind {
        ResourceKind::PlacementGroup => match value.get("servers") {
            Some(Value::Array(servers)) => Ok(u32::try_from(servers.len()).unwrap_or(u32::MAX)),
            _ => Err(drift("a placement group without its servers")),
        },
        ResourceKind::PrimaryIp => match value.get("assignee_id") {
            Some(Value::Null) => Ok(0),
            given if loose_id(given).is_some() => Ok(1),
            _ => Err(drift("a Primary IP without its assignee")),
        },
        ResourceKind::Server | ResourceKind::SshKey => Ok(0),
    }
}
