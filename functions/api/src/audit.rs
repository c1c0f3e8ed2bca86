//! The audit trail: what is written into it, and how an admin reads it.
//!
//! A change writes its entry in the transaction of the change. A refusal is written when it is
//! answered, by the outermost layer, which sees them all. Reads are not in the trail; refused ones
//! are (401, 403, and what a token may not see), and every refusal of a route that changes
//! something. Repeats that change nothing (a replayed `Idempotency-Key`, a job that is being
//! cancelled already) and dry runs are no changes. Outages (5xx) are in the log.

mod bound;
mod entry;
mod notes;
mod refusal;
mod route;
mod view;

use axum::{
    Json,
    extract::{OriginalUri, State},
};
use nodeyard_domain::audit::{Action, AuditFilter, ResourceKind};
use nodeyard_engine::store::ApiStore;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use self::view::AuditView;
pub(crate) use self::{bound::Bounds, notes::Notes, route::Asked};
use crate::{
    app::{Ports, Shared},
    auth::Admin,
    names,
    paging::{ListView, Params, invalid_parameter, page_request},
    problem::Problem,
};

pub fn routes<P: Ports>() -> OpenApiRouter<Shared<P>> {
    OpenApiRouter::new().routes(routes!(list_audit))
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AuditQuery {
    /// The most items of one page.
    #[param(minimum = 1, maximum = 100, default = 50)]
    limit: Option<usize>,
    /// Taken from the `next` of the page before.
    cursor: Option<String>,
    /// A token's name, or `anonymous`, `bootstrap` or `system`.
    actor: Option<String>,
    #[param(schema_with = names::audit_action)]
    action: Option<String>,
    /// A kind (`node`, `job`, `connection`, `token`, `orphan`, `audit`), an id, or both:
    /// `connection:main`.
    resource: Option<String>,
}

impl AuditQuery {
    fn filter(&self) -> Result<AuditFilter, Problem> {
        let action = match self.action.as_deref() {
            Some(text) => Some(
                Action::from_text(text)
                    .ok_or_else(|| invalid_parameter("action", "is no action of the trail"))?,
            ),
            None => None,
        };
        let (kind, id) = match self.resource.as_deref() {
            Some(text) => resource(text)?,
            None => (None, None),
        };
        Ok(AuditFilter { actor: self.actor.clone(), action, kind, id })
    }
}

fn resource(text: &str) -> Result<(Option<ResourceKind>, Option<String>), Problem> {
    if let Some((kind, id)) = text.split_once(':') {
        let kind = ResourceKind::from_text(kind)
            .ok_or_else(|| invalid_parameter("resource", "names no kind before the colon"))?;
        return Ok((Some(kind), Some(id.to_owned())));
    }
    Ok(match ResourceKind::from_text(text) {
        Some(kind) => (Some(kind), None),
        None => (None, Some(text.to_owned())),
    })
}

/// Who did what, and what was refused: newest first. Entries are kept for 120 days, so that each
/// outlives the job it tells of. Nothing changes or deletes one before.
#[utoipa::path(
    get, path = "/audit", tag = "audit", params(AuditQuery),
    responses((status = 200, description = "One page", body = ListView<AuditView>))
)]
pub async fn list_audit<P: Ports>(
    State(app): State<Shared<P>>,
    Admin(caller): Admin,
    OriginalUri(uri): OriginalUri,
    Params(query): Params<AuditQuery>,
) -> Result<Json<ListView<AuditView>>, Problem> {
    caller.require_unrestricted()?;
    let filter = query.filter()?;
    let page = page_request(query.limit, query.cursor)?;
    let found = app.store.audit_entries(&filter, &page).await?;
    Ok(Json(ListView::of(found, &uri, AuditView::from)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_is_a_kind_an_id_or_both() {
        let parsed = |text: &str| resource(text).ok();
        let id = |text: &str| Some(text.to_owned());
        assert_eq!(parsed("node"), Some((Some(ResourceKind::Node), None)));
        assert_eq!(parsed("node-1"), Some((None, id("node-1"))));
        assert_eq!(parsed("server-9@main"), Some((None, id("server-9@main"))));
        assert_eq!(parsed("connection:node"), Some((Some(ResourceKind::Connection), id("node"))));
        assert_eq!(parsed("unknown:x"), None);
        assert_eq!(parsed(":x"), None);
    }
}
