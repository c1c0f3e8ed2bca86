//! `POST /nodes/{id}/configure`: run the node's profile again.

use axum::{
    extract::{Path, State},
    response::Response,
};
use nodeyard_domain::{
    acceptance,
    audit::{Action, Outcome},
    id::JobId,
    job::JobKind,
    node::{Node, NodeStatus},
};
use nodeyard_engine::store::Acceptance;
use serde::Deserialize;

use super::{
    acceptance::{Offer, accepted},
    view::Accepted,
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
    let node = app.visible_node(&caller, &id).await?;
    let record = key.record(&caller.token.id, &format!("POST /nodes/{id}/configure"), &body);
    if let Some(first) = app.replay(record.as_ref()).await? {
        return Ok(accepted(&first.job, &first.node));
    }
    admit(&node)?;
    let job = acceptance::on_node(
        JobId::from_bits(app.random()?),
        JobKind::NodeConfigure,
        &node,
        caller.actor(),
        origin.traceparent.clone(),
        app.now(),
    );
    let audit = app.audit(&caller, &origin, Action::NodeConfigure, &node.id, Outcome::Accepted);
    let work = Acceptance { job, new_node: None, may_queue: false, idempotency: record, audit };
    match app.offer(work).await? {
        Offer::Taken(loaded) => Ok(accepted(&loaded.job, &loaded.node)),
        Offer::Busy(open) => Err(busy(open.as_ref())),
    }
}

fn admit(node: &Node) -> Result<(), Problem> {
    if node.open_job.is_some() {
        return Err(busy(node.open_job.as_ref()));
    }
    if node.status.is_gone() {
        let detail = format!("The node is {}.", node.status.as_str());
        return Err(Problem::new(ApiCode::NodeGone, detail));
    }
    let leaving = matches!(node.status, NodeStatus::Releasing | NodeStatus::CleanupPending);
    if node.server.is_none() || leaving {
        let detail = "The node has no server, or its server is being removed.";
        return Err(Problem::new(ApiCode::NodeNotConfigurable, detail));
    }
    Ok(())
}

fn busy(open: Option<&JobId>) -> Problem {
    let problem = Problem::new(ApiCode::NodeBusy, "Another job is open on the node.");
    match open {
        Some(job) => problem.guided(format!("Wait for /jobs/{job}, or cancel it.")),
        None => problem,
    }
}
