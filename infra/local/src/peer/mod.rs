//! `cargo xtask peer`: the same lost answers against the provider's own Python client and against
//! us, on one simulator in one run. Judged by what is there afterwards and who knows of it.

mod client;
mod ours;
mod table;

use serde_json::{Value, json};

use crate::bench::{Bench, with_stack};
use crate::cli::{BackingKind, PeerOptions, StackOptions};
use crate::error::{Result, XtaskError};
use crate::python::{self, Venv};
use crate::report::Report;
use crate::workspace::Workspace;

use table::Table;

/// An answer that is lost after the server was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// 504.
    Timeout,
    /// 502.
    BadGateway,
    /// The connection is closed.
    Dropped,
}

/// All of them.
pub const FAULTS: [Fault; 3] = [Fault::Timeout, Fault::BadGateway, Fault::Dropped];

impl Fault {
    /// The simulator's word for it.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::BadGateway => "bad_gateway",
            Self::Dropped => "answer_lost",
        }
    }

    /// What a caller sees.
    pub fn shown(self) -> &'static str {
        match self {
            Self::Timeout => "504, server made",
            Self::BadGateway => "502, server made",
            Self::Dropped => "connection dropped, server made",
        }
    }

    /// For the `nth` create of a token from now.
    pub fn of_create(self, token: &str, nth: u32) -> Value {
        let fault = match self {
            Self::Timeout | Self::BadGateway => json!({ "kind": self.kind(), "effect": true }),
            Self::Dropped => json!({ "kind": self.kind() }),
        };
        let calls = json!({ "method": "POST", "path": "/servers", "token": token });
        json!({ "match": calls, "nth": nth, "fault": fault })
    }
}

/// What came of one fault, all its runs together.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Outcome {
    /// Servers that are there and that nobody knows of.
    pub unowned: usize,
    /// POSTs that asked for a server.
    pub posts: usize,
    /// Servers that were taken up after their answer was lost.
    pub taken_up: usize,
    /// Seconds from the lost answers to that.
    pub secs: Vec<f64>,
}

/// Runs both sides on a stack of its own, which it ends.
///
/// # Errors
/// We left a server without an owner or did not acquire a node, or the comparison could not be made.
pub async fn peer(workspace: &Workspace, options: &PeerOptions, report: Report) -> Result<()> {
    let venv = Venv::ensure(workspace, python::PEER, report).await?;
    let stack = StackOptions::of(options.stack.clone(), BackingKind::None);
    let table = with_stack(workspace, &stack, report, async |bench| {
        compare(workspace, &venv, bench, options.runs).await
    });
    let table = table.await?;
    println!("{table}");
    if table.holds() { Ok(()) } else { Err(XtaskError::Said(1)) }
}

async fn compare(workspace: &Workspace, venv: &Venv, bench: &Bench, runs: u32) -> Result<Table> {
    let client = client::run(workspace, venv, bench, runs).await?;
    bench.report.line("the provider's own client has had its turn");
    let ours = ours::run(bench, runs).await?;
    Ok(Table { runs, client, ours })
}
