//! Connections to providers: one set of credentials each, under `/providers/{name}`.

mod check;
mod connect;
mod disconnect;
mod first_key;
mod rotate;
mod token;
pub mod view;

use axum::{
    Json,
    extract::{Path, State},
};
use nodeyard_domain::connection::Connection;
use nodeyard_engine::store::{ApiStore, JobStore};
use utoipa_axum::{router::OpenApiRouter, routes};

use self::view::{CatalogueView, ConnectionView, ProvidersView};
use crate::{
    app::{App, Ports, Shared},
    auth::{Caller, Reader},
    catalogue::LIVE_MAX_AGE,
    code::ApiCode,
    problem::Problem,
};

pub fn routes<P: Ports>() -> OpenApiRouter<Shared<P>> {
    OpenApiRouter::new()
        .routes(routes!(list_providers))
        .routes(routes!(get_provider, connect::put_provider, disconnect::delete_provider))
        .routes(routes!(provider_catalog))
        .routes(routes!(check::check_provider))
        .routes(routes!(rotate::rotate_key))
}

impl<P: Ports> App<P> {
    /// A connection the caller may see.
    ///
    /// # Errors
    /// `provider_not_found`, also for what is no name and for what the caller may not see.
    pub(crate) async fn visible_connection(
        &self,
        caller: &Caller,
        name: &str,
    ) -> Result<Connection, Problem> {
        let absent = || {
            Problem::new(ApiCode::ProviderNotFound, "There is no such connection.")
                .guided("GET /providers lists the connections.")
        };
        let name = name.parse().map_err(|_| absent())?;
        if !caller.sees(&name) {
            return Err(absent().unseen());
        }
        self.store.connection(&name).await?.ok_or_else(absent)
    }
}

/// The kinds of providers there are, and the connections with their health.
#[utoipa::path(
    get, path = "/providers", tag = "providers",
    responses((status = 200, description = "Kinds and connections", body = ProvidersView))
)]
pub async fn list_providers<P: Ports>(
    State(app): State<Shared<P>>,
    Reader(caller): Reader,
) -> Result<Json<ProvidersView>, Problem> {
    let mut connections = app.store.connections().await?;
    connections.retain(|connection| caller.sees(&connection.name));
    Ok(Json(ProvidersView::of(&connections)))
}

/// One connection.
#[utoipa::path(
    get, path = "/providers/{name}", tag = "providers", params(("name" = String, Path)),
    responses((status = 200, description = "The connection", body = ConnectionView))
)]
pub async fn get_provider<P: Ports>(
    State(app): State<Shared<P>>,
    Reader(caller): Reader,
    Path(name): Path<String>,
) -> Result<Json<ConnectionView>, Problem> {
    let connection = app.visible_connection(&caller, &name).await?;
    Ok(Json(ConnectionView::from(&connection)))
}

/// What the connection's project can buy: types, locations, images, prices and live stock.
#[utoipa::path(
    get, path = "/providers/{name}/catalog", tag = "providers", params(("name" = String, Path)),
    responses((status = 200, description = "What is for sale", body = CatalogueView))
)]
pub async fn provider_catalog<P: Ports>(
    State(app): State<Shared<P>>,
    Reader(caller): Reader,
    Path(name): Path<String>,
) -> Result<Json<CatalogueView>, Problem> {
    let connection = app.visible_connection(&caller, &name).await?;
    let catalogue = app.catalogue(&connection, LIVE_MAX_AGE).await?;
    Ok(Json(CatalogueView::of(&catalogue, app.now())))
}
