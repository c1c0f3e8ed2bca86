//! `cargo xtask test`: everything that must pass, in the order that finds
//! cheap faults first. The test runner comes last, so that its summary is
//! the last thing printed.

mod cargo_lambda;
mod killed_stack;
mod step;
mod templates;

use std::time::Instant;

use crate::canary;
use crate::chaos;
use crate::cli::{
    BackingKind, CanaryOptions, ChaosOptions, DemoOptions, PeerOptions, ProfilesOptions,
    ProofOptions, RotationOptions, SchemathesisOptions, SizesOptions, StackOptions, TestOptions,
};
use crate::command::{on_path, run_aloud, run_quietly};
use crate::contract;
use crate::demo;
use crate::error::{Result, XtaskError};
use crate::peer;
use crate::prerequisites;
use crate::profiles;
use crate::proof;
use crate::python::{self, Venv};
use crate::report::Report;
use crate::rotation;
use crate::signal::unless_interrupted;
use crate::sizes;
use crate::workspace::Workspace;

use step::{Action, STEPS, Step};

/// Runs the steps; the first one that fails ends the test.
///
/// # Errors
/// A step failed; it has said why itself.
pub async fn test(workspace: &Workspace, options: &TestOptions, report: Report) -> Result<()> {
    prerequisites::ensure(prerequisites::STACK, report).await?;
    let wanted = [python::STACK, python::TESTS].concat();
    let venv = Venv::ensure(workspace, &wanted, report).await?;
    let wanted = |step: &&Step| options.only.as_ref().is_none_or(|it| step.name.contains(it));
    let steps: Vec<&Step> = STEPS.iter().filter(wanted).collect();
    if steps.is_empty() {
        let names: Vec<_> = STEPS.iter().map(|step| step.name).collect();
        return Err(XtaskError::Check(format!("no such step; there are: {}", names.join(", "))));
    }
    for step in steps {
        report.line(format!("test step: {}", step.name));
        let start = Instant::now();
        run(workspace, &venv, step, report).await?;
        if step.name != STEPS.last().map_or("", |last| last.name) {
            report.took(start, format!("{}: passed", step.name));
        }
    }
    Ok(())
}

async fn run(workspace: &Workspace, venv: &Venv, step: &Step, report: Report) -> Result<()> {
    match step.action {
        Action::Program(words) => {
            unless_interrupted(run_aloud(&mut step::command(workspace, venv, words))).await
        }
        Action::Playbooks(words) => {
            let mut command = step::command(workspace, venv, words);
            command.current_dir(workspace.path("playbooks")).args(step::playbooks(workspace)?);
            unless_interrupted(run_quietly(&mut command)).await
        }
        Action::InPlaybooks(words) => {
            let mut command = step::command(workspace, venv, words);
            command.current_dir(workspace.path("playbooks"));
            unless_interrupted(run_quietly(&mut command)).await
        }
        Action::Templates => templates::check(workspace, venv, report).await,
        Action::CargoLambda => cargo_lambda::check(workspace, venv, report).await,
        Action::KilledStack => killed_stack::check(workspace, report).await,
        Action::DemoWithoutMachines => {
            demo::demo(workspace, &demo_without_machines(), report).await
        }
        Action::Chaos => chaos::chaos(workspace, &short_chaos(), report).await,
        Action::Rotation => {
            let (stack, backing) = ("test-rotation".to_owned(), BackingKind::None);
            let options = RotationOptions { stack, backing, jobs: 10 };
            rotation::rotation(workspace, &options, report).await
        }
        Action::Canary => canary::check(workspace, &short_canary(), report).await,
        Action::Sizes => {
            let stack = "test-sizes".to_owned();
            let options = SizesOptions { stack, events: 50_000, output_mb: 20 };
            sizes::sizes(workspace, &options, report).await
        }
        Action::Profiles => {
            let options = ProfilesOptions { stack: "test-profiles".to_owned(), short: true };
            profiles::profiles(workspace, &options, report).await
        }
        Action::Acceptance => {
            let options = ProofOptions { stack: "test-acceptance".to_owned(), short: true };
            proof::acceptance(workspace, &options, report).await
        }
        Action::Peer => {
            let options = PeerOptions { stack: "test-peer".to_owned(), runs: 1 };
            peer::peer(workspace, &options, report).await
        }
        Action::Schemathesis => {
            let stack = "test-schemathesis".to_owned();
            let options = SchemathesisOptions { stack, secs: 60, seed: 1 };
            contract::check(workspace, &options, report).await
        }
        Action::Tests => {
            let words: &[&str] = if on_path("cargo-nextest") {
                &["cargo", "nextest", "run", "--workspace", "--no-fail-fast"]
            } else {
                &["cargo", "test", "--workspace"]
            };
            if let Some(left_out) = step::left_out(workspace) {
                report.line(left_out);
            }
            unless_interrupted(run_aloud(&mut step::command(workspace, venv, words))).await
        }
    }
}

/// Everything but the machines.
fn short_canary() -> CanaryOptions {
    CanaryOptions {
        stack: "test-canary".to_owned(),
        backing: BackingKind::None,
        log: "debug".to_owned(),
        leak: false,
    }
}

/// What about a minute allows, another one each time.
fn short_chaos() -> ChaosOptions {
    ChaosOptions {
        stack: "test-chaos".to_owned(),
        backing: BackingKind::None,
        acquisitions: 6,
        seed: None,
        short: true,
    }
}

/// Functions, queue, table and simulator as deployed; only the machines are missing.
fn demo_without_machines() -> DemoOptions {
    DemoOptions {
        stack: StackOptions::of("test".to_owned(), BackingKind::None),
        nodes: 2,
        profile: "web".to_owned(),
        keep: false,
    }
}
