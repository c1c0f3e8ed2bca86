//! What every request has: an id, and an answer that is a problem whenever it is an error.

use std::{convert::Infallible, net::IpAddr};

use axum::{
    extract::{FromRequestParts, MatchedPath, Request, State},
    middleware::Next,
    response::Response,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, request::Parts};
use lambda_http::request::RequestContext;

use nodeyard_domain::trace::is_traceparent;
use nodeyard_engine::metric::{self, Metric};

use crate::{
    app::{Ports, Shared},
    audit::{Asked, Notes},
    code::ApiCode,
    problem::Problem,
};

/// The gateway's have 16.
const MAX_ID_BYTES: usize = 128;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Where a request comes from, as the gateway says it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Source {
    /// The gateway's own id where there is one.
    pub(crate) request_id: String,
    /// The caller's address. A header that says something else is the caller's own word.
    pub(crate) address: Option<String>,
}

/// Where a piece of work comes from: kept with what it changes.
#[derive(Debug, Clone)]
pub struct Origin {
    pub request_id: String,
    /// The caller's address, where a gateway knows it.
    pub source_address: Option<String>,
    /// The caller's `traceparent` (W3C Trace Context), when it is well-formed.
    pub traceparent: Option<String>,
    pub(crate) notes: Notes,
}

impl<S: Sync> FromRequestParts<S> for Origin {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let source = parts.extensions.get::<Source>().cloned().unwrap_or_default();
        let notes = parts.extensions.get::<Notes>().cloned().unwrap_or_default();
        let traceparent = traceparent(&parts.headers);
        let (request_id, source_address) = (source.request_id, source.address);
        Ok(Self { request_id, source_address, traceparent, notes })
    }
}

fn traceparent(headers: &HeaderMap) -> Option<String> {
    let text = headers.get("traceparent")?.to_str().ok()?;
    is_traceparent(text).then(|| text.to_owned())
}

/// The outermost layer: names the request, makes every error answer a problem, writes refusals
/// into the audit trail, logs one line.
pub(crate) async fn answer<P: Ports>(
    State(app): State<Shared<P>>,
    mut request: Request,
    next: Next,
) -> Response {
    let mut source = gateway_source(&request);
    if source.request_id.is_empty() {
        source.request_id =
            app.random().map_or_else(|_| String::new(), |bits| format!("{bits:032x}"));
    }
    let (notes, asked) = (Notes::default(), Asked::of(&request));
    request.extensions_mut().insert(source.clone());
    request.extensions_mut().insert(notes.clone());
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let resource = asked.as_ref().and_then(|asked| asked.resource_id().map(str::to_owned));

    let traceparent = traceparent(request.headers());
    let began = app.now();

    let mut response = next.run(request).await;
    let mut code = None;
    if let Some(problem) = problem_of(&mut response) {
        code = Some(problem.code.as_str());
        if let Some(asked) = asked.filter(|asked| asked.is_refused_by(&problem)) {
            app.refused(asked, problem.code, &notes, &source).await;
        }
        let allow = response.headers_mut().remove(header::ALLOW);
        response = problem.into_bytes(&source.request_id);
        if let Some(allow) = allow {
            response.headers_mut().insert(header::ALLOW, allow);
        }
    }
    app.tell_left_out(&source).await;
    // The route and not the path: whoever puts a secret into a path must not find it in the log.
    let ms = metric::millis(app.now().duration_since(began));
    if response.status() == StatusCode::ACCEPTED {
        metric::tell(Metric::AcceptTime, ms, &[]);
    }
    tracing::info!(
        request_id = source.request_id,
        %method,
        route = route.as_ref().map(MatchedPath::as_str),
        resource,
        status = response.status().as_u16(),
        code,
        actor = notes.who().actor,
        traceparent,
        ms,
        "answered"
    );
    if let Ok(value) = HeaderValue::from_str(&source.request_id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}

fn gateway_source(request: &Request) -> Source {
    match request.extensions().get::<RequestContext>() {
        Some(RequestContext::ApiGatewayV2(context)) => {
            let address = context.http.source_ip.as_deref();
            let address = address.and_then(|text| text.parse::<IpAddr>().ok());
            let request_id = context.request_id.clone().filter(|id| is_plain(id));
            Source {
                request_id: request_id.unwrap_or_default(),
                address: address.map(|address| address.to_string()),
            }
        }
        _ => Source::default(),
    }
}

/// An id goes into a header, logs and records.
fn is_plain(id: &str) -> bool {
    id.len() <= MAX_ID_BYTES && id.bytes().all(|byte| byte.is_ascii_graphic())
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
