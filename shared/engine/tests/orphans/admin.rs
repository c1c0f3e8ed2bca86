//! What an admin decides on is looked at first.

use std::collections::BTreeMap;

use nodeyard_domain::{id::NodeId, job::JobKind, node::NodeStatus, orphan::Orphan};
use nodeyard_engine::orphan::{RemovalError, Removed, remove};
use nodeyard_testkit::world::DEPLOYMENT;

use crate::bench::Bench;

impl Bench {
    async fn ask(&self, orphan: &Orphan) -> Result<Removed, RemovalError> {
        let world = &self.world;
        let (connection, audit) = (self.connection().await, self.audit());
        let ports = (&world.store, &world.provider, &world.clock);
        remove(ports.0, ports.1, ports.2, DEPLOYMENT, &connection, orphan, &audit).await
    }

    async fn only_orphan(&self) -> Orphan {
        let mut orphans = self.orphans().await;
        assert_eq!(orphans.len(), 1);
        orphans.remove(0)
    }

    async fn unknown_server(&self) -> (u64, Orphan) {
        let labels = self.labels(&NodeId::from_bits(5), 1).await;
        let server = self.world.provider.take_name_as("unknown", labels);
        self.pass(60);
        self.check().await;
        (server, self.only_orphan().await)
    }
}

#[tokio::test]
async fn a_proved_server_goes_through_its_node_at_once() {
    let mut bench = Bench::new().await;
    let (node, _) = bench.left_behind().await;
    bench.check().await;
    let orphan = bench.only_orphan().await;
    let through = Removed::ThroughNode(node.clone());
    assert_eq!(bench.ask(&orphan).await.unwrap(), through);
    assert_eq!(bench.node(&node).await.status, NodeStatus::CleanupPending);
    assert_eq!(bench.world.store.audit().last().unwrap().actor, "admin");
    assert_eq!(bench.calls("DELETE /servers/{id}"), 0);
    // Asked again, it is on its way already.
    assert_eq!(bench.ask(&orphan).await.unwrap(), through);
    bench.live(900).await;
    assert_eq!(bench.alive(), Vec::<u64>::new());
    assert!(bench.orphans().await.is_empty());
}

#[tokio::test]
async fn an_unknown_one_is_deleted_at_the_provider() {
    let bench = Bench::new().await;
    let (server, orphan) = bench.unknown_server().await;
    assert_eq!(bench.alive(), [server]);
    assert_eq!(bench.ask(&orphan).await.unwrap(), Removed::Deleted);
    bench.pass(60);
    assert_eq!(bench.alive(), Vec::<u64>::new());
    assert!(matches!(bench.ask(&orphan).await, Err(RemovalError::Gone)));
    bench.check().await;
    assert!(bench.orphans().await.is_empty());
}

#[tokio::test]
async fn what_has_changed_since_is_left_alone() {
    let bench = Bench::new().await;
    let (server, orphan) = bench.unknown_server().await;
    let theirs = BTreeMap::from([("team".to_owned(), "theirs".to_owned())]);
    let elsewhere = bench.labels(&NodeId::from_bits(6), 1).await;
    for labels in [BTreeMap::new(), theirs, elsewhere] {
        assert!(bench.world.provider.relabel(server, labels));
        assert!(matches!(bench.ask(&orphan).await, Err(RemovalError::Changed)));
    }
    assert_eq!(bench.alive(), [server]);
    assert!(bench.world.store.audit().iter().all(|entry| entry.actor != "admin"));
}

#[tokio::test]
async fn a_node_with_a_job_is_waited_for_and_its_own_server_refused() {
    let mut bench = Bench::new().await;
    let node = bench.ready().await;
    let labels = bench.labels(&node, 1).await;
    let second = bench.world.provider.take_name_as("second", labels);
    bench.pass(60);
    bench.check().await;
    let orphan = bench.only_orphan().await;
    let job = bench.world.work(JobKind::NodeConfigure, &node).await.unwrap();
    let busy = bench.ask(&orphan).await;
    assert!(matches!(busy, Err(RemovalError::Busy(Some(open))) if open == job));
    // A report that means the node's own server by now.
    let own = bench.node(&node).await.server.unwrap().id;
    let mistaken = Orphan { provider_id: own, ..orphan.clone() };
    bench.world.run_for(600).await.unwrap();
    assert!(matches!(bench.ask(&mistaken).await, Err(RemovalError::Changed)));
    assert_eq!(bench.ask(&orphan).await.unwrap(), Removed::Deleted);
    bench.pass(60);
    assert_eq!(bench.alive(), [own]);
    assert_ne!(own, second);
}

#[tokio::test]
async fn groups_in_use_are_refused_and_refusals_told() {
    let mut bench = Bench::new().await;
    let group = bench.empty_group().await;
    bench.check().await;
    let orphan = bench.only_orphan().await;
    bench.world.provision(|spec| spec.spread = true).await;
    bench.world.run_for(600).await.unwrap();
    assert!(matches!(bench.ask(&orphan).await, Err(RemovalError::Changed)));
    assert_eq!(bench.world.provider.groups(), [(group, 1)].into());

    let (server, orphan) = bench.unknown_server().await;
    assert!(bench.world.provider.protect(server, true));
    let refused = bench.ask(&orphan).await;
    assert!(matches!(refused, Err(RemovalError::Provider(failure)) if failure.code == "protected"));
}
