//! `POST /nodes/{id}/smokes`: have the node do what it is bought for.

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
use utoipa::ToSchema;

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
    Work { word: "smokes", kind: JobKind::NodeSmoke, action: Action::NodeSmoke, admit };

/// How the smokes are run. All of it may be left out.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Smokes {
    /// Leave the sites that the smokes make on the node.
    #[serde(default)]
    keep: bool,
}

/// Prove a node by its work: make a WordPress site and a clone of it, back it up, damage it and
/// restore it. The job fails with `SMOKE_FAILED` and names step, command and output; nothing is
/// left on the node unless `keep` is set.
#[utoipa::path(
    post, path = "/nodes/{id}/smokes", tag = "nodes",
    params(
        ("id" = String, Path),
        ("Idempotency-Key" = Option<String>, Header),
        ("traceparent" = Option<String>, Header, description = "W3C Trace Context; kept on the job."),
    ),
    request_body = Smokes,
    responses(
        (status = 202, description = "Accepted", body = Accepted,
            headers(("Location" = String, description = "The job"), ("Retry-After" = u32))),
    )
)]
pub async fn smoke_node<P: Ports>(
    State(app): State<Shared<P>>,
    Operator(caller): Operator,
    Path(id): Path<String>,
    key: SentKey,
    origin: Origin,
    OptionalJsonBody(body): OptionalJsonBody,
) -> Result<Response, Problem> {
    let Smokes { keep } = parse(&body)?;
    let request = Request { caller: &caller, origin: &origin, key: &key, body: &body };
    WORK.accept(&app, &id, request, |job| job.keep_sites = keep).await
}

/// Smokes change the node for a while: only one that was found ready is asked to do them.
fn admit(node: &Node) -> Result<(), Problem> {
    if node.status == NodeStatus::Ready && node.server.is_some() {
        return Ok(());
    }
    let failed = node.readiness.iter().filter(|finding| !finding.ok && !finding.warning);
    let why: Vec<String> =
        failed.map(|finding| format!("{}: {}", finding.code.as_str(), finding.detail)).collect();
    let status = node.status.as_str();
    let detail = match why.as_slice() {
        [] => format!("The node is {status}."),
        why => format!("The node is {status}: {}.", why.join("; ")),
    };
    Err(Problem::new(ApiCode::NodeNotReady, detail)
        .guided("Make the node ready first; GET /nodes/{id} says what is in the way."))
}
