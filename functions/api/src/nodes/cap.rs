//! A connection's caps on nodes and money, held when a node is asked for.

use nodeyard_domain::{
    connection::{Connection, ConnectionName},
    node::Node,
};
use nodeyard_engine::store::{ApiStore, NodeFilter, PageRequest};

use crate::{
    app::{App, Ports},
    code::ApiCode,
    placement::PricedRung,
    problem::Problem,
};

const PAGE: usize = 100;

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

/// Counts what lives on the connection and adds the dearest rung the new node may land on. Two
/// requests at the same moment may both pass: a cap is a guard against surprise, not a budget.
///
/// # Errors
/// `spend_cap_exceeded`.
pub async fn hold_cap<P: Ports>(
    app: &App<P>,
    connection: &Connection,
    ladder: &[PricedRung],
) -> Result<(), Problem> {
    if connection.max_nodes.is_none() && connection.max_monthly.is_none() {
        return Ok(());
    }
    let live = app.live_nodes(&connection.name).await?;
    let monthly: f64 =
        live.iter().filter_map(|node| node.price.as_ref()).map(|price| price.monthly_net).sum();
    let nodes = live.len();
    if let Some(max) = connection.max_nodes.filter(|max| nodes >= *max as usize) {
        return Err(exceeded(format!("{nodes} of {max} nodes live on the connection.")));
    }
    if let Some(max) = connection.max_monthly {
        // A price nobody knows could be any.
        let dearest = ladder
            .iter()
            .try_fold(0.0_f64, |most, rung| Some(most.max(rung.price.as_ref()?.monthly_net)));
        if dearest.is_none_or(|price| monthly + price > max) {
            return Err(exceeded(format!("{monthly} of {max} a month are spent on live nodes.")));
        }
    }
    Ok(())
}

fn exceeded(detail: String) -> Problem {
    Problem::new(ApiCode::SpendCapExceeded, detail)
        .guided("Release nodes or raise the cap with PUT /providers/{name}.")
}
