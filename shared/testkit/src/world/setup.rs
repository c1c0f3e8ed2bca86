//! How a world is made: its seed, what goes wrong in it, and what its connection looks like.

use jiff::{SignedDuration, Timestamp};
use nodeyard_domain::{
    connection::{
        Connection, ConnectionName, ConnectionStatus, ManagedKey, Permission, ProviderKind,
        keys::FIRST_KEY_VERSION,
    },
    placement::Rung,
    spec::{NodeSpec, Profile},
    step::Policy,
};
use nodeyard_engine::{Clock as _, Driver, store::JobStore as _};

use super::{SimulatedDriver, World};
use crate::{
    clock::SimulatedClock,
    defects::Defect,
    events::MemoryEvents,
    faults::Faults,
    provider::{self, MemoryProvider, TOKEN},
    queue::MemoryQueue,
    runner::MemoryRunner,
    secrets::MemorySecrets,
    store::MemoryStore,
};

/// The value of the deployment label in every world.
pub const DEPLOYMENT: &str = "test";

/// What the secrets of the keys are called, in every world.
pub const KEY_STEM: &str = "main-5eed5eed";

/// What a world is made of. As it is by default, nothing goes wrong.
#[derive(Debug, Clone, Default)]
pub struct Setup {
    /// Ids of jobs, nodes and servers follow from this.
    pub seed: u64,
    /// What goes wrong for the workers.
    pub faults: Faults,
    /// The safeguard that the workers lack.
    pub defect: Option<Defect>,
    pub policy: Policy,
    pub max_nodes: Option<u32>,
    /// Net, a month.
    pub max_monthly: Option<f64>,
}

impl World {
    /// A world with one healthy connection, `main`, and one worker.
    pub async fn new() -> Self {
        Self::build(Setup::default()).await
    }

    pub async fn build(setup: Setup) -> Self {
        let clock = SimulatedClock::default();
        let store = MemoryStore::default();
        let queue = MemoryQueue::new(clock.clone());
        let secrets = MemorySecrets::deployed();
        secrets.put_token(&name(), TOKEN);
        let provider = MemoryProvider::seeded(clock.clone(), secrets.clone(), setup.seed);
        let runner = MemoryRunner::new(clock.clone());
        let events = MemoryEvents::default();
        let mut connection = connection(clock.now(), provider.managed_key());
        let first = connection.key_secret(FIRST_KEY_VERSION);
        secrets.put_key(&first, "the first private half", provider::PUBLIC_KEY);
        connection.max_nodes = setup.max_nodes;
        connection.max_monthly = setup.max_monthly;
        store.swap_connection(&connection, &[]).await.expect("memory store");
        let mut policy = setup.policy;
        if setup.defect == Some(Defect::SettleTimeZero) {
            policy.settle_secs = 0;
        }
        let ports = Ports {
            clock: &clock,
            store: &store,
            queue: &queue,
            provider: &provider,
            runner: &runner,
            secrets: &secrets,
            events: &events,
        };
        let driver = worker(&ports, &setup.faults, setup.defect, &policy);
        Self {
            driver,
            run_secs: 40,
            defect: setup.defect,
            ids: hetzner_sim::random::Random::new(setup.seed),
            faults: setup.faults,
            clock,
            store,
            queue,
            provider,
            runner,
            secrets,
            events,
        }
    }

    /// Another worker over the same ports: a process with a clock, a cache of secrets and a view
    /// of the rate budget of its own.
    pub fn worker(&self) -> SimulatedDriver {
        let ports = Ports {
            clock: &self.clock,
            store: &self.store,
            queue: &self.queue,
            provider: &self.provider,
            runner: &self.runner,
            secrets: &self.secrets,
            events: &self.events,
        };
        worker(&ports, &self.faults, self.defect, &self.driver.policy)
    }
}

struct Ports<'a> {
    clock: &'a SimulatedClock,
    store: &'a MemoryStore,
    queue: &'a MemoryQueue,
    provider: &'a MemoryProvider,
    runner: &'a MemoryRunner,
    secrets: &'a MemorySecrets,
    events: &'a MemoryEvents,
}

fn worker(
    ports: &Ports<'_>,
    faults: &Faults,
    defect: Option<Defect>,
    policy: &Policy,
) -> SimulatedDriver {
    let clock = ports.clock.skewed(SignedDuration::ZERO);
    let secrets = ports.secrets.for_process(&clock, faults.clone());
    let looking = defect.map(|defect| (defect, ports.store.clone()));
    let provider =
        ports.provider.for_process(clock.clone(), secrets.clone(), faults.clone(), looking);
    Driver {
        store: ports.store.with(faults.clone(), defect),
        queue: ports.queue.with(faults.clone()),
        provider,
        runner: ports.runner.with(faults.clone(), defect),
        secrets,
        events: ports.events.with(faults.clone()),
        clock,
        deployment: DEPLOYMENT.to_owned(),
        policy: policy.clone(),
    }
}

/// A connection that accepts nodes.
pub fn connection(now: Timestamp, key: ManagedKey) -> Connection {
    Connection {
        name: name(),
        version: 0,
        provider: ProviderKind::Hetzner,
        status: ConnectionStatus::Connected,
        reason: None,
        permission: Permission::ReadWrite,
        key: Some(key),
        token: None,
        key_stem: Some(KEY_STEM.to_owned()),
        retired: Vec::new(),
        rotation: None,
        max_nodes: None,
        max_monthly: None,
        rate_budget: None,
        checked_at: now,
        failed_checks: 0,
        servers_seen: None,
        drift: None,
        created_at: now,
    }
}

/// The name of a world's connection.
pub fn name() -> ConnectionName {
    "main".parse().expect("a connection name")
}

pub fn node_spec() -> NodeSpec {
    let rung = |location: &str| Rung { server_type: "cx23".into(), location: location.into() };
    NodeSpec {
        name: "web".into(),
        connection: name(),
        profile: Profile::web(),
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
