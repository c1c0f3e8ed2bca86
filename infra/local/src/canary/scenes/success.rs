//! What goes well: a connection, another token, a node that is acquired, gets another managed key, is
//! configured again and released.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::Stage;
use crate::api::text;
use crate::error::{Result, XtaskError};
use crate::simulator::PROJECT;

/// Between two looks at a node, and how many there are at most.
const LOOK: Duration = Duration::from_millis(100);
const MOST_LOOKS: u32 = 600;

/// # Errors
/// Something did not go well.
pub async fn play(stage: &Stage<'_>) -> Result<()> {
    let node = acquire_one(stage).await?;
    let rotated = stage.bench.api.call(Method::POST, "/providers/main/rotate-key", None).await?;
    stage.wait_for(&text(&rotated, "/job/id")?, &["succeeded"]).await?;
    let path = format!("/nodes/{node}/configure");
    let accepted = stage.bench.api.call(Method::POST, &path, Some(&json!({}))).await?;
    stage.wait_for(&text(&accepted, "/job/id")?, &["succeeded"]).await?;
    let labels = json!({ "labels": { "of": "canary" } });
    stage.bench.api.call(Method::PATCH, &format!("/nodes/{node}"), Some(&labels)).await?;
    stage.release(&node).await?;
    stage.tell("a node was acquired, given another managed key, configured again and released");
    Ok(())
}

/// Rotates to a token that every encoding changes, and acquires a node whose playbook tells all it
/// can see. The provider's answer carries a root password, which it does when no key was given.
///
/// # Errors
/// Something did not go well.
pub async fn acquire_one(stage: &Stage<'_>) -> Result<String> {
    let token = stage.new_token("rotated")?;
    stage.bench.simulator.put_token("rotated", &token, "rw", PROJECT).await?;
    stage.put_token("main", &token).await?;
    let password = crate::random::hex(16)?;
    stage.plant("root password", &password);
    let fault = json!({
        "match": { "method": "POST", "path": "/servers", "token": "rotated" },
        "fault": { "kind": "set_fields", "fields": { "/root_password": password } },
    });
    stage.bench.simulator.arm(&fault).await?;
    // Slowly: the first host key is shown only until it is replaced.
    let asked = stage.ask("canary-good", "main", json!({ "pry": true, "secs": 1 })).await?;
    first_host_key_shown(stage, &asked.node).await?;
    match stage.wait_for_end(&asked.job).await?.as_str() {
        "succeeded" => Ok(asked.node),
        other => Err(XtaskError::Check(format!("the node that was to be ready: {other}"))),
    }
}

/// Reads the node until it shows the host key that its user data delivered.
async fn first_host_key_shown(stage: &Stage<'_>, node: &str) -> Result<()> {
    for _ in 0..MOST_LOOKS {
        let shown = stage.bench.api.get(&format!("/nodes/{node}")).await?;
        if shown.pointer("/ssh/known_hosts").is_some_and(Value::is_string) {
            return Ok(());
        }
        tokio::time::sleep(LOOK).await;
    }
    Err(XtaskError::Check(format!("{node} never showed a host key")))
}
