//! `PATCH /nodes/{id}`: labels, as a merge patch.

use std::collections::BTreeMap;

use axum::{
    Json,
    extract::{Path, State},
};
use nodeyard_domain::audit::{Action, Outcome};
use nodeyard_engine::store::{ApiStore, RunStore};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{body::check_labels, view::NodeView};
use crate::{
    app::{Ports, Shared},
    auth::Operator,
    body::{JsonBody, parse},
    code::ApiCode,
    problem::{Faults, Problem},
    request::Origin,
};

/// How often somebody else may have been quicker.
const ROUNDS: usize = 4;

/// What `PATCH /nodes/{id}` takes.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NodePatch {
    /// Labels to set; `null` removes one. Others stay.
    labels: BTreeMap<String, Option<String>>,
}

/// Set and remove labels of a node.
#[utoipa::path(
    patch, path = "/nodes/{id}", tag = "nodes", params(("id" = String, Path)),
    request_body = NodePatch,
    responses((status = 200, description = "The node as it is now", body = NodeView))
)]
pub async fn patch_node<P: Ports>(
    State(app): State<Shared<P>>,
    Operator(caller): Operator,
    Path(id): Path<String>,
    origin: Origin,
    JsonBody(body): JsonBody,
) -> Result<Json<NodeView>, Problem> {
    let patch: NodePatch = parse(&body)?;
    for _ in 0..ROUNDS {
        let mut node = app.visible_node(&caller, &id).await?;
        let mut labels = node.labels.clone();
        for (key, value) in patch.labels.clone() {
            match value {
                Some(value) => labels.insert(key, value),
                None => labels.remove(&key),
            };
        }
        let mut faults = Faults::default();
        check_labels(&labels, &mut faults);
        faults.into_result()?;
        let now = app.now();
        let audit = app.audit(&caller, &origin, Action::NodeLabels, &node.id, Outcome::Done);
        if app.store.set_labels(&node.id, &node.labels, &labels, now, &audit).await? {
            (node.labels, node.updated_at) = (labels, now);
            let pins = app.store.pins(&node.id).await?;
            return Ok(Json(NodeView::of(&node, pins.as_ref())));
        }
    }
    Err(Problem::new(ApiCode::EditConflict, "The labels change quickly at present; try again."))
}
