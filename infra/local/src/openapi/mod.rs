//! `cargo xtask openapi`: writes the contract from the code, checks that the written one is current,
//! and compares it with an earlier one.
//!
//! There are tools that compare two documents of OpenAPI 3.0; for 3.1, which our document is, none
//! was found that can be installed from a package registry. So [`compare`] is our own.

mod compare;
mod schema;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::cli::OpenapiOptions;
use crate::command::{forget_own_package, interruptible, read_output, run_quietly};
use crate::error::{IoContext, Result, XtaskError};
use crate::report::Report;
use crate::signal::unless_interrupted;
use crate::workspace::Workspace;

/// The checked-in document.
pub const CURRENT: &str = "functions/api/openapi.json";
/// Where those of releases are kept, under their versions.
const FOLDER: &str = "functions/api";
/// The test that knows the code's own, and writes it if it is asked to.
const MAKER: &str = "openapi::the_checked_in_contract_is_current";

/// Writes, checks or compares.
///
/// # Errors
/// The written document is not current, a change is a breaking one, or a document cannot be read.
pub async fn openapi(
    workspace: &Workspace,
    options: &OpenapiOptions,
    report: Report,
) -> Result<()> {
    if let Some(earlier) = &options.against {
        return against(workspace, earlier, report).await;
    }
    let mut cargo = interruptible(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // Without --package, so that features are chosen as for the whole workspace.
    forget_own_package(&mut cargo)
        .args(["test", "--quiet", "--test", "api", "--", "--exact", MAKER])
        .current_dir(workspace.root());
    if !options.check {
        cargo.env("UPDATE_OPENAPI", "1");
    }
    unless_interrupted(run_quietly(&mut cargo)).await?;
    report.line(format!("{CURRENT} is what the code says"));
    against_release(workspace, report)
}

/// Holds the checked-in document against that of the last release.
///
/// # Errors
/// With every breaking change.
fn against_release(workspace: &Workspace, report: Report) -> Result<()> {
    let released = released(workspace)?;
    let (old, new) = (read(&released)?, read(&workspace.path(CURRENT))?);
    let name = released.file_name().unwrap_or_default().to_string_lossy().into_owned();
    judge(&old, &new, &name, report)
}

async fn against(workspace: &Workspace, earlier: &str, report: Report) -> Result<()> {
    let file = Path::new(earlier);
    let old = if file.is_file() {
        read(file)?
    } else {
        let mut git = interruptible("git");
        git.arg("show").arg(format!("{earlier}:{CURRENT}")).current_dir(workspace.root());
        parse(&read_output(&mut git).await?, earlier)?
    };
    judge(&old, &read(&workspace.path(CURRENT))?, earlier, report)
}

fn judge(old: &Value, new: &Value, name: &str, report: Report) -> Result<()> {
    let breaking = compare::breaking(old, new);
    if breaking.is_empty() {
        report.line(format!("no breaking change since {name}"));
        return Ok(());
    }
    let count = breaking.len();
    Err(XtaskError::Check(format!(
        "{count} breaking changes since {name}:\n  {}",
        breaking.join("\n  ")
    )))
}

/// The document of the last release: one is kept.
fn released(workspace: &Workspace) -> Result<PathBuf> {
    let folder = workspace.path(FOLDER);
    let mut found: Vec<PathBuf> =
        std::fs::read_dir(&folder).at(&folder)?.flatten().map(|entry| entry.path()).collect();
    found.retain(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("openapi-") && name.ends_with(".json")
    });
    match found.as_slice() {
        [one] => Ok(one.clone()),
        more => Err(XtaskError::Check(format!(
            "{FOLDER} has to hold the document of one release, openapi-VERSION.json: {more:?}"
        ))),
    }
}

fn read(file: &Path) -> Result<Value> {
    parse(&std::fs::read_to_string(file).at(file)?, &file.display().to_string())
}

fn parse(text: &str, of: &str) -> Result<Value> {
    serde_json::from_str(text)
        .map_err(|error| XtaskError::Answer { context: of.to_owned(), detail: error.to_string() })
}
