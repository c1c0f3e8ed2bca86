//! `/_sim/`: the simulator's own API, to look behind the world and to bend
//! it. It knows no tokens and is for the machine it runs on.

mod change;
mod look;

use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::shared::Shared;

/// All routes of `/_sim/`.
pub(crate) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/_sim/", get(look::index))
        .route("/_sim/backing", get(look::backing))
        .route("/_sim/world", get(look::world))
        .route("/_sim/journal", get(look::journal).delete(change::clear_journal))
        .route("/_sim/journal/counts", get(look::counts))
        .route("/_sim/settings", get(look::settings).patch(change::settings))
        .route(
            "/_sim/faults",
            get(look::faults).post(change::arm_fault).delete(change::disarm_faults),
        )
        .route("/_sim/faults/{id}", delete(change::disarm_fault))
        .route("/_sim/actor", get(look::actor).post(change::act))
        .route("/_sim/actor/auto", post(change::start_actor).delete(change::stop_actor))
        .route("/_sim/clock", get(look::clock))
        .route("/_sim/clock/advance", post(change::advance_clock))
        .route("/_sim/stock", get(look::stock).put(change::set_stock))
        .route("/_sim/tokens", get(look::tokens).post(change::add_token))
        .route("/_sim/tokens/{name}", delete(change::revoke_token))
}

/// Why a request to `/_sim/` was not done.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// The body, or what it names, makes no sense.
    Bad(String),
    /// There is no such thing.
    Unknown(&'static str),
    /// The world refused.
    World(crate::world::error::ApiError),
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, body) = match self {
            Self::Bad(why) => (StatusCode::BAD_REQUEST, json!({ "error": why })),
            Self::Unknown(what) => {
                (StatusCode::NOT_FOUND, json!({ "error": format!("no such {what}") }))
            }
            Self::World(refusal) => (StatusCode::CONFLICT, refusal.body()),
        };
        (status, Json(body)).into_response()
    }
}

fn body<T: DeserializeOwned>(bytes: &Bytes) -> Result<T, Refusal> {
    serde_json::from_slice(bytes).map_err(|error| Refusal::Bad(error.to_string()))
}
