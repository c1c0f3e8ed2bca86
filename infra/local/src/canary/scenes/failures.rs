//! What goes wrong: with the token, the provider, the run, the task and the worker. Each kind has a
//! connection and a project of its own, so that none gets into another's way.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use super::{LOOK, PATIENCE_SECS, PATIENCE_WITH_MACHINES_SECS, Stage};
use crate::ecs::running_tasks;
use crate::error::{Result, XtaskError};
use crate::process::Identity;

/// What the first wake of a job may take to reach the worker.
const PANIC_TIME: Duration = Duration::from_secs(8);

/// # Errors
/// A failure that was to happen did not, or not in time.
pub async fn play(stage: &Stage<'_>) -> Result<()> {
    reader(stage).await?;
    let outcomes = tokio::join!(
        revoked(stage),
        turned_reader(stage),
        refused(stage),
        no_capacity(stage),
        run_fails(stage),
        task_is_killed(stage),
        cancelled(stage),
        worker_panics(stage),
    );
    let (a, b, c, d, e, f, g, h) = outcomes;
    a.and(b).and(c).and(d).and(e).and(f).and(g).and(h)
}

/// A token that can only read is stored as degraded, and takes no nodes.
async fn reader(stage: &Stage<'_>) -> Result<()> {
    let token = stage.new_token("reader")?;
    stage.bench.simulator.put_token("reader", &token, "ro", "project-reader").await?;
    stage.put_token("reader", &token).await?;
    expect_refusal(
        stage,
        "a node on a read-only connection",
        "/nodes",
        json!({ "connection": "reader" }),
    )
    .await?;
    // The token of another project, and one of a project that has a connection.
    for (what, connection) in
        [("another project's token", "main"), ("a connected project's", "twice")]
    {
        let stranger = stage.new_token(what)?;
        let project =
            if connection == "main" { "project-strange" } else { crate::simulator::PROJECT };
        stage.bench.simulator.add_token(connection_token(connection), &stranger, project).await?;
        let body = json!({ "provider": "hetzner", "token": stranger });
        let path = format!("/providers/{connection}");
        let request = stage.bench.api.request(Method::PUT, &path).json(&body);
        let request = request.bearer_auth(stage.bench.state.token.as_deref().unwrap_or_default());
        let (status, _) = stage.bench.api.send(request, what).await?;
        if !status.is_client_error() {
            return Err(XtaskError::Check(format!("{what}: {status}")));
        }
    }
    stage.tell("a reader's token and tokens of other projects were refused");
    Ok(())
}

fn connection_token(connection: &str) -> &str {
    if connection == "main" { "stranger" } else { "twice" }
}

async fn expect_refusal(stage: &Stage<'_>, what: &str, path: &str, body: Value) -> Result<()> {
    let request = stage.bench.api.request(Method::POST, path).json(&body);
    let request = request.bearer_auth(stage.bench.state.token.as_deref().unwrap_or_default());
    let (status, _) = stage.bench.api.send(request, what).await?;
    if status.is_client_error() {
        Ok(())
    } else {
        Err(XtaskError::Check(format!("{what}: {status}")))
    }
}

/// The token is revoked under a running job, which goes on with the next one.
async fn revoked(stage: &Stage<'_>) -> Result<()> {
    stage.connect("revoked").await?;
    // The create takes long enough for the token to be gone before the job needs it again.
    let calls = json!({ "method": "POST", "path": "/servers", "token": "revoked" });
    let slow = json!({ "match": calls, "fault": { "kind": "slow", "secs": 2 } });
    stage.bench.simulator.arm(&slow).await?;
    let asked = stage.ask("canary-revoked", "revoked", json!({})).await?;
    stage.wait_for(&asked.job, &["create_server"]).await?;
    stage.bench.simulator.revoke_token("revoked").await?;
    stage.wait_for(&asked.job, &["provider_token"]).await?;
    stage.invoke_health("check").await;
    let token = stage.new_token("after revocation")?;
    stage.bench.simulator.add_token("revoked-next", &token, "project-revoked").await?;
    stage.put_token("revoked", &token).await?;
    stage.wait_for(&asked.job, &["succeeded"]).await?;
    stage.release(&asked.node).await?;
    stage.tell("a token was revoked under a job, which went on with the next one");
    Ok(())
}

/// The token loses its right to write between the connect and the create.
async fn turned_reader(stage: &Stage<'_>) -> Result<()> {
    let token = stage.connect("turned").await?;
    stage.bench.simulator.put_token("turned", &token, "ro", "project-turned").await?;
    let asked = stage.ask("canary-turned", "turned", json!({})).await?;
    stage.wait_for(&asked.job, &["provider_token", "failed"]).await?;
    stage.cancel(&asked.job).await;
    stage.tell("a token that lost its right to write was noticed");
    Ok(())
}

/// The provider refuses the create, in words that repeat what it was sent.
async fn refused(stage: &Stage<'_>) -> Result<()> {
    let token = stage.connect("refused").await?;
    let message = format!("not with `{token}`: Authorization: Bearer {token}");
    let fault = json!({
        "match": { "method": "POST", "path": "/servers", "token": "refused" }, "times": null,
        "fault": { "kind": "error", "code": "invalid_input", "message": message },
    });
    stage.bench.simulator.arm(&fault).await?;
    let asked = stage.ask("canary-refused", "refused", json!({})).await?;
    stage.wait_for(&asked.job, &["failed"]).await?;
    stage.tell("the provider refused a create, with the token in its words");
    Ok(())
}

/// The location has no server left.
async fn no_capacity(stage: &Stage<'_>) -> Result<()> {
    stage.connect("full").await?;
    let fault = json!({
        "match": { "method": "POST", "path": "/servers", "token": "full" }, "times": null,
        "fault": { "kind": "error", "code": "resource_unavailable" },
    });
    stage.bench.simulator.arm(&fault).await?;
    let asked = stage.ask("canary-full", "full", json!({})).await?;
    stage.wait_for(&asked.job, &["capacity", "failed"]).await?;
    stage.cancel(&asked.job).await;
    stage.tell("no capacity was met");
    Ok(())
}

/// The playbook fails, and says all it can see. With machines it is refused what it asks for.
async fn run_fails(stage: &Stage<'_>) -> Result<()> {
    stage.connect("fails").await?;
    // A time zone of the right form that is on no map: a real playbook fails at it.
    let told = json!({ "pry": true, "failure": true });
    let vars = json!({ "timezone": "No/Where" });
    let asked = stage.ask_with("canary-fails", "fails", told, vars).await?;
    let end = stage.wait_for_end(&asked.job).await?;
    if end == "succeeded" {
        return Err(XtaskError::Check("a run that was to fail succeeded".to_owned()));
    }
    stage.tell(format!("a run that was to fail: {end}"));
    Ok(())
}

/// The container task dies, and is started again or not.
async fn task_is_killed(stage: &Stage<'_>) -> Result<()> {
    stage.connect("killed").await?;
    let asked = stage.ask("canary-killed", "killed", slow_run(stage)).await?;
    let task = running_task(stage, &asked.job).await?;
    task.kill();
    stage.tell("a container task was killed");
    stage.cancel(&asked.job).await;
    stage.wait_for_end(&asked.job).await.map(drop)
}

/// The job is cancelled while its playbook runs.
async fn cancelled(stage: &Stage<'_>) -> Result<()> {
    stage.connect("cancelled").await?;
    let asked = stage.ask("canary-cancelled", "cancelled", slow_run(stage)).await?;
    running_task(stage, &asked.job).await?;
    stage.cancel(&asked.job).await;
    stage.wait_for(&asked.job, &["cancelled"]).await?;
    stage.tell("a run was cancelled");
    Ok(())
}

/// The worker panics with the token in its hands: planted, in debug builds.
async fn worker_panics(stage: &Stage<'_>) -> Result<()> {
    stage.connect("panics").await?;
    let asked = stage.ask("canary-panics", "panics", json!({})).await?;
    // The panic gives the wake back to the queue, where it stays for minutes. Whether there was one
    // is seen in the worker's log, at the end.
    tokio::time::sleep(PANIC_TIME).await;
    let job = stage.bench.api.get(&format!("/jobs/{}", asked.job)).await?;
    if job.get("done").and_then(Value::as_bool) == Some(true) {
        return Err(XtaskError::Check("a job whose worker was to panic has ended".to_owned()));
    }
    stage.tell("the worker was given a job that makes it panic");
    Ok(())
}

/// The stand-in for Ansible takes its time; a real one does by itself.
fn slow_run(stage: &Stage<'_>) -> Value {
    if stage.has_machines() { json!({}) } else { json!({ "secs": 20 }) }
}

/// The container task of a job, once it runs a playbook.
async fn running_task(stage: &Stage<'_>, job: &str) -> Result<Identity> {
    let secs = if stage.has_machines() { PATIENCE_WITH_MACHINES_SECS } else { PATIENCE_SECS };
    let deadline = Instant::now() + Duration::from_secs(secs);
    let is_of_job = |task: &Identity| {
        let words = std::fs::read(format!("/proc/{}/cmdline", task.pid)).unwrap_or_default();
        words.windows(job.len()).any(|window| window == job.as_bytes())
    };
    while Instant::now() < deadline {
        let tasks = running_tasks(&stage.bench.tasks_folder());
        if let Some(task) = tasks.into_iter().find(is_of_job) {
            // Long enough for keys to be loaded and a playbook to be started.
            tokio::time::sleep(Duration::from_secs(2)).await;
            return Ok(task);
        }
        tokio::time::sleep(LOOK).await;
    }
    Err(XtaskError::TimedOut { what: format!("a task of {job}"), secs, hint: String::new() })
}

impl Stage<'_> {
    /// What has ended meanwhile refuses, rightly.
    async fn cancel(&self, job: &str) {
        let _ = self.bench.api.call(Method::POST, &format!("/jobs/{job}/cancel"), None).await;
    }
}
