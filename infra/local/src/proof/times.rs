//! Where the time went from a request to a node that is ready, by the job's own records.

use jiff::Timestamp;
use serde_json::Value;

use crate::api::text;
use crate::bench::Bench;
use crate::error::{Result, XtaskError};

/// The role that has apt do its work.
const APT_ROLE: &str = "packages";

/// Seconds from acceptance to the end of the job, and what they were spent on.
#[derive(Debug, Clone, Copy, Default)]
pub struct Times {
    pub total: f64,
    /// Until the first login, and for cloud-init after it.
    pub boot: f64,
    pub apt: f64,
    /// The other tasks of the playbooks.
    pub tasks: f64,
    /// What is left of the run: starts of Ansible, its connections, its own work between tasks.
    pub ansible: f64,
    /// Accepting, queueing, creating the server and starting the container task before the run;
    /// taking its result up after it. Some of it overlaps the server's boot.
    pub own: f64,
}

impl Times {
    /// Reads them off a provision and its evidence.
    ///
    /// # Errors
    /// Something is not on record.
    pub async fn of(bench: &Bench, job: &str, bundle: &Value) -> Result<Self> {
        let seen = bench.api.get(&format!("/jobs/{job}")).await?;
        let run = bundle.pointer("/runs/0/entries").and_then(Value::as_array);
        let run = run.ok_or_else(|| XtaskError::Check(format!("{job} has no run on record")))?;
        let end = |entry: Option<&Value>| at(&entry.unwrap_or(&Value::Null)["at"]);
        let (began, ended) = (end(run.first())?, end(run.last())?);
        let (accepted, finished) = (at(&seen["created_at"])?, at(&seen["finished_at"])?);
        let timeline = bench.list(&format!("/jobs/{job}/timeline")).await?;
        let login = timeline.iter().find(|entry| entry["message"] == "logged in to the node");
        let login = login.and_then(|entry| entry["seconds"].as_f64()).unwrap_or_default();

        let mut times = Self {
            total: secs(accepted, finished),
            boot: login,
            own: secs(accepted, began) + secs(ended, finished),
            ..Self::default()
        };
        let mut all = 0.0;
        for fact in run.iter().filter(|it| it["fact"] == "task_ended") {
            // Of a loop, the task's own result tells of all its items.
            if !fact["item"].is_null() {
                continue;
            }
            let secs = fact["millis"].as_f64().unwrap_or_default() / 1000.0;
            all += secs;
            *match (text(fact, "/playbook")?.as_str(), fact["role"].as_str()) {
                ("boot", _) => &mut times.boot,
                (_, Some(APT_ROLE)) => &mut times.apt,
                _ => &mut times.tasks,
            } += secs;
        }
        times.ansible = secs(began, ended) - login - all;
        Ok(times)
    }

    /// One line for people.
    pub fn line(&self) -> String {
        let Self { total, boot, apt, tasks, ansible, own } = self;
        format!(
            "{total:.1} s from the request to ready: boot {boot:.1}, apt {apt:.1}, other tasks \
             {tasks:.1}, Ansible itself {ansible:.1}, Nodeyard {own:.1}"
        )
    }
}

fn at(value: &Value) -> Result<Timestamp> {
    let text = value.as_str().unwrap_or_default();
    text.parse().map_err(|error| XtaskError::Check(format!("no time: {text:?}: {error}")))
}

fn secs(from: Timestamp, to: Timestamp) -> f64 {
    (to - from).total(jiff::Unit::Second).unwrap_or_default()
}
