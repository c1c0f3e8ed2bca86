//! What every request has: an id, and an answer that is a problem whenever it is an error.

use std::convert::Infallible;

use axum::{
    extract::{FromRequestParts, Request, State},
    middleware::Next,
    response::Response,
};
use http::{HeaderName, HeaderValue, StatusCode, header, request::Parts};
use lambda_http::request::RequestContext;

use crate::{
    app::{Ports, Shared},
    code::ApiCode,
    problem::Problem,
};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The request's id: the gateway's own where there is one.
#[derive(Debug, Clone)]
struct RequestId(String);

/// Where a piece of work comes from: kept with what it changes.
#[derive(Debug, Clone)]
pub struct Origin {
    pub request_id: String,
    /// The caller's `traceparent` (W3C Trace Context), when it is well-formed.
    pub traceparent: Option<String>,
}

impl<S: Sync> FromRequestParts<S> for Origin {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let request_id = parts.extensions.get().map(|RequestId(id)| id.clone()).unwrap_or_default();
        let text = parts.headers.get("traceparent").and_then(|value| value.to_str().ok());
        let traceparent = text.filter(|text| is_traceparent(text)).map(str::to_owned);
        Ok(Self { request_id, traceparent })
    }
}

fn is_traceparent(text: &str) -> bool {
    let fields: Vec<&str> = text.split('-').collect();
    let hex = |text: &str| text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    matches!(fields.as_slice(), [version, trace, parent, flags]
        if *version == "00" && trace.len() == 32 && parent.len() == 16 && flags.len() == 2
            && hex(trace) && hex(parent) && hex(flags))
}

/// The outermost layer: names the request, makes every error answer a problem, logs one line.
pub(crate) async fn answer<P: Ports>(
    State(app): State<Shared<P>>,
    mut request: Request,
    next: Next,
) -> Response {
    let id = gateway_id(&request)
        .or_else(|| app.random().ok().map(|bits| format!("{bits:032x}")))
        .unwrap_or_default();
    request.extensions_mut().insert(RequestId(id.clone()));
    let method = request.method().clone();
    let path = request.uri().path().to_owned();

    let mut response = next.run(request).await;
    let mut code = None;
    if let Some(problem) = problem_of(&mut response) {
        code = Some(problem.code.as_str());
        let allow = response.headers_mut().remove(header::ALLOW);
        response = problem.into_bytes(&id);
        if let Some(allow) = allow {
            response.headers_mut().insert(header::ALLOW, allow);
        }
    }
    tracing::info!(
        request_id = id, %method, path, status = response.status().as_u16(), code, "answered"
    );
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}

fn gateway_id(request: &Request) -> Option<String> {
    match request.extensions().get::<RequestContext>()? {
        RequestContext::ApiGatewayV2(context) => context.request_id.clone(),
        #[allow(unreachable_patterns, reason = "other kinds exist where features add them")]
        _ => None,
    }
}

/// The problem a handler gave, or the one that an error answer of the framework stands for.
fn problem_of(response: &mut Response) -> Option<Problem> {
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        return Some(problem);
    }
    let status = response.status();
    let code = match status {
        _ if !status.is_client_error() && !status.is_server_error() => return None,
        StatusCode::NOT_FOUND => ApiCode::NotFound,
        StatusCode::METHOD_NOT_ALLOWED => ApiCode::MethodNotAllowed,
        StatusCode::PAYLOAD_TOO_LARGE => ApiCode::BodyTooLarge,
        StatusCode::UNSUPPORTED_MEDIA_TYPE => ApiCode::UnsupportedMediaType,
        _ if status.is_client_error() => ApiCode::InvalidRequest,
        _ => ApiCode::InternalError,
    };
    Some(Problem::new(code, code.title()))
}
