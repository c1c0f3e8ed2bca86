//! `DELETE /providers/{name}`: forget a connection that nothing lives on.

use axum::extract::{Path, State};
use http::StatusCode;
use nodeyard_domain::{
    audit::{Action, Outcome},
    connection::keys::FIRST_KEY_VERSION,
};
use nodeyard_engine::{
    secrets::{Secrets, SecretsError},
    store::ApiStore,
};

use crate::{
    app::{Ports, Shared},
    auth::Admin,
    code::ApiCode,
    problem::Problem,
    request::Origin,
};

/// Disconnect. The managed SSH key stays in the project and opens nothing: its private half goes.
#[utoipa::path(
    delete, path = "/providers/{name}", tag = "providers", params(("name" = String, Path)),
    responses((status = 204, description = "Disconnected. `connection_in_use` (409) while nodes live on it."))
)]
pub async fn delete_provider<P: Ports>(
    State(app): State<Shared<P>>,
    Admin(caller): Admin,
    Path(name): Path<String>,
    origin: Origin,
) -> Result<StatusCode, Problem> {
    let connection = app.visible_connection(&caller, &name).await?;
    let live = app.live_nodes(&connection.name).await?;
    if !live.is_empty() {
        let detail = format!("{} nodes of it are not gone.", live.len());
        return Err(Problem::new(ApiCode::ConnectionInUse, detail)
            .guided("Release its nodes first: DELETE /nodes/{id}."));
    }
    if let Some(open) = &connection.rotation {
        let detail = "A rotation of its key is open.";
        return Err(Problem::new(ApiCode::ConnectionInUse, detail)
            .guided(format!("Wait for /jobs/{open}, or cancel it.")));
    }
    // The token first: a record without one can be deleted again, a token without one cannot.
    match app.secrets.delete_provider_token(&connection).await {
        Ok(()) | Err(SecretsError::Missing(_)) => {}
        Err(error) => return Err(error.into()),
    }
    // Of one that never came to its first key, that may be there all the same.
    let versions = connection.key.iter().map(|key| key.version);
    let retired = connection.retired.iter().map(|retired| retired.version);
    for version in versions.chain(retired).chain([FIRST_KEY_VERSION]) {
        app.secrets.destroy_ssh_key(&connection.key_secret(version)).await?;
    }
    let name = &connection.name;
    let audit = app.audit(&caller, &origin, Action::ProviderDisconnect, name, Outcome::Done);
    app.store.delete_connection(name, &audit).await?;
    app.catalogues.forget(&connection.name);
    tracing::info!(
        actor = caller.actor(),
        connection = %connection.name,
        request_id = origin.request_id,
        "a connection was deleted"
    );
    Ok(StatusCode::NO_CONTENT)
}
