//! A subscriber to the deployment's bus: what it was told, held against how all came to rest.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use reqwest::Client;
use serde::Deserialize;
use serde_json::{Value, json};

use super::fleet::Standing;
use crate::api::{http_client, read};
use crate::bench::Bench;
use crate::error::{Result, XtaskError};
use crate::queue::{Queue, signed};
use crate::stack::DEPLOYMENT;

const QUEUE: &str = "chaos-subscriber";
const RULE: &str = "chaos";
/// Two sweeps and more: until then everything that was left has been sent.
const PATIENCE: Duration = Duration::from_secs(180);
/// How long one look at the queue waits for something.
const LOOK: Duration = Duration::from_secs(2);

/// What an event is of: its kind, and the node or job.
type Of = (String, String);

/// The part of an event that matters here.
#[derive(Debug, Clone, Deserialize)]
struct Told {
    id: String,
    kind: String,
    node_id: Option<String>,
    job_id: Option<String>,
}

impl Told {
    fn of(&self) -> Of {
        let subject = if self.kind == "JobFailed" { &self.job_id } else { &self.node_id };
        (self.kind.clone(), subject.clone().unwrap_or_default())
    }
}

/// Somebody who listens.
#[derive(Debug)]
pub struct Subscriber {
    queue: Queue,
    url: String,
    /// Ids by what they are of: the same event may come more than once.
    told: BTreeMap<Of, BTreeSet<String>>,
}

impl Subscriber {
    /// Listens to everything from here on.
    ///
    /// # Errors
    /// The emulator refuses the queue or the rule.
    pub async fn listen(bench: &Bench) -> Result<Self> {
        let queue = Queue::new()?;
        let endpoint = &bench.state.aws_url;
        let url = queue.create(endpoint, QUEUE).await?;
        let arn = queue.arn(&url).await?;
        let (client, bus) = (http_client()?, format!("nodeyard-{DEPLOYMENT}"));
        let pattern = json!({ "source": ["nodeyard"] }).to_string();
        let rule = json!({ "Name": RULE, "EventBusName": bus, "EventPattern": pattern });
        call(&client, endpoint, "PutRule", &rule).await?;
        let targets = json!([{ "Id": "queue", "Arn": arn }]);
        let targets = json!({ "Rule": RULE, "EventBusName": bus, "Targets": targets });
        call(&client, endpoint, "PutTargets", &targets).await?;
        Ok(Self { queue, url, told: BTreeMap::new() })
    }

    /// What is wrong with what was told, once everything has had its time: each node that was ready
    /// when it was `calm` or whose provision succeeded, each node that is released and each job that has failed at the `end` is
    /// told of, and no other.
    ///
    /// # Errors
    /// The queue cannot be read.
    pub async fn wrong(&mut self, calm: &Standing, end: &Standing) -> Result<Vec<String>> {
        let start = Instant::now();
        let expected = expected(calm, end);
        loop {
            let is_silent = self.hear().await? == 0;
            let is_all = expected.iter().all(|of| self.told.contains_key(of));
            if is_silent && (is_all || start.elapsed() > PATIENCE) {
                return Ok(differences(&expected, &self.told));
            }
        }
    }

    async fn hear(&mut self) -> Result<usize> {
        let messages = self.queue.receive(&self.url, LOOK).await?;
        for message in &messages {
            let whole: Value = serde_json::from_str(&message.body).unwrap_or_default();
            let detail = whole.get("detail").cloned().unwrap_or_default();
            let told: Told = serde_json::from_value(detail).map_err(|error| {
                XtaskError::Answer { context: message.body.clone(), detail: error.to_string() }
            })?;
            self.told.entry(told.of()).or_default().insert(told.id);
            self.queue.delete(&self.url, message).await?;
        }
        Ok(messages.len())
    }
}

async fn call(client: &Client, endpoint: &str, action: &str, body: &Value) -> Result<()> {
    let request = signed(client.post(endpoint), "events")
        .header("X-Amz-Target", format!("AWSEvents.{action}"))
        .header("Content-Type", "application/x-amz-json-1.1")
        .body(body.to_string());
    let (status, text) = read(request, action).await?;
    if !status.is_success() {
        let detail = format!("{status}\n{text}");
        return Err(XtaskError::Answer { context: action.to_owned(), detail });
    }
    Ok(())
}

fn expected(calm: &Standing, end: &Standing) -> BTreeSet<Of> {
    let of = |kind: &str, id: String| (kind.to_owned(), id);
    // One may have been given back in the storm, just after it was ready.
    let ready = calm.ready().into_iter().chain(end.provisioned());
    let ready = ready.map(|node| of("NodeReady", node));
    let released = end.released().into_iter().map(|node| of("NodeReleased", node));
    let failed = end.failed_jobs().into_iter().map(|job| of("JobFailed", job));
    ready.chain(released).chain(failed).collect()
}

/// What is missing and what was made up. A node may have been left behind on its way, and been
/// released more than once.
fn differences(expected: &BTreeSet<Of>, told: &BTreeMap<Of, BTreeSet<String>>) -> Vec<String> {
    let missing = expected.iter().filter(|of| !told.contains_key(of));
    let mut wrong: Vec<String> =
        missing.map(|(kind, id)| format!("nobody was told {kind} of {id}")).collect();
    for ((kind, id), ids) in told {
        let is_judged = ["NodeReady", "NodeReleased", "JobFailed"].contains(&kind.as_str());
        if is_judged && !expected.contains(&(kind.clone(), id.clone())) {
            wrong.push(format!("{kind} of {id} was told, and it is not so"));
        }
        if ids.len() > 1 && ["NodeReady", "JobFailed"].contains(&kind.as_str()) {
            wrong.push(format!("{kind} of {id} was told under {} ids", ids.len()));
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::{BTreeMap, BTreeSet, Of, differences};

    fn of(kind: &str, id: &str) -> Of {
        (kind.to_owned(), id.to_owned())
    }

    fn told(events: &[(&str, &str, usize)]) -> BTreeMap<Of, BTreeSet<String>> {
        let ids = |count: usize| (0..count).map(|id| id.to_string()).collect();
        events.iter().map(|(kind, id, count)| (of(kind, id), ids(*count))).collect()
    }

    #[test]
    fn what_is_missing_made_up_or_doubled_is_wrong() {
        let expected = BTreeSet::from([of("NodeReady", "a"), of("NodeReleased", "a")]);
        let fine = [("NodeReady", "a", 1), ("NodeReleased", "a", 2), ("CleanupPending", "a", 3)];
        assert!(differences(&expected, &told(&fine)).is_empty());
        for wrong in [
            [fine[0], fine[2]].as_slice(),
            &[fine[0], fine[1], ("JobFailed", "job", 1)],
            &[("NodeReady", "a", 2), fine[1]],
        ] {
            assert_eq!(differences(&expected, &told(wrong)).len(), 1, "{wrong:?}");
        }
    }
}
