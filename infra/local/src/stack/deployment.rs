//! Deploys `infra/template.yaml` to the emulator, through CloudFormation.

use std::time::Instant;

use serde_json::Value;

use crate::binaries::Binaries;
use crate::cli::{Architecture, StackOptions};
use crate::error::{Result, XtaskError};
use crate::package::Release;
use crate::python::{Venv, run_script};
use crate::report::Report;
use crate::state::StackState;
use crate::workspace::Workspace;

/// What the template calls this deployment.
pub const DEPLOYMENT: &str = "local";

/// Packs the functions and creates the CloudFormation stack; what it answers
/// with goes into the state.
///
/// # Errors
/// A resource could not be created, or an output is missing.
pub async fn deploy(
    workspace: &Workspace,
    options: &StackOptions,
    venv: &Venv,
    binaries: &Binaries,
    state: &mut StackState,
    report: Report,
) -> Result<()> {
    let start = Instant::now();
    let code = if options.packaged {
        Release::of(workspace).zips(Architecture::OWN)
    } else {
        let code = workspace.stack(&options.stack).join("functions");
        binaries.strip_functions(&code).await?;
        code
    };
    let parameters = [
        format!("Deployment={DEPLOYMENT}"),
        format!("Architecture={}", Architecture::OWN.word()),
        format!("HetznerEndpoint={}/v1", state.simulator_url),
        format!("EcsEndpoint={}", state.ecs_url),
        // Machines are in a network of their own, where only container tasks are.
        "TrySshPorts=false".to_owned(),
        "TaskImage=nodeyard-ansible-task".to_owned(),
        "RetainData=false".to_owned(),
        format!("LogLevel={}", options.probe.log_level.as_deref().unwrap_or("info")),
    ];
    let mut arguments = vec![
        "deploy".to_owned(),
        "--endpoint".to_owned(),
        state.aws_url.clone(),
        "--template".to_owned(),
        workspace.path("infra/template.yaml").display().to_string(),
        "--stack".to_owned(),
        "nodeyard".to_owned(),
        "--code".to_owned(),
        code.display().to_string(),
    ];
    arguments.extend(parameters.into_iter().flat_map(|pair| ["--set".to_owned(), pair]));
    let script = workspace.path("infra/local/deploy.py");
    let printed = run_script(venv, &script, &arguments).await?;
    let outputs: Value = serde_json::from_str(&printed).unwrap_or_default();
    state.api_url = Some(output(&outputs, "ApiUrl")?);
    state.queue_url = Some(output(&outputs, "WakeQueueUrl")?);
    state.token = Some(output(&outputs, "BootstrapSecret")?);
    state.save(workspace)?;
    report.took(start, "infra/template.yaml deployed");
    Ok(())
}

fn output(outputs: &Value, name: &str) -> Result<String> {
    outputs.get(name).and_then(Value::as_str).map(str::to_owned).ok_or_else(|| XtaskError::Answer {
        context: "deployment".to_owned(),
        detail: format!("the stack has no output {name}"),
    })
}
