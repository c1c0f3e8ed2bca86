//! Follows a job to its end and tells what it is doing.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::Stage;
use super::story::Story;
use crate::api::text;
use crate::error::{Result, XtaskError};

/// Time between two looks at a job.
const LOOK: Duration = Duration::from_millis(1500);
/// A job that says nothing new is mentioned this often all the same.
const REMINDER: Duration = Duration::from_secs(10);
/// Longer than any job's own deadline.
const PATIENCE_SECS: u64 = 40 * 60;

/// Follows a job; gives it back once it has succeeded.
///
/// # Errors
/// It ended otherwise, or it did not end.
pub async fn follow(stage: &Stage, label: &str, job_id: &str) -> Result<Value> {
    let start = Instant::now();
    let mut story = Story::of(job_id);
    let mut told: Option<(String, Instant)> = None;
    while start.elapsed().as_secs() < PATIENCE_SECS {
        let job = stage.api.get(&format!("/jobs/{job_id}")).await?;
        for message in story.news(stage).await? {
            stage.report.line(format!("{label}: {message}"));
        }
        let now = describe(&job);
        let is_news = told.as_ref().is_none_or(|(text, _)| *text != now);
        if is_news || told.as_ref().is_some_and(|(_, at)| at.elapsed() > REMINDER) {
            let elapsed = start.elapsed().as_secs_f64();
            stage.report.line(format!("{label}: {now} [{elapsed:.0} s]"));
            told = Some((now, Instant::now()));
        }
        match text(&job, "/state")?.as_str() {
            "succeeded" => return Ok(job),
            "failed" | "cancelled" => {
                let error = job.get("error").cloned().unwrap_or_default();
                return Err(XtaskError::Check(format!("{label}: {}\n{error:#}", describe(&job))));
            }
            _ => tokio::time::sleep(LOOK).await,
        }
    }
    Err(XtaskError::TimedOut {
        what: format!("the end of {job_id}"),
        secs: PATIENCE_SECS,
        hint: "its timeline is above".to_owned(),
    })
}

/// One line: state, step, what it waits for, and which try this is.
fn describe(job: &Value) -> String {
    let field = |name: &str| job.get(name).and_then(Value::as_str);
    let mut words = vec![format!(
        "{} {}",
        field("kind").unwrap_or("job"),
        field("state").unwrap_or("in an unknown state")
    )];
    if field("state") == Some("running")
        && let Some(step) = field("step")
    {
        words.push(format!("step {step}, waits for {}", awaited(step)));
    }
    if let Some(reason) = field("waiting_on") {
        words.push(format!("parked on {reason}"));
    }
    if let Some(attempts) = job.get("attempts").and_then(Value::as_u64).filter(|it| *it > 1) {
        words.push(format!("attempt {attempts}"));
    }
    words.join(", ")
}

/// What a step waits for, for a person.
fn awaited(step: &str) -> &str {
    match step {
        "take_node" => "the node to be free",
        "ensure_key" => "the SSH key at the provider",
        "create_server" => "the provider to take the order",
        "find_server" | "find_leftover" => "a look at what the provider has",
        "start_run" => "a container task",
        "await_server" => "the server to be created",
        "fetch_server" => "the server's facts",
        "await_run" => "Ansible on the node",
        "stop_run" => "Ansible to stop",
        "delete_server" => "the provider to delete the server",
        "confirm_gone" => "the server to be gone",
        _ => "its next step",
    }
}

#[cfg(test)]
mod tests {
    use super::describe;
    use serde_json::json;

    #[test]
    fn a_line_tells_the_step_and_what_it_waits_for() {
        let job = json!({
            "kind": "node_provision", "state": "running", "step": "await_run", "attempts": 2,
        });
        let line = describe(&job);
        let told =
            "node_provision running, step await_run, waits for Ansible on the node, attempt 2";
        assert_eq!(line, told);
        let parked = json!({
            "kind": "node_provision", "state": "running", "step": "create_server",
            "waiting_on": "quota",
        });
        assert!(describe(&parked).ends_with("parked on quota"));
        let queued = json!({ "kind": "node_release", "state": "queued", "step": "stop_run" });
        assert_eq!(describe(&queued), "node_release queued");
    }
}
