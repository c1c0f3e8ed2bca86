//! `cargo xtask calls --stack-run`: what acquiring many nodes at once costs in calls to the
//! provider, on the local stack, counted by the simulator's journal.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::bench::{Bench, with_stack};
use crate::chaos::fleet;
use crate::cli::{BackingKind, CallsOptions, StackOptions};
use crate::error::{Result, XtaskError};
use crate::journal::{Entry, by_route};
use crate::report::Report;
use crate::simulator::PROVIDER_TOKEN;
use crate::workspace::Workspace;

/// How long one number of nodes may take to be ready.
const PATIENCE: Duration = Duration::from_secs(900);
/// As long as it takes at the provider: ten seconds to create a server and three to start it.
const CREATE_SECS: f64 = 10.0;
const START_SECS: f64 = 3.0;

/// Acquires and releases each number of nodes, one after the other.
///
/// # Errors
/// A node did not become ready, a call was answered 429, or too many calls were made.
pub async fn calls(workspace: &Workspace, options: &CallsOptions, report: Report) -> Result<()> {
    let stack = StackOptions::of(options.stack.clone(), BackingKind::None);
    let figures = with_stack(workspace, &stack, report, async |bench| {
        let times = json!({ "create_secs": CREATE_SECS, "start_secs": START_SECS });
        bench.simulator.change_settings(&json!({ "times": times })).await?;
        let mut figures = Vec::new();
        for nodes in &options.nodes {
            figures.push(acquire(bench, *nodes).await?);
        }
        Ok(figures)
    });
    let figures = figures.await?;
    figures.iter().for_each(|figure| println!("{}", figure.line()));
    let missed = figures.iter().filter(|figure| !figure.is_met()).count();
    println!("calls: {} of {} targets met", figures.len() - missed, figures.len());
    if missed == 0 { Ok(()) } else { Err(XtaskError::Said(1)) }
}

/// What one number of nodes took.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Figure {
    nodes: u32,
    /// Calls until all were ready, without those that read what is for sale.
    calls: usize,
    /// Those.
    catalogue: usize,
    /// Calls answered 429.
    refused: usize,
    /// Seconds until all were ready.
    secs: f64,
}

impl Figure {
    fn each(&self) -> f64 {
        self.calls as f64 / f64::from(self.nodes)
    }

    /// At most five calls alone, two each at twenty, one and a half at fifty and above.
    fn target(&self) -> f64 {
        match self.nodes {
            0..20 => 5.0,
            20..50 => 2.0,
            _ => 1.5,
        }
    }

    fn is_met(&self) -> bool {
        self.refused == 0 && self.each() <= self.target()
    }

    fn line(&self) -> String {
        format!(
            "{:4} nodes at once: {:.2} calls each until ready (target {}), {} for the catalogue, \
             {} answered 429, all ready after {:.0} s",
            self.nodes,
            self.each(),
            self.target(),
            self.catalogue,
            self.refused,
            self.secs
        )
    }
}

async fn acquire(bench: &Bench, nodes: u32) -> Result<Figure> {
    let before = ours(bench).await?.len();
    let start = Instant::now();
    let names = (1..=nodes).map(|number| format!("calls-{nodes}-{number}"));
    fleet::ask_all(bench, names).await?;
    let standing = fleet::rest(bench, PATIENCE).await?;
    let secs = start.elapsed().as_secs_f64();
    let ready = standing.ready();
    if ready.len() < nodes as usize {
        return Err(XtaskError::Check(standing.lines().join("\n")));
    }
    let entries = ours(bench).await?.split_off(before);
    let catalogue = entries.iter().filter(|entry| entry.is_catalogue()).count();
    let figure = Figure {
        nodes,
        calls: entries.len() - catalogue,
        catalogue,
        refused: entries.iter().filter(|entry| entry.status == Some(429)).count(),
        secs,
    };
    bench.report.line(figure.line());
    for (route, count) in by_route(&entries) {
        bench.report.line(format!("{count:6} {route}"));
    }
    fleet::release_all(bench, ready).await?;
    fleet::rest(bench, PATIENCE).await?;
    bench.report.line(format!("{nodes} nodes released"));
    Ok(figure)
}

async fn ours(bench: &Bench) -> Result<Vec<Entry>> {
    let mut journal = bench.simulator.journal().await?;
    journal.retain(|entry| entry.token.as_deref() == Some(PROVIDER_TOKEN));
    Ok(journal)
}

#[cfg(test)]
mod tests {
    use super::Figure;

    #[test]
    fn a_target_is_missed_by_a_429_or_by_too_many_calls() {
        let met = Figure { nodes: 20, calls: 40, catalogue: 4, refused: 0, secs: 30.0 };
        assert!(met.is_met());
        assert!(!Figure { calls: 41, ..met }.is_met());
        assert!(!Figure { refused: 1, ..met }.is_met());
        assert!(!Figure { nodes: 50, calls: 76, ..met }.is_met());
        assert!(Figure { nodes: 1, calls: 5, ..met }.is_met());
    }
}
