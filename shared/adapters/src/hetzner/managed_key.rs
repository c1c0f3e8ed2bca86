//! The managed SSH key at the provider: unique by fingerprint, so it is looked up by that and
//! reused, whatever its name is there.

use nodeyard_domain::observation::ProviderFailure;
use serde_json::Value;

use super::{
    failure::unreadable,
    projection::{KeyView, loose_id, view},
    session::{Reader, list},
    transport::{Answer, Call},
};

type Result<T> = std::result::Result<T, ProviderFailure>;

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
