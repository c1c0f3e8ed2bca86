//! `cargo xtask environment`: what a shell needs to run the functions of a stack
//! by `cargo lambda watch`, and to talk to it.

use std::collections::BTreeMap;

use crate::error::{Result, XtaskError};
use crate::python::{self, Venv, run_script};
use crate::report::Report;
use crate::state::StackState;
use crate::workspace::Workspace;

/// The deployed function whose variables are asked for; they are the same for all three.
const FUNCTION: &str = "nodeyard-local-worker";

/// Prints `export` lines; cargo-lambda comes with them.
///
/// # Errors
/// The stack is not up, or does not answer.
pub async fn print(workspace: &Workspace, stack: &str) -> Result<()> {
    let Some(state) = StackState::load(workspace, stack)? else {
        return Err(XtaskError::NotUp(stack.to_owned()));
    };
    let wanted = [python::STACK, python::TESTS].concat();
    let venv = Venv::ensure(workspace, &wanted, Report::aside()).await?;
    let mut variables = of_functions(workspace, &venv, &state).await?;
    let known = |value: &Option<String>| value.clone().unwrap_or_default();
    variables.extend([
        ("URL".to_owned(), known(&state.api_url)),
        ("TOKEN".to_owned(), known(&state.token)),
        ("HCLOUD_TOKEN".to_owned(), state.provider_token.clone()),
        ("WAKE_QUEUE_URL".to_owned(), known(&state.queue_url)),
    ]);
    // What version 1 of the AWS CLI reads in its place.
    if let Some(region) = variables.get("AWS_REGION").cloned() {
        variables.insert("AWS_DEFAULT_REGION".to_owned(), region);
    }
    for (name, value) in variables {
        println!("export {name}={}", quoted(&value));
    }
    println!("export PATH={}:\"$PATH\"", quoted(&venv.programs().display().to_string()));
    Ok(())
}

/// The variables that the deployed functions get, and what leads them to the emulator.
///
/// # Errors
/// The emulator does not answer, or has no such function.
pub async fn of_functions(
    workspace: &Workspace,
    venv: &Venv,
    state: &StackState,
) -> Result<BTreeMap<String, String>> {
    let words = ["environment", "--endpoint", &state.aws_url, "--function", FUNCTION];
    let script = workspace.path("infra/local/deploy.py");
    let printed = run_script(venv, &script, &words.map(str::to_owned)).await?;
    let mut variables: BTreeMap<String, String> =
        serde_json::from_str(&printed).map_err(|error| XtaskError::Answer {
            context: format!("the environment of {FUNCTION}"),
            detail: error.to_string(),
        })?;
    let aws = [
        ("AWS_ENDPOINT_URL", state.aws_url.as_str()),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
    ];
    variables.extend(aws.map(|(name, value)| (name.to_owned(), value.to_owned())));
    Ok(variables)
}

/// A word as a POSIX shell reads it back.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_shell_reads_back_what_was_quoted() {
        for word in ["", "a b", "it's", "$HOME `x` \"y\" \\", "two\nlines"] {
            let script = format!("printf %s {}", quoted(word));
            let shell = std::process::Command::new("sh").args(["-c", &script]).output();
            assert_eq!(shell.map(|it| it.stdout).ok().as_deref(), Some(word.as_bytes()));
        }
    }
}
