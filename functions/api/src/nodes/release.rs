//! `DELETE /nodes/{id}`: the node is released, whatever is open on it.

use axum::{
    extract::{Path, State},
    response::Response,
};
use nodeyard_domain::{
    acceptance,
    audit::{Action, AuditEntry, Outcome, Resource},
    id::JobId,
    job::JobKind,
    node::Node,
    wake::WakeReason,
};
use nodeyard_engine::store::{Acceptance, ApiStore, IdempotencyKey};
use serde_json::Value;

use super::{
    acceptance::{Offer, accepted},
    view::Accepted,
};
use crate::{
    app::{App, Ports, Shared},
    auth::{Caller, Operator},
    code::ApiCode,
    idempotency::SentKey,
    problem::Problem,
    request::Origin,
};

/// How often the node may change under our eyes before we ask the caller to come again.
const ROUNDS: usize = 4;

/// Release a node. While it is being provisioned that job is cancelled and answered with; a job
/// on a server is cancelled and the answer is the release queued behind it.
#[utoipa::path(
    delete, path = "/nodes/{id}", tag = "nodes",
    params(
        ("id" = String, Path),
        ("Idempotency-Key" = Option<String>, Header),
        ("traceparent" = Option<String>, Header, description = "W3C Trace Context; kept on the job."),
    ),
    responses(
        (status = 202, description = "Accepted. `node_gone` (409) when nothing is left to release.",
            body = Accepted,
            headers(("Location" = String, description = "The job"), ("Retry-After" = u32))),
    )
)]
pub async fn release_node<P: Ports>(
    State(app): State<Shared<P>>,
    Operator(caller): Operator,
    Path(id): Path<String>,
    key: SentKey,
    origin: Origin,
) -> Result<Response, Problem> {
    let record = key.record(&caller.token.id, &format!("DELETE /nodes/{id}"), &Value::Null);
    if let Some(first) = app.replay(record.as_ref()).await? {
        return Ok(accepted(&first.job, &first.node));
    }
    let request = Release { app: &app, caller: &caller, origin: &origin, record };
    for _ in 0..ROUNDS {
        let node = app.visible_node(&caller, &id).await?;
        if let Some(job) = request.try_on(&node).await? {
            let loaded = app.load(&job).await?;
            return Ok(accepted(&loaded.job, &loaded.node));
        }
    }
    Err(Problem::new(ApiCode::EditConflict, "The node changes quickly at present; try again."))
}

struct Release<'a, P: Ports> {
    app: &'a App<P>,
    caller: &'a Caller,
    origin: &'a Origin,
    record: Option<IdempotencyKey>,
}

impl<P: Ports> Release<'_, P> {
    /// The job that releases the node, or nothing when the node has changed meanwhile.
    async fn try_on(&self, node: &Node) -> Result<Option<JobId>, Problem> {
        let Some(open) = &node.open_job else {
            if node.status.is_gone() {
                return Err(Problem::new(
                    ApiCode::NodeGone,
                    format!("The node is {}; nothing of it is left.", node.status.as_str()),
                ));
            }
            return self.accept(node).await;
        };
        let open = self.app.load(open).await?.job;
        if open.state.is_terminal() {
            return Ok(None);
        }
        match open.kind {
            JobKind::NodeRelease => Ok(Some(open.id)),
            JobKind::NodeProvision => {
                let audit = self.audit(Action::NodeRelease, &node.id);
                Ok(self.cancel(&open.id, audit).await?.then_some(open.id))
            }
            JobKind::NodeConfigure | JobKind::NodeCheck | JobKind::NodeSmoke => {
                let release = match &node.queued_release {
                    Some(release) => Some(release.clone()),
                    None => self.accept(node).await?,
                };
                // An end of its own is as good as the cancelling: the release has its turn then.
                if release.is_some() {
                    let audit = self.audit(Action::JobCancel, &open.id);
                    self.cancel(&open.id, audit).await?;
                }
                Ok(release)
            }
        }
    }

    fn audit(&self, action: Action, resource: impl Into<Resource>) -> AuditEntry {
        self.app.audit(self.caller, self.origin, action, resource, Outcome::Accepted)
    }

    async fn accept(&self, node: &Node) -> Result<Option<JobId>, Problem> {
        let job = acceptance::on_node(
            JobId::from_bits(self.app.random()?),
            JobKind::NodeRelease,
            node,
            self.caller.actor(),
            self.origin.traceparent.clone(),
            self.app.now(),
        );
        let work = Acceptance {
            job,
            new_node: None,
            may_queue: true,
            idempotency: self.record.clone(),
            audit: self.audit(Action::NodeRelease, &node.id),
        };
        match self.app.offer(work).await? {
            Offer::Taken(loaded) => Ok(Some(loaded.job.id)),
            Offer::Busy(_) => Ok(None),
        }
    }

    /// True when the job was still open.
    async fn cancel(&self, job: &JobId, audit: AuditEntry) -> Result<bool, Problem> {
        let set = self.app.store.request_cancel(job, None, self.app.now(), &audit).await?;
        if set {
            let traceparent = self.origin.traceparent.as_deref();
            self.app.wake(job, WakeReason::Cancel, traceparent).await;
        }
        Ok(set)
    }
}
