//! What a run left that reported no end: a run that was stopped or lost.

use serde_json::Value;

use super::{
    Chain, Fact, Head, RunEvidence,
    bundle::fact,
    canonical::{NotCanonical, hash},
};
use crate::id::JobId;

/// Reads a run's own chain as far as it holds together. `entries` are as they were written. `None`
/// when the run had not begun.
pub fn left_by_run(job: &JobId, run: u32, entries: &[Value]) -> Option<RunEvidence> {
    let mut head = Chain::of_run(job, run).head().clone();
    for entry in entries {
        match next(&head, entry) {
            Ok(Some(grown)) => head = grown,
            _ => break,
        }
    }
    match fact(entries.first().filter(|_| head.count > 0)?)? {
        Fact::RunBegan { playbooks, release, .. } => {
            Some(RunEvidence { chain: Some(head), playbooks, release })
        }
        _ => None,
    }
}

/// The head with this entry; `None` when the entry does not follow it.
pub(super) fn next(head: &Head, entry: &Value) -> Result<Option<Head>, NotCanonical> {
    let count = head.count + 1;
    let follows = entry.get("number").and_then(Value::as_u64) == Some(u64::from(count))
        && entry.get("before").and_then(Value::as_str) == Some(head.hash.as_str());
    Ok(if follows { Some(Head { count, hash: hash(entry)? }) } else { None })
}
