//! A whole API in memory, and what tests ask of it.

pub mod answer;
pub mod cloud;
pub mod contract;
pub mod queue;
pub mod request;

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use axum::Router;
use jiff::Timestamp;
use nodeyard_api::{
    app::{App, Ports, Settings},
    issuer::Issuer,
    profiles::{EMBEDDED, Profiles},
    router,
};
use nodeyard_domain::{
    audit::{Action, AuditEntry, Outcome, Resource},
    connection::ConnectionName,
    id::{JobId, TokenId},
    job::Job,
    node::{Node, NodeChange, Server},
    step::Decision,
    token::{Scope, Token, hash_secret},
};
use nodeyard_engine::{
    Clock,
    secrets::Secrets,
    store::{ApiStore, JobStore, Loaded},
};
use nodeyard_testkit::{
    clock::SimulatedClock, faults::Faults, secrets::MemorySecrets, store::MemoryStore,
};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use self::{answer::Answer, cloud::FakeCloud, queue::FragileQueue, request::Request};

/// The bearer token requests are sent with unless they say otherwise.
pub const ADMIN: &str = "ny_admin";
pub const BOOTSTRAP: &str = "bootstrap-secret";

/// A profile that somebody added to the folder.
const SHOP: (&str, &str) = ("shop", include_str!("../../../../../tests/profiles/shop.vars.json"));

/// Without what else somebody has added: these tests have to pass for them too.
fn profiles() -> Profiles {
    let ours = EMBEDDED.iter().filter(|(name, _)| ["base", "web"].contains(name)).copied();
    Profiles::new(&ours.chain([SHOP]).collect::<Vec<_>>()).unwrap()
}

pub struct Memory;

impl Ports for Memory {
    type Store = MemoryStore;
    type Queue = FragileQueue;
    type Provider = FakeCloud;
    type Secrets = MemorySecrets;
}

pub struct World {
    pub store: MemoryStore,
    pub queue: FragileQueue,
    pub secrets: Arc<MemorySecrets>,
    pub cloud: FakeCloud,
    pub clock: SimulatedClock,
    /// Of the store that the API has; `store` has none.
    pub faults: Faults,
    router: Router,
}

impl World {
    /// Nothing but the bootstrap secret.
    pub fn fresh() -> Self {
        Self::with(&[], Some(0))
    }

    /// With randomness that counts from `seed`, or none at all.
    pub fn with(control_cidrs: &[&str], seed: Option<u64>) -> Self {
        Self::with_issuer(control_cidrs, seed, None)
    }

    /// That takes an issuer's JWTs as well.
    pub fn with_issuer(control_cidrs: &[&str], seed: Option<u64>, issuer: Option<Issuer>) -> Self {
        let clock = SimulatedClock::default();
        let store = MemoryStore::default();
        let queue = FragileQueue::new(clock.clone());
        let secrets = Arc::new(MemorySecrets::deployed());
        secrets.put("bootstrap", BOOTSTRAP);
        let cloud = FakeCloud::default();
        let drawn = AtomicU64::new(seed.unwrap_or_default());
        let random = move || seed.map(|_| u128::from(drawn.fetch_add(1, Ordering::SeqCst) + 1));
        let faults = Faults::none();
        let app = App::<Memory>::new(
            store.with(faults.clone(), None),
            queue.clone(),
            cloud.clone(),
            Arc::clone(&secrets),
            Settings {
                deployment: "test".into(),
                control_cidrs: control_cidrs.iter().map(ToString::to_string).collect(),
                issuer,
                profiles: profiles(),
            },
            clock.clone(),
            random,
        );
        Self { store, queue, secrets, cloud, clock, faults, router: router(app) }
    }

    /// With an admin token.
    pub async fn new() -> Self {
        Self::fresh().with_admin().await
    }

    pub async fn with_admin(self) -> Self {
        self.put_token(ADMIN, &[Scope::Admin], None).await;
        self
    }

    /// With an admin token and a connection `main` to the project `p1`.
    pub async fn connected() -> Self {
        let world = Self::new().await;
        world.connect("main", "rw:p1").await;
        world
    }

    pub async fn connect(&self, name: &str, token: &str) -> Answer {
        let body = json!({"provider": "hetzner", "token": token});
        self.put(&format!("/providers/{name}"), body).await
    }

    pub async fn put_token(&self, secret: &str, scopes: &[Scope], connections: Option<&[&str]>) {
        let count = self.store.tokens().await.unwrap().len() as u128;
        let names = |list: &[&str]| list.iter().map(|name| name.parse().unwrap()).collect();
        let token = Token {
            id: TokenId::from_bits(0xaaaa_0000 + count),
            name: secret.trim_start_matches("ny_").to_owned(),
            scopes: scopes.to_vec(),
            connections: connections.map(names),
            secret_hash: hash_secret(secret),
            created_at: self.clock.now(),
            expires_at: None,
        };
        let (now, made) = (self.clock.now(), Resource::from(&token.id));
        let entry = AuditEntry::of_system(now, Action::TokenCreate, made, Outcome::Done);
        assert!(self.store.put_token(&token, false, &entry).await.unwrap());
    }

    pub async fn token_id(&self, name: &str) -> TokenId {
        let tokens = self.store.tokens().await.unwrap();
        tokens.into_iter().find(|token| token.name == name).unwrap().id
    }

    pub fn router(&self) -> Router {
        self.router.clone()
    }

    pub fn request(&self, method: &str, path: &str) -> Request<'_> {
        Request::new(&self.router, method, path)
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.request("GET", path).send().await
    }

    pub async fn put(&self, path: &str, body: Value) -> Answer {
        self.request("PUT", path).json(body).send().await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.request("POST", path).json(body).send().await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.request("DELETE", path).send().await
    }

    /// Asks for a node and expects it to be accepted.
    pub async fn node(&self, body: Value) -> (Node, Job) {
        let answer = self.post("/nodes", body).await;
        assert_eq!(answer.status, 202, "{}", answer.text);
        let loaded = self.load(answer.json["job"]["id"].as_str().unwrap()).await;
        (loaded.node, loaded.job)
    }

    pub async fn load(&self, job: &str) -> Loaded {
        self.store.load(&job.parse::<JobId>().unwrap()).await.unwrap().unwrap()
    }

    /// Commits what a worker would have decided.
    pub async fn commit(&self, job: &JobId, change: impl FnOnce(&mut Job, &mut NodeChange)) {
        let loaded = self.load(job.as_str()).await;
        let mut job = loaded.job.clone();
        let mut node = NodeChange::default();
        (job.updated_at, job.news_at) = (self.clock.now(), None);
        change(&mut job, &mut node);
        let decision = Decision { job, node, entries: Vec::new(), evidence: Vec::new() };
        self.store.commit(&loaded, &decision).await.unwrap();
    }

    /// A node that was acquired and is ready; answers its id.
    pub async fn ready_node(&self, body: Value) -> Node {
        use nodeyard_domain::{
            job::{JobState, Step},
            node::NodeStatus,
            readiness::{Finding, ReadinessCode},
        };
        let (node, job) = self.node(body).await;
        let now = self.clock.now();
        self.commit(&job.id, |job, change| {
            (job.state, job.step, job.due_at) = (JobState::Succeeded, Step::Done, None);
            (job.intent, job.finished_at) = (None, Some(now));
            change.status = Some(NodeStatus::Ready);
            change.server = Some(Some(server(&node.server_name)));
            let finding = Finding {
                code: ReadinessCode::RebootRequired,
                ok: false,
                warning: true,
                detail: "a new kernel is installed".into(),
            };
            change.readiness = Some((vec![finding], now));
            change.close_job = true;
        })
        .await;
        self.store.node(&node.id).await.unwrap().unwrap()
    }

    /// Everything that is stored or enqueued, to compare.
    pub async fn state(&self) -> String {
        let connections = self.store.connections().await.unwrap();
        let mut tokens = Vec::new();
        for connection in &connections {
            tokens.push(self.provider_token(connection.name.as_str()).await);
        }
        format!(
            "{:#?}",
            (
                self.store.all_jobs(),
                self.store.all_nodes(),
                self.store.tokens().await.unwrap(),
                self.queue.messages(),
                connections,
                tokens,
                self.secrets.contains("connection/new"),
            )
        )
    }

    /// Sends a request that must be refused and leave a trace nowhere but in the audit trail.
    pub async fn refused(&self, request: Request<'_>) -> Answer {
        let (before, known) = (self.state().await, self.store.audit().len());
        let answer = request.send().await;
        assert!(answer.is_problem(), "{}", answer.text);
        assert_eq!(self.state().await, before, "a refusal left a trace: {}", answer.text);
        for entry in &self.store.audit()[known..] {
            let code = answer.code().to_owned();
            let told = [Outcome::Refused { code }, Outcome::LeftOut { count: 1 }];
            // An orphan's removal is on record before the provider is asked.
            let removal = entry.action == Action::OrphanRemove;
            assert!(told.contains(&entry.outcome) || removal, "{entry:?}");
        }
        answer
    }

    pub async fn provider_token(&self, name: &str) -> Option<String> {
        let name: ConnectionName = name.parse().unwrap();
        let connection = self.store.connection(&name).await.unwrap()?;
        let token = self.secrets.provider_token(&connection, false).await.ok()?;
        Some(token.expose_secret().to_owned())
    }
}

pub fn server(name: &str) -> Server {
    Server {
        id: 4_300_000_001,
        name: name.into(),
        attempt: 1,
        ipv4: Some("198.51.100.7".into()),
        ipv6: Some("2001:db8::1".into()),
        primary_ips: vec![4_300_000_002],
        server_type: Some("cx23".into()),
        location: Some("fsn1".into()),
    }
}

pub fn start() -> Timestamp {
    SimulatedClock::default().now()
}
