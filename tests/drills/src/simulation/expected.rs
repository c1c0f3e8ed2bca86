//! The transitions that the tables in the domain's step modules name, as data: over a long
//! simulation each has to be seen, and no other.
//!
//! Left out is stop_run → find_leftover: a run is begun on a server that is on record, and the
//! server is taken off the record only after the run was seen stopped.

use crate::coverage::Counts;

const P: &str = "NodeProvision";
const C: &str = "NodeConfigure";
const K: &str = "NodeCheck";
const S: &str = "NodeSmoke";
const R: &str = "NodeRelease";

/// A row of a table: job types, step, outcome, next steps.
type Row = (&'static [&'static str], &'static str, &'static str, &'static [&'static str]);

const ROWS: &[Row] = &[
    // Acquiring.
    (&[P], "EnsureKey", "key_ready", &["CreateServer", "EnsureGroup"]),
    (&[P], "EnsureKey", "marker_missing", &["EnsureKey"]),
    (&[P], "EnsureGroup", "group_ready", &["CreateServer"]),
    (&[P], "CreateServer", "created", &["StartRun"]),
    // No capacity: the next rung, or parked. The key is gone. The group refuses. Outcome unknown.
    (&[P], "CreateServer", "failed", &["CreateServer", "EnsureKey", "EnsureGroup", "FindServer"]),
    // Known to be refused, or not asked while the claim's outcome is unknown.
    (&[P], "CreateServer", "not_sent", &["CreateServer", "EnsureGroup", "FindServer"]),
    (&[P], "CreateServer", "claim_found", &["FindServer"]),
    // A late answer of the open attempt.
    (&[P], "FindServer", "created", &["StartRun"]),
    // Adopted, an older attempt's, or foreign.
    (&[P], "FindServer", "server_found", &["StartRun", "DeleteServer", "FindLeftover"]),
    (&[P], "FindServer", "marker_missing", &["FindServer"]),
    (&[P], "FindServer", "server_absent", &["FindServer", "CreateServer"]),
    // Running.
    (&[P], "StartRun", "run_started", &["AwaitServer", "FetchServer"]),
    (&[C, K, S], "StartRun", "run_started", &["AwaitRun"]),
    (&[P, C, K, S], "StartRun", "run_refused", &["StartRun"]),
    (&[P], "AwaitServer", "action_succeeded", &["FetchServer"]),
    (&[P], "AwaitServer", "action_missing", &["FetchServer"]),
    // Not up yet, or never.
    (&[P], "AwaitServer", "action_running", &["AwaitServer", "StopRun"]),
    (&[P], "AwaitServer", "action_failed", &["StopRun"]),
    (&[P], "FetchServer", "server_seen", &["AwaitRun", "FetchServer", "StopRun"]),
    (&[P], "FetchServer", "server_absent", &["StopRun"]),
    // Running, or a verdict without a run.
    (&[K], "FetchServer", "server_seen", &["StartRun", "Done"]),
    (&[K], "FetchServer", "server_absent", &["Done"]),
    (&[P], "AwaitRun", "run_finished", &["Done", "DeleteServer", "StartRun"]),
    (&[C, K, S], "AwaitRun", "run_finished", &["Done", "StartRun"]),
    (&[P], "AwaitRun", "run_lost", &["StartRun", "DeleteServer"]),
    (&[C, K, S], "AwaitRun", "run_lost", &["StartRun", "Done"]),
    (&[P, C, K, S], "AwaitRun", "run_running", &["AwaitRun"]),
    // Removing.
    (&[P], "StopRun", "run_stopped", &["DeleteServer", "Done"]),
    (&[C, S], "StopRun", "run_stopped", &["Done", "StartRun"]),
    (&[K], "StopRun", "run_stopped", &["Done", "FetchServer"]),
    (&[P, C, K, S], "StopRun", "run_running", &["StopRun"]),
    (&[P, R], "FindLeftover", "server_found", &["DeleteServer", "Done"]),
    (&[P, R], "FindLeftover", "server_absent", &["FindLeftover", "Done"]),
    (&[P, R], "FindLeftover", "marker_missing", &["FindLeftover"]),
    (&[P, R], "DeleteServer", "delete_accepted", &["ConfirmGone"]),
    // Gone already, or locked.
    (&[P, R], "DeleteServer", "failed", &["ConfirmGone", "DeleteServer"]),
    (&[P], "ConfirmGone", "gone", &["Done", "CreateServer"]),
    (&[R], "ConfirmGone", "gone", &["Done"]),
    (&[P, R], "ConfirmGone", "still_there", &["ConfirmGone", "DeleteServer"]),
    (&[P, R], "ConfirmGone", "marker_missing", &["ConfirmGone"]),
    // Having the node's turn.
    (&[C, S], "TakeNode", "node_taken", &["StartRun"]),
    (&[K], "TakeNode", "node_taken", &["FetchServer"]),
    (&[R], "TakeNode", "node_taken", &["DeleteServer", "FindLeftover"]),
    (&[R], "TakeNode", "node_busy", &["TakeNode"]),
];

/// Where undo begins: a job that is cancelled, has failed or is out of time may come to these from
/// every step.
const UNDO: &[&str] = &["StopRun", "FindLeftover", "DeleteServer", "Done"];

fn named() -> impl Iterator<Item = String> {
    ROWS.iter().flat_map(|(kinds, step, outcome, nexts)| {
        kinds.iter().flat_map(move |kind| {
            nexts.iter().map(move |next| format!("{kind} {step} {outcome} {next}"))
        })
    })
}

/// What the tables name and nobody has seen.
pub fn missed(seen: &Counts) -> Vec<String> {
    named().filter(|name| !seen.contains_key(name)).collect()
}

/// What was seen and is in no table. A step that is tried again and the way into undo are in none
/// of them.
pub fn unknown(seen: &Counts) -> Vec<String> {
    let named: std::collections::BTreeSet<String> = named().collect();
    let is_general = |name: &str| {
        let words: Vec<&str> = name.split(' ').collect();
        matches!(words[..], [_, step, _, next] if step == next || UNDO.contains(&next))
    };
    seen.keys().filter(|name| !named.contains(*name) && !is_general(name)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_seen_is_missed_and_what_is_in_no_table_is_unknown() {
        let every: Counts = named().map(|name| (name, 1)).collect();
        assert!(missed(&every).is_empty() && unknown(&every).is_empty());
        let few = Counts::from([
            ("NodeRelease ConfirmGone gone Done".to_owned(), 1),
            ("NodeRelease ConfirmGone gone StartRun".to_owned(), 1),
        ]);
        assert_eq!(missed(&few).len(), every.len() - 1);
        assert_eq!(unknown(&few), ["NodeRelease ConfirmGone gone StartRun"]);
    }
}
