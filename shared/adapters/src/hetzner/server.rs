//! Calls about servers and their actions.

use std::collections::BTreeMap;

use nodeyard_domain::{
    connection::Connection,
    observation::{FailureClass, ProviderFailure},
};
use nodeyard_engine::{
    provider::{ActionState, CreateServer, CreatedServer, FoundServer, Remains},
    secrets::Secrets,
};
use serde_json::Value;

use super::{
    failure::{busy, drift, unreadable},
    projection::{ActionView, ServerRest, ServerView, loose_id, view},
    request,
    session::{Reader as _, Session, list},
    transport::{Answer, Call},
};

type Result<T> = std::result::Result<T, ProviderFailure>;

/// A page holds 25 actions unless told otherwise, and this call takes no page size
/// (API reference, "Get multiple actions").
pub(super) const ACTIONS_PER_CALL: usize = 25;

pub(super) async fn find<S: Secrets>(
    session: &mut Session<'_, S>,
    name: &str,
) -> Result<Option<FoundServer>> {
    let call = Call::get("/servers").query("name", name);
    for entry in list(session, &call, "servers").await? {
        // An entry that cannot be read may be the one: "absent" would mean a second create.
        let server: ServerView = view(entry, "a server")?;
        if server.name == name {
            return Ok(Some(server.found()));
        }
    }
    Ok(None)
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

pub(super) async fn get<S: Secrets>(session: &mut Session<'_, S>, id: u64) -> Result<FoundServer> {
    let answer = session.read(&Call::get("/servers/{id}").id(id)).await?;
    let server = answer.json()?.get_mut("server").map(Value::take).unwrap_or_default();
    Ok(view::<ServerView>(server, "a server")?.found())
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

/// 404 proves something only with a token that sees what is ours, so each 404 is held against
/// the marker, and all of it is void when the token changed on the way.
pub(super) async fn remains<S: Secrets>(
    session: &mut Session<'_, S>,
    connection: &Connection,
    server_id: u64,
    primary_ips: &[u64],
) -> Result<Remains> {
    if exists(session, &Call::get("/servers/{id}").id(server_id)).await? {
        return Ok(Remains::StillThere);
    }
    let generation = session.generation();
    let Some(marker) = &connection.key else {
        return Ok(Remains::MarkerMissing);
    };
    if !exists(session, &Call::get("/ssh_keys/{id}").id(marker.provider_id)).await? {
        return Ok(Remains::MarkerMissing);
    }
    for id in primary_ips {
        if exists(session, &Call::get("/primary_ips/{id}").id(*id)).await? {
            return Ok(Remains::StillThere);
        }
    }
    if session.generation() != generation {
        return Err(busy("token_replaced", "the token was replaced meanwhile"));
    }
    Ok(Remains::Nothing)
}

async fn exists<S: Secrets>(session: &mut Session<'_, S>, call: &Call) -> Result<bool> {
    match session.read(call).await {
        Ok(_) => Ok(true),
        Err(failure) if failure.class == FailureClass::NotFound => Ok(false),
        Err(failure) => Err(failure),
    }
}
