//! Work on a node that exists: accepted in the same way, whatever it is.

use axum::response::Response;
use nodeyard_domain::{
    acceptance,
    audit::{Action, Outcome},
    id::JobId,
    job::{Job, JobKind},
    node::Node,
};
use nodeyard_engine::store::Acceptance;
use serde_json::Value;

use super::acceptance::{Offer, accepted};
use crate::{
    app::{Ports, Shared},
    auth::Caller,
    code::ApiCode,
    idempotency::SentKey,
    problem::Problem,
    request::Origin,
};

/// What a route asks for.
pub(super) struct Work {
    /// The route's last word.
    pub(super) word: &'static str,
    pub(super) kind: JobKind,
    pub(super) action: Action,
    /// What the node has to be.
    pub(super) admit: fn(&Node) -> Result<(), Problem>,
}

/// Who asks, and how.
pub(super) struct Request<'a> {
    pub(super) caller: &'a Caller,
    pub(super) origin: &'a Origin,
    pub(super) key: &'a SentKey,
    pub(super) body: &'a Value,
}

impl Work {
    /// Accepts the work, `prepare`d as the body asks for, or says why not.
    pub(super) async fn accept<P: Ports>(
        &self,
        app: &Shared<P>,
        id: &str,
        request: Request<'_>,
        prepare: impl FnOnce(&mut Job),
    ) -> Result<Response, Problem> {
        let Request { caller, origin, key, body } = request;
        let node = app.visible_node(caller, id).await?;
        let route = format!("POST /nodes/{id}/{}", self.word);
        let record = key.record(&caller.token.id, &route, body);
        if let Some(first) = app.replay(record.as_ref()).await? {
            return Ok(accepted(&first.job, &first.node));
        }
        if node.open_job.is_some() {
            return Err(busy(node.open_job.as_ref()));
        }
        if node.status.is_gone() {
            let detail = format!("The node is {}.", node.status.as_str());
            return Err(Problem::new(ApiCode::NodeGone, detail));
        }
        (self.admit)(&node)?;
        let mut job = acceptance::on_node(
            JobId::from_bits(app.random()?),
            self.kind,
            &node,
            caller.actor(),
            origin.traceparent.clone(),
            app.now(),
        );
        prepare(&mut job);
        let audit = app.audit(caller, origin, self.action, &node.id, Outcome::Accepted);
        let work = Acceptance { job, new_node: None, may_queue: false, idempotency: record, audit };
        match app.offer(work).await? {
            Offer::Taken(loaded) => Ok(accepted(&loaded.job, &loaded.node)),
            Offer::Busy(open) => Err(busy(open.as_ref())),
        }
    }
}

fn busy(open: Option<&JobId>) -> Problem {
    let problem = Problem::new(ApiCode::NodeBusy, "Another job is open on the node.");
    match open {
        Some(job) => problem.guided(format!("Wait for /jobs/{job}, or cancel it.")),
        None => problem,
    }
}
