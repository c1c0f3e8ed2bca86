//! The HTTP API: authenticate → parse → admit → 202. The only crate that knows the HTTP statuses
//! we answer with.
//!
//! Must not: do work on a node, decide what a job does next, or call a provider for anything but
//! judging a token, showing what is for sale and removing an orphan on an admin's word.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod app;
mod audit;
mod auth;
mod body;
mod catalogue;
pub mod code;
pub mod gateway;
mod health;
mod idempotency;
pub mod issuer;
mod jobs;
mod names;
mod nodes;
mod openapi;
mod orphans;
mod paging;
mod placement;
mod problem;
pub mod profiles;
mod providers;
mod request;
mod tokens;

use axum::{Router, middleware};
use utoipa::OpenApi as _;
use utoipa_axum::router::OpenApiRouter;

use crate::{
    app::{Ports, Shared},
    code::ApiCode,
    problem::Problem,
};

fn routes<P: Ports>() -> OpenApiRouter<Shared<P>> {
    OpenApiRouter::with_openapi(openapi::Base::openapi())
        .merge(providers::routes())
        .merge(nodes::routes())
        .merge(jobs::routes())
        .merge(orphans::routes())
        .merge(tokens::routes())
        .merge(audit::routes())
        .merge(health::routes())
        .merge(openapi::routes())
}

/// The contract of all routes.
pub fn contract<P: Ports>() -> utoipa::openapi::OpenApi {
    openapi::complete(routes::<P>().into_openapi())
}

/// The API over the given ports.
pub fn router<P: Ports>(app: Shared<P>) -> Router {
    let (router, _) = routes::<P>().split_for_parts();
    router
        .fallback(|| async { Problem::not_found("route") })
        .method_not_allowed_fallback(|| async {
            Problem::new(ApiCode::MethodNotAllowed, "See /openapi.json for the route's methods.")
        })
        .layer(middleware::from_fn_with_state(app.clone(), request::answer::<P>))
        .with_state(app)
}
