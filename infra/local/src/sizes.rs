//! `cargo xtask sizes`: a run that says far more than anybody reads, through the deployed functions
//! and the container task: its job ends well, and what is kept can be paged through.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use crate::api::text;
use crate::bench::{Bench, with_stack};
use crate::chaos::fleet;
use crate::cli::{BackingKind, SizesOptions, StackOptions};
use crate::error::{Result, XtaskError};
use crate::orders;
use crate::report::Report;
use crate::workspace::Workspace;

/// How long the run may take.
const PATIENCE: Duration = Duration::from_secs(300);
/// What a function may answer with at most, in bytes (Lambda quotas, 6 MB).
const MAX_ANSWER_BYTES: usize = 6 * 1024 * 1024;
/// More pages than any job has.
const MAX_PAGES: usize = 1_000;

/// Lets a run say so much, on a stack of its own, which it ends.
///
/// # Errors
/// The job did not succeed, or what is kept of it is not what was promised.
pub async fn sizes(workspace: &Workspace, options: &SizesOptions, report: Report) -> Result<()> {
    // Only the stand-in for Ansible says so much.
    let stack = StackOptions::of(options.stack.clone(), BackingKind::None);
    let line = with_stack(workspace, &stack, report, async |bench| {
        flood(bench, options.events, options.output_mb).await
    });
    println!("{}", line.await?);
    Ok(())
}

async fn flood(bench: &Bench, events: u32, output_mb: u32) -> Result<String> {
    let flood = json!({ "flood": { "events": events, "output_mb": output_mb } });
    let keys = orders::as_keys(&flood);
    let body = json!({ "name": "flood", "profile": "base", "authorized_keys": keys });
    let accepted = bench.api.call(Method::POST, "/nodes", Some(&body)).await?;
    let job = text(&accepted, "/job/id")?;
    let start = Instant::now();
    let standing = fleet::rest(bench, PATIENCE).await?;
    let secs = start.elapsed().as_secs_f64();
    if standing.ready().is_empty() {
        return Err(XtaskError::Check(standing.lines().join("\n")));
    }
    let timeline = pages(bench, &format!("/jobs/{job}/timeline")).await?;
    let left_out = timeline
        .items
        .iter()
        .find_map(|entry| entry.pointer("/fields/left_out")?.as_u64())
        .ok_or_else(|| XtaskError::Check("the timeline does not say what it lacks".to_owned()))?;
    let log = pages(bench, &format!("/jobs/{job}/log")).await?;
    let bytes: usize =
        log.items.iter().filter_map(|piece| Some(piece.get("text")?.as_str()?.len())).sum();
    if u64::try_from(timeline.items.len()).unwrap_or(u64::MAX) + left_out < u64::from(events) {
        return Err(XtaskError::Check(format!("entries are missing; {left_out} are owned up to")));
    }
    fleet::release_all(bench, standing.ready()).await?;
    fleet::rest(bench, PATIENCE).await?;
    Ok(format!(
        "sizes: {events} events and {output_mb} MB of output; succeeded after {secs:.0} s; timeline: {} \
         entries on {} pages, {left_out} left out; log: {:.1} MB on {} pages, the longest {:.1} MB",
        timeline.items.len(),
        timeline.pages,
        bytes as f64 / f64::from(1 << 20),
        log.pages,
        log.longest as f64 / f64::from(1 << 20),
    ))
}

struct Pages {
    items: Vec<Value>,
    pages: usize,
    /// Bytes of the longest answer.
    longest: usize,
}

/// Follows `next` to the end.
async fn pages(bench: &Bench, path: &str) -> Result<Pages> {
    let mut found = Pages { items: Vec::new(), pages: 0, longest: 0 };
    let mut next = Some(format!("{path}?limit=100"));
    while let Some(path) = next {
        let page = bench.api.get(&path).await?;
        found.pages += 1;
        found.longest = found.longest.max(page.to_string().len());
        if found.longest > MAX_ANSWER_BYTES || found.pages > MAX_PAGES {
            return Err(XtaskError::Check(format!(
                "{path}: page {} has {} bytes",
                found.pages, found.longest
            )));
        }
        found
            .items
            .extend(page.get("items").and_then(Value::as_array).cloned().unwrap_or_default());
        next = page.get("next").and_then(Value::as_str).map(str::to_owned);
    }
    Ok(found)
}
