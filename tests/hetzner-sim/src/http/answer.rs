//! One request of the API, from its bytes to its answer.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Query, Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};

use super::decide::{Call, Content, Verdict, decide};
use super::serve::CloseConnection;
use crate::clock::EpochMillis;
use crate::shared::Shared;
use crate::world::budget::Standing;

/// The most that a body may have, in bytes.
const BODY_LIMIT: usize = 1024 * 1024;

/// Answers a request, also when the caller does not wait for it.
pub(crate) async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let call = match read(request).await {
        Ok(call) => call,
        Err(status) => return status.into_response(),
    };
    // A task of its own: a caller that hangs up must not stop what it asked.
    match tokio::spawn(run(shared, call)).await {
        Ok(response) => response,
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn read(request: Request) -> Result<Call, StatusCode> {
    let (head, body) = request.into_parts();
    let body =
        axum::body::to_bytes(body, BODY_LIMIT).await.map_err(|_| StatusCode::PAYLOAD_TOO_LARGE)?;
    Ok(Call {
        method: head.method.as_str().to_owned(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        pairs: pairs(&head.uri),
        secret: bearer(&head.headers),
        body: body.to_vec(),
    })
}

fn pairs(uri: &Uri) -> Vec<(String, String)> {
    Query::try_from_uri(uri).map_or_else(|_| Vec::new(), |Query(pairs)| pairs)
}

fn bearer(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, secret) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| secret.trim().to_owned())
}

async fn run(shared: Arc<Shared>, call: Call) -> Response {
    // The ends of the waits are fixed while the world stands still, so that a
    // clock moved right afterwards counts.
    let (plan, begin) = shared.enter(|state| {
        let plan = call.plan(state);
        let begin = later(state.world.now(), plan.delay_before);
        (plan, begin)
    });
    shared.clock.wait_until(begin).await;
    let (verdict, end) = shared.enter(|state| {
        let verdict = decide(state, &call, &plan);
        (verdict, later(state.world.now(), plan.delay_after))
    });
    shared.clock.wait_until(end).await;
    response(verdict)
}

fn later(now: EpochMillis, by: Duration) -> EpochMillis {
    now.saturating_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX))
}

fn response(verdict: Verdict) -> Response {
    let mut response = match verdict.content {
        Content::Closed => {
            let mut response = Response::new(Body::empty());
            response.extensions_mut().insert(CloseConnection);
            return response;
        }
        Content::Empty(status) => with_status(status, Body::empty(), None),
        Content::Json(status, text) => {
            with_status(status, Body::from(text), Some("application/json"))
        }
        // [observed] the 404 of an unknown path comes from another encoder:
        // other order of keys, charset named.
        Content::UnknownPath => with_status(
            404,
            Body::from(
                "{\"error\": {\"message\": \"not found\", \"code\": \"not_found\", \"details\": null}}\n",
            ),
            Some("application/json; charset=utf-8"),
        ),
    };
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(&verdict.correlation_id) {
        headers.insert("x-correlation-id", id);
    }
    if let Some(standing) = verdict.standing {
        add_rate(headers, standing);
    }
    response
}

fn with_status(status: u16, body: Body, kind: Option<&'static str>) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if let Some(kind) = kind {
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    }
    response
}

// [documented]
fn add_rate(headers: &mut HeaderMap, standing: Standing) {
    headers.insert("ratelimit-limit", standing.limit.into());
    headers.insert("ratelimit-remaining", standing.remaining.into());
    headers.insert("ratelimit-reset", standing.reset_secs.into());
}
