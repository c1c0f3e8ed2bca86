//! Who calls, and what they may do. A handler says the scope it needs by the extractor it takes.

use axum::extract::FromRequestParts;
use http::{HeaderMap, header, request::Parts};
use nodeyard_domain::{
    connection::ConnectionName,
    token::{Scope, Token, hash_secret, same_hash},
};
use nodeyard_engine::store::ApiStore;

use crate::{
    app::{App, Ports, Shared},
    audit::Notes,
    code::ApiCode,
    issuer::Issuer,
    problem::Problem,
};

/// The longest bearer token worth a look: a JWT with many claims is the longest there is.
const MAX_BEARER_BYTES: usize = 8 * 1024;

/// A caller whose token is known.
#[derive(Debug, Clone)]
pub struct Caller {
    pub token: Token,
}

impl Caller {
    pub fn actor(&self) -> &str {
        &self.token.name
    }

    pub fn sees(&self, connection: &ConnectionName) -> bool {
        self.token.sees(connection)
    }

    /// Sees every connection.
    pub fn is_unrestricted(&self) -> bool {
        self.token.connections.is_none()
    }

    /// A token for some connections must not touch what is about all of them.
    ///
    /// # Errors
    /// `forbidden`.
    pub(crate) fn require_unrestricted(&self) -> Result<(), Problem> {
        if self.is_unrestricted() {
            return Ok(());
        }
        Err(Problem::new(ApiCode::Forbidden, "The token is restricted to some connections."))
    }

    /// For what only an admin may do to a thing that others may see.
    ///
    /// # Errors
    /// `forbidden`.
    pub(crate) fn require_admin(&self) -> Result<(), Problem> {
        self.clone().require(Scope::Admin).map(drop)
    }

    pub(crate) fn require(self, scope: Scope) -> Result<Self, Problem> {
        if self.token.allows(scope) {
            return Ok(self);
        }
        let word = match scope {
            Scope::Read => "read",
            Scope::Operate => "operate",
            Scope::Admin => "admin",
        };
        Err(Problem::new(ApiCode::Forbidden, format!("This needs the scope `{word}`.")))
    }
}

/// The bearer token of a request.
///
/// # Errors
/// `missing_token`, or `invalid_token` when the header is there and cannot be one.
pub fn bearer(headers: &HeaderMap) -> Result<&str, Problem> {
    let header = headers.get(header::AUTHORIZATION).ok_or_else(|| {
        Problem::new(ApiCode::MissingToken, "Send `Authorization: Bearer` and an API token.")
    })?;
    header
        .to_str()
        .ok()
        .and_then(|text| text.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, secret)| secret.trim())
        .filter(|secret| !secret.is_empty() && secret.len() <= MAX_BEARER_BYTES)
        .ok_or_else(invalid_token)
}

pub fn invalid_token() -> Problem {
    Problem::new(ApiCode::InvalidToken, "The token is unknown or was deleted.")
}

/// # Errors
/// `missing_token`, `invalid_token`, `token_expired`, `issuer_unavailable`, or the store's failure.
pub async fn authenticate<P: Ports>(app: &App<P>, headers: &HeaderMap) -> Result<Caller, Problem> {
    let secret = bearer(headers)?;
    if let Some(issuer) = app.settings.issuer.as_ref().filter(|_| Issuer::is_meant(secret)) {
        return Ok(Caller { token: issuer.token(secret).await? });
    }
    known_token(app, &hash_secret(secret))
        .await?
        .map(|token| Caller { token })
        .ok_or_else(invalid_token)
}

/// The token that a secret of this hash belongs to.
///
/// # Errors
/// `token_expired`, or the store's failure.
pub(crate) async fn known_token<P: Ports>(
    app: &App<P>,
    hash: &str,
) -> Result<Option<Token>, Problem> {
    let found = app.store.token_by_hash(hash).await?;
    // What the store finds by its index is held against the whole hash once more.
    let Some(token) = found.filter(|token| same_hash(&token.secret_hash, hash)) else {
        return Ok(None);
    };
    if token.has_expired(app.now()) {
        return Err(Problem::new(ApiCode::TokenExpired, "The token has expired.")
            .guided("Ask an admin for another one."));
    }
    Ok(Some(token))
}

macro_rules! scoped {
    ($(#[$doc:meta] $name:ident: $scope:ident;)+) => {$(
        #[$doc]
        #[derive(Debug, Clone)]
        pub struct $name(pub Caller);

        impl<P: Ports> FromRequestParts<Shared<P>> for $name {
            type Rejection = Problem;

            async fn from_request_parts(
                parts: &mut Parts,
                app: &Shared<P>,
            ) -> Result<Self, Problem> {
                let caller = authenticate(app, &parts.headers).await?;
                if let Some(notes) = parts.extensions.get::<Notes>() {
                    notes.caller(&caller);
                }
                caller.require(Scope::$scope).map(Self)
            }
        }
    )+};
}

scoped! {
    /// May look.
    Reader: Read;
    /// May start and stop work.
    Operator: Operate;
    /// May change connections and tokens.
    Admin: Admin;
}
