//! Bending the world.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Refusal, body};
use crate::actor::{AutoActor, Deed};
use crate::clock::rfc3339_millis;
use crate::config::TokenSpec;
use crate::faults::FaultSpec;
use crate::settings::Settings;
use crate::shared::Shared;
use crate::world::catalogue;
use crate::world::stock::Supply;

type Done = Result<Json<Value>, Refusal>;

pub(super) async fn settings(
    State(shared): State<Arc<Shared>>,
    bytes: Bytes,
) -> Result<Json<Settings>, Refusal> {
    let change: Value = body(&bytes)?;
    shared.enter(|state| {
        let settings = state
            .world
            .settings()
            .changed(&change)
            .map_err(|error| Refusal::Bad(error.to_string()))?;
        state.world.set_settings(settings.clone());
        Ok(Json(settings))
    })
}

pub(super) async fn arm_fault(State(shared): State<Arc<Shared>>, bytes: Bytes) -> Done {
    let spec: FaultSpec = body(&bytes)?;
    let id = shared.enter(|state| state.faults.arm(spec));
    Ok(Json(json!({ "id": id })))
}

pub(super) async fn disarm_faults(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let removed = shared.enter(|state| state.faults.disarm(None));
    Json(json!({ "removed": removed }))
}

pub(super) async fn disarm_fault(State(shared): State<Arc<Shared>>, Path(id): Path<u64>) -> Done {
    match shared.enter(|state| state.faults.disarm(Some(id))) {
        0 => Err(Refusal::Unknown("fault")),
        removed => Ok(Json(json!({ "removed": removed }))),
    }
}

pub(super) async fn clear_journal(State(shared): State<Arc<Shared>>) -> Json<Value> {
    shared.enter(|state| state.journal.clear());
    Json(json!({}))
}

pub(super) async fn act(State(shared): State<Arc<Shared>>, bytes: Bytes) -> Done {
    let deed: Deed = body(&bytes)?;
    shared.enter(|state| state.act(deed)).map_err(Refusal::World)?;
    Ok(Json(json!({ "done": true })))
}

pub(super) async fn start_actor(State(shared): State<Arc<Shared>>, bytes: Bytes) -> Done {
    let actor: AutoActor = body(&bytes)?;
    if actor.habits.is_empty() {
        return Err(Refusal::Bad("habits must not be empty".to_owned()));
    }
    shared.enter(|state| state.world.set_auto_actor(Some(actor)));
    Ok(Json(json!({})))
}

pub(super) async fn stop_actor(State(shared): State<Arc<Shared>>) -> Json<Value> {
    shared.enter(|state| state.world.set_auto_actor(None));
    Json(json!({}))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    secs: f64,
}

pub(super) async fn advance_clock(State(shared): State<Arc<Shared>>, bytes: Bytes) -> Done {
    let Advance { secs } = body(&bytes)?;
    let by = Duration::try_from_secs_f64(secs).map_err(|error| Refusal::Bad(error.to_string()))?;
    shared.clock.advance(by);
    let now = shared.enter(|state| state.world.now());
    Ok(Json(json!({ "now": rfc3339_millis(now) })))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Offer {
    server_type: String,
    /// Absent: everywhere it is sold.
    location: Option<String>,
    supply: Supply,
}

pub(super) async fn set_stock(State(shared): State<Arc<Shared>>, bytes: Bytes) -> Done {
    let offer: Offer = body(&bytes)?;
    let set = shared.enter(|state| {
        state.set_stock(&offer.server_type, offer.location.as_deref(), offer.supply)
    });
    match set {
        0 => Err(Refusal::Unknown("offer")),
        set => Ok(Json(json!({ "set": set }))),
    }
}

pub(super) async fn add_token(State(shared): State<Arc<Shared>>, bytes: Bytes) -> Done {
    let token: TokenSpec = body(&bytes)?;
    shared.enter(|state| state.add_token(token));
    Ok(Json(json!({})))
}

pub(super) async fn revoke_token(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
) -> Done {
    if shared.enter(|state| state.revoke_token(&name)) {
        Ok(Json(json!({})))
    } else {
        Err(Refusal::Unknown("token"))
    }
}

impl crate::shared::State {
    /// Has the second actor do something, and notes it.
    pub(crate) fn act(&mut self, deed: Deed) -> Result<(), crate::world::error::ApiError> {
        let result = deed.perform(&mut self.world, &self.tokens);
        let now = self.world.now();
        self.journal.add_deed(now, deed, result.is_ok(), false);
        result
    }

    /// Sets the supply of an offer, or of a type wherever it is sold; returns
    /// how many offers were set.
    pub(crate) fn set_stock(
        &mut self,
        server_type: &str,
        location: Option<&str>,
        supply: Supply,
    ) -> usize {
        let Some(size) = catalogue::server_type(server_type) else {
            return 0;
        };
        let places = size.locations.iter().filter_map(|name| catalogue::location(name));
        let mut set = 0;
        for place in places.filter(|place| location.is_none_or(|name| name == place.name)) {
            self.world.stock_mut().set(size.id, place.id, supply);
            set += 1;
        }
        set
    }
}
