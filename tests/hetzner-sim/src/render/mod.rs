//! Bodies of answers, as the contract demands them: every required field and
//! none that it does not know. [documented] throughout, unless said otherwise.

mod catalogue;
mod resource;
mod server;

use serde_json::{Map, Value, json};

use crate::world::World;
use crate::world::operation::{Kind, Page, Reply};

/// Status and body of a reply; no body for 204.
pub fn answer(world: &World, reply: &Reply) -> (u16, Option<Value>) {
    match reply {
        Reply::One(kind, id) => (200, Some(json!({ kind.singular(): one(world, *kind, *id) }))),
        Reply::Page(kind, page) => (200, Some(list(world, *kind, page))),
        // [documented] without `meta`
        Reply::Actions(ids) => (200, Some(json!({ "actions": many(world, Kind::Action, ids) }))),
        Reply::Pricing => (200, Some(json!({ "pricing": catalogue::pricing() }))),
        Reply::Created(kind, id, action) => {
            let mut body = Map::new();
            body.insert(kind.singular().to_owned(), one(world, *kind, *id));
            if let Some(action) = action {
                body.insert("action".to_owned(), one(world, Kind::Action, *action));
            }
            (201, Some(Value::Object(body)))
        }
        Reply::FirewallCreated(id, actions) => (
            201,
            Some(json!({
                "firewall": one(world, Kind::Firewall, *id),
                "actions": many(world, Kind::Action, actions),
            })),
        ),
        Reply::ServerCreated { server, action, next_actions, root_password } => (
            201,
            Some(json!({
                "server": one(world, Kind::Server, *server),
                "action": one(world, Kind::Action, *action),
                "next_actions": many(world, Kind::Action, next_actions),
                "root_password": root_password,
            })),
        ),
        Reply::Started(action) => {
            (201, Some(json!({ "action": one(world, Kind::Action, *action) })))
        }
        Reply::Deleting(action) => {
            (200, Some(json!({ "action": one(world, Kind::Action, *action) })))
        }
        Reply::Done => (204, None),
    }
}

fn one(world: &World, kind: Kind, id: u64) -> Value {
    let found = match kind {
        Kind::Server => world.server(id).map(|it| server::server(world, it)),
        Kind::Action => world.action(id).map(|it| resource::action(world, it)),
        Kind::SshKey => world.ssh_key(id).map(resource::ssh_key),
        Kind::PlacementGroup => {
            world.placement_group(id).map(|it| resource::placement_group(world, it))
        }
        Kind::Firewall => world.firewall(id).map(|it| resource::firewall(world, it)),
        Kind::PrimaryIp => world.primary_ip(id).map(resource::primary_ip),
        Kind::ServerType => catalogue::server_type(world, id),
        Kind::Location => catalogue::location(id),
        Kind::Image => catalogue::image(id),
    };
    found.unwrap_or(Value::Null)
}

fn many(world: &World, kind: Kind, ids: &[u64]) -> Vec<Value> {
    ids.iter().map(|id| one(world, kind, *id)).collect()
}

fn list(world: &World, kind: Kind, page: &Page) -> Value {
    let last = page.total.div_ceil(page.per_page).max(1);
    let previous = (page.page > 1).then(|| page.page - 1);
    let next = (page.page < last).then(|| page.page + 1);
    json!({
        kind.plural(): many(world, kind, &page.ids),
        "meta": {"pagination": {
            "page": page.page,
            "per_page": page.per_page,
            "previous_page": previous,
            "next_page": next,
            "last_page": last,
            "total_entries": page.total,
        }},
    })
}
