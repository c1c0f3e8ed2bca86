//! How things stand, in figures: what is wrong and stays so until a person acts.

use nodeyard_domain::{connection::ConnectionStatus, node::NodeStatus};
use nodeyard_engine::{
    Clock,
    metric::{self, Metric},
    orphan::OrphanStore,
    store::{ApiStore, JobStore, NodeFilter, PageError, PageRequest, StoreError},
};

/// Nodes read at a time.
const A_PAGE: usize = 100;

/// Tells the figures of the schedule's check.
///
/// # Errors
/// When the store does not answer.
pub(crate) async fn tell(
    store: &(impl JobStore + ApiStore + OrphanStore),
    clock: &impl Clock,
) -> Result<(), StoreError> {
    let connections = store.connections().await?;
    let not_connected =
        connections.iter().filter(|it| it.status != ConnectionStatus::Connected).count();
    count(Metric::ConnectionsNotConnected, not_connected);
    for connection in &connections {
        let now = clock.now();
        let left = store.pace(&connection.name, now).await?.budget.by(now).remaining;
        metric::tell(Metric::BudgetLeft, left, &[("Connection", connection.name.as_str())]);
    }
    count(Metric::OrphansOpen, store.orphans().await?.len());
    count(Metric::NodesCleanupPending, left_over(store).await?);
    Ok(())
}

fn count(metric: Metric, things: usize) {
    metric::tell(metric, things as f64, &[]);
}

async fn left_over(store: &impl ApiStore) -> Result<usize, StoreError> {
    let filter = NodeFilter { status: Some(NodeStatus::CleanupPending), ..NodeFilter::default() };
    let mut page = PageRequest { cursor: None, limit: A_PAGE };
    let mut nodes = 0;
    loop {
        let found = store.nodes(&filter, &page).await.map_err(|error| match error {
            PageError::Store(error) => error,
            PageError::Cursor => StoreError::Unavailable("its own cursor".to_owned()),
        })?;
        nodes += found.items.len();
        page.cursor = found.next;
        if page.cursor.is_none() {
            return Ok(nodes);
        }
    }
}
