//! A world in which the schedule checks every five minutes.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use nodeyard_domain::{
    audit::{Action, Outcome, Resource, ResourceKind},
    connection::Connection,
    id::NodeId,
    node::{Node, NodeStatus},
    orphan::{Orphan, OrphanReason},
    ownership,
};
use nodeyard_engine::{
    Clock as _,
    orphan::{Checked, OrphanCheck, OrphanStore as _},
    secrets::Secrets as _,
    store::{ApiStore as _, AuditEntry, JobStore as _},
};
use nodeyard_testkit::{
    provider::CreateFault,
    world::{DEPLOYMENT, World, name},
};

/// How often the schedule checks, in seconds.
pub const PERIOD_SECS: i64 = 300;

pub struct Bench {
    pub world: World,
}

impl Bench {
    /// A world whose first check found nothing.
    pub async fn new() -> Self {
        let bench = Self { world: World::new().await };
        assert_eq!(bench.check().await, Checked { listed: 1, ..Checked::default() });
        bench
    }

    pub async fn check(&self) -> Checked {
        self.try_check().await.unwrap()
    }

    pub async fn try_check(&self) -> Result<Checked, nodeyard_engine::orphan::OrphanCheckError> {
        let check = OrphanCheck {
            store: &self.world.store,
            provider: &self.world.provider,
            secrets: &self.world.secrets,
            clock: &self.world.clock,
            deployment: DEPLOYMENT,
        };
        check.run().await
    }

    pub fn pass(&self, secs: i64) {
        self.world.clock.advance(SignedDuration::from_secs(secs));
    }

    /// Time passes as in a deployment: jobs move, the sweep comes every minute, the check every
    /// five.
    pub async fn live(&self, secs: i64) {
        for second in 1..=secs {
            self.pass(1);
            if second % 60 == 0 {
                self.world.sweep().await.unwrap();
            }
            if second % PERIOD_SECS == 0 {
                self.check().await;
            }
            self.world.drain().await.unwrap();
            self.world.end_runs().await;
        }
    }

    pub async fn node(&self, id: &NodeId) -> Node {
        self.world.store.node(id).await.unwrap().unwrap()
    }

    pub async fn connection(&self) -> Connection {
        self.world.store.connection(&name()).await.unwrap().unwrap()
    }

    pub async fn orphans(&self) -> Vec<Orphan> {
        self.world.store.orphans().await.unwrap()
    }

    /// What is on record, by reason.
    pub async fn reasons(&self) -> Vec<OrphanReason> {
        self.orphans().await.into_iter().map(|orphan| orphan.reason).collect()
    }

    pub fn alive(&self) -> Vec<u64> {
        self.world.provider.books().alive
    }

    /// How often a route was called.
    pub fn calls(&self, route: &str) -> u32 {
        self.world.provider.books().by_route.get(route).copied().unwrap_or(0)
    }

    /// A node that is ready.
    pub async fn ready(&mut self) -> NodeId {
        let (_, node) = self.world.provision(|_| {}).await;
        self.world.run_for(600).await.unwrap();
        assert_eq!(self.node(&node).await.status, NodeStatus::Ready);
        node
    }

    /// A node whose acquisition was cancelled, and whose create lands so late that its job is not there any more.
    /// Answers the server's id.
    pub async fn left_behind(&mut self) -> (NodeId, u64) {
        let before = self.alive();
        self.world.provider.fault(CreateFault::LandsLate(900));
        let (job, node) = self.world.provision(|_| {}).await;
        self.pass(1);
        self.world.drain().await.unwrap();
        assert!(self.world.cancel(&job).await);
        self.world.run_for(600).await.unwrap();
        assert_eq!(self.node(&node).await.status, NodeStatus::Released);
        assert_eq!(self.alive(), before, "nothing has landed yet");
        self.pass(900);
        let landed: Vec<u64> = self.alive().into_iter().filter(|id| !before.contains(id)).collect();
        assert_eq!(landed.len(), 1, "the create has landed");
        (node, landed[0])
    }

    /// Labels of a server of a node's attempt.
    pub async fn labels(&self, node: &NodeId, attempt: u32) -> BTreeMap<String, String> {
        let key = self.world.secrets.deployment_key().await.unwrap();
        ownership::labels(DEPLOYMENT, node, &ownership::nonce(&key, node, attempt))
    }

    pub fn audit(&self) -> AuditEntry {
        let resource = Resource::all(ResourceKind::Orphan);
        AuditEntry {
            actor: "admin".into(),
            ..AuditEntry::of_system(
                self.world.clock.now(),
                Action::OrphanConfirm,
                resource,
                Outcome::Done,
            )
        }
    }
}
