//! Liveness: the only route without a token besides the contract.

use axum::{Json, extract::State};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::app::{Ports, Shared};

pub fn routes<P: Ports>() -> OpenApiRouter<Shared<P>> {
    OpenApiRouter::new().routes(routes!(health))
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Health {
    #[schema(value_type = String, example = "ok")]
    status: &'static str,
    #[schema(value_type = String)]
    version: &'static str,
    deployment: String,
}

/// Liveness and version.
#[utoipa::path(
    get, path = "/health", tag = "health", security(()),
    responses((status = 200, description = "The API answers", body = Health))
)]
pub async fn health<P: Ports>(State(app): State<Shared<P>>) -> Json<Health> {
    Json(Health {
        status: "ok",
        version: env!("CARGO_PKG_VERSION"),
        deployment: app.settings.deployment.clone(),
    })
}
