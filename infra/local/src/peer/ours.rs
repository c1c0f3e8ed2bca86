//! Nodeyard, as deployed to the local stack: all nodes at once, each create under its fault.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Unit;

use super::{FAULTS, Fault, Outcome};
use crate::bench::Bench;
use crate::chaos::fleet;
use crate::error::{Result, XtaskError};
use crate::simulator::{PROJECT, PROVIDER_TOKEN};

/// How long the nodes may take to be ready.
const PATIENCE: Duration = Duration::from_secs(600);

/// Acquires as many nodes for each fault, and gives them back.
///
/// # Errors
/// They did not all come to an end.
pub async fn run(bench: &Bench, runs: u32) -> Result<Vec<Outcome>> {
    let mut nth = 0;
    for _ in 0..runs {
        for fault in FAULTS {
            nth += 1;
            bench.simulator.arm(&fault.of_create(PROVIDER_TOKEN, nth)).await?;
        }
    }
    let names = (1..=nth).map(|number| format!("ours-{number}"));
    let members = fleet::ask_all(bench, names).await?;
    let standing = fleet::rest(bench, PATIENCE).await?;
    if standing.ready().len() < members.len() {
        return Err(XtaskError::Check(standing.lines().join("\n")));
    }
    let world = bench.simulator.world(PROJECT).await?;
    let owned: BTreeSet<u64> = standing.nodes.iter().filter_map(|node| node.server_id()).collect();
    let mut outcomes = vec![Outcome::default(); FAULTS.len()];
    let journal = bench.simulator.journal().await?;
    let creates = || {
        let ours = |token: Option<&str>| token == Some(PROVIDER_TOKEN);
        journal.iter().filter(move |it| it.is_create() && ours(it.token.as_deref()))
    };
    let mut fault_of: BTreeMap<&str, usize> = BTreeMap::new();
    for entry in creates() {
        let index = |fault: &Fault| entry.faults.iter().any(|it| it == fault.kind());
        let node = entry.label("nodeyard/node").unwrap_or_default();
        if let Some(index) = FAULTS.iter().position(index) {
            fault_of.insert(node, index);
            let job = members.iter().find(|member| member.node == node).map(|it| it.job.as_str());
            let noted = fleet::timeline(bench, job.unwrap_or_default()).await?;
            let taken_up = noted.iter().find(|noted| noted.message.contains("adopted"));
            if let (Some(taken_up), Some(outcome)) = (taken_up, outcomes.get_mut(index)) {
                outcome.taken_up += 1;
                let secs = (taken_up.at - entry.at).total(Unit::Second).unwrap_or_default();
                outcome.secs.push(secs);
            }
        }
    }
    for entry in creates() {
        let index = entry.label("nodeyard/node").and_then(|node| fault_of.get(node));
        if let Some(outcome) = index.and_then(|index| outcomes.get_mut(*index)) {
            outcome.posts += 1;
            let is_there = |id| world.servers.iter().any(|server| server.id == id);
            let is_stray = entry.created_id.is_some_and(|id| is_there(id) && !owned.contains(&id));
            outcome.unowned += usize::from(is_stray);
        }
    }
    fleet::release_all(bench, standing.ready()).await?;
    fleet::rest(bench, PATIENCE).await?;
    Ok(outcomes)
}
