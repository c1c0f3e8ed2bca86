//! Answers of the provider, through the adapter's own transport.

use std::sync::Arc;

use http::{HeaderName, HeaderValue};
use nodeyard_adapters::hetzner::{
    HetznerProvider,
    drift::{Shape, difference},
};
use nodeyard_domain::{
    connection::{Connection, ManagedKey},
    id::NodeId,
    observation::ProviderFailure,
    orphan::ResourceKind,
};
use nodeyard_drills::random::Random;
use nodeyard_engine::{
    orphan::Inventory as _,
    provider::{CreateServer, Lookup, Provider as _, ProviderCheck as _},
};
use nodeyard_testkit::{
    secrets::MemorySecrets,
    world::{DEPLOYMENT, connection, name},
};
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::{hold, runtime_in_real_time};
use crate::{message::Message, mutation::mutate_message, parrot::Parrot, target::Target};

const SERVER_NAME: &str = "web-000000000001";
const PUBLIC_KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAvN4IGJdMXsQvpgYVgosqYBUvvdDJsCdsC30SLL6gCG managed";
const FINGERPRINT: &str = "26:f8:b3:61:29:a2:59:6b:36:4f:a8:43:d2:48:44:fd";

/// Calls of the port, each of which gets the answer.
const CALLS: usize = 15;
/// How many of them one input is tried on.
const CALLS_PER_INPUT: usize = 3;

pub(super) struct Hetzner {
    runtime: Runtime,
    parrot: Parrot,
    provider: HetznerProvider<MemorySecrets>,
    connection: Connection,
}

impl Hetzner {
    pub(super) fn new() -> Self {
        let runtime = runtime_in_real_time();
        let parrot = runtime.block_on(Parrot::start()).expect("a port");
        let secrets = MemorySecrets::deployed();
        secrets.put_token(&name(), "a-token");
        let endpoint = format!("{}/v1", parrot.endpoint());
        let provider = HetznerProvider::new(&endpoint, Arc::new(secrets)).expect("an endpoint");
        let connection = connection(jiff::Timestamp::UNIX_EPOCH, managed_key());
        Self { runtime, parrot, provider, connection }
    }

    /// Makes one call. What it came to, in short.
    async fn call(&self, number: usize, answer: &Answer) -> Result<String, String> {
        let Self { provider, connection, .. } = self;
        let nodes = [NodeId::from_bits(1)];
        let token = SecretString::from("a-token");
        let kind = ResourceKind::ALL[number % ResourceKind::ALL.len()];
        match number % CALLS {
            0 => outcome(provider.sees_key(connection, &managed_key()).await),
            1 => outcome(provider.create_group(connection, "group", DEPLOYMENT).await),
            2 | 3 => {
                let found = provider.find_server(connection, SERVER_NAME).await;
                if matches!(found, Ok(Lookup::Absent)) {
                    hold(answer.is_empty_list(), || "absent, without an empty list".to_owned())?;
                }
                outcome(found)
            }
            4 | 5 => {
                let made = provider.create_server(connection, &create()).await;
                if let Some(id) = answer.server_id() {
                    let got = made.as_ref().ok().map(|made| made.server.id);
                    hold(got == Some(id), || format!("server {id} is lost: {made:?}"))?;
                }
                outcome(made)
            }
            6 => outcome(provider.actions(connection, &[11, 12]).await),
            7 => outcome(provider.server(connection, 42).await),
            8 => {
                let found = provider.servers(connection, DEPLOYMENT, &nodes).await;
                // Only what carries our labels is taken for ours.
                if let Ok(servers) = &found {
                    let is_ours = servers.iter().all(|it| {
                        it.labels.get("nodeyard/node").is_some_and(|it| it == nodes[0].as_str())
                    });
                    hold(is_ours, || format!("{servers:?}"))?;
                }
                outcome(found)
            }
            9 => outcome(provider.delete_server(connection, 42).await),
            10 => outcome(provider.remains(connection, 42, &[11]).await),
            11 => {
                outcome(provider.check_token(&token, "key", PUBLIC_KEY, Some(&managed_key())).await)
            }
            12 => outcome(provider.check_token(&token, "key", PUBLIC_KEY, None).await),
            13 => outcome(provider.catalogue(&token).await),
            _ => {
                outcome(provider.labelled(connection, kind, DEPLOYMENT, 1).await)?;
                outcome(provider.look(connection, kind, 42).await)?;
                outcome(provider.count_servers(connection).await)
            }
        }
    }
}

/// The answer, as an oracle that shares nothing with the adapter reads it.
struct Answer {
    status: u16,
    json: Value,
}

impl Answer {
    fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The id that a create must never lose.
    fn server_id(&self) -> Option<u64> {
        self.json["server"]["id"].as_u64().filter(|_| self.is_success())
    }

    /// No server of the name in a list that can be read.
    fn is_empty_list(&self) -> bool {
        let servers = self.json["servers"].as_array();
        let named = |server: &Value| server["name"] == SERVER_NAME;
        self.is_success() && servers.is_some_and(|servers| !servers.iter().any(named))
    }
}

/// A failure is small enough for a job's record, and its words stay within bounds.
fn outcome<T>(result: Result<T, ProviderFailure>) -> Result<String, String> {
    let Err(failure) = result else { return Ok("ok".into()) };
    let ProviderFailure { class, code, message, correlation_id, .. } = &failure;
    let chars = |text: &str| text.chars().count();
    hold(chars(code) <= 64, || format!("a code of {} characters", chars(code)))?;
    hold(chars(message) <= 700, || format!("a message of {} characters", chars(message)))?;
    let id = correlation_id.as_deref().map_or(0, chars);
    hold(id <= 64, || format!("a correlation id of {id} characters"))?;
    Ok(format!("{class:?}"))
}

fn managed_key() -> ManagedKey {
    ManagedKey {
        version: 2,
        provider_id: 77,
        fingerprint: FINGERPRINT.into(),
        public_key: PUBLIC_KEY.into(),
    }
}

fn create() -> CreateServer {
    CreateServer {
        name: SERVER_NAME.into(),
        server_type: "cx23".into(),
        location: "fsn1".into(),
        image: "debian-13".into(),
        ssh_keys: vec![77],
        labels: [("nodeyard/node".to_owned(), "node".to_owned())].into(),
        user_data: "#cloud-config\n{}".into(),
        placement_group: None,
        attempt: 3,
    }
}

/// Answers as the API gives them, cut to what the adapter looks at.
fn bodies() -> Vec<(u16, Value)> {
    let labels = json!({"nodeyard/deployment": DEPLOYMENT, "nodeyard/nonce": "abc",
        "nodeyard/node": NodeId::from_bits(1).as_str()});
    let server = json!({"id": 42, "name": SERVER_NAME, "status": "running", "labels": labels,
        "created": "2026-01-01T00:00:00Z", "protection": {"delete": false, "rebuild": false},
        "public_net": {"ipv4": {"id": 11, "ip": "198.51.100.7", "blocked": false},
            "ipv6": {"id": 12, "ip": "2001:db8:1::/64"}},
        "server_type": {"id": 1, "name": "cx23"}, "location": {"id": 1, "name": "fsn1"}});
    let action = json!({"id": 11, "command": "create_server", "status": "error", "progress": 100,
        "started": "2026-01-01T00:00:00Z", "finished": "2026-01-01T00:00:09.5Z",
        "resources": [{"id": 42, "type": "server"}],
        "error": {"code": "action_failed", "message": "Action failed"}});
    let key = json!({"id": 77, "name": "ours", "fingerprint": FINGERPRINT, "labels": labels,
        "public_key": PUBLIC_KEY, "created": "2026-01-01T00:00:00Z"});
    let group = json!({"id": 5, "name": "group", "type": "spread", "servers": [42],
        "labels": labels, "created": "2026-01-01T00:00:00Z"});
    let ip = json!({"id": 11, "ip": "198.51.100.7", "type": "ipv4", "assignee_id": null,
        "name": "primary", "labels": {}, "created": "2026-01-01T00:00:00Z", "auto_delete": true});
    let price = json!({"location": "fsn1", "price_monthly": {"net": "2.99", "gross": "3.56"}});
    let meta = json!({"pagination": {"page": 1, "per_page": 50, "previous_page": null,
        "next_page": null, "last_page": 1, "total_entries": 1}});
    let sale = json!({
        "server_types": [{"id": 1, "name": "cx23", "architecture": "x86", "cores": 2, "memory": 4.0,
            "disk": 40, "prices": [price],
            "locations": [{"id": 1, "name": "fsn1", "available": true, "deprecation": null}]}],
        "locations": [{"id": 1, "name": "fsn1"}],
        "images": [{"id": 1, "name": "debian-13", "status": "available", "architecture": "x86"}],
        "pricing": {"currency": "EUR", "primary_ips": [{"type": "ipv4", "prices": [price]}]},
        "meta": meta,
    });
    let lists = json!({"servers": [server], "actions": [action], "ssh_keys": [key],
        "placement_groups": [group], "primary_ips": [ip], "meta": meta});
    let one = json!({"server": server, "action": action, "ssh_key": key, "placement_group": group,
        "primary_ip": ip, "root_password": null, "next_actions": []});
    let refused = |code: &str, details: Value| json!({"error": {"code": code, "message": "words", "details": details}});
    vec![
        (201, one.clone()),
        (200, one),
        (200, lists),
        (200, json!({"servers": [], "ssh_keys": [], "meta": meta})),
        (200, sale),
        (401, refused("unauthorized", Value::Null)),
        (403, refused("token_readonly", Value::Null)),
        (404, refused("not_found", Value::Null)),
        (409, refused("uniqueness_error", json!({"fields": [{"name": "name"}]}))),
        (412, refused("resource_unavailable", Value::Null)),
        (
            422,
            refused("invalid_input", json!({"fields": [{"name": "location", "messages": ["x"]}]})),
        ),
        (422, refused("resource_limit_exceeded", json!({"limits": [{"name": "server_limit"}]}))),
        (429, refused("rate_limit_exceeded", Value::Null)),
        (502, json!("<html>")),
        (204, Value::Null),
    ]
}

const SHAPES: &[Shape] = &[
    Shape::CreateServer,
    Shape::Server,
    Shape::Servers,
    Shape::Actions,
    Shape::CreateSshKey,
    Shape::SshKey,
    Shape::SshKeys,
    Shape::ServerTypes,
    Shape::Locations,
    Shape::Images,
    Shape::Pricing,
    Shape::PrimaryIp,
];

impl Target for Hetzner {
    fn name(&self) -> &'static str {
        "hetzner"
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        let head = "ratelimit-limit: 3600\nratelimit-remaining: 3599\nratelimit-reset: 4102444800\n\
            x-correlation-id: corr-1\ncontent-type: application/json";
        let seeds = bodies().into_iter();
        seeds.map(|(status, body)| format!("{status}\n{head}\n\n{body}").into_bytes()).collect()
    }

    fn mutate(&self, random: &mut Random, input: &[u8], other: &[u8]) -> Vec<u8> {
        mutate_message(random, input, other)
    }

    fn run(&mut self, input: &[u8]) -> Result<String, String> {
        let message = Message::of(input);
        let status = std::str::from_utf8(message.first).ok().and_then(|it| it.trim().parse().ok());
        let status: u16 = status.filter(|status| (200..600).contains(status)).unwrap_or(200);
        let legal = |(name, value): &(&[u8], &[u8])| {
            // What ends the body elsewhere is another answer than the oracle reads.
            let frames = name.eq_ignore_ascii_case(b"content-length")
                || name.eq_ignore_ascii_case(b"transfer-encoding");
            let fits =
                HeaderName::from_bytes(name).is_ok() && HeaderValue::from_bytes(value).is_ok();
            fits && !frames
        };
        let headers: Vec<_> = message.headers().filter(legal).take(60).collect();
        let has_body = !matches!(status, 204 | 304);
        let body = if has_body { message.body } else { b"" };
        self.parrot.say(status, headers, body);
        let json = serde_json::from_slice(body).unwrap_or_default();
        let answer = Answer { status, json };
        // Which calls an input is tried on follows from the input.
        let first = input
            .iter()
            .fold(0_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(*byte)));
        let mut kinds = Vec::new();
        for number in 0..CALLS_PER_INPUT {
            let number = first.wrapping_add(number * 4) % (CALLS * ResourceKind::ALL.len());
            let came_to = self.runtime.block_on(self.call(number, &answer));
            let came_to = came_to.map_err(|what| format!("call {}: {what}", number % CALLS))?;
            kinds.push(format!("{} {came_to}", number % CALLS));
        }
        self.parrot.take_bodies();
        let shape = SHAPES[first % SHAPES.len()];
        if let Some(told) = difference(shape, body) {
            let chars = told.chars().count();
            hold(chars <= 610, || format!("{shape:?}: {chars} characters are told"))?;
        }
        kinds.sort();
        Ok(kinds.join(", "))
    }
}
