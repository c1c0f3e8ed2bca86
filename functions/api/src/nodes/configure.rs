//! `POST /nodes/{id}/configure`: run the node's profile again.

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
    Work { word: "configure", kind: JobKind::NodeConfigure, action: Action::NodeConfigure, admit };

/// The body has no fields yet; it may be left out.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Configure {}

/// Configure a node again with the profile and variables it was made with.
#[utoipa::path(
    post, path = "/nodes/{id}/configure", tag = "nodes",
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
pub async fn configure_node<P: Ports>(
    State(app): State<Shared<P>>,
    Operator(caller): Operator,
    Path(id): Path<String>,
    key: SentKey,
    origin: Origin,
    OptionalJsonBody(body): OptionalJsonBody,
) -> Result<Response, Problem> {
    let Configure {} = parse(&body)?;
    let request = Request { caller: &caller, origin: &origin, key: &key, body: &body };
    WORK.accept(&app, &id, request, |_| {}).await
}

fn admit(node: &Node) -> Result<(), Problem> {
    let leaving = matches!(node.status, NodeStatus::Releasing | NodeStatus::CleanupPending);
    if node.server.is_none() || leaving {
        let detail = "The node has no server, or its server is being removed.";
        return Err(Problem::new(ApiCode::NodeNotConfigurable, detail));
    }
    Ok(())
}
