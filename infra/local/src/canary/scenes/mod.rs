//! What is done with the planted secrets: success, every kind of failure that the stack can be
//! brought to, and callers who put secrets where none belong.

mod callers;
mod failures;
mod misplaced;
mod success;

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use super::matcher::Secret;
use crate::api::text;
use crate::bench::Bench;
use crate::error::{Result, XtaskError};
use crate::function::{self, HEALTH};
use crate::orders;
use crate::queue::Queue;

/// Longer than anything that is waited for takes without machines, in seconds.
const PATIENCE_SECS: u64 = 120;
/// The same with machines that have to boot and be configured.
const PATIENCE_WITH_MACHINES_SECS: u64 = 900;
/// Between two looks at a job.
const LOOK: Duration = Duration::from_millis(300);

/// The stack, and the secrets that were planted in it so far.
#[derive(Debug)]
pub struct Stage<'a> {
    /// With a taped API.
    pub bench: &'a Bench,
    planted: Mutex<Vec<Secret>>,
    sent: Mutex<Vec<String>>,
}

impl<'a> Stage<'a> {
    /// With the tokens that the stack was brought up with.
    pub fn new(bench: &'a Bench) -> Self {
        let stage = Self { bench, planted: Mutex::default(), sent: Mutex::default() };
        stage.plant("provider token of the stack", &bench.state.provider_token);
        stage.plant("provider token that looks", &bench.state.observer_token);
        stage.plant("API token of the stack", bench.state.token.as_deref().unwrap_or_default());
        stage
    }

    /// Keeps a secret, to be looked for.
    pub fn plant(&self, name: &str, value: &str) {
        let secret = Secret { name: name.to_owned(), value: value.as_bytes().to_vec() };
        self.planted.lock().unwrap_or_else(PoisonError::into_inner).push(secret);
    }

    /// Every secret that was planted.
    pub fn planted(&self) -> Vec<Secret> {
        self.planted.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sends a message with a secret in it to the wake queue: it is the sender's own, and not to be
    /// searched.
    ///
    /// # Errors
    /// It was not accepted.
    pub async fn send(&self, message: String) -> Result<()> {
        let url = self.bench.state.queue_url.as_deref().unwrap_or_default();
        Queue::new()?.send(url, &message).await?;
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).push(message);
        Ok(())
    }

    /// The messages that were sent so.
    pub fn sent(&self) -> Vec<String> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A new provider token that does not look like one: with everything that some encoding or
    /// other changes, in each of its halves. Nobody looks at a token's form.
    ///
    /// # Errors
    /// No randomness.
    pub fn new_token(&self, name: &str) -> Result<String> {
        let [a, b, c, d] = [random()?, random()?, random()?, random()?];
        let token = format!(r#"{a}/+?"\{b}&=%<>~{c}'{{}}|"\{d}"#);
        self.plant(&format!("provider token `{name}`"), &token);
        Ok(token)
    }

    /// A project of its own with a connection to it, both of this name; answers with its token.
    async fn connect(&self, name: &str) -> Result<String> {
        let token = self.new_token(name)?;
        self.bench.simulator.add_token(name, &token, &format!("project-{name}")).await?;
        self.put_token(name, &token).await?;
        Ok(token)
    }

    /// Connects or rotates; it has to succeed.
    async fn put_token(&self, connection: &str, token: &str) -> Result<()> {
        let body = json!({ "provider": "hetzner", "token": token });
        let path = format!("/providers/{connection}");
        let connected = self.bench.api.call(Method::PUT, &path, Some(&body)).await?;
        let status = text(&connected, "/status")?;
        self.bench.report.line(format!("provider {connection}: {status}"));
        Ok(())
    }

    /// Asks for a node on a connection, with orders for the stand-in of Ansible; answers with the ids
    /// of node and job.
    async fn ask(&self, name: &str, connection: &str, told: Value) -> Result<Asked> {
        self.ask_with(name, connection, told, json!({})).await
    }

    /// The same, with variables of the profile.
    async fn ask_with(
        &self,
        name: &str,
        connection: &str,
        told: Value,
        vars: Value,
    ) -> Result<Asked> {
        let body = json!({
            "name": name, "connection": connection, "profile": "base", "vars": vars,
            "authorized_keys": orders::as_keys(&told),
            // With one rung a refusal is a verdict.
            "placement": [{ "server_type": "cx23", "location": "fsn1" }],
        });
        let accepted = self.bench.api.call(Method::POST, "/nodes", Some(&body)).await?;
        Ok(Asked { node: text(&accepted, "/node/id")?, job: text(&accepted, "/job/id")? })
    }

    /// Waits until a job is at one of these steps or in one of these states, or parked on one of
    /// these reasons; answers with which.
    async fn wait_for(&self, job: &str, wanted: &[&str]) -> Result<String> {
        let secs = if self.has_machines() { PATIENCE_WITH_MACHINES_SECS } else { PATIENCE_SECS };
        let deadline = Instant::now() + Duration::from_secs(secs);
        let mut last = String::new();
        while Instant::now() < deadline {
            let seen = self.bench.api.get(&format!("/jobs/{job}")).await?;
            let words = ["state", "step", "waiting_on"].map(|field| {
                seen.get(field).and_then(Value::as_str).unwrap_or_default().to_owned()
            });
            if let Some(word) = words.iter().find(|word| wanted.contains(&word.as_str())) {
                return Ok(word.clone());
            }
            last = words.join(", ");
            if seen.get("done").and_then(Value::as_bool) == Some(true) {
                let code = seen.pointer("/error/code").and_then(Value::as_str).unwrap_or_default();
                let told = format!("{job} ended: {last} {code}; wanted {}", wanted.join(" or "));
                return Err(XtaskError::Check(told));
            }
            tokio::time::sleep(LOOK).await;
        }
        Err(XtaskError::TimedOut {
            what: format!("{job}: {}", wanted.join(" or ")),
            secs,
            hint: format!("it is {last}"),
        })
    }

    /// Waits for a job's end, whatever it is.
    async fn wait_for_end(&self, job: &str) -> Result<String> {
        self.wait_for(job, &["succeeded", "failed", "cancelled"]).await
    }

    /// Gives a node back and waits until it is gone.
    async fn release(&self, node: &str) -> Result<()> {
        let path = format!("/nodes/{node}");
        let accepted = self.bench.api.call(Method::DELETE, &path, None).await?;
        self.wait_for_end(&text(&accepted, "/job/id")?).await.map(drop)
    }

    /// One that fails is made up for by the next.
    async fn invoke_health(&self, task: &str) {
        let _ = function::invoke(&self.bench.state, HEALTH, &json!({ "task": task })).await;
    }

    fn has_machines(&self) -> bool {
        self.bench.state.backing.as_ref().is_some_and(|backing| backing.real)
    }

    fn tell(&self, text: impl AsRef<str>) {
        self.bench.report.line(text);
    }
}

fn random() -> Result<String> {
    crate::random::hex(6)
}

/// A node that was asked for.
#[derive(Debug, Clone)]
struct Asked {
    node: String,
    job: String,
}

/// Everything.
///
/// # Errors
/// Something that was to happen did not.
pub async fn play(stage: &Stage<'_>) -> Result<()> {
    misplaced::play(stage).await?;
    callers::play(stage).await?;
    let (good, bad) = tokio::join!(success::play(stage), failures::play(stage));
    good.and(bad)?;
    for task in ["sweep", "check"] {
        stage.invoke_health(task).await;
    }
    read_everything(stage).await
}

/// Only what is needed for every program to read its secrets.
///
/// # Errors
/// As [`play`].
pub async fn play_short(stage: &Stage<'_>) -> Result<()> {
    success::acquire_one(stage).await?;
    read_everything(stage).await
}

/// Asks for everything that can be read: the tape has it then.
async fn read_everything(stage: &Stage<'_>) -> Result<()> {
    let bench = stage.bench;
    for path in ["/health", "/openapi.json"] {
        bench.api.get(path).await?;
    }
    for path in ["/audit", "/nodes", "/orphans", "/tokens"] {
        bench.list(path).await?;
    }
    let connections = bench.api.get("/providers").await?;
    let names = connections.get("connections").and_then(Value::as_array);
    for name in names.into_iter().flatten().filter_map(|it| it.get("name")?.as_str()) {
        for path in [format!("/providers/{name}"), format!("/providers/{name}/catalog")] {
            // One that is not healthy refuses, and that is an answer as well.
            let _ = bench.api.get(&path).await;
        }
    }
    for job in bench.list("/jobs").await? {
        let job = text(&job, "/id")?;
        for part in ["timeline", "log"] {
            bench.list(&format!("/jobs/{job}/{part}")).await?;
        }
        bench.api.get(&format!("/jobs/{job}/evidence")).await?;
    }
    Ok(())
}
