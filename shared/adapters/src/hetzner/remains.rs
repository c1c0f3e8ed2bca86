//! What is left of a server: the proof that it is gone, and its Primary IPs.

use nodeyard_domain::{
    connection::Connection,
    observation::{FailureClass, ProviderFailure},
};
use nodeyard_engine::{provider::Remains, secrets::Secrets};
use serde_json::Value;

use super::{
    failure::drift,
    marker::{self, look},
    projection::loose_id,
    session::Session,
    transport::{Answer, Call},
};

type Result<T> = std::result::Result<T, ProviderFailure>;

/// Calls made besides one for each Primary IP.
pub(super) const CALLS: usize = 2;

/// Whose a Primary IP is.
enum Holder {
    Nobody,
    /// The server that it was made with.
    Server,
    Another,
}

/// The server's 404 is held against the marker; all of it is void when the token changed on the
/// way.
pub(super) async fn of<S: Secrets>(
    session: &mut Session<'_, S>,
    connection: &Connection,
    server_id: u64,
    primary_ips: &[u64],
) -> Result<Remains> {
    if look(session, &Call::get("/servers/{id}").id(server_id)).await?.is_some() {
        return Ok(Remains::StillThere);
    }
    let generation = session.generation();
    if !marker::is_seen(session, connection).await? {
        return Ok(Remains::MarkerMissing);
    }
    let (mut left, mut is_held) = (Vec::new(), false);
    for id in primary_ips {
        let Some(answer) = look(session, &Call::get("/primary_ips/{id}").id(*id)).await? else {
            continue;
        };
        match holder(&answer, server_id)? {
            Holder::Nobody => left.push(*id),
            Holder::Server => is_held = true,
            // Somebody has put it to another use: no longer the node's.
            Holder::Another => {}
        }
    }
    marker::same_token(session, generation)?;
    Ok(match (left.is_empty(), is_held) {
        (false, _) => Remains::PrimaryIps(left),
        (true, true) => Remains::StillThere,
        (true, false) => Remains::Nothing,
    })
}

pub(super) async fn delete_primary_ip<S: Secrets>(
    session: &mut Session<'_, S>,
    id: u64,
) -> Result<()> {
    match session.write(&Call::delete("/primary_ips/{id}").id(id)).await {
        Err(failure) if failure.class != FailureClass::NotFound => Err(failure),
        _ => Ok(()),
    }
}

/// `null` says that nobody has it. A field that is missing says nothing, and what may be in use is
/// not to be deleted.
fn holder(answer: &Answer, server_id: u64) -> Result<Holder> {
    match answer.json()?.pointer("/primary_ip/assignee_id") {
        Some(Value::Null) => Ok(Holder::Nobody),
        given => match loose_id(given) {
            Some(id) if id == server_id => Ok(Holder::Server),
            Some(_) => Ok(Holder::Another),
            None => Err(drift("a Primary IP without its assignee")),
        },
    }
}
