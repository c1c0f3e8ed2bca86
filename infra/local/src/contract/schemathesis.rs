//! Schemathesis: requests made up from the document the API serves, good ones and bad ones, alone
//! and in chains along its links. Every answer has to be one the document knows.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;
use std::process::Stdio;

use reqwest::Method;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::api::text;
use crate::bench::Bench;
use crate::cli::SchemathesisOptions;
use crate::command::interruptible;
use crate::error::{IoContext, Result, XtaskError};
use crate::python::Venv;
use crate::workspace::Workspace;

/// Where fewer than one answer in so many is 2xx, it has tested little but refusals: its token may
/// be gone, or the connection.
const GOOD_ONE_IN: u64 = 20;
/// Each has its share of the time, so that one that has much to try does not take it all.
const PHASES: [&str; 2] = ["examples,coverage,fuzzing", "stateful"];

/// What came of a run.
#[derive(Debug, PartialEq)]
pub struct Tally {
    seed: u64,
    cases: u64,
    /// Cases whose answer was not what the document says, and those that could not be tried.
    failures: u64,
    /// Answers by operation and status.
    answers: BTreeMap<String, u64>,
}

/// What Schemathesis writes at its end.
#[derive(Debug, Deserialize)]
struct Told {
    test_cases: Cases,
}

#[derive(Debug, Deserialize)]
struct Cases {
    generated: u64,
    with_failures: u64,
    errored: u64,
}

impl Tally {
    /// Answers 2xx, with the operation of each.
    fn good(&self) -> impl Iterator<Item = (&str, u64)> {
        self.answers.iter().filter_map(|(line, count)| {
            let (operation, status) = line.rsplit_once(' ')?;
            status.starts_with('2').then_some((operation, *count))
        })
    }

    fn good_count(&self) -> u64 {
        self.good().map(|(_, count)| count).sum()
    }

    /// No answer was wrong, and enough of them were good.
    pub fn holds(&self) -> bool {
        let good = self.good_count();
        self.failures == 0 && good * GOOD_ONE_IN >= self.cases && good > 0
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let operations: BTreeSet<&str> = self.good().map(|(operation, _)| operation).collect();
        write!(
            out,
            "schemathesis: {} cases, {} answered with 2xx on {} operations; {} failures (seed {})",
            self.cases,
            self.good_count(),
            operations.len(),
            self.failures,
            self.seed
        )
    }
}

/// Runs it for as long as it may take.
///
/// # Errors
/// It could not be run. What it found is in the tally, and was printed.
pub async fn run(
    workspace: &Workspace,
    venv: &Venv,
    bench: &Bench,
    options: &SchemathesisOptions,
) -> Result<Tally> {
    let secret = token(bench).await?;
    let kept: Vec<String> = bench
        .list("/tokens")
        .await?
        .iter()
        .filter_map(|token| token["id"].as_str().map(str::to_owned))
        .collect();
    let drill = Drill { workspace, venv, bench, options, secret, kept: kept.join(",") };
    let mut whole = Tally { seed: options.seed, cases: 0, failures: 0, answers: BTreeMap::new() };
    for phases in PHASES {
        let part = drill.run(phases).await?;
        whole.cases += part.cases;
        whole.failures += part.failures;
        for (line, count) in part.answers {
            *whole.answers.entry(line).or_default() += count;
        }
    }
    Ok(whole)
}

struct Drill<'a> {
    workspace: &'a Workspace,
    venv: &'a Venv,
    bench: &'a Bench,
    options: &'a SchemathesisOptions,
    secret: String,
    kept: String,
}

impl Drill<'_> {
    async fn run(&self, phases: &str) -> Result<Tally> {
        let (bench, seed) = (self.bench, self.options.seed);
        let counted = bench.folder.join("answers.json");
        let report = bench.folder.join("schemathesis.json");
        let secs = self.options.secs.div_ceil(PHASES.len() as u32);
        let folder = self.workspace.path("infra/local/contract");
        let mut program = interruptible(self.venv.program("schemathesis"));
        program
            .arg("--config-file")
            .arg(folder.join("schemathesis.toml"))
            .args(["--no-color", "run", &format!("{}/openapi.json", bench.api.url())])
            .args(["--url", bench.api.url(), "--phases", phases])
            .args(["--max-time", &secs.to_string(), "--seed", &seed.to_string()])
            .arg("--report-json-path")
            .arg(&report)
            // It keeps notes of failures where it runs.
            .current_dir(&bench.folder)
            .env("NODEYARD_HOOKS", folder.join("hooks.py"))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("NODEYARD_TOKEN", &self.secret)
            .env("NODEYARD_PROVIDER_TOKEN", &bench.state.provider_token)
            .env("NODEYARD_KEPT_TOKENS", &self.kept)
            .env("NODEYARD_TALLY", &counted);
        let status = program.stdin(Stdio::null()).status().await.during("schemathesis")?;
        let answers: BTreeMap<String, u64> = read(&counted)?;
        let Told { test_cases } = read(&report)?;
        // An end in disorder counts as a failure, whatever was told.
        let failures = test_cases.with_failures + test_cases.errored;
        let failures = failures.max(u64::from(!status.success()));
        Ok(Tally { seed, cases: test_cases.generated, failures, answers })
    }
}

fn read<T: DeserializeOwned>(file: &Path) -> Result<T> {
    let text = std::fs::read_to_string(file).at(file)?;
    serde_json::from_str(&text).map_err(|error| XtaskError::Answer {
        context: file.display().to_string(),
        detail: error.to_string(),
    })
}

/// An admin's token of its own.
async fn token(bench: &Bench) -> Result<String> {
    let body = json!({ "name": "schemathesis", "scopes": ["admin"] });
    let made = bench.api.call(Method::POST, "/tokens", Some(&body)).await?;
    text(&made, "/secret")
}

#[cfg(test)]
mod tests {
    use super::Tally;

    #[test]
    fn refusals_alone_prove_nothing() {
        let answers = [("GET /nodes 200", 20), ("GET /nodes 400", 9), ("POST /nodes 202", 10)];
        let answers = answers.map(|(line, count)| (line.to_owned(), count)).into();
        let tally = Tally { seed: 7, cases: 60, failures: 0, answers };
        assert!(tally.holds());
        let line =
            "schemathesis: 60 cases, 30 answered with 2xx on 2 operations; 0 failures (seed 7)";
        assert_eq!(tally.to_string(), line);
        assert!(!Tally { failures: 1, ..tally }.holds());
        let answers = [("GET /nodes 401".to_owned(), 900)].into();
        assert!(!Tally { seed: 7, cases: 900, failures: 0, answers }.holds());
    }
}
