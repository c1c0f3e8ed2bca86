//! A whole world: the driver over simulated ports, run until it is quiet.

use jiff::SignedDuration;
use nodeyard_domain::{
    acceptance,
    connection::{
        Connection, ConnectionName, ConnectionStatus, ManagedKey, Permission, ProviderKind,
    },
    id::{JobId, NodeId},
    job::{Job, JobKind},
    placement::Rung,
    readiness::{Finding, ReadinessCode},
    run::{Recap, RunResult},
    spec::{NodeSpec, Profile},
    step::Policy,
    wake::{Wake, WakeReason},
};
use nodeyard_engine::{
    Clock as _, Driver, Handled,
    driver::DriverError,
    queue::WakeQueue as _,
    store::{Acceptance, Accepted, ApiStore as _, AuditEntry, JobStore as _, RunStore as _},
    sweep::sweep,
};

use crate::{
    clock::SimulatedClock, provider::MemoryProvider, queue::MemoryQueue, runner::MemoryRunner,
    secrets::MemorySecrets, store::MemoryStore,
};

pub type SimulatedDriver =
    Driver<MemoryStore, MemoryQueue, MemoryProvider, MemoryRunner, MemorySecrets, SimulatedClock>;

/// The ports and a driver over them. Clones of the ports share their state.
pub struct World {
    pub clock: SimulatedClock,
    pub store: MemoryStore,
    pub queue: MemoryQueue,
    pub provider: MemoryProvider,
    pub runner: MemoryRunner,
    pub driver: SimulatedDriver,
    last_id: u128,
    /// How long a run takes, in seconds.
    pub run_secs: i64,
}

impl World {
    /// A world with one healthy connection, `main`.
    pub async fn new() -> Self {
        let clock = SimulatedClock::default();
        let store = MemoryStore::default();
        let queue = MemoryQueue::new(clock.clone());
        let provider = MemoryProvider::new(clock.clone());
        let runner = MemoryRunner::default();
        let driver = Driver {
            store: store.clone(),
            queue: queue.clone(),
            provider: provider.clone(),
            runner: runner.clone(),
            secrets: MemorySecrets::deployed(),
            clock: clock.clone(),
            deployment: "test".to_owned(),
            policy: Policy::default(),
        };
        let connection = connection(clock.now());
        store.put_connection(&connection).await.expect("memory store");
        Self { clock, store, queue, provider, runner, driver, last_id: 0, run_secs: 40 }
    }

    fn next_bits(&mut self) -> u128 {
        self.last_id += 1;
        self.last_id
    }

    /// Accepts a node as the API does, and sends its wake.
    pub async fn provision(&mut self, change: impl FnOnce(&mut NodeSpec)) -> (JobId, NodeId) {
        let (job_id, node_id) =
            (JobId::from_bits(self.next_bits()), NodeId::from_bits(self.next_bits()));
        let mut spec = node_spec();
        change(&mut spec);
        let now = self.clock.now();
        let (job, node) =
            acceptance::provision(job_id.clone(), node_id.clone(), spec, "test", None, now);
        self.accept(job, Some(node)).await;
        (job_id, node_id)
    }

    /// Accepts a job on a node that exists. `None` when the node is busy.
    pub async fn work(&mut self, kind: JobKind, node: &NodeId) -> Option<JobId> {
        let job_id = JobId::from_bits(self.next_bits());
        let node = self.store.node(node).await.expect("memory store").expect("a node");
        let job = acceptance::on_node(job_id.clone(), kind, &node, "test", None, self.clock.now());
        (self.accept(job, None).await == Accepted::New).then_some(job_id)
    }

    async fn accept(&self, job: Job, new_node: Option<nodeyard_domain::node::Node>) -> Accepted {
        let now = self.clock.now();
        let may_queue = job.kind == JobKind::NodeRelease;
        let id = job.id.clone();
        let audit = AuditEntry {
            at: now,
            actor: "test".into(),
            action: "test".into(),
            subject: id.to_string(),
            request_id: String::new(),
        };
        let acceptance = Acceptance { job, new_node, may_queue, idempotency: None, audit };
        let accepted = self.store.accept(&acceptance).await.expect("memory store");
        let wake = Wake::new(id, WakeReason::Due);
        self.queue.send(&wake, 0).await.expect("memory queue");
        accepted
    }

    pub async fn cancel(&self, job: &JobId) -> bool {
        let now = self.clock.now();
        let audit = AuditEntry {
            at: now,
            actor: "test".into(),
            action: "cancel".into(),
            subject: job.to_string(),
            request_id: String::new(),
        };
        let set = self.store.request_cancel(job, None, now, &audit).await.expect("memory store");
        self.queue.send(&Wake::new(job.clone(), WakeReason::Cancel), 0).await.expect("queue");
        set
    }

    /// Handles every wake that is visible now. Each hop is bounded by the world's patience.
    pub async fn drain(&self) -> Result<u32, DriverError> {
        let mut hops = 0;
        while let Some(wake) = self.queue.take() {
            hops += u32::from(self.driver.handle(&wake).await? == Handled::Committed);
            assert!(hops < 10_000, "the world does not come to rest");
        }
        Ok(hops)
    }

    /// Handles wakes one by one until a job stands at `step`.
    pub async fn drain_until(&self, job: &JobId, step: nodeyard_domain::job::Step) {
        for _ in 0..100 {
            let loaded = self.store.load(job).await.expect("memory store").expect("a job");
            if loaded.job.step == step {
                return;
            }
            let Some(wake) = self.queue.take() else { break };
            self.driver.handle(&wake).await.expect("memory ports");
        }
        panic!("the job does not come to {step:?}");
    }

    /// Lets time pass until no job is open or `secs` are over: wakes, container tasks and a sweep
    /// a minute.
    pub async fn run_for(&self, secs: i64) -> Result<(), DriverError> {
        let end = self.clock.now() + SignedDuration::from_secs(secs);
        let mut next_sweep = self.clock.now() + SignedDuration::from_secs(60);
        loop {
            self.drain().await?;
            self.end_runs().await;
            if self.store.all_jobs().iter().all(|job| job.state.is_terminal()) {
                return Ok(());
            }
            if self.clock.now() >= end {
                return Ok(());
            }
            self.clock.advance(SignedDuration::from_secs(1));
            if self.clock.now() >= next_sweep {
                next_sweep = self.clock.now() + SignedDuration::from_secs(60);
                sweep(&self.store, &self.queue, self.clock.now()).await?;
            }
        }
    }

    /// The container tasks: each run that has had its time succeeds, and wakes its job.
    pub async fn end_runs(&self) {
        for (job, number) in self.runner.running() {
            let Ok(Some(run)) = self.store.run(&job, number).await else { continue };
            let now = self.clock.now();
            if run.created_at + SignedDuration::from_secs(self.run_secs) > now {
                continue;
            }
            let result = RunResult {
                code: None,
                message: String::new(),
                recap: Recap { ok: 10, changed: 3, ..Recap::default() },
                readiness: vec![Finding {
                    code: ReadinessCode::BootUnfinished,
                    ok: true,
                    warning: false,
                    detail: String::new(),
                }],
                finished_at: now,
            };
            self.store.finish_run(&job, number, &result).await.expect("memory store");
            self.runner.end(&job, number, Some(0));
            let wake = Wake::new(job, WakeReason::Run);
            self.queue.send(&wake, 0).await.expect("memory queue");
        }
    }
}

/// A connection that accepts nodes.
pub fn connection(now: jiff::Timestamp) -> Connection {
    Connection {
        name: name(),
        provider: ProviderKind::Hetzner,
        status: ConnectionStatus::Connected,
        reason: None,
        permission: Permission::ReadWrite,
        key: Some(ManagedKey {
            version: 1,
            provider_id: 7,
            fingerprint: "00:11".into(),
            public_key: "ssh-ed25519 AAAA".into(),
        }),
        max_nodes: None,
        max_monthly: None,
        rate_budget: None,
        checked_at: now,
        created_at: now,
    }
}

fn name() -> ConnectionName {
    "main".parse().expect("a connection name")
}

pub fn node_spec() -> NodeSpec {
    let rung = |location: &str| Rung { server_type: "cx23".into(), location: location.into() };
    NodeSpec {
        name: "web".into(),
        connection: name(),
        profile: Profile::Web,
        vars: serde_json::Map::new(),
        placement: vec![rung("fsn1"), rung("nbg1")],
        image: nodeyard_domain::spec::DEFAULT_IMAGE.into(),
        max_price: None,
        authorized_keys: Vec::new(),
        allow_ssh_from: Vec::new(),
        labels: std::collections::BTreeMap::new(),
        keep_on_failure: false,
        spread: false,
        prices: Vec::new(),
        deadline_secs: 1800,
    }
}
