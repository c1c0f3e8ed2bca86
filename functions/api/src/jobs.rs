//! Jobs: the work that was accepted, and how it goes.

pub mod cancel;
pub mod conditional;
pub mod evidence;
pub mod view;
mod work;

use std::time::Duration;

use axum::{
    Json,
    extract::{OriginalUri, Path, State},
    response::{IntoResponse, Response},
};
use http::{HeaderMap, StatusCode, header};
use nodeyard_domain::{id::NodeId, job::JobState, work::Work};
use nodeyard_engine::store::{ApiStore, JobFilter};
use serde::Deserialize;
use tokio::time::{Instant, sleep};
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use self::{
    conditional::{entity_tag, names_version, wait_preference},
    view::{JobView, LogPiece, TimelineView},
};
use crate::{
    app::{Ports, Shared},
    auth::Reader,
    names,
    nodes::seen_connections,
    paging::{ListQuery, ListView, Params, invalid_parameter, page_request},
    problem::Problem,
};

/// Between looks at a job whose answer is held back.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Seconds until another look at an open job is worth it.
const RETRY_AFTER_OPEN: &str = "2";
/// The most pieces of log on one page, whatever is asked for: a piece has up to 64 KB, six times as
/// many where every byte has to be escaped, and a function's answer at most 6 MB (Lambda quotas).
const MAX_LOG_PIECES: usize = 12;

pub fn routes<P: Ports>() -> OpenApiRouter<Shared<P>> {
    OpenApiRouter::new()
        .routes(routes!(list_jobs))
        .routes(routes!(get_job))
        .routes(routes!(job_timeline))
        .routes(routes!(job_log))
        .routes(routes!(evidence::job_evidence))
        .routes(routes!(cancel::cancel_job))
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct JobsQuery {
    /// The most items of one page.
    #[param(minimum = 1, maximum = 100, default = 50)]
    limit: Option<usize>,
    /// Taken from the `next` of the page before.
    cursor: Option<String>,
    #[param(schema_with = names::job_state)]
    state: Option<String>,
    /// A node's id. A `key_rotation` is on no node.
    node: Option<String>,
    connection: Option<String>,
}

/// List jobs: those on nodes and those on connections, the newest first.
#[utoipa::path(
    get, path = "/jobs", tag = "jobs", params(JobsQuery),
    responses((status = 200, description = "One page", body = ListView<JobView>))
)]
pub async fn list_jobs<P: Ports>(
    State(app): State<Shared<P>>,
    Reader(caller): Reader,
    OriginalUri(uri): OriginalUri,
    Params(query): Params<JobsQuery>,
) -> Result<Json<ListView<JobView>>, Problem> {
    let state = match query.state.as_deref() {
        Some(text) => Some(
            names::parse_word::<JobState>(text)
                .ok_or_else(|| invalid_parameter("state", "is no state of a job"))?,
        ),
        None => None,
    };
    let node = match query.node.as_deref() {
        Some(text) => Some(
            text.parse::<NodeId>().map_err(|_| invalid_parameter("node", "is no id of a node"))?,
        ),
        None => None,
    };
    let connections = seen_connections(&caller, query.connection.as_deref())?;
    let page = page_request(query.limit, query.cursor)?;
    let found = app.store.jobs(&JobFilter { state, node, connections }, &page).await?;
    Ok(Json(ListView::of(found, &uri, |job| JobView::from(&job))))
}

/// Look at one job. With `Prefer: wait=N` the answer is held back until the job changes.
#[utoipa::path(
    get, path = "/jobs/{id}", tag = "jobs",
    params(
        ("id" = String, Path),
        ("If-None-Match" = Option<String>, Header, description = "The `ETag` of the last answer: 304 while it is still that one."),
        ("Prefer" = Option<String>, Header, description = "`wait=N`, up to 10 seconds."),
    ),
    responses(
        (status = 200, description = "The job", body = JobView,
            headers(("ETag" = String, description = "The job's version"), ("Retry-After" = u32), ("Preference-Applied" = String))),
        (status = 304, description = "Nothing has changed",
            headers(("ETag" = String, description = "The job's version"), ("Retry-After" = u32), ("Preference-Applied" = String))),
    )
)]
pub async fn get_job<P: Ports>(
    State(app): State<Shared<P>>,
    Reader(caller): Reader,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let mut job = app.visible_work(&caller, &id).await?;
    let known = |job: &Work| names_version(&headers, &header::IF_NONE_MATCH, job.version());
    // Too many held answers: this one is given at once, which RFC 7240 allows.
    let hold = wait_preference(&headers).zip(app.held.try_acquire().ok());
    let mut applied = None;
    if let Some((secs, _permit)) = hold {
        applied = Some(format!("wait={secs}"));
        let until = Instant::now() + Duration::from_secs(secs);
        let caller_has_it = !headers.contains_key(header::IF_NONE_MATCH) || known(&job);
        let version = job.version();
        while caller_has_it && job.version() == version && !job.has_ended() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            sleep(left.min(LOOK_EVERY)).await;
            job = app.visible_work(&caller, &id).await?;
        }
    }

    let mut response = if known(&job) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        Json(JobView::from(&job)).into_response()
    };
    let answered = response.headers_mut();
    answered.insert(header::ETAG, entity_tag(job.version()));
    if let Some(Ok(applied)) = applied.map(|text| text.parse()) {
        answered.insert("preference-applied", applied);
    }
    if !job.has_ended() {
        answered.insert(header::RETRY_AFTER, header::HeaderValue::from_static(RETRY_AFTER_OPEN));
    }
    Ok(response)
}

/// The job's history.
#[utoipa::path(
    get, path = "/jobs/{id}/timeline", tag = "jobs", params(("id" = String, Path), ListQuery),
    responses((status = 200, description = "One page", body = ListView<TimelineView>))
)]
pub async fn job_timeline<P: Ports>(
    State(app): State<Shared<P>>,
    Reader(caller): Reader,
    Path(id): Path<String>,
    OriginalUri(uri): OriginalUri,
    Params(query): Params<ListQuery>,
) -> Result<Json<ListView<TimelineView>>, Problem> {
    let page = query.page()?;
    let job = app.visible_work(&caller, &id).await?;
    let found = app.store.timeline(job.id(), &page).await?;
    Ok(Json(ListView::of(found, &uri, TimelineView::from)))
}

/// The log of the job's runs, redacted.
#[utoipa::path(
    get, path = "/jobs/{id}/log", tag = "jobs", params(("id" = String, Path), ListQuery),
    responses((status = 200, description = "One page", body = ListView<LogPiece>))
)]
pub async fn job_log<P: Ports>(
    State(app): State<Shared<P>>,
    Reader(caller): Reader,
    Path(id): Path<String>,
    OriginalUri(uri): OriginalUri,
    Params(query): Params<ListQuery>,
) -> Result<Json<ListView<LogPiece>>, Problem> {
    let mut page = query.page()?;
    page.limit = page.limit.min(MAX_LOG_PIECES);
    let job = app.visible_work(&caller, &id).await?;
    let found = app.store.log(job.id(), &page).await?;
    Ok(Json(ListView::of(found, &uri, |text| LogPiece { text })))
}
