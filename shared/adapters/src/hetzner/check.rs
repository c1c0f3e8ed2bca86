//! Judging a token by live calls. A GET shows that it is valid; only a write that succeeds shows
//! that it may write.

use nodeyard_domain::{
    connection::{ManagedKey, Permission},
    observation::{FailureClass, ProviderFailure},
};
use nodeyard_engine::provider::TokenReport;

use super::{
    key,
    managed_key::{by_fingerprint, created, own_name},
    projection::{KeyView, view},
    request,
    session::Line,
    transport::Call,
};

type Result<T> = std::result::Result<T, ProviderFailure>;

/// Calls that a check makes at most.
pub(super) const CALLS: i64 = 5;

/// With `known`, nothing is created: in another project the key would be litter.
pub(super) async fn check_token(
    line: &mut Line<'_>,
    key_name: &str,
    public_key: &str,
    known: Option<&ManagedKey>,
) -> Result<TokenReport> {
    let fingerprint = match known {
        Some(known) => known.fingerprint.clone(),
        None => key::fingerprint(public_key).ok_or_else(|| {
            ProviderFailure::new(FailureClass::Invalid, "invalid_key", "no OpenSSH public key")
        })?,
    };
    let marker = match known {
        Some(known) => see(line, known).await?,
        None => None,
    };
    let sees_marker = marker.is_some();
    // This GET is also the proof of validity where the marker answered 404.
    let found = match marker {
        Some(marker) => Some(marker),
        None => by_fingerprint(line, &fingerprint).await?,
    };
    let (permission, id) = match found {
        Some(found) => {
            let id = found.id;
            (judge(write_again(line, found).await), Some(id))
        }
        None if known.is_some() => (Permission::Unknown, None),
        None => match create(line, key_name, public_key, &fingerprint).await {
            Ok(id) => (Permission::ReadWrite, Some(id)),
            Err(failure) => (judge(Err(failure)), None),
        },
    };
    let key = id.map(|provider_id| ManagedKey {
        version: known.map_or(1, |known| known.version),
        provider_id,
        fingerprint,
        public_key: public_key.trim().to_owned(),
    });
    Ok(TokenReport { permission, rate_budget: line.rate_budget, key, sees_marker })
}

/// The marker, if the token sees it.
async fn see(line: &mut Line<'_>, known: &ManagedKey) -> Result<Option<KeyView>> {
    match line.send(&Call::get("/ssh_keys/{id}").id(known.provider_id)).await {
        Ok(answer) => {
            let mut body = answer.json()?;
            let key = body.get_mut("ssh_key").map(serde_json::Value::take).unwrap_or_default();
            view(key, "an SSH key").map(Some)
        }
        Err(failure) if failure.class == FailureClass::NotFound => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// Writes to a key what it already has.
async fn write_again(line: &mut Line<'_>, key: KeyView) -> Result<()> {
    let body = request::replace_key(&key.name, key.labels)?;
    line.send(&Call::put("/ssh_keys/{id}", body).id(key.id)).await.map(drop)
}

async fn create(
    line: &mut Line<'_>,
    name: &str,
    public_key: &str,
    fingerprint: &str,
) -> Result<u64> {
    let call = Call::post("/ssh_keys", request::create_key(name, public_key)?);
    let refusal = match line.send(&call).await {
        Ok(answer) => return created(&answer),
        Err(failure) => failure,
    };
    if refusal.class != FailureClass::NameTaken {
        return Err(refusal);
    }
    // Look again: either somebody made this key meanwhile, or another key has the name.
    if let Some(found) = by_fingerprint(line, fingerprint).await? {
        let id = found.id;
        return write_again(line, found).await.map(|()| id);
    }
    let body = request::create_key(&own_name(name, fingerprint), public_key)?;
    created(&line.send(&Call::post("/ssh_keys", body)).await?)
}

/// What a write has shown. Only the provider's own word makes a token read-only.
fn judge(written: Result<()>) -> Permission {
    match written {
        Ok(()) => Permission::ReadWrite,
        Err(failure) if matches!(failure.code.as_str(), "token_readonly" | "forbidden") => {
            Permission::ReadOnly
        }
        Err(_) => Permission::Unknown,
    }
}
