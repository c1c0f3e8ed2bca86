//! The whole API in memory, and what holds for its answer to any request.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use axum::{Router, body::Body};
use http::{HeaderMap, Request, header};
use jiff::Timestamp;
use nodeyard_api::{
    app::{App, Ports, Settings},
    router,
};
use nodeyard_domain::{
    audit::{Action, AuditEntry, Outcome, Resource},
    id::TokenId,
    token::{Scope, Token, hash_secret},
};
use nodeyard_engine::{Clock as _, store::ApiStore as _};
use nodeyard_testkit::{
    provider::MemoryProvider,
    queue::MemoryQueue,
    secrets::MemorySecrets,
    store::MemoryStore,
    world::{DEPLOYMENT, World},
};
use serde_json::Value;
use tower::ServiceExt as _;

/// The bearer token of the sample events: an admin's.
pub const ADMIN: &str = "not-a-token";
/// One that may read, and one that sees another connection only.
const OTHERS: &[(&str, Scope, Option<&str>)] =
    &[("ny_reader", Scope::Read, None), ("ny_elsewhere", Scope::Admin, Some("elsewhere"))];

/// No answer to one request is longer, in bytes.
const MAX_ANSWER_BYTES: usize = 512 * 1024;
/// Shorter texts are found in answers by chance.
const MIN_SECRET_CHARS: usize = 12;

struct Memory;

impl Ports for Memory {
    type Store = MemoryStore;
    type Queue = MemoryQueue;
    type Provider = MemoryProvider;
    type Secrets = MemorySecrets;
}

/// A deployment with one connection, one node and a few tokens.
pub struct Api {
    world: World,
    router: Router,
    /// Ids that a path may name: a job's and a node's.
    pub ids: (String, String),
}

impl Api {
    pub async fn new() -> Self {
        let mut world = World::new().await;
        let (job, node) = world.provision(|_| {}).await;
        let admin = (ADMIN, Scope::Admin, None);
        for (number, (secret, scope, connection)) in
            std::iter::once(&admin).chain(OTHERS).enumerate()
        {
            let token = token(number as u128, secret, *scope, *connection, world.clock.now());
            let made = Resource::from(&token.id);
            let entry =
                AuditEntry::of_system(token.created_at, Action::TokenCreate, made, Outcome::Done);
            let stored = world.store.put_token(&token, false, &entry).await;
            assert!(matches!(stored, Ok(true)), "a token in memory");
        }
        let drawn = AtomicU64::new(1);
        let app = App::<Memory>::new(
            world.store.clone(),
            world.queue.clone(),
            world.provider.clone(),
            Arc::new(world.secrets.clone()),
            Settings::new(DEPLOYMENT.to_owned(), Vec::new(), None)
                .unwrap_or_else(|error| unreachable!("the profiles are as tested: {error}")),
            world.clock.clone(),
            move || Some(u128::from(drawn.fetch_add(1, Ordering::Relaxed)) << 64),
        );
        Self { router: router(app), ids: (job.to_string(), node.to_string()), world }
    }

    fn records(&self) -> (usize, usize, usize) {
        let World { store, .. } = &self.world;
        (store.all_jobs().len(), store.all_nodes().len(), store.all_connections().len())
    }

    /// Sends a request, of which `body` is the body. The answer's status and code.
    ///
    /// # Errors
    /// When the answer breaks one of our promises.
    pub async fn try_request<B>(&self, request: Request<B>, body: &[u8]) -> Result<String, String>
    where
        B: Into<Body>,
    {
        let secrets = secrets_of(request.headers(), body);
        let is_head = request.method() == http::Method::HEAD;
        let route = format!("{} {}", request.method(), request.uri().path());
        let before = self.records();
        let answer = match self.router.clone().oneshot(request.map(Into::into)).await {
            Ok(answer) => answer,
            Err(never) => match never {},
        };
        let (parts, body) = answer.into_parts();
        let bytes = axum::body::to_bytes(body, MAX_ANSWER_BYTES)
            .await
            .map_err(|_| format!("{route}: the answer is longer than {MAX_ANSWER_BYTES} bytes"))?;
        let status = parts.status.as_u16();
        let text = std::str::from_utf8(&bytes).map_err(|_| format!("{route}: no UTF-8"))?;
        if status >= 500 {
            return Err(format!("{route}: {status} {text}"));
        }
        let json: Value = serde_json::from_str(text).unwrap_or_default();
        if status >= 400 {
            problem(&parts.headers, status, &json, is_head)
                .map_err(|what| format!("{route}: {what} in {text}"))?;
            if self.records() != before {
                return Err(format!("{route}: a refusal left a record: {text}"));
            }
            // What is made and shown once is shown in success only, so nothing sent is repeated.
            if let Some(secret) = secrets.iter().find(|secret| text.contains(secret.as_str())) {
                return Err(format!("{route}: {secret:?} is repeated in {text}"));
            }
        } else if !text.is_empty() && json.is_null() {
            return Err(format!("{route}: no JSON: {text}"));
        }
        Ok(format!("{status} {}", json["code"].as_str().unwrap_or_default()))
    }
}

fn token(
    number: u128,
    secret: &str,
    scope: Scope,
    connection: Option<&str>,
    created_at: Timestamp,
) -> Token {
    Token {
        id: TokenId::from_bits(number + 1),
        name: format!("caller-{number}"),
        scopes: vec![scope],
        connections: connection.map(|name| name.parse().into_iter().collect()),
        secret_hash: hash_secret(secret),
        created_at,
        expires_at: None,
    }
}

/// A problem answer is whole (RFC 9457, and our own members).
fn problem(headers: &HeaderMap, status: u16, json: &Value, is_head: bool) -> Result<(), String> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if kind != Some("application/problem+json") {
        return Err(format!("content type {kind:?}"));
    }
    if is_head && json.is_null() {
        return Ok(());
    }
    for member in ["type", "title", "detail", "code", "request_id"] {
        let text = json[member].as_str().unwrap_or_default();
        if text.is_empty() {
            return Err(format!("no {member}"));
        }
        if text.chars().any(|c| c.is_control()) {
            return Err(format!("a control character in {member}"));
        }
    }
    if json["status"] != status {
        return Err(format!("status {} in the body", json["status"]));
    }
    Ok(())
}

/// What the caller sent and must not read again: its own token, and a provider's.
fn secrets_of(headers: &HeaderMap, body: &[u8]) -> Vec<String> {
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let bearer = bearer.and_then(|text| text.split_once(' ')).map(|(_, secret)| secret.to_owned());
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let token = body["token"].as_str().map(str::to_owned);
    let long = |secret: &String| secret.chars().count() >= MIN_SECRET_CHARS;
    [bearer, token].into_iter().flatten().filter(long).filter(|it| it != ADMIN).collect()
}
