//! A simulator on a clock that stands still, and a client that believes
//! nothing.

use std::time::Duration;

use hetzner_sim::journal::{Counts, Filter};
use hetzner_sim::{Access, FaultSpec, RunningSimulator, Simulator, SimulatorConfig};
use reqwest::Method;
use serde_json::{Value, json};

use crate::contract::contract;

/// An ed25519 public key and two more.
pub const KEYS: [&str; 3] = [
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOrPkIC+HDkPNds5Qag2QmrYMWBRYhgAkFH/IXjpGn12 someone@example",
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILV609URZcPZsugb08cjg7I8UJZP6RvoiSbFb/e047it key2@example",
    "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABgQDR2eCGeJKnxUX1hp3s+W5lG06xOUzIRg86fmNP3qH+4bmTH/SW5JtaC+Zem5AoHxErCIaYWSMdczVgG9LzgG0CZ/eJwnmbbvO3HLWlzSzLiSFya15TrRZkNZcvK1rNikMQ5E1Inw2X7JOtVfmg+XTero+XQ/jMtlaewa0Q7E6XPCTmQ1wYAMAyEtTJZ7YuM3BYDzCMRgdsKNlE5wxO5k6jto0tmZF8R0vFpEdD9ay4LbP4U9X2GsKFadsuT3OwEhGvxdk39bIpYi0BrdUGJLwHDmeHPstbG/k4VZjuE45W45x2kRVy7WBc3FFUVEH1/HxqZwGrSUDwrKkjaHfxksw1TIVOb74m8Jlq5DUhmM9wJRdGl8+NTQaYMM8Wc6Fq+4KXmptRhA1PmnK61Z1ROeLY3Wb+G+rlHCFDWlpy7ter7WkvvfMCvroWVpTFhMPt+nHtomCcB6sXJWkaGtH27wQPzO4Pw84HHfvPlxeUYUNXVSU+bF58cs5pggSRElzI83s= key3@example",
];

/// The simulator under test. Token `main` may write in project `shop`,
/// `reader` may read there, `other` may write in project `blog`.
pub struct Bench {
    pub sim: RunningSimulator,
    http: reqwest::Client,
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub body: Value,
}

impl Answer {
    /// The code of the error, or nothing.
    pub fn code(&self) -> &str {
        self.body["error"]["code"].as_str().unwrap_or_default()
    }

    /// A header as a number.
    pub fn number(&self, header: &str) -> i64 {
        self.headers[header].to_str().unwrap().parse().unwrap()
    }

    /// Names in a list.
    pub fn names(&self, list: &str) -> Vec<String> {
        let list = self.body[list].as_array().unwrap();
        list.iter().map(|it| it["name"].as_str().unwrap().to_owned()).collect()
    }
}

pub fn config() -> SimulatorConfig {
    SimulatorConfig::default()
        .standing_clock()
        .token("main", "main-secret", Access::ReadWrite, "shop")
        .token("reader", "reader-secret", Access::ReadOnly, "shop")
        .token("other", "other-secret", Access::ReadWrite, "blog")
}

impl Bench {
    pub async fn new() -> Self {
        Self::with(config()).await
    }

    pub async fn with(config: SimulatorConfig) -> Self {
        Self { sim: Simulator::start(config).await.unwrap(), http: reqwest::Client::new() }
    }

    /// Sends a request without any check of the answer. `Err` is a
    /// connection closed without one.
    pub async fn raw(
        &self,
        secret: Option<&str>,
        method: &str,
        path: &str,
        body: Option<String>,
    ) -> Result<(u16, reqwest::header::HeaderMap, String), reqwest::Error> {
        let method: Method = method.parse().unwrap();
        let mut request = self.http.request(method, format!("{}{path}", self.sim.endpoint()));
        if let Some(secret) = secret {
            request = request.bearer_auth(secret);
        }
        if let Some(body) = body {
            request = request.body(body);
        }
        let answer = request.send().await?;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        Ok((status, headers, answer.text().await?))
    }

    /// Sends a request as `token` and holds the answer against the contract.
    pub async fn call_as(
        &self,
        token: &str,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Answer {
        let answer = self.unchecked(token, method, path, body).await;
        if let Some(contract) = contract() {
            contract.check(method, path, answer.status, &answer.body);
        }
        assert_eq!(answer.headers["x-correlation-id"].len(), 16);
        answer
    }

    /// The same without the contract, for answers bent on purpose.
    pub async fn unchecked(
        &self,
        token: &str,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Answer {
        let secret = format!("{token}-secret");
        let body = body.map(Value::to_string);
        let (status, headers, text) = self.raw(Some(&secret), method, path, body).await.unwrap();
        let body = if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap() };
        Answer { status, headers, body }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.call_as("main", "GET", path, None).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.call_as("main", "POST", path, Some(body)).await
    }

    pub async fn put(&self, path: &str, body: &Value) -> Answer {
        self.call_as("main", "PUT", path, Some(body)).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.call_as("main", "DELETE", path, None).await
    }

    /// Makes a server; returns its id, still initializing.
    pub async fn create(&self, name: &str) -> u64 {
        let answer = self.post("/servers", &draft(name)).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
        answer.body["server"]["id"].as_u64().unwrap()
    }

    /// Makes a server and lets it come up.
    pub async fn running(&self, name: &str) -> u64 {
        let id = self.create(name).await;
        self.pass(60);
        assert_eq!(self.status(id).await, "running");
        id
    }

    pub async fn status(&self, id: u64) -> String {
        let answer = self.get(&format!("/servers/{id}")).await;
        answer.body["server"]["status"].as_str().unwrap_or("gone").to_owned()
    }

    /// Lets seconds pass.
    pub fn pass(&self, secs: u64) {
        self.sim.advance(Duration::from_secs(secs));
    }

    pub fn arm(&self, spec: Value) {
        let spec: FaultSpec = serde_json::from_value(spec).unwrap();
        self.sim.arm(spec);
    }

    pub fn set(&self, change: Value) {
        self.sim.change_settings(&change).unwrap();
    }

    pub fn counts(&self) -> Counts {
        self.sim.counts(&Filter::default())
    }

    /// A request to `/_sim/`.
    pub async fn control(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let url = format!("{}/_sim{path}", self.sim.url());
        let mut request = self.http.request(method.parse().unwrap(), url);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }
}

/// The body of an ordinary creation.
pub fn draft(name: &str) -> Value {
    json!({"name": name, "server_type": "cpx22", "image": "debian-13", "location": "fsn1"})
}
