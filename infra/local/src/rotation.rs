//! `cargo xtask rotation`: a token revoked while jobs run and replaced by another, and a managed key
//! replaced on every node, on the deployed functions.
//!
//! The simulator's journal is the judge of what was made twice.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::api::text;
use crate::bench::{Bench, with_stack};
use crate::bundle::Verifier;
use crate::chaos::fleet::{self, Member, Standing};
use crate::chaos::judge;
use crate::cli::{RotationOptions, StackOptions};
use crate::error::{Result, XtaskError};
use crate::report::Report;
use crate::simulator::{PROJECT, PROVIDER_TOKEN};
use crate::workspace::Workspace;

/// How long all jobs may take to come to rest.
const PATIENCE: Duration = Duration::from_secs(300);
const LOOK: Duration = Duration::from_millis(500);
/// How long there is no good token: jobs on their way come to where they need one.
const AWAY: Duration = Duration::from_secs(10);

/// Goes through both on a stack of its own, which it ends.
///
/// # Errors
/// A job did not finish, something was doubled or left over, or a token was taken that must not be.
pub async fn rotation(
    workspace: &Workspace,
    options: &RotationOptions,
    report: Report,
) -> Result<()> {
    let stack = StackOptions::of(options.stack.clone(), options.backing);
    let line = with_stack(workspace, &stack, report, async |bench| play(bench, options.jobs).await);
    println!("{}", line.await?);
    Ok(())
}

async fn play(bench: &Bench, jobs: u32) -> Result<String> {
    let members = fleet::ask_all(bench, (1..=jobs).map(|at| format!("rotation-{at}"))).await?;
    // Some of them have a server by then, some do not.
    let revoked_at = until(bench, "a first server", async || {
        Ok((bench.simulator.server_count().await? > 0).then(Instant::now))
    });
    let revoked_at = revoked_at.await?;
    bench.simulator.revoke_token(PROVIDER_TOKEN).await?;
    let parked = until(bench, "a job that waits for a token", async || {
        let standing = Standing::of(bench).await?;
        Ok(Some(standing.waiting_on("provider_token")).filter(|parked| *parked > 0))
    });
    parked.await?;
    tokio::time::sleep(AWAY).await;
    let parked = Standing::of(bench).await?.waiting_on("provider_token");
    bench.report.line(format!("token revoked; {parked} of {jobs} jobs wait for another"));

    bench.simulator.add_token("stranger", "a-token-of-another-project", "another").await?;
    refused(bench, "a-token-of-another-project", "different_project").await?;
    bench.simulator.put_token("reader", "a-token-that-only-reads", "ro", PROJECT).await?;
    refused(bench, "a-token-that-only-reads", "token_readonly").await?;
    bench.simulator.add_token("second", "another-token-of-the-project", PROJECT).await?;
    let (status, body) = put(bench, "another-token-of-the-project").await?;
    if !status.is_success() {
        return Err(XtaskError::Check(format!("the new token was refused: {status}\n{body:#}")));
    }
    let away_secs = revoked_at.elapsed().as_secs_f64();
    let standing = fleet::rest(bench, PATIENCE).await?;
    if standing.ready().len() != members.len() {
        return Err(XtaskError::Check(standing.lines().join("\n")));
    }
    bench.report.line(format!("all {jobs} are ready, {away_secs:.0} s without a token"));

    let digest = evidence(bench, &members).await?;
    bench.report.line(format!("{jobs} bundles of evidence are signed; one digest: {digest}"));

    let start = Instant::now();
    let rotated = bench.api.call(Method::POST, "/providers/main/rotate-key", None).await?;
    let job = text(&rotated, "/job/id")?;
    let ended = until(bench, "the rotation's end", async || {
        let job = bench.api.get(&format!("/jobs/{job}")).await?;
        Ok(job["done"].as_bool().unwrap_or_default().then_some(job))
    });
    let ended = ended.await?;
    let secs = start.elapsed().as_secs_f64();
    let newest = ended.pointer("/rotation/key_version").cloned().unwrap_or_default();
    let nodes = bench.list("/nodes").await?;
    let moved = nodes.iter().filter(|node| node["ssh_key_version"] == newest).count();
    if ended["state"] != "succeeded" || moved != members.len() {
        return Err(XtaskError::Check(format!("{moved} nodes have version {newest}\n{ended:#}")));
    }

    let keys = Verifier::default().authentic(bench, &job).await?;
    let claims = keys["claims"].as_array().cloned().unwrap_or_default();
    let steps = ["make_key", "settle_nodes", "reach_nodes", "keep_key", "end_job"];
    let is_held =
        |step: &str| claims.iter().any(|claim| claim["step"] == step && claim["verdict"] == "held");
    if !steps.into_iter().all(is_held) {
        return Err(XtaskError::Check(format!("the rotation claims something else\n{claims:#?}")));
    }
    let entries = keys["entries"].as_array().map_or(0, Vec::len);
    bench.report.line(format!("the rotation's evidence is signed: {entries} entries"));

    let attempts = standing.attempts();
    fleet::release_all(bench, standing.ready()).await?;
    let end = fleet::rest(bench, PATIENCE).await?;
    let orphans = judge::left_over(&bench.simulator.world(PROJECT).await?);
    let doubled = judge::duplicates(&bench.simulator.journal().await?, &attempts, 0);
    let stuck = end.stuck();
    let wrong: Vec<&String> = doubled.iter().chain(&orphans).chain(&stuck).collect();
    if !wrong.is_empty() {
        return Err(XtaskError::Check(format!("{wrong:#?}")));
    }
    Ok(format!(
        "rotation: {jobs} jobs finished after {away_secs:.0} s without a token, 2 wrong tokens \
         refused; key replaced on {moved} nodes in {secs:.0} s; 0 duplicates, 0 orphans, 0 stuck"
    ))
}

/// Every provision has left a signed bundle, and all of them claim the same, whatever they waited
/// for on their way.
async fn evidence(bench: &Bench, members: &[Member]) -> Result<String> {
    let mut digests = BTreeSet::new();
    let mut verifier = Verifier::default();
    for Member { job, .. } in members {
        digests.insert(text(&verifier.authentic(bench, job).await?, "/digest")?);
    }
    match digests.len() {
        1 => Ok(digests.pop_first().unwrap_or_default()),
        _ => Err(XtaskError::Check(format!("different digests: {digests:?}"))),
    }
}

async fn put(bench: &Bench, token: &str) -> Result<(StatusCode, Value)> {
    let body = json!({ "provider": "hetzner", "token": token });
    let context = "PUT /providers/main";
    let request = bench.api.authorized(Method::PUT, "/providers/main").json(&body);
    let (status, text) = bench.api.send(request, context).await?;
    Ok((status, serde_json::from_str(&text).unwrap_or_default()))
}

async fn refused(bench: &Bench, token: &str, code: &str) -> Result<()> {
    let (status, problem) = put(bench, token).await?;
    if status == StatusCode::UNPROCESSABLE_ENTITY && problem["code"] == code {
        return Ok(());
    }
    Err(XtaskError::Check(format!("expected {code}, got {status}\n{problem:#}")))
}

/// Looks until there is something, or patience ends.
async fn until<T>(
    bench: &Bench,
    what: &str,
    mut look: impl AsyncFnMut() -> Result<Option<T>>,
) -> Result<T> {
    let start = Instant::now();
    loop {
        if let Some(found) = look().await? {
            return Ok(found);
        }
        if start.elapsed() > PATIENCE {
            let hint = Standing::of(bench).await?.lines().join("\n");
            let (what, secs) = (what.to_owned(), PATIENCE.as_secs());
            return Err(XtaskError::TimedOut { what, secs, hint });
        }
        tokio::time::sleep(LOOK).await;
    }
}
