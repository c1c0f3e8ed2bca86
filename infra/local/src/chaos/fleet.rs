//! The nodes that were asked for, and where they and their jobs stand.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use reqwest::Method;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::api::text;
use crate::bench::Bench;
use crate::error::{Result, XtaskError};

/// A node that was asked for.
#[derive(Debug, Clone)]
pub struct Member {
    /// The node's id.
    pub node: String,
    /// Its provision's id.
    pub job: String,
}

/// Asks for one node.
///
/// # Errors
/// It was refused.
pub async fn ask(bench: &Bench, name: &str) -> Result<Member> {
    let body = json!({ "name": name, "profile": "base" });
    let accepted = bench.api.call(Method::POST, "/nodes", Some(&body)).await?;
    Ok(Member { node: text(&accepted, "/node/id")?, job: text(&accepted, "/job/id")? })
}

/// Asks for several at once.
///
/// # Errors
/// One was refused.
pub async fn ask_all(bench: &Bench, names: impl Iterator<Item = String>) -> Result<Vec<Member>> {
    let mut asked = JoinSet::new();
    for name in names {
        let bench = bench.clone();
        asked.spawn(async move { ask(&bench, &name).await });
    }
    let mut members = Vec::new();
    while let Some(answered) = asked.join_next().await {
        members.push(answered.map_err(|error| XtaskError::Check(error.to_string()))??);
    }
    Ok(members)
}

/// Gives nodes back, all at once.
///
/// # Errors
/// One was refused.
pub async fn release_all(bench: &Bench, nodes: Vec<String>) -> Result<()> {
    let mut asked = JoinSet::new();
    for node in nodes {
        let bench = bench.clone();
        asked.spawn(async move {
            bench.api.call(Method::DELETE, &format!("/nodes/{node}"), None).await
        });
    }
    while let Some(answered) = asked.join_next().await {
        answered.map_err(|error| XtaskError::Check(error.to_string()))??;
    }
    Ok(())
}

/// One entry of a job's timeline.
#[derive(Debug, Clone, Deserialize)]
pub struct Noted {
    /// When.
    pub at: Timestamp,
    /// What.
    pub message: String,
}

/// A job's timeline, from its beginning.
///
/// # Errors
/// It cannot be read.
pub async fn timeline(bench: &Bench, job: &str) -> Result<Vec<Noted>> {
    read(bench, &format!("/jobs/{job}/timeline")).await
}

/// A job, as far as it matters here.
#[derive(Debug, Clone, Deserialize)]
pub struct Job {
    id: String,
    kind: String,
    state: String,
    done: bool,
    step: String,
    attempts: u32,
    /// `None` for a key rotation, which is on a connection.
    node_id: Option<String>,
    waiting_on: Option<String>,
    error: Option<JobError>,
}

impl Job {
    fn subject(&self) -> &str {
        self.node_id.as_deref().unwrap_or("a connection")
    }
}

#[derive(Debug, Clone, Deserialize)]
struct JobError {
    code: String,
    detail: String,
}

/// A node, as far as it matters here.
#[derive(Debug, Clone, Deserialize)]
pub struct Node {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its status.
    pub status: String,
    server: Option<Server>,
}

#[derive(Debug, Clone, Deserialize)]
struct Server {
    id: u64,
}

impl Node {
    /// The server that it claims.
    pub fn server_id(&self) -> Option<u64> {
        self.server.as_ref().map(|server| server.id)
    }

    fn is_at_rest(&self) -> bool {
        matches!(self.status.as_str(), "ready" | "released" | "failed")
    }
}

/// All jobs and nodes there are.
#[derive(Debug, Clone)]
pub struct Standing {
    /// The jobs.
    pub jobs: Vec<Job>,
    /// The nodes.
    pub nodes: Vec<Node>,
}

impl Standing {
    /// As it is now.
    ///
    /// # Errors
    /// The API does not answer.
    pub async fn of(bench: &Bench) -> Result<Self> {
        Ok(Self { jobs: read(bench, "/jobs").await?, nodes: read(bench, "/nodes").await? })
    }

    /// Whether every job has ended and every node is what it will stay.
    pub fn is_at_rest(&self) -> bool {
        self.jobs.iter().all(|job| job.done) && self.nodes.iter().all(Node::is_at_rest)
    }

    /// The ids of the nodes that are ready.
    pub fn ready(&self) -> Vec<String> {
        self.nodes_that_are("ready")
    }

    /// The ids of the nodes that are released.
    pub fn released(&self) -> Vec<String> {
        self.nodes_that_are("released")
    }

    fn nodes_that_are(&self, status: &str) -> Vec<String> {
        let such = self.nodes.iter().filter(|node| node.status == status);
        such.map(|node| node.id.clone()).collect()
    }

    /// The ids of the nodes whose provision succeeded: they were ready once.
    pub fn provisioned(&self) -> Vec<String> {
        let is_done = |job: &&Job| job.kind == "node_provision" && job.state == "succeeded";
        self.jobs.iter().filter(is_done).filter_map(|job| job.node_id.clone()).collect()
    }

    /// How many jobs wait for this.
    pub fn waiting_on(&self, reason: &str) -> usize {
        let waits = |job: &&Job| job.waiting_on.as_deref() == Some(reason);
        self.jobs.iter().filter(waits).count()
    }

    /// The ids of the jobs that have failed.
    pub fn failed_jobs(&self) -> Vec<String> {
        let failed = self.jobs.iter().filter(|job| job.state == "failed");
        failed.map(|job| job.id.clone()).collect()
    }

    /// Attempts at creating a server, by node.
    pub fn attempts(&self) -> BTreeMap<String, u32> {
        let mut attempts = BTreeMap::new();
        for job in &self.jobs {
            if let Some(node) = &job.node_id {
                let most = attempts.entry(node.clone()).or_default();
                *most = job.attempts.max(*most);
            }
        }
        attempts
    }

    /// What has not come to an end, or has come to one without a reason.
    pub fn stuck(&self) -> Vec<String> {
        let mut stuck: Vec<String> = self
            .nodes
            .iter()
            .filter(|node| !node.is_at_rest())
            .map(|node| format!("{} ({}) is {}", node.name, node.id, node.status))
            .collect();
        for job in &self.jobs {
            if !job.done {
                let waiting = job.waiting_on.as_deref().unwrap_or("nothing in particular");
                stuck.push(format!(
                    "{} of {} is {} at {}, waiting on {waiting}",
                    job.id,
                    job.subject(),
                    job.state,
                    job.step
                ));
            } else if job.state == "failed" && job.error.is_none() {
                stuck.push(format!("{} of {} failed without a reason", job.id, job.subject()));
            }
        }
        stuck
    }

    /// Nodes by status and jobs by step, in one line.
    pub fn summary(&self) -> String {
        let count = |words: Vec<&str>| {
            let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
            for word in words {
                *counts.entry(word).or_default() += 1;
            }
            let parts: Vec<String> =
                counts.iter().map(|(word, count)| format!("{count} {word}")).collect();
            parts.join(", ")
        };
        let open = self.jobs.iter().filter(|job| !job.done).map(|job| job.step.as_str());
        format!(
            "nodes: {}; open jobs: {}",
            count(self.nodes.iter().map(|node| node.status.as_str()).collect()),
            count(open.collect())
        )
    }

    /// How it stands, with the reason of every job that did not succeed.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = vec![self.summary()];
        for job in self.jobs.iter().filter(|job| job.state == "failed") {
            let why = job.error.as_ref().map_or("no reason".to_owned(), |error| {
                format!("{}: {}", error.code, error.detail)
            });
            lines.push(format!("{} of {} failed: {why}", job.kind, job.subject()));
        }
        lines
    }
}

/// Waits until every job and every node has come to rest.
///
/// # Errors
/// They did not in time.
pub async fn rest(bench: &Bench, patience: Duration) -> Result<Standing> {
    let start = Instant::now();
    loop {
        let standing = Standing::of(bench).await?;
        if standing.is_at_rest() {
            return Ok(standing);
        }
        if start.elapsed() > patience {
            return Err(XtaskError::TimedOut {
                what: "the end of all jobs".to_owned(),
                secs: patience.as_secs(),
                hint: standing.stuck().join("\n"),
            });
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

async fn read<T: DeserializeOwned>(bench: &Bench, path: &str) -> Result<Vec<T>> {
    let items = bench.list(path).await?;
    serde_json::from_value(Value::Array(items)).map_err(|error| XtaskError::Answer {
        context: format!("GET {path}"),
        detail: error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{Job, Node, Standing};
    use serde_json::{Value, json};

    fn standing(job: Value, status: &str) -> Standing {
        let mut whole = json!({
            "id": "job-1", "kind": "node_provision", "state": "running", "done": false,
            "step": "await_run", "attempts": 2, "node_id": "node-1", "waiting_on": null,
            "error": null,
        });
        for (key, value) in job.as_object().unwrap() {
            whole[key] = value.clone();
        }
        let job: Job = serde_json::from_value(whole).unwrap();
        let node: Node = serde_json::from_value(
            json!({ "id": "node-1", "name": "a", "status": status, "server": { "id": 7 } }),
        )
        .unwrap();
        Standing { jobs: vec![job], nodes: vec![node] }
    }

    #[test]
    fn an_open_job_and_a_failure_without_a_reason_are_stuck() {
        let ended = |state: &str| json!({ "state": state, "done": true });
        assert!(standing(ended("succeeded"), "ready").stuck().is_empty());
        assert_eq!(standing(json!({}), "configuring").stuck().len(), 2);
        assert_eq!(standing(ended("failed"), "failed").stuck().len(), 1);
        assert_eq!(standing(ended("failed"), "cleanup_pending").stuck().len(), 2);
        let with_reason = json!({
            "state": "failed", "done": true, "error": { "code": "TASK_LOST", "detail": "3 times" },
        });
        let failed = standing(with_reason, "failed");
        assert!(failed.stuck().is_empty() && failed.is_at_rest());
        assert_eq!(failed.lines()[1], "node_provision of node-1 failed: TASK_LOST: 3 times");
    }
}
