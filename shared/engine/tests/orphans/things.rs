//! Placement groups, SSH keys and Primary IPs.

use hetzner_sim::world::operation::{
    Family, Kind, Operation, PrimaryIpDraft, Reply, ServerDraft, SshKeyDraft,
};
use nodeyard_domain::{
    job::JobKind,
    node::{NodeStatus, Server},
    orphan::{Orphan, OrphanId, OrphanReason, REMOVAL_AFTER_SECS, ResourceKind},
    ownership::LABEL_DEPLOYMENT,
    pace::SpreadGroup,
};
use nodeyard_engine::{
    Clock as _,
    orphan::{OrphanCheck, OrphanStore as _},
    provider::Provider as _,
    store::JobStore as _,
};
use nodeyard_testkit::world::{DEPLOYMENT, name};

use crate::bench::Bench;

impl Bench {
    /// A group of ours that no server is in, and that the jobs know.
    pub async fn empty_group(&mut self) -> u64 {
        let connection = self.connection().await;
        let provider = &self.world.provider;
        let id = provider.create_group(&connection, "spread-1", DEPLOYMENT).await.unwrap();
        self.share_groups(vec![SpreadGroup { id, free: 10 }]).await;
        id
    }

    async fn share_groups(&self, groups: Vec<SpreadGroup>) {
        let mut pace = self.world.store.pace(&name(), self.world.clock.now()).await.unwrap();
        pace.groups = groups;
        assert!(self.world.store.swap_pace(&name(), &pace).await.unwrap());
    }

    async fn shared_groups(&self) -> Vec<(u64, u32)> {
        let pace = self.world.store.pace(&name(), self.world.clock.now()).await.unwrap();
        pace.groups.iter().map(|group| (group.id, group.free)).collect()
    }

    /// A Primary IP that nobody uses.
    fn spare_address(&self, name: &str) -> u64 {
        let draft = PrimaryIpDraft {
            name: name.into(),
            family: Family::V4,
            location: Some("fsn1".into()),
            assignee: None,
            auto_delete: false,
            labels: Default::default(),
        };
        match self.world.provider.perform(&Operation::CreatePrimaryIp(draft)) {
            Some(Reply::Created(Kind::PrimaryIp, id, _)) => id,
            other => panic!("no address: {other:?}"),
        }
    }

    fn has_address(&self, id: u64) -> bool {
        self.world.provider.primary_ips().iter().any(|ip| ip.id == id)
    }
}

#[tokio::test]
async fn an_empty_group_goes_and_nobody_takes_a_place_in_it() {
    let mut bench = Bench::new().await;
    let group = bench.empty_group().await;
    bench.check().await;
    assert_eq!(bench.reasons().await, [OrphanReason::EmptyGroup]);
    assert_eq!(bench.shared_groups().await, [(group, 10)]);
    bench.pass(REMOVAL_AFTER_SECS);
    assert_eq!(bench.check().await.removed, 1);
    assert!(bench.world.provider.groups().is_empty() && bench.shared_groups().await.is_empty());
    assert!(bench.orphans().await.is_empty());
}

#[tokio::test]
async fn a_group_that_is_used_again_stays() {
    let mut bench = Bench::new().await;
    let group = bench.empty_group().await;
    bench.check().await;
    bench.pass(REMOVAL_AFTER_SECS - 60);
    bench.world.provision(|spec| spec.spread = true).await;
    bench.world.run_for(600).await.unwrap();
    bench.check().await;
    assert_eq!(bench.world.provider.groups(), [(group, 1)].into());
    assert!(bench.orphans().await.is_empty());
    bench.live(3600).await;
    assert_eq!(bench.world.provider.groups(), [(group, 1)].into());
}

#[tokio::test]
async fn places_of_released_nodes_come_back_and_the_last_one_takes_the_group_along() {
    let mut bench = Bench::new().await;
    let mut nodes = Vec::new();
    for _ in 0..2 {
        nodes.push(bench.world.provision(|spec| spec.spread = true).await.1);
    }
    bench.world.run_for(900).await.unwrap();
    let group = *bench.world.provider.groups().keys().next().unwrap();
    assert_eq!(bench.shared_groups().await, [(group, 8)]);
    bench.world.work(JobKind::NodeRelease, &nodes[0]).await.unwrap();
    bench.world.run_for(600).await.unwrap();
    bench.check().await;
    assert_eq!(bench.shared_groups().await, [(group, 8)], "it may be taken and not used yet");
    bench.pass(300);
    bench.check().await;
    assert_eq!(bench.shared_groups().await, [(group, 9)]);
    bench.world.work(JobKind::NodeRelease, &nodes[1]).await.unwrap();
    bench.live(2400).await;
    assert!(bench.world.provider.groups().is_empty() && bench.shared_groups().await.is_empty());
}

#[tokio::test]
async fn a_labelled_key_that_is_not_managed_is_reported() {
    let bench = Bench::new().await;
    let draft = SshKeyDraft {
        name: "old".into(),
        // Another key than the managed one.
        public_key:
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAvN4IGJdMXsQvpgYVgosqYBUvvdDJsCdsC30SLL6gCG x"
                .into(),
        labels: [(LABEL_DEPLOYMENT.to_owned(), DEPLOYMENT.to_owned())].into(),
    };
    assert!(bench.world.provider.perform(&Operation::CreateSshKey(draft)).is_some());
    bench.live(3600).await;
    assert_eq!(bench.reasons().await, [OrphanReason::UnusedKey]);
    assert_eq!(bench.calls("DELETE another thing"), 0);
}

#[tokio::test]
async fn an_address_on_record_with_a_failed_node_goes() {
    let mut bench = Bench::new().await;
    let (node, server) = bench.left_behind().await;
    assert!(bench.world.provider.remove_server(server));
    bench.pass(30);
    let spare = bench.spare_address("spare");
    let mut record = bench.node(&node).await;
    record.status = NodeStatus::Failed;
    let known = Server {
        id: server,
        name: record.server_name.clone(),
        attempt: 1,
        ipv4: None,
        ipv6: None,
        primary_ips: vec![spare],
        server_type: None,
        location: None,
    };
    record.server = Some(known);
    bench.world.store.put_node(record);
    bench.check().await;
    assert_eq!(bench.reasons().await, [OrphanReason::LeftAddress]);
    bench.pass(REMOVAL_AFTER_SECS);
    assert_eq!(bench.check().await.removed, 1);
    assert!(!bench.has_address(spare));
}

#[tokio::test]
async fn an_address_that_was_only_seen_on_an_orphan_is_reported() {
    let mut bench = Bench::new().await;
    let (_, server) = bench.left_behind().await;
    bench.world.provider.keep_ips(server);
    bench.check().await;
    let addresses = bench.orphans().await[0].primary_ips.clone();
    assert!(!addresses.is_empty());
    assert!(bench.world.provider.remove_server(server));
    bench.pass(300);
    bench.check().await;
    assert!(bench.reasons().await.iter().all(|it| *it == OrphanReason::UnprovenAddress));
    assert_eq!(bench.orphans().await.len(), addresses.len());
    // Whose they are is not proved: somebody may have put them there.
    let spare = bench.spare_address("spare");
    bench.live(3600).await;
    assert!(addresses.iter().all(|id| bench.has_address(*id)) && bench.has_address(spare));
    assert_eq!(bench.orphans().await.len(), addresses.len(), "the spare one is nobody's business");
}

#[tokio::test]
async fn a_group_that_a_job_has_just_taken_a_place_in_is_looked_at_again() {
    let mut bench = Bench::new().await;
    let group = bench.empty_group().await;
    bench.check().await;
    bench.pass(REMOVAL_AFTER_SECS);
    let world = &bench.world;
    let counted = bench.calls("GET /servers?name");
    // The listing is made; before anything is removed, a server comes.
    let clock = || {
        if bench.calls("GET /servers?name") > counted && world.provider.groups()[&group] == 0 {
            let plain = ServerDraft::plain("web", "cx23", "debian-13");
            let draft = ServerDraft { placement_group: Some(group), ..plain };
            assert!(world.provider.perform(&Operation::CreateServer(Box::new(draft))).is_some());
        }
        world.clock.now()
    };
    let check = OrphanCheck {
        store: &world.store,
        provider: &world.provider,
        secrets: &world.secrets,
        clock: &clock,
        deployment: DEPLOYMENT,
    };
    let checked = check.run().await.unwrap();
    assert_eq!((checked.found, checked.removed), (1, 0));
    assert_eq!(world.provider.groups(), [(group, 1)].into());
    bench.pass(300);
    assert_eq!(bench.check().await.found, 0);
}

#[tokio::test]
async fn addresses_that_there_was_no_time_for_stay_on_record() {
    let bench = Bench::new().await;
    let gone = Orphan {
        id: OrphanId::new(ResourceKind::Server, 1, &name()),
        connection: name(),
        kind: ResourceKind::Server,
        provider_id: 1,
        name: "gone".into(),
        reason: OrphanReason::UnknownNode,
        node: None,
        attempt: None,
        primary_ips: Vec::new(),
        first_seen_at: bench.world.clock.now(),
        last_seen_at: bench.world.clock.now(),
    };
    for number in 0..30 {
        let id = bench.spare_address(&format!("spare-{number}"));
        let address = Orphan {
            id: OrphanId::new(ResourceKind::PrimaryIp, id, &name()),
            kind: ResourceKind::PrimaryIp,
            provider_id: id,
            reason: OrphanReason::UnprovenAddress,
            ..gone.clone()
        };
        bench.world.store.put_orphan(&address).await.unwrap();
    }
    bench.pass(300);
    assert_eq!(bench.check().await.found, 25);
    assert_eq!(bench.orphans().await.len(), 30);
    assert_eq!(bench.calls("GET /primary_ips/{id}"), 25);
    // They come first the next time.
    bench.pass(300);
    bench.check().await;
    let first = gone.first_seen_at;
    assert!(bench.orphans().await.iter().all(|address| address.last_seen_at > first));
}
