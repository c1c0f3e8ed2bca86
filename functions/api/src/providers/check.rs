//! `POST /providers/{name}/check`: look at the connection now.

use axum::{
    Json,
    extract::{Path, State},
};
use nodeyard_domain::{
    audit::{Action, Outcome},
    connection::{Connection, ConnectionReason, ConnectionStatus},
};
use nodeyard_engine::{check, secrets::Secrets, store::ApiStore};
use serde::Deserialize;

use super::view::ConnectionView;
use crate::{
    app::{App, Ports, Shared},
    auth::Operator,
    body::{OptionalJsonBody, parse},
    code::ApiCode,
    problem::Problem,
    request::Origin,
};

/// The body has no fields; it may be left out.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Check {}

/// Check a connection's token now, and say how it is.
#[utoipa::path(
    post, path = "/providers/{name}/check", tag = "providers", params(("name" = String, Path)),
    responses((status = 200, description = "The connection as it is now", body = ConnectionView))
)]
pub async fn check_provider<P: Ports>(
    State(app): State<Shared<P>>,
    Operator(caller): Operator,
    Path(name): Path<String>,
    origin: Origin,
    OptionalJsonBody(body): OptionalJsonBody,
) -> Result<Json<ConnectionView>, Problem> {
    let Check {} = parse(&body)?;
    let before = app.visible_connection(&caller, &name).await?;
    let connection = app.check(before).await?;
    let audit = app.audit(&caller, &origin, Action::ProviderCheck, &connection.name, Outcome::Done);
    if !app.store.change_connection(&connection, &audit).await? {
        let detail = "The connection was changed meanwhile: check it again.";
        return Err(Problem::new(ApiCode::EditConflict, detail));
    }
    app.catalogues.forget(&connection.name);
    if connection.status == ConnectionStatus::Connected {
        app.resume_parked(&connection.name).await;
    }
    Ok(Json(ConnectionView::from(&connection)))
}

impl<P: Ports> App<P> {
    /// A provider that does not answer says nothing about the connection: that is the caller's
    /// problem and changes nothing.
    async fn check(&self, connection: Connection) -> Result<Connection, Problem> {
        let token = self.secrets.provider_token(&connection.name, true).await?;
        let judged = match &connection.key {
            Some(key) => self.judge_known(&connection.name, key, &token).await,
            None => self.judge_new(&connection.name, &token).await,
        };
        let now = self.now();
        let refused = |connection, status, reason| {
            Ok(Connection { status, reason: Some(reason), checked_at: now, ..connection })
        };
        match judged {
            Ok(judged) => {
                let connection = check::judge(&connection, Ok(judged.report.clone()), now);
                self.keep_key(&connection, &judged).await?;
                Ok(connection)
            }
            Err(problem) if problem.code == ApiCode::ProviderTokenRejected => {
                let reason = ConnectionReason::Unauthorized;
                refused(connection, ConnectionStatus::Disconnected, reason)
            }
            Err(problem) if problem.code == ApiCode::DifferentProject => {
                let reason = ConnectionReason::MarkerMissing;
                refused(connection, ConnectionStatus::Degraded, reason)
            }
            Err(problem) => Err(problem),
        }
    }
}
