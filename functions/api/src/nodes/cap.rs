//! A connection's caps on nodes and money, held when a node is asked for.

use std::collections::BTreeMap;

use nodeyard_domain::{
    connection::{Connection, ConnectionName},
    id::NodeId,
    node::Node,
    pace::Pace,
};
use nodeyard_engine::store::{ApiStore, JobStore, NodeFilter, PageRequest, StoreError};

use crate::{
    app::{App, Ports},
    code::ApiCode,
    placement::PricedRung,
    problem::Problem,
};

const PAGE: usize = 100;
/// How often room is asked for against others who do the same.
const MAX_SWAPS: usize = 16;

impl<P: Ports> App<P> {
    /// The nodes of a connection that may still have something at the provider.
    pub(crate) async fn live_nodes(
        &self,
        connection: &ConnectionName,
    ) -> Result<Vec<Node>, Problem> {
        let connections = Some(vec![connection.clone()]);
        let filter = NodeFilter { connections, ..NodeFilter::default() };
        let mut page = PageRequest { cursor: None, limit: PAGE };
        let mut live = Vec::new();
        loop {
            let found = self.store.nodes(&filter, &page).await?;
            live.extend(found.items.into_iter().filter(|node| !node.status.is_gone()));
            page.cursor = found.next;
            if page.cursor.is_none() {
                return Ok(live);
            }
        }
    }
}

/// Says whether the connection's caps have room for a node.
///
/// # Errors
/// `spend_cap_exceeded`.
pub async fn check<P: Ports>(
    app: &App<P>,
    connection: &Connection,
    node: &NodeId,
    ladder: &[PricedRung],
) -> Result<(), Problem> {
    if !is_capped(connection) {
        return Ok(());
    }
    let pace = app.store.pace(&connection.name, app.now()).await?;
    room(app, connection, node, ladder, &pace).await.map(drop)
}

/// Takes room for a node that is about to be accepted. Reservations are made one after the other,
/// so that two requests at the same moment do not both pass.
///
/// # Errors
/// `spend_cap_exceeded`, or `unavailable` when too many ask at once.
pub async fn reserve<P: Ports>(
    app: &App<P>,
    connection: &Connection,
    node: &NodeId,
    ladder: &[PricedRung],
) -> Result<(), Problem> {
    if !is_capped(connection) {
        return Ok(());
    }
    for _ in 0..MAX_SWAPS {
        let now = app.now();
        let mut pace = app.store.pace(&connection.name, now).await?;
        let dearest = room(app, connection, node, ladder, &pace).await?;
        pace.reserve(node, dearest, now);
        if app.store.swap_pace(&connection.name, &pace).await? {
            return Ok(());
        }
    }
    Err(StoreError::Unavailable("the connection's caps are contended".to_owned()).into())
}

fn is_capped(connection: &Connection) -> bool {
    connection.max_nodes.is_some() || connection.max_monthly.is_some()
}

/// Counts what lives on the connection and what is being accepted, and adds the dearest rung the
/// new node may land on. Answers that rung's price, if every rung has one.
async fn room<P: Ports>(
    app: &App<P>,
    connection: &Connection,
    node: &NodeId,
    ladder: &[PricedRung],
    pace: &Pace,
) -> Result<Option<f64>, Problem> {
    let mut held: BTreeMap<NodeId, f64> = pace
        .reserved(app.now())
        .map(|reserved| (reserved.node.clone(), reserved.monthly_net.unwrap_or(0.0)))
        .collect();
    for live in app.live_nodes(&connection.name).await? {
        let price = live.price.as_ref().map_or(0.0, |price| price.monthly_net);
        held.insert(live.id, price);
    }
    held.remove(node);
    let (nodes, monthly) = (held.len(), held.values().sum::<f64>());
    // A price nobody knows could be any.
    let dearest = ladder
        .iter()
        .try_fold(0.0_f64, |most, rung| Some(most.max(rung.price.as_ref()?.monthly_net)));
    if let Some(max) = connection.max_nodes.filter(|max| nodes >= *max as usize) {
        return Err(exceeded(format!("{nodes} of {max} nodes live on the connection.")));
    }
    if let Some(max) = connection.max_monthly
        && dearest.is_none_or(|price| monthly + price > max)
    {
        return Err(exceeded(format!("{monthly} of {max} a month are spent on live nodes.")));
    }
    Ok(dearest)
}

fn exceeded(detail: String) -> Problem {
    Problem::new(ApiCode::SpendCapExceeded, detail)
        .guided("Release nodes or raise the cap with PUT /providers/{name}.")
}
