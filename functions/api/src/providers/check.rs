//! `POST /providers/{name}/check`: look at the connection now.

use axum::{
    Json,
    extract::{Path, State},
};
use nodeyard_domain::{
    audit::{Action, Outcome},
    connection::{Connection, ConnectionStatus, ManagedKey},
    event,
    observation::{FailureClass, ProviderFailure},
    token::Scope,
};
use nodeyard_engine::{check, secrets::Secrets, store::ApiStore};
use secrecy::SecretString;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{first_key::changed_meanwhile, view::ConnectionView};
use crate::{
    app::{App, Ports, Shared},
    auth::Operator,
    body::{OptionalJsonBody, parse},
    code::ApiCode,
    problem::Problem,
    request::Origin,
};

/// What `POST /providers/{name}/check` takes; it may be left out.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Check {
    /// An admin's word that the stored token is of the right project although its managed SSH key
    /// is not there: the key is made again. Without it, only a server on record proves the project.
    confirm_project: bool,
}

/// Check a connection's token now, and say how it is.
#[utoipa::path(
    post, path = "/providers/{name}/check", tag = "providers", params(("name" = String, Path)),
    request_body = inline(Check),
    responses((status = 200, description = "The connection as it is now", body = ConnectionView))
)]
pub async fn check_provider<P: Ports>(
    State(app): State<Shared<P>>,
    Operator(caller): Operator,
    Path(name): Path<String>,
    origin: Origin,
    OptionalJsonBody(body): OptionalJsonBody,
) -> Result<Json<ConnectionView>, Problem> {
    let Check { confirm_project } = parse(&body)?;
    let before = app.visible_connection(&caller, &name).await?;
    let caller = if confirm_project { caller.require(Scope::Admin)? } else { caller };
    let connection = app.check(&before, confirm_project).await?;
    let audit = app.audit(&caller, &origin, Action::ProviderCheck, &connection.name, Outcome::Done);
    let events = event::of_connection(&before, &connection, app.now());
    if !app.store.change_connection(&connection, &events, &audit).await? {
        if before.key.is_none() && connection.key.is_some() {
            app.drop_first_key(&connection).await;
        }
        return Err(changed_meanwhile());
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
    async fn check(&self, before: &Connection, confirmed: bool) -> Result<Connection, Problem> {
        let token = self.secrets.provider_token(before, before.token.is_none()).await?;
        let Some(key) = &before.key else { return self.check_new(before, &token).await };
        let mut seen = self.examine(before, key, &token).await?;
        if confirmed && matches!(&seen, Ok(report) if !report.sees_marker) {
            let name = ManagedKey::name(&self.settings.deployment, &before.name, key.version);
            seen = check::remake(&self.provider, &token, &name, key).await;
        }
        match seen {
            Err(failure) if failure.class != FailureClass::Unauthorized => {
                Err(Problem::of_provider(&failure))
            }
            told => Ok(before.judged(told, self.now())),
        }
    }

    /// A connection whose token has never written: it may by now.
    async fn check_new(
        &self,
        before: &Connection,
        token: &SecretString,
    ) -> Result<Connection, Problem> {
        match self.judge_new(&before.name, token).await {
            Ok(judged) => {
                let taken = match judged.private_key {
                    Some(_) => self.take_keyless(before).await?,
                    None => before.clone(),
                };
                let connection = taken.judged(Ok(judged.report.clone()), self.now());
                if let Some(private) = &judged.private_key {
                    self.keep_first_key(&connection, private).await?;
                }
                Ok(connection)
            }
            Err(problem) if problem.code == ApiCode::ProviderTokenRejected => {
                let refused =
                    ProviderFailure::new(FailureClass::Unauthorized, "unauthorized", "refused");
                Ok(before.judged(Err(refused), self.now()))
            }
            Err(problem) => Err(problem),
        }
    }
}
