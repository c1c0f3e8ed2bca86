//! A world of which one port is called at a time.

use jiff::SignedDuration;
use nodeyard_domain::{
    connection::Connection,
    id::NodeId,
    observation::{FailureClass, ProviderFailure},
    ownership::{self, DeploymentKey},
};
use nodeyard_engine::{
    provider::{CreateServer, CreatedServer, FoundServer, Lookup, Provider as _, Remains},
    store::JobStore as _,
};
use nodeyard_testkit::{
    defects::Defect,
    pause::run_to_end,
    provider::MemoryProvider,
    world::{DEPLOYMENT, Setup, World, name},
};

pub struct Bench {
    pub world: World,
    pub on: Connection,
}

impl Bench {
    pub fn new() -> Self {
        Self::of(Setup::default())
    }

    pub fn lacking(safeguard: Defect) -> Self {
        Self::of(Setup { defect: Some(safeguard), ..Setup::default() })
    }

    fn of(setup: Setup) -> Self {
        let world = run_to_end(World::build(setup));
        let on = run_to_end(world.store.connection(&name())).unwrap().unwrap();
        Self { world, on }
    }

    /// The provider as a worker has it.
    pub fn provider(&self) -> &MemoryProvider {
        &self.world.driver.provider
    }

    pub fn pass(&self, secs: i64) {
        self.world.clock.advance(SignedDuration::from_secs(secs));
    }

    /// The body of a create for a node.
    pub fn body(&self, node: u32) -> CreateServer {
        let id = NodeId::from_bits(u128::from(node) << 96);
        let nonce = ownership::nonce(&DeploymentKey::new(*b"any"), &id, 1);
        CreateServer {
            name: format!("web-{node}"),
            server_type: "cx23".into(),
            location: "fsn1".into(),
            image: "debian-13".into(),
            ssh_keys: vec![self.on.key.as_ref().unwrap().provider_id],
            labels: ownership::labels(DEPLOYMENT, &id, &nonce),
            user_data: String::new(),
            placement_group: None,
            attempt: 1,
        }
    }

    pub fn create(&self, node: u32) -> Result<CreatedServer, ProviderFailure> {
        run_to_end(self.provider().create_server(&self.on, &self.body(node)))
    }

    /// The id of a server that is made and runs.
    pub fn running(&self, node: u32) -> u64 {
        let id = self.create(node).unwrap().server.id;
        self.pass(13);
        id
    }

    pub fn find(&self, name: &str) -> Result<Lookup, ProviderFailure> {
        run_to_end(self.provider().find_server(&self.on, name))
    }

    pub fn found(&self, name: &str) -> Option<FoundServer> {
        match self.find(name).unwrap() {
            Lookup::Found(found) => Some(*found),
            Lookup::Absent => None,
            Lookup::MarkerMissing => panic!("the marker is missing"),
        }
    }

    pub fn delete(&self, id: u64) -> Result<(), ProviderFailure> {
        run_to_end(self.provider().delete_server(&self.on, id))
    }

    pub fn remains(&self, id: u64, ips: &[u64]) -> Result<Remains, ProviderFailure> {
        run_to_end(self.provider().remains(&self.on, id, ips))
    }
}

/// The class of a failure; `None` for a success.
pub fn class<T>(result: &Result<T, ProviderFailure>) -> Option<FailureClass> {
    result.as_ref().err().map(|failure| failure.class)
}
