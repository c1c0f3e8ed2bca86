//! API tokens: made, listed and deleted by an admin. A secret is shown once.

use axum::{
    Json,
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use http::{HeaderMap, StatusCode, header};
use jiff::Timestamp;
use nodeyard_domain::{
    audit::{Action, Outcome, RESERVED_ACTORS},
    connection::ConnectionName,
    id::TokenId,
    token::{Scope, Token, hash_secret, same_hash},
};
use nodeyard_engine::{secrets::Secrets, store::ApiStore};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{
    ToSchema,
    openapi::{ArrayBuilder, RefOr, Schema},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    app::{App, Ports, Shared},
    auth::{Admin, Caller, bearer, invalid_token, known_token},
    body::{JsonBody, parse},
    code::ApiCode,
    issuer::Issuer,
    names,
    paging::ListView,
    problem::{Faults, Problem},
    request::Origin,
};

const MAX_NAME_CHARS: usize = 63;
const MAX_CONNECTIONS: usize = 64;

pub fn routes<P: Ports>() -> OpenApiRouter<Shared<P>> {
    OpenApiRouter::new().routes(routes!(list_tokens, create_token)).routes(routes!(delete_token))
}

/// What `POST /tokens` takes.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// The actor in the audit trail: 1 to 63 letters, digits, `-`, `_`, `.` and `@`.
    #[schema(min_length = 1, max_length = 63, pattern = "^[A-Za-z0-9._@-]+$")]
    name: String,
    /// Each includes the ones before it: `read`, `operate`, `admin`.
    #[schema(schema_with = given_scopes)]
    scopes: Vec<Scope>,
    /// The connections it may touch; all, if absent.
    #[schema(min_items = 1, max_items = 64)]
    connections: Option<Vec<String>>,
    /// From then on it is refused; never, if absent. The first token and the last admin's have none.
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
}

fn given_scopes() -> Schema {
    ArrayBuilder::new().items(RefOr::T(names::scope())).min_items(Some(1)).build().into()
}

fn scopes() -> Schema {
    ArrayBuilder::new().items(RefOr::T(names::scope())).build().into()
}

/// A token without its secret.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Token)]
pub struct TokenView {
    #[schema(example = "token-0123456789abcdef0123456789abcdef")]
    id: String,
    name: String,
    #[schema(schema_with = scopes)]
    scopes: Vec<Scope>,
    connections: Option<Vec<String>>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
}

/// A new token; the secret is shown this once.
#[derive(Debug, Serialize, ToSchema)]
pub struct MadeToken {
    #[serde(flatten)]
    token: TokenView,
    /// Send it as `Authorization: Bearer …`.
    secret: String,
}

impl From<&Token> for TokenView {
    fn from(token: &Token) -> Self {
        let names = |list: &Vec<ConnectionName>| list.iter().map(ToString::to_string).collect();
        Self {
            id: token.id.to_string(),
            name: token.name.clone(),
            scopes: token.scopes.clone(),
            connections: token.connections.as_ref().map(names),
            created_at: token.created_at,
            expires_at: token.expires_at,
        }
    }
}

/// List tokens, without their secrets.
#[utoipa::path(
    get, path = "/tokens", tag = "tokens",
    responses((status = 200, description = "All tokens", body = ListView<TokenView>))
)]
pub async fn list_tokens<P: Ports>(
    State(app): State<Shared<P>>,
    Admin(caller): Admin,
) -> Result<Json<ListView<TokenView>>, Problem> {
    caller.require_unrestricted()?;
    let tokens = app.store.tokens().await?;
    Ok(Json(ListView::whole(tokens.iter().map(TokenView::from).collect())))
}

/// Who may make a token.
enum Maker {
    /// The secret generated at deployment, until the first admin token exists.
    Bootstrap,
    Admin(Caller),
}

/// Make a token. The first one is made with the secret generated at deployment.
#[utoipa::path(
    post, path = "/tokens", tag = "tokens", request_body = NewToken,
    responses((status = 201, description = "The token, with its secret", body = MadeToken,
        headers(("Location" = String, description = "The token"))))
)]
pub async fn create_token<P: Ports>(
    State(app): State<Shared<P>>,
    headers: HeaderMap,
    origin: Origin,
    body: Result<JsonBody, Problem>,
) -> Result<Response, Problem> {
    let maker = maker(&app, &headers, &origin).await?;
    let JsonBody(body) = body?;
    let Grant { name, scopes, connections, expires_at } = grant(&body, &maker, app.now())?;
    let secret = format!("ny_{:032x}{:032x}", app.random()?, app.random()?);
    let token = Token {
        id: TokenId::from_bits(app.random()?),
        name,
        scopes,
        connections,
        secret_hash: hash_secret(&secret),
        created_at: app.now(),
        expires_at,
    };
    let first = matches!(maker, Maker::Bootstrap);
    let audit = match &maker {
        Maker::Bootstrap => app.audit_bootstrap(&origin, &token.id),
        Maker::Admin(caller) => {
            app.audit(caller, &origin, Action::TokenCreate, &token.id, Outcome::Done)
        }
    };
    if !app.store.put_token(&token, first, &audit).await? {
        let detail = "Ask an admin for a token.";
        return Err(Problem::new(ApiCode::BootstrapSpent, detail));
    }
    let actor = audit.actor;
    tracing::info!(actor, token = %token.id, name = token.name, request_id = origin.request_id, "a token was made");
    let location = [(header::LOCATION, format!("/tokens/{}", token.id))];
    let made = MadeToken { token: TokenView::from(&token), secret };
    Ok((StatusCode::CREATED, location, Json(made)).into_response())
}

/// The caller of `POST /tokens`, which the extractors cannot tell: it may be the bootstrap secret.
async fn maker<P: Ports>(
    app: &App<P>,
    headers: &HeaderMap,
    origin: &Origin,
) -> Result<Maker, Problem> {
    let secret = bearer(headers)?;
    let hash = hash_secret(secret);
    let known = match app.settings.issuer.as_ref().filter(|_| Issuer::is_meant(secret)) {
        Some(issuer) => Some(issuer.token(secret).await?),
        None => known_token(app, &hash).await?,
    };
    if let Some(token) = known {
        let caller = Caller { token };
        origin.notes.caller(&caller);
        if !caller.token.allows(Scope::Admin) {
            return Err(Problem::new(ApiCode::Forbidden, "This needs the scope `admin`."));
        }
        caller.require_unrestricted()?;
        return Ok(Maker::Admin(caller));
    }
    let bootstrap = app.secrets.bootstrap().await?;
    if same_hash(&hash, &hash_secret(bootstrap.expose_secret())) {
        origin.notes.bootstrap();
        Ok(Maker::Bootstrap)
    } else {
        Err(invalid_token())
    }
}

/// What a new token is to be.
struct Grant {
    name: String,
    scopes: Vec<Scope>,
    connections: Option<Vec<ConnectionName>>,
    expires_at: Option<Timestamp>,
}

fn grant(body: &Value, maker: &Maker, now: Timestamp) -> Result<Grant, Problem> {
    let new: NewToken = parse(body)?;
    let mut faults = Faults::default();
    let well_formed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.@".contains(&byte);
    if !(1..=MAX_NAME_CHARS).contains(&new.name.len()) || !new.name.bytes().all(well_formed) {
        let detail = "1 to 63 letters, digits, `-`, `_`, `.` and `@`";
        faults.add("/name", ApiCode::InvalidBody, detail);
    }
    if RESERVED_ACTORS.contains(&new.name.as_str()) {
        let detail = "the audit trail has another meaning for this name";
        faults.add("/name", ApiCode::InvalidBody, detail);
    }
    if new.scopes.is_empty() {
        faults.add("/scopes", ApiCode::InvalidBody, "at least one scope");
    }
    let connections = new.connections.map(|texts| connections(&texts, &mut faults));
    if new.expires_at.is_some_and(|expires| expires <= now) {
        faults.add("/expires_at", ApiCode::InvalidBody, "has to be in the future");
    }
    if matches!(maker, Maker::Bootstrap) {
        if !new.scopes.contains(&Scope::Admin) {
            faults.add("/scopes", ApiCode::InvalidBody, "the first token has to be an admin's");
        }
        if connections.is_some() {
            let detail = "the first token has to be for all connections";
            faults.add("/connections", ApiCode::InvalidBody, detail);
        }
        if new.expires_at.is_some() {
            let detail = "the first token must not expire: nobody could make another one";
            faults.add("/expires_at", ApiCode::InvalidBody, detail);
        }
    }
    faults.into_result()?;
    let expires_at = new.expires_at;
    Ok(Grant { name: new.name, scopes: new.scopes, connections, expires_at })
}

fn connections(texts: &[String], faults: &mut Faults) -> Vec<ConnectionName> {
    if texts.is_empty() || texts.len() > MAX_CONNECTIONS {
        let detail = format!("1 to {MAX_CONNECTIONS} names");
        faults.add("/connections", ApiCode::InvalidBody, detail);
    }
    let mut names = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        match text.parse() {
            Ok(name) => names.push(name),
            Err(_) => {
                let pointer = format!("/connections/{index}");
                faults.add(pointer, ApiCode::InvalidBody, "no name of a connection");
            }
        }
    }
    names
}

/// Delete a token; it is refused from now on.
#[utoipa::path(
    delete, path = "/tokens/{id}", tag = "tokens", params(("id" = String, Path)),
    responses((status = 204, description = "Deleted"))
)]
pub async fn delete_token<P: Ports>(
    State(app): State<Shared<P>>,
    Admin(caller): Admin,
    Path(id): Path<String>,
    origin: Origin,
) -> Result<StatusCode, Problem> {
    caller.require_unrestricted()?;
    let absent = || Problem::not_found("token");
    let id: TokenId = id.parse().map_err(|_| absent())?;
    let tokens = app.store.tokens().await?;
    let others = tokens.iter().any(|token| token.rules() && token.id != id);
    // The bootstrap secret is spent: nobody could make a token any more.
    if !others && tokens.iter().any(|token| token.id == id) {
        let detail = "Make another admin token that does not expire first.";
        return Err(Problem::new(ApiCode::LastAdminToken, detail));
    }
    let audit = app.audit(&caller, &origin, Action::TokenDelete, &id, Outcome::Done);
    if !app.store.delete_token(&id, &audit).await? {
        return Err(absent());
    }
    tracing::info!(actor = caller.actor(), token = %id, request_id = origin.request_id, "a token was deleted");
    Ok(StatusCode::NO_CONTENT)
}
