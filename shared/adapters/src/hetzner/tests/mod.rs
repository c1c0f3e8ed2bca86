//! Scenarios: what the provider answers, what we make of it, and which calls happen, no more.

mod acquire;
mod catalogue;
mod group;
mod listener;
mod log;
mod lookup;
mod removal;
mod token;
mod tolerance;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use jiff::Timestamp;
use nodeyard_domain::{
    connection::{
        Connection, ConnectionName, ConnectionStatus, KeySecret, Permission, ProviderKind,
        StoredToken,
    },
    evidence::{Hash, Signature},
    ownership::DeploymentKey,
};
use nodeyard_engine::secrets::SecretsError;
use serde_json::{Value, json};

use self::listener::{Listener, Reply, Scenario};
use super::*;

const PUBLIC_KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAvN4IGJdMXsQvpgYVgosqYBUvvdDJsCdsC30SLL6gCG managed";
/// `ssh-keygen -l -E md5` of it.
const FINGERPRINT: &str = "26:f8:b3:61:29:a2:59:6b:36:4f:a8:43:d2:48:44:fd";
const OLD: &str = "token-before";
const NEW: &str = "token-after";
/// When answers are seen.
const SEEN_AT: &str = "2026-01-01T00:00:00Z";

/// A secret store with a cached token and the one that is stored now.
struct Vault {
    cached: Option<&'static str>,
    stored: Option<&'static str>,
    /// What a read without a token fails with.
    is_down: bool,
    /// How often the stored one was read.
    fresh_reads: Mutex<u32>,
}

impl Vault {
    fn with(cached: &'static str, stored: &'static str) -> Arc<Self> {
        Arc::new(Self {
            cached: Some(cached),
            stored: Some(stored),
            is_down: false,
            fresh_reads: Mutex::new(0),
        })
    }
}

type SecretResult<T> = std::result::Result<T, SecretsError>;

fn missing<T>() -> SecretResult<T> {
    Err(SecretsError::Missing("connection/main".into()))
}

impl Secrets for Vault {
    async fn provider_token(&self, _: &Connection, fresh: bool) -> SecretResult<SecretString> {
        if fresh {
            *self.fresh_reads.lock().unwrap() += 1;
        }
        let token = if fresh { self.stored } else { self.cached };
        match token {
            Some(token) => Ok(SecretString::from(token)),
            None if self.is_down => Err(SecretsError::Unavailable("throttled".into())),
            None => missing(),
        }
    }
    async fn sign_evidence(&self, _: &Hash, _: Timestamp) -> SecretResult<Signature> {
        missing()
    }
    async fn deployment_key(&self) -> SecretResult<DeploymentKey> {
        missing()
    }
    async fn put_provider_token(
        &self,
        _: &ConnectionName,
        _: Option<&StoredToken>,
        _: &SecretString,
    ) -> SecretResult<StoredToken> {
        missing()
    }
    async fn delete_provider_token(&self, _: &Connection) -> SecretResult<()> {
        missing()
    }
    async fn ssh_key(&self, _: &KeySecret) -> SecretResult<SecretString> {
        missing()
    }
    async fn put_ssh_key(&self, _: &KeySecret, _: &SecretString) -> SecretResult<bool> {
        missing()
    }
    async fn make_ssh_key(&self, _: &KeySecret, _: &str) -> SecretResult<Option<String>> {
        missing()
    }
    async fn destroy_ssh_key(&self, _: &KeySecret) -> SecretResult<()> {
        missing()
    }
    async fn bootstrap(&self) -> SecretResult<SecretString> {
        missing()
    }
}

struct World {
    listener: Listener,
    provider: HetznerProvider<Vault>,
    vault: Arc<Vault>,
    connection: Connection,
}

/// A provider that speaks to the scenario, with one good token.
async fn world(scenario: Scenario) -> World {
    world_with(scenario, Vault::with(OLD, OLD)).await
}

async fn calls(script: Vec<(&'static str, Reply)>) -> World {
    world(Scenario::Calls(script)).await
}

async fn world_with(scenario: Scenario, vault: Arc<Vault>) -> World {
    let listener = Listener::start(scenario).await;
    let short = Duration::from_millis(250);
    let transport = Transport::with_timeouts(&listener.endpoint, short, short).unwrap();
    let clock = || SEEN_AT.parse::<Timestamp>().unwrap();
    let rates = Rates::new(Arc::new(clock));
    let provider = HetznerProvider { transport, secrets: Arc::clone(&vault), rates };
    World { listener, provider, vault, connection: connection() }
}

fn managed_key() -> ManagedKey {
    ManagedKey {
        version: 2,
        provider_id: 77,
        fingerprint: FINGERPRINT.into(),
        public_key: PUBLIC_KEY.into(),
    }
}

fn connection() -> Connection {
    Connection {
        name: "main".parse().unwrap(),
        version: 0,
        provider: ProviderKind::Hetzner,
        status: ConnectionStatus::Connected,
        reason: None,
        permission: Permission::ReadWrite,
        key: Some(managed_key()),
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
    }
}

fn create_body() -> CreateServer {
    CreateServer {
        name: "web-000000000001".into(),
        server_type: "cx23".into(),
        location: "fsn1".into(),
        image: "debian-13".into(),
        ssh_keys: vec![5_000_000_000],
        labels: ["c", "a", "b"].map(|key| (key.to_owned(), "1".to_owned())).into(),
        user_data: "#cloud-config\nprivate: very-private".into(),
        placement_group: None,
        attempt: 3,
    }
}

fn error(status: u16, code: &str) -> Reply {
    Reply::Json(status, json!({"error": {"code": code, "message": "words", "details": null}}))
}

/// A list of one page.
fn page(key: &str, entries: Value) -> Reply {
    Reply::Json(200, json!({key: entries, "meta": {"pagination": {"next_page": null}}}))
}

fn server_json(id: u64) -> Value {
    json!({
        "id": id, "name": "web-000000000001", "status": "running",
        "labels": {"nodeyard/nonce": "abc"},
        "public_net": {
            "ipv4": {"id": 11, "ip": "198.51.100.7"},
            "ipv6": {"id": 12, "ip": "2001:db8:1::/64"},
        },
        "server_type": {"name": "cx23"}, "location": {"name": "fsn1"},
    })
}

fn gone() -> Reply {
    error(404, "not_found")
}

/// The connection's marker.
const MARKER: &str = "GET /ssh_keys/77";

fn marker() -> Reply {
    Reply::Json(200, json!({"ssh_key": key_json(77)}))
}

fn found(lookup: Result<Lookup>) -> FoundServer {
    match lookup {
        Ok(Lookup::Found(server)) => *server,
        other => panic!("{other:?} is no server"),
    }
}

fn key_json(id: u64) -> Value {
    json!({"id": id, "name": "ours", "fingerprint": FINGERPRINT, "labels": {"team": "x"}})
}
