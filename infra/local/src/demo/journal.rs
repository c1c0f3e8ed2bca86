//! Reads the simulator's journal: what the nodes cost in calls, and that no
//! call was wasted or made twice.

use std::collections::BTreeMap;

use super::Stage;
use crate::error::{Result, XtaskError};
use crate::journal::{Entry, by_route};
use crate::simulator::PROVIDER_TOKEN;

async fn ours(stage: &Stage) -> Result<Vec<Entry>> {
    let mut entries = stage.simulator.journal().await?;
    entries.retain(|entry| entry.token.as_deref() == Some(PROVIDER_TOKEN));
    Ok(entries)
}

/// How many calls were made so far, those for the catalogue left out.
///
/// # Errors
/// The simulator does not answer.
pub async fn job_calls(stage: &Stage) -> Result<usize> {
    Ok(ours(stage).await?.iter().filter(|entry| !entry.is_catalogue()).count())
}

/// Prints the calls per route and per node. `until_ready` are those that the jobs made until every
/// node was ready.
///
/// # Errors
/// A call was answered 429, or a POST was repeated.
pub async fn check(stage: &Stage, nodes: usize, until_ready: usize) -> Result<()> {
    let ours = ours(stage).await?;
    stage.report.line(format!(
        "provider calls: {:.1} per node until ready",
        until_ready as f64 / nodes as f64
    ));
    for (route, count) in by_route(&ours) {
        stage.report.line(format!("provider calls: {count:4} {route}"));
    }
    stage.report.line(format!(
        "provider calls: {} in all, {:.1} per node, {} answered 429, {} POSTs repeated",
        ours.len(),
        ours.len() as f64 / nodes as f64,
        rate_limited(&ours),
        repeated_posts(&ours).len(),
    ));
    if rate_limited(&ours) > 0 {
        return Err(XtaskError::Check("calls were answered 429".to_owned()));
    }
    let repeated = repeated_posts(&ours);
    if repeated.is_empty() {
        return Ok(());
    }
    Err(XtaskError::Check(format!("repeated: {}", repeated.join(", "))))
}

fn rate_limited(entries: &[Entry]) -> usize {
    entries.iter().filter(|entry| entry.status == Some(429)).count()
}

/// POSTs that went to the same path with the same name more than once.
fn repeated_posts(entries: &[Entry]) -> Vec<String> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for entry in entries.iter().filter(|entry| entry.method == "POST") {
        let name = entry.name.as_deref().unwrap_or_default();
        *counts.entry(format!("POST {} {name}", entry.path)).or_default() += 1;
    }
    counts.into_iter().filter(|(_, count)| *count > 1).map(|(post, _)| post).collect()
}

#[cfg(test)]
mod tests {
    use super::{rate_limited, repeated_posts};
    use crate::journal::entry;

    #[test]
    fn a_post_counts_as_repeated_only_with_the_same_path_and_name() {
        let mut entries = vec![
            entry("POST", "/servers", Some("a"), 201),
            entry("POST", "/servers", Some("b"), 201),
            entry("POST", "/ssh_keys", Some("a"), 201),
            entry("GET", "/servers", None, 200),
            entry("GET", "/servers", None, 429),
        ];
        assert_eq!(rate_limited(&entries), 1);
        assert!(repeated_posts(&entries).is_empty());
        entries.push(entry("POST", "/servers", Some("a"), 504));
        assert_eq!(repeated_posts(&entries), ["POST /servers a"]);
    }
}
