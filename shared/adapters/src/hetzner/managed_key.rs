//! The managed SSH key at the provider: unique by fingerprint, so it is looked up by that and
//! reused, whatever its name is there.

use nodeyard_domain::{
    connection::Connection,
    observation::{FailureClass, ProviderFailure},
};
use nodeyard_engine::{provider::KeyUpload, secrets::Secrets};
use serde_json::Value;

use super::{
    failure::unreadable,
    key,
    marker::{is_seen, same_token},
    projection::{KeyView, loose_id, view},
    request,
    session::{Reader, Session, list},
    transport::{Answer, Call},
};

type Result<T> = std::result::Result<T, ProviderFailure>;

/// Calls that an upload takes at most: the marker, the fingerprint, the create, and
/// where the name is taken the fingerprint and the create again.
pub(super) const UPLOAD_CALLS: usize = 5;
/// Calls that a removal takes at most: the marker, the fingerprint, the deletion.
pub(super) const REMOVAL_CALLS: usize = 3;

/// Makes a key known to the project that the marker is in. Made before, it is found again.
pub(super) async fn upload<S: Secrets>(
    session: &mut Session<'_, S>,
    connection: &Connection,
    name: &str,
    public_key: &str,
) -> Result<KeyUpload> {
    let fingerprint = fingerprint_of(public_key)?;
    let generation = session.generation();
    if !is_seen(session, connection).await? {
        return Ok(KeyUpload::MarkerMissing);
    }
    let found = by_fingerprint(session, &fingerprint).await?;
    // A key in another project would be litter, and a marker of nothing.
    same_token(session, generation)?;
    let ready = |provider_id| KeyUpload::Ready { provider_id, fingerprint: fingerprint.clone() };
    if let Some(found) = found {
        return Ok(ready(found.id));
    }
    let call = Call::post("/ssh_keys", request::create_key(name, public_key)?);
    match session.write(&call).await {
        Ok(answer) => created(&answer).map(ready),
        Err(failure) if failure.class == FailureClass::NameTaken => {
            // Look again: somebody made this key meanwhile, or another key has the name.
            if let Some(found) = by_fingerprint(session, &fingerprint).await? {
                return Ok(ready(found.id));
            }
            let body = request::create_key(&own_name(name, &fingerprint), public_key)?;
            created(&session.write(&Call::post("/ssh_keys", body)).await?).map(ready)
        }
        Err(failure) => Err(failure),
    }
}

/// Deletes a key from the project that the marker is in. False where the marker is not seen.
pub(super) async fn remove<S: Secrets>(
    session: &mut Session<'_, S>,
    connection: &Connection,
    public_key: &str,
) -> Result<bool> {
    let fingerprint = fingerprint_of(public_key)?;
    let generation = session.generation();
    if !is_seen(session, connection).await? {
        return Ok(false);
    }
    let found = by_fingerprint(session, &fingerprint).await?;
    same_token(session, generation)?;
    let Some(found) = found else { return Ok(true) };
    match session.write(&Call::delete("/ssh_keys/{id}").id(found.id)).await {
        Err(failure) if failure.class != FailureClass::NotFound => Err(failure),
        _ => Ok(true),
    }
}

fn fingerprint_of(public_key: &str) -> Result<String> {
    key::fingerprint(public_key).ok_or_else(|| {
        ProviderFailure::new(FailureClass::Invalid, "invalid_key", "no OpenSSH public key")
    })
}

pub(super) async fn by_fingerprint(
    reader: &mut (impl Reader + Send),
    fingerprint: &str,
) -> Result<Option<KeyView>> {
    let call = Call::get("/ssh_keys").query("fingerprint", fingerprint);
    for entry in list(reader, &call, "ssh_keys").await? {
        let key: KeyView = view(entry, "an SSH key")?;
        // An answer without fingerprints still is the answer to this one's filter.
        if key.fingerprint.as_deref().is_none_or(|text| text.eq_ignore_ascii_case(fingerprint)) {
            return Ok(Some(key));
        }
    }
    Ok(None)
}

/// A name that no other key has: names are unique as well.
pub(super) fn own_name(stem: &str, fingerprint: &str) -> String {
    let digits: String = fingerprint.chars().filter(char::is_ascii_hexdigit).take(8).collect();
    format!("{stem}-{digits}")
}

/// The id of a key that was just created.
pub(super) fn created(answer: &Answer) -> Result<u64> {
    let json: Value = answer.json()?;
    loose_id(json.pointer("/ssh_key/id"))
        .ok_or_else(|| unreadable("a key was accepted without an id"))
}
