//! The simulator, the adapter on it, and what scenarios ask of both.

use std::{sync::Arc, time::Duration};

use hetzner_sim::{Access, Fault, FaultSpec, RunningSimulator, Simulator, SimulatorConfig};
use jiff::Timestamp;
use nodeyard_adapters::hetzner::{HetznerProvider, key};
use nodeyard_domain::{
    connection::{Connection, ConnectionStatus, ManagedKey, Permission, ProviderKind},
    observation::{FailureClass, ProviderFailure, ServerStatus},
};
use nodeyard_engine::provider::{
    ActionState, CreateServer, CreatedServer, FoundServer, Lookup, Provider as _,
    ProviderCheck as _, Remains, TokenReport,
};
use nodeyard_testkit::secrets::MemorySecrets;
use secrecy::SecretString;

pub const NAME: &str = "web-000000000001";

pub struct Stack {
    pub simulator: RunningSimulator,
    pub secrets: MemorySecrets,
    pub provider: HetznerProvider<MemorySecrets>,
    pub connection: Connection,
    pub public_key: String,
}

/// A simulator with two projects, a token of each kind, and a connection that is not set up.
pub async fn bare() -> Stack {
    let config = SimulatorConfig::default()
        .token("main", "main-token", Access::ReadWrite, "shop")
        .token("reader", "reader-token", Access::ReadOnly, "shop")
        .token("other", "other-token", Access::ReadWrite, "elsewhere")
        .standing_clock();
    let simulator = Simulator::start(config).await.unwrap();
    let secrets = MemorySecrets::deployed();
    secrets.put("connection/main", "main-token");
    let provider = HetznerProvider::new(&simulator.endpoint(), Arc::new(secrets.clone())).unwrap();
    let connection = Connection {
        name: "main".parse().unwrap(),
        version: 0,
        provider: ProviderKind::Hetzner,
        status: ConnectionStatus::Connected,
        reason: None,
        permission: Permission::ReadWrite,
        key: None,
        token: None,
        key_stem: None,
        retired: Vec::new(),
        rotation: None,
        max_nodes: None,
        max_monthly: None,
        rate_budget: None,
        checked_at: Timestamp::UNIX_EPOCH,
        failed_checks: 0,
        servers_seen: None,
        drift: None,
        created_at: Timestamp::UNIX_EPOCH,
    };
    let (_, public_key) = key::new_key_pair("nodeyard main v1").unwrap();
    Stack { simulator, secrets, provider, connection, public_key }
}

/// The same, with the connection's key made by a check of its token.
pub async fn connected() -> Stack {
    let mut stack = bare().await;
    let report = stack.check("main-token", None).await.unwrap();
    stack.connection.key = report.key;
    stack
}

impl Stack {
    pub async fn check(
        &self,
        token: &str,
        known: Option<&ManagedKey>,
    ) -> Result<TokenReport, ProviderFailure> {
        let token = SecretString::from(token);
        self.provider.check_token(&token, "nodeyard-main", &self.public_key, known).await
    }

    pub fn key(&self) -> &ManagedKey {
        self.connection.key.as_ref().unwrap()
    }

    pub fn body(&self) -> CreateServer {
        CreateServer {
            name: NAME.into(),
            server_type: "cx23".into(),
            location: "fsn1".into(),
            image: "debian-13".into(),
            ssh_keys: self.connection.key.iter().map(|key| key.provider_id).collect(),
            labels: [("nodeyard/nonce".to_owned(), "abc".to_owned())].into(),
            user_data: "#cloud-config\n{}\n".into(),
            placement_group: None,
            attempt: 1,
        }
    }

    pub async fn create(&self) -> Result<CreatedServer, FailureClass> {
        let created = self.provider.create_server(&self.connection, &self.body()).await;
        created.map_err(|failure| failure.class)
    }

    /// Lets time pass until the action has ended.
    pub async fn end_of(&self, action: u64) -> ActionState {
        for _ in 0..100 {
            let mut states = self.provider.actions(&self.connection, &[action]).await.unwrap();
            match states.remove(&action).unwrap() {
                ActionState::Running => self.simulator.advance(Duration::from_secs(1)),
                ended => return ended,
            }
        }
        panic!("the action does not end");
    }

    /// Lets time pass until the server and its addresses are gone.
    pub async fn gone(&self, created: &CreatedServer) -> Remains {
        let server = &created.server;
        for _ in 0..100 {
            let remains =
                self.provider.remains(&self.connection, server.id, &server.primary_ips).await;
            match remains.unwrap() {
                Remains::StillThere => self.simulator.advance(Duration::from_secs(1)),
                other => return other,
            }
        }
        panic!("the server does not go");
    }

    pub fn arm(&self, method: &str, path: &str, fault: Fault) {
        self.simulator.arm(FaultSpec::next(method, path, fault));
    }

    /// The server of this name.
    pub async fn found(&self, name: &str) -> FoundServer {
        match self.provider.find_server(&self.connection, name).await.unwrap() {
            Lookup::Found(found) => *found,
            other => panic!("{name} is {other:?}"),
        }
    }

    pub async fn seen(&self, id: u64) -> FoundServer {
        match self.provider.server(&self.connection, id).await.unwrap() {
            Lookup::Found(found) => *found,
            other => panic!("{id} is {other:?}"),
        }
    }

    /// Lets time pass until the server is running.
    pub async fn running(&self, id: u64) -> FoundServer {
        for _ in 0..100 {
            let seen = self.seen(id).await;
            if seen.status == ServerStatus::Running {
                return seen;
            }
            self.simulator.advance(Duration::from_secs(1));
        }
        panic!("the server does not start");
    }
}
