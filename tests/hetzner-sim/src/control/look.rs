//! Looking behind the world.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Refusal;
use crate::backing::BackingInfo;
use crate::clock::rfc3339_millis;
use crate::faults::ArmedFault;
use crate::journal::{Counts, Filter};
use crate::settings::Settings;
use crate::shared::Shared;
use crate::world::catalogue;

pub(super) async fn index(State(shared): State<Arc<Shared>>) -> Json<Value> {
    Json(json!({
        "program": "hetzner-sim",
        "version": env!("CARGO_PKG_VERSION"),
        "seed": shared.seed,
        "api": "/v1",
        "backing": shared.backing.info(),
    }))
}

pub(super) async fn backing(State(shared): State<Arc<Shared>>) -> Json<BackingInfo> {
    Json(shared.backing.info())
}

pub(super) async fn settings(State(shared): State<Arc<Shared>>) -> Json<Settings> {
    Json(shared.enter(|state| state.world.settings().clone()))
}

pub(super) async fn faults(State(shared): State<Arc<Shared>>) -> Json<Vec<ArmedFault>> {
    Json(shared.enter(|state| state.faults.armed().to_vec()))
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct JournalQuery {
    project: Option<String>,
    token: Option<String>,
    after: u64,
    bodies: bool,
}

impl JournalQuery {
    fn filter(self) -> Filter {
        Filter { project: self.project, token: self.token, after: self.after }
    }
}

type JournalParameters = Result<Query<JournalQuery>, axum::extract::rejection::QueryRejection>;

fn parameters(query: JournalParameters) -> Result<JournalQuery, Refusal> {
    match query {
        Ok(Query(query)) => Ok(query),
        Err(error) => Err(Refusal::Bad(error.body_text())),
    }
}

pub(super) async fn journal(
    State(shared): State<Arc<Shared>>,
    query: JournalParameters,
) -> Result<Json<Value>, Refusal> {
    let query = parameters(query)?;
    let with_bodies = query.bodies;
    let filter = query.filter();
    let entries: Vec<Value> = shared.enter(|state| {
        let entries = state.journal.entries(&filter);
        entries
            .map(|entry| {
                let mut shown = json!(entry);
                if with_bodies {
                    shown["body"] = json!(entry.body);
                }
                shown
            })
            .collect()
    });
    Ok(Json(json!({ "entries": entries })))
}

pub(super) async fn counts(
    State(shared): State<Arc<Shared>>,
    query: JournalParameters,
) -> Result<Json<Counts>, Refusal> {
    let filter = parameters(query)?.filter();
    Ok(Json(shared.enter(|state| state.journal.counts(&filter, &state.world))))
}

pub(super) async fn actor(State(shared): State<Arc<Shared>>) -> Json<Value> {
    Json(
        shared.enter(
            |state| json!({"deeds": state.journal.actor(), "auto": state.world.auto_actor()}),
        ),
    )
}

pub(super) async fn clock(State(shared): State<Arc<Shared>>) -> Json<Value> {
    Json(json!({
        "now": rfc3339_millis(shared.clock.now()),
        "standing": !shared.clock.follows_machine(),
    }))
}

pub(super) async fn stock(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let entries: Vec<Value> = shared.enter(|state| {
        let entries = state.world.stock().entries();
        entries
            .filter_map(|(server_type, location, supply)| {
                Some(json!({
                    "server_type": catalogue::server_type_by_id(server_type)?.name,
                    "location": catalogue::location_by_id(location)?.name,
                    "supply": supply,
                }))
            })
            .collect()
    });
    Json(json!({ "stock": entries }))
}

pub(super) async fn tokens(State(shared): State<Arc<Shared>>) -> Json<Value> {
    Json(shared.enter(|state| json!({ "tokens": state.tokens })))
}

/// What there is, in short, in all projects.
pub(super) async fn world(State(shared): State<Arc<Shared>>) -> Json<Value> {
    Json(shared.enter(|state| {
        let world = &state.world;
        let address =
            |id: Option<u64>| id.and_then(|id| world.primary_ip(id)).map(|ip| ip.address.clone());
        let servers: Vec<Value> = world
            .servers()
            .map(|server| {
                json!({
                    "id": server.id,
                    "project": world.project_name(server.project),
                    "name": server.name,
                    "status": server.status.name(),
                    "locked": server.held_by.is_some(),
                    "protected": server.protected,
                    "labels": server.labels,
                    "ipv4": address(server.ipv4),
                    "ipv6": address(server.ipv6),
                    "server_type":
                        catalogue::server_type_by_id(server.server_type).map(|size| size.name),
                    "location": catalogue::location_by_id(server.location).map(|it| it.name),
                })
            })
            .collect();
        let keys: Vec<Value> = world
            .ssh_keys()
            .map(|key| {
                json!({
                    "id": key.id,
                    "project": world.project_name(key.project),
                    "name": key.name,
                    "fingerprint": key.fingerprint,
                })
            })
            .collect();
        let ips: Vec<Value> = world
            .primary_ips()
            .map(|ip| {
                json!({
                    "id": ip.id,
                    "project": world.project_name(ip.project),
                    "ip": ip.address,
                    "assignee": ip.assignee,
                })
            })
            .collect();
        json!({
            "servers": servers,
            "ssh_keys": keys,
            "primary_ips": ips,
            "placement_groups": world.placement_groups().count(),
            "firewalls": world.firewalls().count(),
            "actions": world.actions().count(),
        })
    }))
}
