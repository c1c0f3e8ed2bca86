//! A node broken in every way and repaired: each gives its code and no other, and clears.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use super::Site;
use super::breakage::{BREAKAGES, Breakage, WARNING};
use super::root_shell::RootShell;
use crate::error::{Result, XtaskError};
use crate::profiles::node::ProfileNode;
use crate::simulator::PROJECT;

/// How long a machine that was switched on takes to let anybody in.
const BOOT: Duration = Duration::from_secs(90);
const LOOK: Duration = Duration::from_secs(2);

/// Breaks and repairs the node, and gives it back without its server. Answers with the codes seen.
///
/// # Errors
/// A code that was to come did not, or another came, or one did not clear.
pub async fn broken_and_repaired(site: &Site<'_>, node: &ProfileNode) -> Result<Vec<String>> {
    let mut seen = Vec::new();
    let mut shell = RootShell::open(&site.login, &node.login_lines()).await?;
    for breakage in BREAKAGES {
        let since = Instant::now();
        shell.run(breakage.plant).await?;
        not_ready(site, node, breakage.code).await?;
        shell.run(breakage.repair).await?;
        ready(site, node).await?;
        site.bench.report.took(since, format!("{}: seen, and cleared", breakage.code));
        seen.push(breakage.code.to_owned());
    }
    warned(site, node, &mut shell).await?;
    seen.push(WARNING.code.to_owned());
    drop(shell);

    let shown = check(site, node).await?;
    let server = shown.pointer("/server/id").and_then(Value::as_u64).unwrap_or_default();
    let token = site.bench.state.provider_token.as_str();
    let path = |action: &str| format!("/v1/servers/{server}{action}");
    site.bench.simulator.act(token, Method::POST, &path("/actions/poweroff")).await?;
    not_ready(site, node, "provider_server_off").await?;
    site.bench.simulator.act(token, Method::POST, &path("/actions/poweron")).await?;
    booted(site, node).await?;
    ready(site, node).await?;
    seen.push("provider_server_off".to_owned());

    // Rebuilt, it boots with the host key that its user data delivered, which was retired.
    site.bench.simulator.rebuild(server).await?;
    rebuilt(site, node, server).await?;
    not_ready(site, node, "host_key_mismatch").await?;
    let job = node.work(site.bench, "configure", &json!({})).await?;
    if job.pointer("/error/code").and_then(Value::as_str) != Some("NODE_HOST_KEY_MISMATCH") {
        return Err(XtaskError::Check(format!("a rebuilt server was configured\n{job:#}")));
    }
    not_ready(site, node, "host_key_mismatch").await?;

    site.bench.simulator.act(token, Method::DELETE, &path("")).await?;
    not_ready(site, node, "provider_server_missing").await?;
    // It stays so, however often it is looked at, until somebody gives the node back.
    not_ready(site, node, "provider_server_missing").await?;
    seen.push("provider_server_missing".to_owned());
    node.release(site.bench).await?;
    Ok(seen)
}

/// The node after a check.
async fn check(site: &Site<'_>, node: &ProfileNode) -> Result<Value> {
    let job = node.work(site.bench, "check", &json!({})).await?;
    if job["state"] != "succeeded" {
        return Err(XtaskError::Check(format!("a check has no verdict\n{job:#}")));
    }
    site.bench.api.get(&format!("/nodes/{}", node.id)).await
}

fn failing(node: &Value) -> Vec<&str> {
    let findings = node.pointer("/readiness/findings").and_then(Value::as_array);
    findings
        .into_iter()
        .flatten()
        .filter(|finding| finding["ok"] == false && finding["warning"] == false)
        .filter_map(|finding| finding["code"].as_str())
        .collect()
}

async fn not_ready(site: &Site<'_>, node: &ProfileNode, code: &str) -> Result<()> {
    let seen = check(site, node).await?;
    let guided = seen.pointer("/readiness/findings").and_then(Value::as_array).is_some_and(|all| {
        all.iter().any(|finding| finding["code"] == code && finding["guidance"].is_string())
    });
    let since = seen.pointer("/readiness/since").is_some_and(Value::is_string);
    if seen["status"] == "not_ready" && failing(&seen) == [code] && guided && since {
        return Ok(());
    }
    Err(XtaskError::Check(format!("expected not_ready with {code}\n{seen:#}")))
}

async fn ready(site: &Site<'_>, node: &ProfileNode) -> Result<()> {
    let seen = check(site, node).await?;
    if seen["status"] == "ready" && failing(&seen).is_empty() {
        return Ok(());
    }
    Err(XtaskError::Check(format!("expected ready\n{seen:#}")))
}

async fn warned(site: &Site<'_>, node: &ProfileNode, shell: &mut RootShell) -> Result<()> {
    let Breakage { code, plant, repair } = WARNING;
    shell.run(plant).await?;
    let seen = check(site, node).await?;
    let told = seen.pointer("/readiness/findings").and_then(Value::as_array).is_some_and(|all| {
        all.iter().any(|it| it["code"] == code && it["ok"] == false && it["warning"] == true)
    });
    if seen["status"] != "ready" || !told {
        return Err(XtaskError::Check(format!(
            "expected ready, with {code} as a warning\n{seen:#}"
        )));
    }
    shell.run(repair).await?;
    ready(site, node).await
}

/// Waits until the provider says that the server runs, and a machine answers that is not the one we
/// know.
async fn rebuilt(site: &Site<'_>, node: &ProfileNode, server: u64) -> Result<()> {
    let since = Instant::now();
    loop {
        let world = site.bench.simulator.world(PROJECT).await?;
        let runs = world.servers.iter().any(|it| it.id == server && it.status == "running");
        let said = site.login.run(&node.login_lines(), "true", None).await;
        match said.err().map(|error| error.to_string()) {
            Some(why) if runs && why.contains("Host key verification failed") => return Ok(()),
            why if since.elapsed() > BOOT => {
                return Err(XtaskError::Check(format!("not rebuilt: {why:?}")));
            }
            _ => tokio::time::sleep(LOOK).await,
        }
    }
}

/// Waits until the machine lets us in again.
async fn booted(site: &Site<'_>, node: &ProfileNode) -> Result<()> {
    let since = Instant::now();
    loop {
        match site.login.run(&node.login_lines(), "cloud-init status --wait", None).await {
            Ok(_) => return Ok(()),
            Err(error) if since.elapsed() > BOOT => return Err(error),
            Err(_) => tokio::time::sleep(LOOK).await,
        }
    }
}
