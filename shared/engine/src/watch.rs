//! The cheap look at nodes on the schedule: one listing of the provider for many nodes, a rare try of
//! the SSH port. Whatever looks wrong, or may be right again, gets a check, which is a job.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use nodeyard_domain::{
    acceptance,
    audit::{Action, AuditEntry, Outcome, Resource, SYSTEM},
    connection::Connection,
    id::{JobId, NodeId},
    job::JobKind,
    node::{Node, NodeStatus},
    observation::ServerStatus,
    pace::CallClass,
    wake::{Wake, WakeReason},
    watch::{PASS_SECS, Sight, is_tried, is_watched, suspicion},
};
use tracing::{info, warn};

use crate::{
    Clock,
    budget::{Taken, share_failure, take_calls},
    provider::{NODES_PER_LISTING, Provider},
    queue::WakeQueue,
    store::{
        Acceptance, Accepted, ApiStore, JobStore, NodeFilter, PageError, PageRequest, StoreError,
    },
};

const NODES_A_PAGE: usize = 500;
/// Checks that one pass opens; the rest is the next one's.
const MAX_CHECKS: usize = 10;
/// No further node is looked at this long after the pass began, in seconds.
const WATCHING_SECS: i64 = 15;

/// Tries a node's SSH port, without logging in.
pub trait Reach: Send + Sync {
    /// `None` where this deployment does not try.
    fn answers(&self, address: &str) -> impl Future<Output = Option<bool>> + Send;
}

/// What a pass came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Watched {
    /// Nodes that were looked at.
    pub nodes: usize,
    /// Checks that were opened.
    pub checks: usize,
}

/// A pass over all nodes, over its ports.
pub struct Watch<'a, S, Q, P, R, C> {
    pub store: &'a S,
    pub queue: &'a Q,
    pub provider: &'a P,
    pub reach: &'a R,
    pub clock: &'a C,
    /// The value of our deployment label.
    pub deployment: &'a str,
}

impl<S, Q, P, R, C> Watch<'_, S, Q, P, R, C>
where
    S: JobStore + ApiStore,
    Q: WakeQueue,
    P: Provider,
    R: Reach,
    C: Clock,
{
    /// # Errors
    /// When the records cannot be read.
    pub async fn run(&self) -> Result<Watched, StoreError> {
        let end = self.clock.now() + SignedDuration::from_secs(WATCHING_SECS);
        let mut watched = Watched::default();
        for connection in self.store.connections().await? {
            let nodes = self.nodes(&connection).await?;
            for nodes in nodes.chunks(NODES_PER_LISTING) {
                if self.clock.now() > end || watched.checks >= MAX_CHECKS {
                    break;
                }
                self.look(&connection, nodes, end, &mut watched).await?;
            }
        }
        info!(nodes = watched.nodes, checks = watched.checks, "nodes watched");
        Ok(watched)
    }

    /// The connection's nodes that are watched, those first that were checked longest ago.
    async fn nodes(&self, connection: &Connection) -> Result<Vec<Node>, StoreError> {
        let mut nodes = Vec::new();
        for status in [NodeStatus::NotReady, NodeStatus::Ready] {
            let filter = NodeFilter {
                status: Some(status),
                connections: Some(vec![connection.name.clone()]),
                ..NodeFilter::default()
            };
            let mut page = PageRequest { cursor: None, limit: NODES_A_PAGE };
            loop {
                let found =
                    self.store.nodes(&filter, &page).await.map_err(|error| match error {
                        PageError::Store(error) => error,
                        PageError::Cursor => StoreError::Unavailable("its own cursor".to_owned()),
                    })?;
                nodes.extend(found.items.into_iter().filter(is_watched));
                page.cursor = found.next;
                if page.cursor.is_none() {
                    break;
                }
            }
        }
        nodes.sort_by_key(|node| node.checked_at);
        Ok(nodes)
    }

    async fn look(
        &self,
        on: &Connection,
        nodes: &[Node],
        end: Timestamp,
        watched: &mut Watched,
    ) -> Result<(), StoreError> {
        let Some(sights) = self.sights(on, nodes).await? else { return Ok(()) };
        for node in nodes {
            watched.nodes += 1;
            let (now, sight) = (self.clock.now(), sights[&node.id]);
            let address = node.server.as_ref().and_then(|server| server.ipv4.as_deref());
            // Ports that do not answer take their time.
            let may_try = now <= end && is_tried(node, sight, now);
            let answers = match address.filter(|_| may_try) {
                Some(address) => self.reach.answers(address).await,
                None => None,
            };
            if let Some(why) = suspicion(node, sight, answers, now)
                && watched.checks < MAX_CHECKS
                && self.open_check(node, why, now).await?
            {
                watched.checks += 1;
            }
        }
        Ok(())
    }

    /// What the provider lists of the nodes; `None` when it was not asked or did not say. That a
    /// server is not listed proves nothing: the check asks for it, and for the marker.
    async fn sights(
        &self,
        on: &Connection,
        nodes: &[Node],
    ) -> Result<Option<BTreeMap<NodeId, Sight>>, StoreError> {
        let seen = self.provider.seen_rate(&on.name);
        let taken = take_calls(self.store, self.clock, &on.name, seen, CallClass::Poll, 1).await?;
        if let Taken::Short { .. } = taken {
            return Ok(None);
        }
        let ids: Vec<NodeId> = nodes.iter().map(|node| node.id.clone()).collect();
        let found = match self.provider.servers(on, self.deployment, &ids).await {
            Ok(found) => found,
            Err(failure) => {
                warn!(connection = %on.name, code = failure.code, "nodes not watched");
                share_failure(self.store, self.clock, &on.name, &failure).await;
                return Ok(None);
            }
        };
        let sight = |node: &Node| {
            let is_its = |id: u64| node.server.as_ref().is_some_and(|server| server.id == id);
            match found.iter().find(|found| is_its(found.server.id)).map(|found| &found.status) {
                Some(ServerStatus::Running) => Sight::Running,
                Some(ServerStatus::Other(_)) => Sight::Off,
                Some(ServerStatus::Deleting) | None => Sight::Missing,
            }
        };
        Ok(Some(nodes.iter().map(|node| (node.id.clone(), sight(node))).collect()))
    }

    /// True when a check was opened. Somebody else's work on the node comes first.
    async fn open_check(&self, node: &Node, why: &str, now: Timestamp) -> Result<bool, StoreError> {
        let id = check_id(node, now);
        if self.store.load(&id).await?.is_some() {
            return Ok(false);
        }
        let job = acceptance::on_node(id.clone(), JobKind::NodeCheck, node, SYSTEM, None, now);
        let (action, resource) = (Action::NodeCheck, Resource::from(&node.id));
        let entry = AuditEntry::of_system(now, action, resource, Outcome::Accepted);
        let audit = AuditEntry { request_id: id.to_string(), ..entry };
        let work = Acceptance { job, new_node: None, may_queue: false, idempotency: None, audit };
        if !matches!(self.store.accept(&work).await?, Accepted::New) {
            return Ok(false);
        }
        info!(node_id = %node.id, job_id = %id, why, "a check is opened");
        if let Err(error) = self.queue.send(&Wake::new(id.clone(), WakeReason::Due), 0).await {
            warn!(job_id = %id, %error, "wake not sent; the next sweep repairs it");
        }
        Ok(true)
    }
}

/// The same for the same pass, so that two at once open one check.
fn check_id(node: &Node, now: Timestamp) -> JobId {
    let pass = now.as_second().div_euclid(PASS_SECS);
    JobId::derived(&format!("check\n{}\n{pass}", node.id))
}
