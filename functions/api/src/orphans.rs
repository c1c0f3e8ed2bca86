//! Orphans: what is at the provider and no record accounts for. Reported by the schedule's check;
//! here they are shown, and an admin decides.

mod view;

use axum::{
    Json,
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use http::StatusCode;
use nodeyard_domain::{
    audit::{Action, Outcome, Resource, ResourceKind},
    observation::{FailureClass, ProviderFailure},
    orphan::{Orphan, OrphanId},
};
use nodeyard_engine::{
    orphan::{self, OrphanStore, RemovalError, Removed},
    store::JobStore,
};
use utoipa_axum::{router::OpenApiRouter, routes};

use self::view::{OrphansView, RemovalView};
use crate::{
    app::{App, Ports, Shared},
    auth::{Admin, Caller, Reader},
    code::ApiCode,
    problem::Problem,
    request::Origin,
};

pub fn routes<P: Ports>() -> OpenApiRouter<Shared<P>> {
    OpenApiRouter::new()
        .routes(routes!(list_orphans))
        .routes(routes!(remove_orphan))
        .routes(routes!(confirm_orphans))
}

/// What carries our deployment's label and no record accounts for, as the check of every five
/// minutes last saw it.
#[utoipa::path(
    get, path = "/orphans", tag = "orphans",
    responses((status = 200, description = "All orphans, and how the check stands",
        body = OrphansView))
)]
pub async fn list_orphans<P: Ports>(
    State(app): State<Shared<P>>,
    Reader(caller): Reader,
) -> Result<Json<OrphansView>, Problem> {
    let mut orphans = app.store.orphans().await?;
    orphans.retain(|orphan| caller.sees(&orphan.connection));
    orphans.sort_by(|one, other| {
        one.first_seen_at.cmp(&other.first_seen_at).then_with(|| one.id.cmp(&other.id))
    });
    let mut state = app.store.orphan_state().await?;
    state.connections.retain(|name, _| caller.sees(name));
    Ok(Json(OrphansView::of(&orphans, &state)))
}

/// Remove an orphan. It is looked at first: only what still is as it was reported goes. A server
/// that is proved ours is given back to its node, whose release removes it; anything else is
/// deleted at the provider.
#[utoipa::path(
    delete, path = "/orphans/{id}", tag = "orphans", params(("id" = String, Path)),
    responses(
        (status = 202, description = "Given back to its node. `node_busy` (409) while a job is \
            open on it; `orphan_changed` (409) when it is not what was reported any more.",
            body = RemovalView),
        (status = 204, description = "Deleted at the provider; the next check drops it from the \
            list. `provider_refused` (409) when the provider would not."),
    )
)]
pub async fn remove_orphan<P: Ports>(
    State(app): State<Shared<P>>,
    Admin(caller): Admin,
    Path(id): Path<String>,
    origin: Origin,
) -> Result<Response, Problem> {
    let orphan = app.visible_orphan(&caller, &id).await?;
    let Some(connection) = app.store.connection(&orphan.connection).await? else {
        return Err(Problem::not_found("orphan"));
    };
    // Written before the provider is asked: what it says then may be a refusal with an entry of
    // its own.
    let audit = app.audit(&caller, &origin, Action::OrphanRemove, &orphan.id, Outcome::Accepted);
    let clock = || app.now();
    let deployment = &app.settings.deployment;
    let removal =
        orphan::remove(&app.store, &app.provider, &clock, deployment, &connection, &orphan, &audit);
    let removed = removal.await.map_err(problem_of)?;
    tracing::info!(
        actor = caller.actor(),
        orphan = %orphan.id,
        name = orphan.name,
        request_id = origin.request_id,
        ?removed,
        "an orphan is removed on an admin's word"
    );
    Ok(match removed {
        Removed::ThroughNode(node) => {
            (StatusCode::ACCEPTED, Json(RemovalView::through(&node))).into_response()
        }
        Removed::Deleted => StatusCode::NO_CONTENT.into_response(),
    })
}

/// Say that the table and the projects belong together. After a restore of the table, or where it
/// has no past, the check only reports until then.
#[utoipa::path(
    post, path = "/orphans/confirm", tag = "orphans",
    responses((status = 200, description = "Left-overs are removed again from the next check on",
        body = OrphansView))
)]
pub async fn confirm_orphans<P: Ports>(
    State(app): State<Shared<P>>,
    Admin(caller): Admin,
    origin: Origin,
) -> Result<Json<OrphansView>, Problem> {
    if !caller.is_unrestricted() {
        let detail = "This is about all connections, and the token is restricted to some.";
        return Err(Problem::new(ApiCode::Forbidden, detail));
    }
    let all = Resource::all(ResourceKind::Orphan);
    let audit = app.audit(&caller, &origin, Action::OrphanConfirm, all, Outcome::Done);
    let state = orphan::confirm(&app.store, &audit).await?;
    tracing::info!(
        actor = caller.actor(),
        request_id = origin.request_id,
        "left-overs are removed again"
    );
    Ok(Json(OrphansView::of(&app.store.orphans().await?, &state)))
}

impl<P: Ports> App<P> {
    async fn visible_orphan(&self, caller: &Caller, id: &str) -> Result<Orphan, Problem> {
        let found = match OrphanId::from_text(id) {
            Some(id) => self.store.orphan(&id).await?,
            None => None,
        };
        let orphan = found.ok_or_else(|| Problem::not_found("orphan"))?;
        if caller.sees(&orphan.connection) {
            Ok(orphan)
        } else {
            Err(Problem::not_found("orphan").unseen())
        }
    }
}

fn problem_of(error: RemovalError) -> Problem {
    match error {
        RemovalError::Gone => {
            Problem::new(ApiCode::NotFound, "It is not at the provider any more.")
                .guided("The next check drops it from the list, if it is gone.")
        }
        RemovalError::Changed => {
            let detail = "It is in use, or is not labelled as it was when it was reported.";
            Problem::new(ApiCode::OrphanChanged, detail)
                .guided("Wait for the next check, then look at GET /orphans again.")
        }
        RemovalError::Busy(job) => {
            let detail = match job {
                Some(job) => format!("The job {job} is open on its node."),
                None => "Its node has just changed.".to_owned(),
            };
            Problem::new(ApiCode::NodeBusy, detail).guided("Wait for the node's job to end.")
        }
        RemovalError::Short(wait_secs) => {
            let detail = format!("The project's rate budget has calls again in {wait_secs} s.");
            Problem::new(ApiCode::ProviderUnavailable, detail)
        }
        RemovalError::Provider(failure) => refusal(&failure),
        RemovalError::Store(error) => error.into(),
    }
}

/// What the provider says of the thing is the caller's to resolve; the rest is an outage.
fn refusal(failure: &ProviderFailure) -> Problem {
    let guidance = match failure.class {
        FailureClass::Protected => "Lift its protection in the provider's console.",
        FailureClass::Busy => "An action runs on it: try again in a minute.",
        FailureClass::ReadOnly => "Store a token that may write: PUT /providers/{name}.",
        FailureClass::Invalid => "Look at it in the provider's console.",
        _ => return Problem::of_provider(failure),
    };
    Problem::new(ApiCode::ProviderRefused, format!("The provider answered {}.", failure.code))
        .guided(guidance)
}
