//! Calls about servers and their actions.

use std::collections::BTreeMap;

use nodeyard_domain::{
    connection::Connection,
    id::NodeId,
    observation::{FailureClass, ProviderFailure},
    ownership::{LABEL_DEPLOYMENT, LABEL_NODE},
};
use nodeyard_engine::{
    provider::{
        ACTIONS_PER_CALL, ActionState, CreateServer, CreatedServer, FoundServer, Lookup,
        NODES_PER_LISTING,
    },
    secrets::Secrets,
};
use serde_json::Value;

use super::{
    failure::{drift, unreadable},
    marker::{self, look},
    projection::{ActionView, ServerRest, ServerView, loose_id, view},
    request,
    session::{Reader as _, Session, list},
    transport::{Answer, Call},
};

type Result<T> = std::result::Result<T, ProviderFailure>;

/// Calls that looking for one server takes at most: it, and the marker when it is not there.
pub(super) const LOOKUP_CALLS: usize = 2;

pub(super) async fn find<S: Secrets>(
    session: &mut Session<'_, S>,
    connection: &Connection,
    name: &str,
) -> Result<Lookup> {
    let call = Call::get("/servers").query("name", name);
    for entry in list(session, &call, "servers").await? {
        // An entry that cannot be read may be the one: "absent" would mean a second create.
        let server: ServerView = view(entry, "a server")?;
        if server.name == name {
            return Ok(Lookup::Found(Box::new(server.found())));
        }
    }
    absent(session, connection).await
}

pub(super) async fn get<S: Secrets>(
    session: &mut Session<'_, S>,
    connection: &Connection,
    id: u64,
) -> Result<Lookup> {
    let Some(answer) = look(session, &Call::get("/servers/{id}").id(id)).await? else {
        return absent(session, connection).await;
    };
    let server = answer.json()?.get_mut("server").map(Value::take).unwrap_or_default();
    Ok(Lookup::Found(Box::new(view::<ServerView>(server, "a server")?.found())))
}

async fn absent<S: Secrets>(
    session: &mut Session<'_, S>,
    connection: &Connection,
) -> Result<Lookup> {
    let is_proved = marker::is_seen(session, connection).await?;
    Ok(if is_proved { Lookup::Absent } else { Lookup::MarkerMissing })
}

pub(super) async fn create<S: Secrets>(
    session: &mut Session<'_, S>,
    body: &CreateServer,
) -> Result<CreatedServer> {
    let call = Call::post("/servers", request::create_server(body)?);
    let answer = session.write(&call).await?;
    created(&answer, body).map_err(|mut failure| {
        failure.correlation_id = answer.correlation_id;
        failure
    })
}

/// The ids first, from loose JSON; nothing that is odd about the rest may lose them.
pub(super) fn created(answer: &Answer, body: &CreateServer) -> Result<CreatedServer> {
    let json = answer.json()?;
    let server = json.get("server").unwrap_or(&Value::Null);
    let id = loose_id(server.get("id"))
        .ok_or_else(|| unreadable("a create was accepted without a server id"))?;
    Ok(CreatedServer {
        server: ServerRest::of(server).server(id, body.name.clone(), body.attempt),
        action_id: loose_id(json.pointer("/action/id")),
    })
}

pub(super) async fn delete<S: Secrets>(session: &mut Session<'_, S>, id: u64) -> Result<()> {
    session.write(&Call::delete("/servers/{id}").id(id)).await.map(drop)
}

pub(super) async fn actions<S: Secrets>(
    session: &mut Session<'_, S>,
    ids: &[u64],
) -> Result<BTreeMap<u64, ActionState>> {
    let mut states = BTreeMap::new();
    for chunk in ids.chunks(ACTIONS_PER_CALL) {
        let call = chunk.iter().fold(Call::get("/actions"), |call, id| call.query("id", id));
        let mut body = match session.read(&call).await {
            Ok(answer) => answer.json()?,
            // None of them is known.
            Err(failure) if failure.class == FailureClass::NotFound => continue,
            Err(failure) => return Err(failure),
        };
        let Some(Value::Array(found)) = body.get_mut("actions").map(Value::take) else {
            return Err(drift("a list without `actions`"));
        };
        for entry in found {
            let action: ActionView = view(entry, "an action")?;
            if chunk.contains(&action.id) {
                states.insert(action.id, action.state());
            }
        }
    }
    Ok(states)
}

pub(super) async fn of_nodes<S: Secrets>(
    session: &mut Session<'_, S>,
    deployment: &str,
    nodes: &[NodeId],
) -> Result<Vec<FoundServer>> {
    let mut servers = Vec::new();
    for chunk in nodes.chunks(NODES_PER_LISTING) {
        let names: Vec<&str> = chunk.iter().map(NodeId::as_str).collect();
        let names = names.join(",");
        let selector = format!("{LABEL_DEPLOYMENT}={deployment},{LABEL_NODE} in ({names})");
        let call = Call::get("/servers").query("label_selector", selector);
        for entry in list(session, &call, "servers").await? {
            // One that cannot be read is asked for alone, where the answer is told.
            let Ok(server) = view::<ServerView>(entry, "a server") else { continue };
            let found = server.found();
            let is = |key: &str, value: &str| found.labels.get(key).is_some_and(|it| it == value);
            if is(LABEL_DEPLOYMENT, deployment)
                && chunk.iter().any(|node| is(LABEL_NODE, node.as_str()))
            {
                servers.push(found);
            }
        }
    }
    Ok(servers)
}
