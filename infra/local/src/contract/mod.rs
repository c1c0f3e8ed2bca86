//! `cargo xtask schemathesis`: the deployed API held against its own document, by requests that
//! Schemathesis makes up from it, and by a client that is generated from it.

mod client;
mod schemathesis;

use crate::bench::with_stack;
use crate::cli::{BackingKind, SchemathesisOptions, StackOptions};
use crate::error::{Result, XtaskError};
use crate::python::{self, Venv};
use crate::report::Report;
use crate::workspace::Workspace;

/// Does both on a stack of its own, which it ends.
///
/// # Errors
/// An answer was not what the document says, or the client could not acquire a node.
pub async fn check(
    workspace: &Workspace,
    options: &SchemathesisOptions,
    report: Report,
) -> Result<()> {
    let venv = Venv::ensure_apart("contract", workspace, python::CONTRACT, report).await?;
    let stack = StackOptions::of(options.stack.clone(), BackingKind::None);
    let tally = with_stack(workspace, &stack, report, async |bench| {
        report.line(client::acquire(workspace, &venv, bench).await?);
        schemathesis::run(workspace, &venv, bench, options).await
    });
    let tally = tally.await?;
    println!("{tally}");
    if tally.holds() { Ok(()) } else { Err(XtaskError::Said(1)) }
}
