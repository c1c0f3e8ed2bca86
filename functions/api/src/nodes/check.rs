//! `POST /nodes/{id}/check`: probe the node now.

use axum::{
    extract::{Path, State},
    response::Response,
};
use nodeyard_domain::{
    audit::Action,
    job::JobKind,
    node::{Node, NodeStatus},
};
use serde::Deserialize;

use super::{
    view::Accepted,
    work::{Request, Work},
};
use crate::{
    app::{Ports, Shared},
    auth::Operator,
    body::{OptionalJsonBody, parse},
    code::ApiCode,
    idempotency::SentKey,
    problem::Problem,
    request::Origin,
};

const WORK: Work =
    Work { word: "check", kind: JobKind::NodeCheck, action: Action::NodeCheck, admit };

/// The body has no fields yet; it may be left out.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Check {}

/// Look at a node: ask the provider for its server, log in and run the readiness probes. Nothing
/// is changed on it. The job succeeds when there is a verdict; the node is `ready` or `not_ready`
/// by it, and its `readiness` says why.
#[utoipa::path(
    post, path = "/nodes/{id}/check", tag = "nodes",
    params(
        ("id" = String, Path),
        ("Idempotency-Key" = Option<String>, Header),
        ("traceparent" = Option<String>, Header, description = "W3C Trace Context; kept on the job."),
    ),
    responses(
        (status = 202, description = "Accepted", body = Accepted,
            headers(("Location" = String, description = "The job"), ("Retry-After" = u32))),
    )
)]
pub async fn check_node<P: Ports>(
    State(app): State<Shared<P>>,
    Operator(caller): Operator,
    Path(id): Path<String>,
    key: SentKey,
    origin: Origin,
    OptionalJsonBody(body): OptionalJsonBody,
) -> Result<Response, Problem> {
    let Check {} = parse(&body)?;
    let request = Request { caller: &caller, origin: &origin, key: &key, body: &body };
    WORK.accept(&app, &id, request, |_| {}).await
}

fn admit(node: &Node) -> Result<(), Problem> {
    if matches!(node.status, NodeStatus::Ready | NodeStatus::NotReady) && node.server.is_some() {
        return Ok(());
    }
    let detail = format!("The node is {}; there is nothing to probe.", node.status.as_str());
    Err(Problem::new(ApiCode::NodeNotCheckable, detail)
        .guided("Configure the node; that ends with the same probes."))
}
