//! The templates: cfn-lint, `sam validate --lint` and checkov, each without a network.

use crate::command::{interruptible, run_quietly};
use crate::error::Result;
use crate::python::{self, Venv};
use crate::report::Report;
use crate::signal::unless_interrupted;
use crate::workspace::Workspace;

const TEMPLATE: &str = "infra/template.yaml";
const BOOTSTRAP: &str = "infra/bootstrap.yaml";

/// Runs the three of them; what is skipped is said in the templates, with why.
///
/// # Errors
/// One of them found something; with what it said.
pub async fn check(workspace: &Workspace, venv: &Venv, report: Report) -> Result<()> {
    let sam = Venv::ensure_apart("sam", workspace, python::SAM, report).await?;
    let checkov = Venv::ensure_apart("checkov", workspace, python::CHECKOV, report).await?;
    let checks: [(&Venv, &[&str]); 3] = [
        (venv, &["cfn-lint", "--", TEMPLATE, BOOTSTRAP]),
        // It knows SAM alone, so not the other template.
        (&sam, &["sam", "validate", "--lint", "--template", TEMPLATE]),
        (
            &checkov,
            &[
                "checkov",
                "--framework",
                "cloudformation",
                "--compact",
                "--quiet",
                // It would ask its makers' server for texts to go with its findings.
                "--skip-download",
                "--file",
                TEMPLATE,
                BOOTSTRAP,
            ],
        ),
    ];
    for (venv, words) in checks {
        let Some((program, arguments)) = words.split_first() else { continue };
        let mut command = interruptible(venv.program(program));
        command
            .args(arguments)
            .current_dir(workspace.root())
            .env("SAM_CLI_TELEMETRY", "0")
            .env("AWS_DEFAULT_REGION", "eu-central-1");
        unless_interrupted(run_quietly(&mut command)).await?;
    }
    Ok(())
}
