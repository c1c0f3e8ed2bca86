//! What every route that accepts work does: one transaction, one wake, one kind of answer.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use http::{StatusCode, header};
use nodeyard_domain::{
    id::{JobId, NodeId},
    job::Job,
    node::Node,
    wake::WakeReason,
};
use nodeyard_engine::store::{self, Acceptance, ApiStore, IdempotencyKey, JobStore, Loaded};

use super::view::{Accepted, NodeView};
use crate::{
    app::{App, Ports},
    auth::Caller,
    code::ApiCode,
    jobs::view::JobView,
    problem::Problem,
};

/// Seconds until a first look at an accepted job is worth it.
const RETRY_AFTER_ACCEPTED: &str = "5";

/// What came of offering work.
pub enum Offer {
    Taken(Box<Loaded>),
    /// Another job is open on the node.
    Busy(Option<JobId>),
}

impl<P: Ports> App<P> {
    /// The work an idempotency key stands for already.
    ///
    /// # Errors
    /// `idempotency_key_reused` when it was another body's.
    pub(crate) async fn replay(
        &self,
        key: Option<&IdempotencyKey>,
    ) -> Result<Option<Box<Loaded>>, Problem> {
        let Some(key) = key else { return Ok(None) };
        match self.store.replay(key).await? {
            Some(store::Accepted::Replayed(loaded)) => Ok(Some(loaded)),
            Some(store::Accepted::KeyReused) => Err(key_reused()),
            Some(store::Accepted::New | store::Accepted::NodeBusy { .. }) | None => Ok(None),
        }
    }

    /// Writes work down and wakes a worker.
    ///
    /// # Errors
    /// `idempotency_key_reused`, or the store's failure: then nothing was accepted.
    pub(crate) async fn offer(&self, acceptance: Acceptance) -> Result<Offer, Problem> {
        match self.store.accept(&acceptance).await? {
            store::Accepted::New => {}
            store::Accepted::Replayed(loaded) => return Ok(Offer::Taken(loaded)),
            store::Accepted::KeyReused => return Err(key_reused()),
            store::Accepted::NodeBusy { open_job } => return Ok(Offer::Busy(open_job)),
        }
        let job = &acceptance.job;
        self.wake(&job.id, WakeReason::Due, job.traceparent.as_deref()).await;
        let loaded = match acceptance.new_node {
            Some(node) => Loaded { job: acceptance.job, node },
            None => self.load(&acceptance.job.id).await?,
        };
        Ok(Offer::Taken(Box::new(loaded)))
    }

    /// A job that is known to exist.
    pub(crate) async fn load(&self, job: &JobId) -> Result<Loaded, Problem> {
        self.store.load(job).await?.ok_or_else(|| {
            tracing::error!(%job, "a job that is on record elsewhere cannot be found");
            Problem::new(ApiCode::InternalError, "A record is missing.")
        })
    }

    /// A node the caller may see.
    ///
    /// # Errors
    /// `not_found`, also for what is no id and for what the caller may not see.
    pub(crate) async fn visible_node(&self, caller: &Caller, id: &str) -> Result<Node, Problem> {
        let node = match id.parse::<NodeId>() {
            Ok(id) => self.store.node(&id).await?,
            Err(_) => None,
        };
        let node = node.ok_or_else(|| Problem::not_found("node"))?;
        if caller.sees(&node.spec.connection) {
            Ok(node)
        } else {
            Err(Problem::not_found("node").unseen())
        }
    }
}

fn key_reused() -> Problem {
    let detail = "The key stands for another request; make a new key for a new one.";
    Problem::new(ApiCode::IdempotencyKeyReused, detail)
}

/// `202`, with where to look and when.
pub fn accepted(job: &Job, node: &Node) -> Response {
    let location = format!("/jobs/{}", job.id);
    let headers =
        [(header::LOCATION, location.as_str()), (header::RETRY_AFTER, RETRY_AFTER_ACCEPTED)];
    let body = Accepted { job: JobView::from(job), node: NodeView::of(node, None) };
    (StatusCode::ACCEPTED, headers, Json(body)).into_response()
}
