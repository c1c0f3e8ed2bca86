//! The provider's own Python client, which retries as its authors decided.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{FAULTS, Outcome};
use crate::bench::Bench;
use crate::command::{interruptible, read_output};
use crate::error::Result;
use crate::python::Venv;
use crate::workspace::Workspace;

/// What the journal calls its token; its project holds nothing else.
const TOKEN: &str = "peer";
const PROJECT: &str = "peer";

/// Creates servers one after the other, each under its fault.
///
/// # Errors
/// The client could not be run.
pub async fn run(
    workspace: &Workspace,
    venv: &Venv,
    bench: &Bench,
    runs: u32,
) -> Result<Vec<Outcome>> {
    let secret = crate::random::hex(16)?;
    bench.simulator.add_token(TOKEN, &secret, PROJECT).await?;
    let script = workspace.path("infra/local/peer_client.py");
    let mut known = BTreeSet::new();
    for fault in FAULTS {
        for number in 1..=runs {
            bench.simulator.arm(&fault.of_create(TOKEN, 1)).await?;
            let mut client = interruptible(venv.python());
            client
                .arg(&script)
                .arg(name(fault.kind(), number))
                .env("HCLOUD_TOKEN", &secret)
                .env("HCLOUD_ENDPOINT", format!("{}/v1", bench.state.simulator_url));
            let answer: Value =
                serde_json::from_str(&read_output(&mut client).await?).unwrap_or_default();
            if let Some(id) = answer.get("id").and_then(Value::as_u64) {
                known.insert(id);
            }
            let told = answer.get("error").and_then(Value::as_str).unwrap_or("it has the id");
            bench.report.line(format!("client, {}: {told}", fault.shown()));
        }
    }
    let world = bench.simulator.world(PROJECT).await?;
    let journal = bench.simulator.journal().await?;
    let of_fault = |fault: super::Fault| {
        let is_named = |it: &str| (1..=runs).any(|number| it == name(fault.kind(), number));
        let unowned = |id: &u64| !known.contains(id);
        Outcome {
            unowned: world
                .servers
                .iter()
                .filter(|server| is_named(&server.name) && unowned(&server.id))
                .count(),
            posts: journal
                .iter()
                .filter(|entry| entry.is_create() && entry.token.as_deref() == Some(TOKEN))
                .filter(|entry| entry.name.as_deref().is_some_and(is_named))
                .count(),
            ..Outcome::default()
        }
    };
    Ok(FAULTS.into_iter().map(of_fault).collect())
}

fn name(kind: &str, number: u32) -> String {
    format!("{}-{number}", kind.replace('_', "-"))
}
