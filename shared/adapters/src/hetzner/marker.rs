//! The connection's marker, its managed key: a 404 proves something only with a token that has
//! just seen what is ours.

use nodeyard_domain::{
    connection::{Connection, ManagedKey},
    observation::{FailureClass, ProviderFailure},
};
use nodeyard_engine::secrets::Secrets;

use super::{
    failure::busy,
    session::{Reader as _, Session},
    transport::{Answer, Call},
};

type Result<T> = std::result::Result<T, ProviderFailure>;

/// The answer to a read; `None` when it was 404.
pub(super) async fn look<S: Secrets>(
    session: &mut Session<'_, S>,
    call: &Call,
) -> Result<Option<Answer>> {
    match session.read(call).await {
        Ok(answer) => Ok(Some(answer)),
        Err(failure) if failure.class == FailureClass::NotFound => Ok(None),
        Err(failure) => Err(failure),
    }
}

pub(super) async fn sees_key<S: Secrets>(
    session: &mut Session<'_, S>,
    key: &ManagedKey,
) -> Result<bool> {
    let call = Call::get("/ssh_keys/{id}").id(key.provider_id);
    Ok(look(session, &call).await?.is_some())
}

/// Something was just not there. Whether the token that saw nothing sees the marker; an error
/// when another token has taken over meanwhile, which says nothing of the first one.
pub(super) async fn is_seen<S: Secrets>(
    session: &mut Session<'_, S>,
    connection: &Connection,
) -> Result<bool> {
    let generation = session.generation();
    let Some(marker) = &connection.key else { return Ok(false) };
    let is_seen = sees_key(session, marker).await?;
    same_token(session, generation)?;
    Ok(is_seen)
}

pub(super) fn same_token<S: Secrets>(session: &Session<'_, S>, generation: u32) -> Result<()> {
    if session.generation() == generation {
        return Ok(());
    }
    Err(busy("token_replaced", "the token was replaced meanwhile"))
}
