//! Nodes: machines acquired from a connection.

pub mod acceptance;
pub mod body;
mod cap;
pub mod check;
pub mod configure;
pub mod create;
pub mod labels;
pub mod release;
pub mod smokes;
pub mod view;
mod work;

use axum::{
    Json,
    extract::{OriginalUri, Path, State},
};
use nodeyard_domain::node::NodeStatus;
use nodeyard_engine::store::{ApiStore, NodeFilter, RunStore};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use self::view::NodeView;
use crate::{
    app::{Ports, Shared},
    auth::{Caller, Reader},
    names,
    paging::{ListView, Params, invalid_parameter, page_request},
    problem::Problem,
    profiles::Profiles,
};

pub fn routes<P: Ports>() -> OpenApiRouter<Shared<P>> {
    OpenApiRouter::new()
        .routes(routes!(list_nodes, create::create_node))
        .routes(routes!(get_node, labels::patch_node, release::release_node))
        .routes(routes!(configure::configure_node))
        .routes(routes!(check::check_node))
        .routes(routes!(smokes::smoke_node))
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct NodesQuery {
    /// The most items of one page.
    #[param(minimum = 1, maximum = 100, default = 50)]
    limit: Option<usize>,
    /// Taken from the `next` of the page before.
    cursor: Option<String>,
    #[param(schema_with = names::node_status)]
    status: Option<String>,
    connection: Option<String>,
    profile: Option<String>,
    /// `key` or `key=value`.
    label: Option<String>,
}

impl NodesQuery {
    fn filter(&self, caller: &Caller, profiles: &Profiles) -> Result<NodeFilter, Problem> {
        let status = match self.status.as_deref() {
            Some(text) => Some(
                names::parse_word::<NodeStatus>(text)
                    .ok_or_else(|| invalid_parameter("status", "is no status of a node"))?,
            ),
            None => None,
        };
        let profile = match self.profile.as_deref() {
            Some(text) => Some(
                profiles
                    .find(text)
                    .cloned()
                    .ok_or_else(|| invalid_parameter("profile", "is no profile"))?,
            ),
            None => None,
        };
        let label = self.label.as_deref().map(|text| match text.split_once('=') {
            Some((key, value)) => (key.to_owned(), Some(value.to_owned())),
            None => (text.to_owned(), None),
        });
        let connections = seen_connections(caller, self.connection.as_deref())?;
        Ok(NodeFilter { status, connections, profile, label })
    }
}

/// The connections a list is restricted to: what the caller asks for, of what it may see.
pub(crate) fn seen_connections(
    caller: &Caller,
    wanted: Option<&str>,
) -> Result<Option<Vec<nodeyard_domain::connection::ConnectionName>>, Problem> {
    let Some(wanted) = wanted else { return Ok(caller.token.connections.clone()) };
    let name = wanted
        .parse()
        .map_err(|_| invalid_parameter("connection", "is no name of a connection"))?;
    Ok(Some(if caller.sees(&name) { vec![name] } else { Vec::new() }))
}

/// List nodes.
#[utoipa::path(
    get, path = "/nodes", tag = "nodes", params(NodesQuery),
    responses((status = 200, description = "One page", body = ListView<NodeView>))
)]
pub async fn list_nodes<P: Ports>(
    State(app): State<Shared<P>>,
    Reader(caller): Reader,
    OriginalUri(uri): OriginalUri,
    Params(query): Params<NodesQuery>,
) -> Result<Json<ListView<NodeView>>, Problem> {
    let filter = query.filter(&caller, &app.settings.profiles)?;
    let page = page_request(query.limit, query.cursor)?;
    let found = app.store.nodes(&filter, &page).await?;
    Ok(Json(ListView::of(found, &uri, |node| NodeView::of(&node, None))))
}

/// Look at one node.
#[utoipa::path(
    get, path = "/nodes/{id}", tag = "nodes", params(("id" = String, Path)),
    responses((status = 200, description = "The node", body = NodeView))
)]
pub async fn get_node<P: Ports>(
    State(app): State<Shared<P>>,
    Reader(caller): Reader,
    Path(id): Path<String>,
) -> Result<Json<NodeView>, Problem> {
    let node = app.visible_node(&caller, &id).await?;
    let pins = app.store.pins(&node.id).await?;
    Ok(Json(NodeView::of(&node, pins.as_ref())))
}
