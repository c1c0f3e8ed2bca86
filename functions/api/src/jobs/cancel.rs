//! `POST /jobs/{id}/cancel`: a safe stop.

use axum::{
    Json,
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use http::{HeaderMap, StatusCode, header};
use nodeyard_domain::{
    audit::{Action, Outcome},
    wake::WakeReason,
    work::Work,
};
use nodeyard_engine::store::ApiStore;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    conditional::{entity_tag, names_version},
    view::JobView,
};
use crate::{
    app::{Ports, Shared},
    auth::Operator,
    body::{OptionalJsonBody, parse},
    code::ApiCode,
    problem::Problem,
    request::Origin,
};

/// How often the job may move on under our eyes.
const ROUNDS: usize = 4;

/// The body has no fields; it may be left out.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cancel {}

#[derive(Debug, Serialize, ToSchema)]
pub struct Cancelling {
    job: JobView,
}

/// Stop a job safely: a provisioning job is undone, a configuring one stops its run and leaves
/// the server, a rotation leaves the nodes it has not come to. A release cannot be cancelled.
#[utoipa::path(
    post, path = "/jobs/{id}/cancel", tag = "jobs",
    params(
        ("id" = String, Path),
        ("If-Match" = Option<String>, Header, description = "Cancel only in this version; else 412."),
    ),
    responses(
        (status = 202, description = "The job will stop", body = Cancelling,
            headers(("Location" = String, description = "The job"), ("ETag" = String))),
    )
)]
pub async fn cancel_job<P: Ports>(
    State(app): State<Shared<P>>,
    Operator(caller): Operator,
    Path(id): Path<String>,
    headers: HeaderMap,
    origin: Origin,
    OptionalJsonBody(body): OptionalJsonBody,
) -> Result<Response, Problem> {
    let Cancel {} = parse(&body)?;
    for _ in 0..ROUNDS {
        let job = app.visible_work(&caller, &id).await?;
        if job.is_rotation() {
            caller.require_admin()?;
        }
        let fits = names_version(&headers, &header::IF_MATCH, job.version());
        let conditional = headers.contains_key(header::IF_MATCH);
        if conditional && !fits {
            let detail = format!("The job is in version {}.", job.version());
            return Err(Problem::new(ApiCode::VersionMismatch, detail));
        }
        if job.is_stopping() {
            return Ok(cancelling(&job));
        }
        if !job.is_cancellable() {
            return Err(not_cancellable(&job));
        }
        let audit = app.audit(&caller, &origin, Action::JobCancel, job.id(), Outcome::Accepted);
        let version = conditional.then_some(job.version());
        if app.store.request_cancel(job.id(), version, app.now(), &audit).await? {
            app.wake(job.id(), WakeReason::Cancel, origin.traceparent.as_deref()).await;
            return Ok(cancelling(&job));
        }
    }
    Err(Problem::new(ApiCode::EditConflict, "The job changes quickly at present; try again."))
}

fn not_cancellable(job: &Work) -> Problem {
    let detail = if job.has_ended() {
        "The job has ended."
    } else if job.is_undone() {
        "The job is being undone already."
    } else {
        "A release cannot be cancelled."
    };
    Problem::new(ApiCode::NotCancellable, detail)
}

fn cancelling(job: &Work) -> Response {
    let headers = [
        (header::LOCATION, format!("/jobs/{}", job.id()).parse()),
        (header::ETAG, Ok(entity_tag(job.version()))),
    ];
    let body = Json(Cancelling { job: JobView::from(job) });
    let mut response = (StatusCode::ACCEPTED, body).into_response();
    for (name, value) in headers {
        if let Ok(value) = value {
            response.headers_mut().insert(name, value);
        }
    }
    response
}
