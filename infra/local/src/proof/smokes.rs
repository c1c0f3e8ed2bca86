//! The smokes on a node, as a caller asks for them, and faults that they have to recognise.

use std::time::Instant;

use nodeyard_domain::smoke;
use serde_json::{Value, json};

use super::Site;
use super::root_shell::RootShell;
use crate::api::text;
use crate::error::{IoContext as _, Result, XtaskError};
use crate::profiles::node::ProfileNode;

/// What smokes that passed came to.
pub struct Smoked {
    pub steps: usize,
    pub digest: String,
}

/// Runs the smokes, which have to pass.
///
/// # Errors
/// They fail, or their evidence does not verify.
pub async fn passed(site: &mut Site<'_>, node: &ProfileNode) -> Result<Smoked> {
    let since = Instant::now();
    let job = node.work(site.bench, "smokes", &json!({})).await?;
    if job["state"] != "succeeded" {
        return Err(XtaskError::Check(format!("the smokes ended otherwise\n{:#}", job["error"])));
    }
    let bundle = site.verifier.authentic(site.bench, &text(&job, "/id")?).await?;
    let steps = told(&bundle).len();
    if steps < smoke::names().count() {
        return Err(XtaskError::Check(format!("the evidence tells of {steps} steps only")));
    }
    let digest = text(&bundle, "/digest")?;
    site.bench.report.took(since, format!("{steps} steps of the smokes passed"));
    Ok(Smoked { steps, digest })
}

/// The steps in a job's evidence, and whether they passed.
fn told(bundle: &Value) -> Vec<(String, bool)> {
    let entries = bundle["entries"].as_array().into_iter().flatten();
    entries
        .filter(|fact| fact["fact"] == "smoked")
        .map(|fact| {
            let word = |name: &str| fact[name].as_str().unwrap_or_default().to_owned();
            (format!("{}.{}", word("suite"), word("step")), fact["ok"] == true)
        })
        .collect()
}

/// Plants each fault there is, and holds what the smokes say to what the fault's file expects.
///
/// # Errors
/// A fault is not recognised, or recognised as another.
pub async fn faults_recognised(site: &mut Site<'_>, node: &ProfileNode) -> Result<usize> {
    let mut files: Vec<_> = std::fs::read_dir(&site.faults)
        .at(&site.faults)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.to_string_lossy().ends_with(".fault.sh"))
        .collect();
    files.sort();
    let mut shell = RootShell::open(&site.login, &node.login_lines()).await?;
    for file in &files {
        let script = std::fs::read_to_string(file).at(file)?;
        let expected: Vec<String> = script
            .lines()
            .filter_map(|line| line.strip_prefix("# expects: "))
            .map(|words| words.replace(' ', "."))
            .collect();
        let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let since = Instant::now();
        shell.run(&format!("bash -s plant <<'NODEYARD_FAULT'\n{script}\nNODEYARD_FAULT")).await?;
        let job = node.work(site.bench, "smokes", &json!({})).await?;
        shell.run(&format!("bash -s repair <<'NODEYARD_FAULT'\n{script}\nNODEYARD_FAULT")).await?;
        let bundle = site.verifier.authentic(site.bench, &text(&job, "/id")?).await?;
        let failed: Vec<String> =
            told(&bundle).into_iter().filter(|(_, ok)| !ok).map(|(step, _)| step).collect();
        let detail = job.pointer("/error/detail").and_then(Value::as_str).unwrap_or_default();
        let named = expected.first().is_some_and(|first| detail.starts_with(first.as_str()));
        let code = job.pointer("/error/code");
        if code != Some(&json!("SMOKE_FAILED")) || !named || failed != expected {
            return Err(XtaskError::Check(format!(
                "{name}: expected {expected:?}, failed: {failed:?}\n{:#}",
                job["error"]
            )));
        }
        site.bench.report.took(since, format!("{name}: {detail}"));
    }
    Ok(files.len())
}

/// How many suites there are, the clean-up not counted.
pub fn suites() -> usize {
    smoke::SUITES.len() - 1
}
