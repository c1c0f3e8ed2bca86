//! `POST /providers/{name}/rotate-key`: another version of the managed SSH key on all nodes.

use axum::{
    Json,
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use http::{StatusCode, header};
use nodeyard_domain::{
    acceptance,
    audit::{Action, Outcome},
    connection::{Connection, ConnectionName},
    id::JobId,
    rotation::Rotation,
    wake::WakeReason,
};
use nodeyard_engine::{
    rotation::{RotationAcceptance, RotationAccepted, RotationStore},
    store::{IdempotencyKey, JobStore},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    app::{App, Ports, Shared},
    auth::Admin,
    body::{OptionalJsonBody, parse},
    code::ApiCode,
    idempotency::SentKey,
    jobs::view::JobView,
    problem::Problem,
    request::Origin,
};

/// Seconds until a first look is worth it.
const RETRY_AFTER_ACCEPTED: &str = "5";
/// How often the connection may change under our eyes: a check does it every five minutes.
const ROUNDS: usize = 4;

/// The body has no fields; it may be left out.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rotate {}

/// Accepted work on a connection.
#[derive(Debug, Serialize, ToSchema)]
pub struct AcceptedRotation {
    job: JobView,
}

/// Replace the managed SSH key on all nodes of a connection. Nodes that are busy, off or cannot be
/// reached are listed; the next job on each of them catches up.
#[utoipa::path(
    post, path = "/providers/{name}/rotate-key", tag = "providers",
    params(
        ("name" = String, Path),
        ("Idempotency-Key" = Option<String>, Header),
        ("traceparent" = Option<String>, Header, description = "W3C Trace Context; kept on the job."),
    ),
    responses(
        (status = 202, description = "Accepted. `rotation_open` (409) while another one is.", body = AcceptedRotation,
            headers(("Location" = String, description = "The job"), ("Retry-After" = u32))),
    )
)]
pub async fn rotate_key<P: Ports>(
    State(app): State<Shared<P>>,
    Admin(caller): Admin,
    Path(name): Path<String>,
    key: SentKey,
    origin: Origin,
    OptionalJsonBody(body): OptionalJsonBody,
) -> Result<Response, Problem> {
    let Rotate {} = parse(&body)?;
    let mut connection = app.visible_connection(&caller, &name).await?;
    let route = format!("POST /providers/{}/rotate-key", connection.name);
    let record = key.record(&caller.token.id, &route, &body);
    if let Some(first) = app.replayed_rotation(record.as_ref()).await? {
        return Ok(accepted(&first));
    }
    let id = JobId::from_bits(app.random()?);
    for _ in 0..ROUNDS {
        admit(&connection)?;
        let parent = origin.traceparent.clone();
        let now = app.now();
        let (rotation, open) =
            acceptance::rotation(id.clone(), &connection, caller.actor(), parent, now);
        let action = Action::ProviderRotateKey;
        let work = RotationAcceptance {
            connection: open,
            idempotency: record.clone(),
            audit: app.audit(&caller, &origin, action, &connection.name, Outcome::Accepted),
            rotation,
        };
        match app.store.accept_rotation(&work).await? {
            RotationAccepted::New => {
                let traceparent = work.rotation.traceparent.as_deref();
                app.wake(&work.rotation.id, WakeReason::Due, traceparent).await;
                return Ok(accepted(&work.rotation));
            }
            RotationAccepted::Replayed(first) => return Ok(accepted(&first)),
            RotationAccepted::KeyReused => return Err(key_reused()),
            RotationAccepted::Changed => {
                connection = app.visible_connection(&caller, &name).await?;
            }
        }
    }
    Err(Problem::new(ApiCode::EditConflict, "The connection changes quickly; try again."))
}

fn admit(connection: &Connection) -> Result<(), Problem> {
    if let Some(open) = &connection.rotation {
        let detail = "Another rotation is open on the connection.";
        return Err(Problem::new(ApiCode::RotationOpen, detail)
            .guided(format!("Wait for /jobs/{open}, or cancel it.")));
    }
    if !connection.accepts_nodes() {
        let detail = "The connection cannot write to its project at present.";
        let guidance = connection.reason.map_or("Check the connection.", |it| it.guidance());
        return Err(Problem::new(ApiCode::ProviderNotConnected, detail).guided(guidance));
    }
    if !connection.may_rotate() {
        let detail = "Some nodes still need earlier versions, and no more can be kept.";
        return Err(Problem::new(ApiCode::KeyVersionsInUse, detail).guided(
            "Configure or release the nodes whose ssh_key_version is not the newest, then wait \
             for the next checks of the connection.",
        ));
    }
    Ok(())
}

fn key_reused() -> Problem {
    let detail = "The key stands for another request; make a new key for a new one.";
    Problem::new(ApiCode::IdempotencyKeyReused, detail)
}

fn accepted(rotation: &Rotation) -> Response {
    let location = format!("/jobs/{}", rotation.id);
    let headers =
        [(header::LOCATION, location.as_str()), (header::RETRY_AFTER, RETRY_AFTER_ACCEPTED)];
    let body = AcceptedRotation { job: JobView::from(rotation) };
    (StatusCode::ACCEPTED, headers, Json(body)).into_response()
}

impl<P: Ports> App<P> {
    async fn replayed_rotation(
        &self,
        key: Option<&IdempotencyKey>,
    ) -> Result<Option<Box<Rotation>>, Problem> {
        let Some(key) = key else { return Ok(None) };
        match self.store.replay_rotation(key).await? {
            Some(RotationAccepted::Replayed(rotation)) => Ok(Some(rotation)),
            Some(RotationAccepted::KeyReused) => Err(key_reused()),
            Some(RotationAccepted::New | RotationAccepted::Changed) | None => Ok(None),
        }
    }

    /// Wakes a rotation that may wait for a token. What fails is only logged: the sweep looks at
    /// it as well, only later.
    pub(super) async fn resume_rotation(&self, name: &ConnectionName) {
        let open = match self.store.connection(name).await {
            Ok(connection) => connection.and_then(|connection| connection.rotation),
            Err(error) => {
                tracing::warn!(%error, connection = %name, "a rotation was not woken");
                return;
            }
        };
        if let Some(id) = open {
            if let Err(error) = self.store.set_news(&id, self.now()).await {
                tracing::warn!(%error, job_id = %id, "news not noted");
            }
            self.wake(&id, WakeReason::Resume, None).await;
        }
    }
}
