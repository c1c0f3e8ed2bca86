//! A Python client, generated from the checked-in document, acquires and releases a node.

use serde_json::Value;

use crate::bench::Bench;
use crate::command::{interruptible, read_output, run_quietly};
use crate::error::{IoContext, Result};
use crate::openapi::CURRENT;
use crate::python::Venv;
use crate::workspace::Workspace;

/// What the generated package is called.
const PACKAGE: &str = "nodeyard_client";

/// Generates it and has it do its work. Answers with a line for the report.
///
/// # Errors
/// The generator warned of something it leaves out, or the node was not acquired or not released.
pub async fn acquire(workspace: &Workspace, venv: &Venv, bench: &Bench) -> Result<String> {
    let folder = bench.folder.join("client");
    let mut generator = interruptible(venv.program("openapi-python-client"));
    generator
        .args(["generate", "--overwrite", "--fail-on-warning", "--meta", "none", "--path"])
        .arg(workspace.path(CURRENT))
        .arg("--config")
        .arg(workspace.path("infra/local/contract/client.yaml"))
        .arg("--output-path")
        .arg(folder.join(PACKAGE));
    std::fs::create_dir_all(&folder).at(&folder)?;
    run_quietly(&mut generator).await?;
    let mut script = interruptible(venv.python());
    script
        .arg(workspace.path("infra/local/contract/acquire.py"))
        .env("PYTHONPATH", &folder)
        .env("NODEYARD_URL", bench.api.url())
        .env("NODEYARD_TOKEN", bench.state.token.as_deref().unwrap_or_default());
    let said = read_output(&mut script).await?;
    let told: Value = serde_json::from_str(said.trim()).unwrap_or_default();
    let secs = told["ready_secs"].as_f64().unwrap_or_default();
    Ok(format!("a generated client acquired {} in {secs:.0} s and released it", told["node"]))
}
