//! `PUT /providers/{name}`: connect a project, or rotate its token. The token is judged live
//! before anything is stored.

use axum::{
    Json,
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use http::{StatusCode, header};
use nodeyard_domain::{
    audit::{Action, AuditEntry, Outcome},
    connection::{
        Connection, ConnectionName, ConnectionReason, ConnectionStatus, Permission, ProviderKind,
    },
    event::{self, Event},
    job::{JobState, ParkReason},
    wake::WakeReason,
    work::Work,
};
use nodeyard_engine::{
    secrets::Secrets,
    store::{ApiStore, JobFilter, JobStore, PageRequest},
};
use secrecy::SecretString;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{first_key::changed_meanwhile, token::Judged, view::ConnectionView};
use crate::{
    app::{App, Ports, Shared},
    auth::Admin,
    body::{JsonBody, parse},
    code::ApiCode,
    problem::{Faults, Problem},
    request::Origin,
};

/// The longest provider token; Hetzner's have 64 characters.
const MAX_TOKEN_CHARS: usize = 512;
const PAGE: usize = 100;

/// What `PUT /providers/{name}` takes.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewConnection {
    /// The kind: `hetzner`.
    #[schema(example = "hetzner")]
    provider: String,
    /// A read-write API token of the project. Never shown again.
    #[schema(format = Password, min_length = 1, max_length = 512, pattern = "^[!-~]+$")]
    token: String,
    /// The most nodes that may live on the connection; no cap, if absent.
    #[schema(minimum = 1)]
    max_nodes: Option<u32>,
    /// The most they may cost together: net, a month, in the project's currency.
    #[schema(exclusive_minimum = 0.0)]
    max_monthly: Option<f64>,
}

/// A body that is right in itself.
struct Wanted {
    name: ConnectionName,
    token: SecretString,
    max_nodes: Option<u32>,
    max_monthly: Option<f64>,
}

/// Connect a project, or store a new token for it.
#[utoipa::path(
    put, path = "/providers/{name}", tag = "providers", params(("name" = String, Path)),
    request_body = NewConnection,
    responses(
        (status = 201, description = "Connected", body = ConnectionView,
            headers(("Location" = String, description = "The connection"))),
        (status = 200, description = "Rotated", body = ConnectionView),
    )
)]
pub async fn put_provider<P: Ports>(
    State(app): State<Shared<P>>,
    Admin(caller): Admin,
    Path(name): Path<String>,
    origin: Origin,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    let wanted = parse_wanted(&name, parse(&body)?)?;
    if !caller.sees(&wanted.name) {
        let detail = "The token may not touch a connection of this name.";
        return Err(Problem::new(ApiCode::ProviderNotFound, detail));
    }
    let known = app.store.connection(&wanted.name).await?;
    let action = match known {
        Some(_) => Action::ProviderRotate,
        None => Action::ProviderConnect,
    };
    origin.notes.action(action);
    let judged = match known.as_ref().map(|known| (known, known.key.as_ref())) {
        Some((known, Some(key))) => app.judge_known(known, key, &wanted.token).await?,
        _ => app.judge_new(&wanted.name, &wanted.token).await?,
    };
    let audit = app.audit(&caller, &origin, action, &wanted.name, Outcome::Done);
    let connection = app.keep(&wanted, known.as_ref(), &judged, &audit).await?;
    app.catalogues.forget(&connection.name);
    tracing::info!(
        actor = caller.actor(),
        connection = %connection.name,
        request_id = origin.request_id,
        rotated = known.is_some(),
        "a provider token was stored"
    );
    if connection.status == ConnectionStatus::Connected {
        app.resume_parked(&connection.name).await;
    }
    let view = Json(ConnectionView::from(&connection));
    Ok(if known.is_some() {
        view.into_response()
    } else {
        let location = [(header::LOCATION, format!("/providers/{}", connection.name))];
        (StatusCode::CREATED, location, view).into_response()
    })
}

fn parse_wanted(name: &str, new: NewConnection) -> Result<Wanted, Problem> {
    let mut faults = Faults::default();
    if new.provider != "hetzner" {
        faults.add("/provider", ApiCode::UnknownProvider, "one of: hetzner");
    }
    let visible = |token: &str| token.bytes().all(|byte| byte.is_ascii_graphic());
    if !(1..=MAX_TOKEN_CHARS).contains(&new.token.len()) || !visible(&new.token) {
        let detail = format!("1 to {MAX_TOKEN_CHARS} visible ASCII characters");
        faults.add("/token", ApiCode::InvalidBody, detail);
    }
    if new.max_nodes == Some(0) {
        faults.add("/max_nodes", ApiCode::InvalidBody, "has to be above 0");
    }
    if new.max_monthly.is_some_and(|price| !price.is_finite() || price <= 0.0) {
        faults.add("/max_monthly", ApiCode::InvalidBody, "has to be above 0");
    }
    faults.into_result()?;
    let name = name.parse().map_err(|error| {
        Problem::new(ApiCode::InvalidRequest, format!("The path cannot be used: {error}."))
    })?;
    let token = SecretString::from(new.token);
    Ok(Wanted { name, token, max_nodes: new.max_nodes, max_monthly: new.max_monthly })
}

impl<P: Ports> App<P> {
    /// Stores secrets first: a record never names a key or token that is not there.
    async fn keep(
        &self,
        wanted: &Wanted,
        known: Option<&Connection>,
        judged: &Judged,
        audit: &AuditEntry,
    ) -> Result<Connection, Problem> {
        let now = self.now();
        let connection = Connection {
            name: wanted.name.clone(),
            version: known.map_or(0, |known| known.version),
            provider: ProviderKind::Hetzner,
            status: ConnectionStatus::Degraded,
            reason: None,
            permission: Permission::Unknown,
            token: known.and_then(|known| known.token.clone()),
            key: known.and_then(|known| known.key.clone()),
            key_stem: known.and_then(|known| known.key_stem.clone()),
            retired: known.map(|known| known.retired.clone()).unwrap_or_default(),
            rotation: known.and_then(|known| known.rotation.clone()),
            max_nodes: wanted.max_nodes,
            max_monthly: wanted.max_monthly,
            rate_budget: None,
            checked_at: now,
            failed_checks: 0,
            servers_seen: judged.servers,
            drift: known.and_then(|known| known.drift.clone()),
            created_at: known.map_or(now, |known| known.created_at),
        };
        let fresh = connection.clone();
        let mut connection = connection.judged(Ok(judged.report.clone()), now);
        let events = event::of_connection(known.unwrap_or(&fresh), &connection, now);
        let token =
            self.secrets.put_provider_token(&wanted.name, connection.token.as_ref(), &wanted.token);
        let token = token.await?;
        if known.is_none() {
            // The token's secret is another one each time that the name is connected: so are the
            // keys'.
            connection.key_stem = Some(token.secret.clone());
        }
        connection.token = Some(token);
        let Some(private) = &judged.private_key else {
            self.store_connection(known, &connection, &events, audit).await?;
            return Ok(connection);
        };
        // The name of the private half is on record before the half is written: whoever goes on
        // after a crash meets that name and no other.
        let is_stored = if let Some(known) = known {
            let taken = self.take_keyless(known).await?;
            (connection.version, connection.key_stem) = (taken.version, taken.key_stem);
            self.keep_first_key(&connection, private).await?;
            self.store.change_connection(&connection, &events, audit).await?
        } else {
            // A later check mends it, should it stay without its key.
            let keyless = Connection {
                status: ConnectionStatus::Degraded,
                reason: Some(ConnectionReason::PermissionUnknown),
                permission: Permission::Unknown,
                key: None,
                ..connection.clone()
            };
            self.store_connection(known, &keyless, &[], audit).await?;
            connection.version += 1;
            self.keep_first_key(&connection, private).await?;
            // The trail has the request already.
            self.store.swap_connection(&connection, &events).await?
        };
        if !is_stored {
            self.drop_first_key(&connection).await;
            return Err(changed_meanwhile());
        }
        Ok(connection)
    }

    async fn store_connection(
        &self,
        known: Option<&Connection>,
        connection: &Connection,
        events: &[Event],
        audit: &AuditEntry,
    ) -> Result<(), Problem> {
        if self.store.change_connection(connection, events, audit).await? {
            return Ok(());
        }
        // The record names the token that it has; a secret that no record names is deleted.
        if known.is_none()
            && let Err(error) = self.secrets.delete_provider_token(connection).await
        {
            tracing::warn!(%error, connection = %connection.name, "an unused secret is left");
        }
        Err(changed_meanwhile())
    }

    /// Wakes the jobs that wait for a token. What fails is only logged: the sweep looks at parked
    /// jobs as well, only later.
    pub(super) async fn resume_parked(&self, name: &ConnectionName) {
        self.resume_rotation(name).await;
        let filter = JobFilter {
            state: Some(JobState::Running),
            node: None,
            connections: Some(vec![name.clone()]),
        };
        let mut page = PageRequest { cursor: None, limit: PAGE };
        loop {
            let found = match self.store.jobs(&filter, &page).await {
                Ok(found) => found,
                Err(error) => {
                    tracing::warn!(%error, connection = %name, "parked jobs were not woken");
                    return;
                }
            };
            for job in &found.items {
                // The rotation was woken already.
                let Work::OnNode(job) = job else { continue };
                if job.waiting_on == Some(ParkReason::ProviderToken) {
                    // Noted first: the sweep finds it if the wake gets lost.
                    if let Err(error) = self.store.set_news(&job.id, self.now()).await {
                        tracing::warn!(%error, job_id = %job.id, "news not noted");
                    }
                    self.wake(&job.id, WakeReason::Resume, job.traceparent.as_deref()).await;
                }
            }
            page.cursor = found.next;
            if page.cursor.is_none() {
                return;
            }
        }
    }
}
