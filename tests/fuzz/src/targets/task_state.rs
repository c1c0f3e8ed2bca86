//! The event of a container task that stopped. A rule of the template makes a wake of it: by its
//! pattern, its paths and its input template, which are read from the template itself.

use aws_lambda_events::sqs::{SqsEvent, SqsMessage};
use nodeyard_domain::wake::Wake;
use serde_json::Value;

use super::{batch::Batch, hold};
use crate::{corpus, target::Target};

/// The rule, as far as it decides what becomes of an event.
struct Rule {
    prefix: String,
    template: String,
}

pub(super) struct TaskState {
    rule: Rule,
    worker: Batch,
}

impl TaskState {
    pub(super) fn new() -> Self {
        let text = include_str!("../../../../infra/template.yaml");
        let after = |mark: &str| {
            let at = text.find(mark).expect("the rule is in the template") + mark.len();
            text[at..].lines().next().unwrap_or_default().trim()
        };
        let prefix = after("startedBy: [{ prefix: ").trim_end_matches([' ', '}', ']']).to_owned();
        let template = after("InputTemplate: ").trim_matches('\'').to_owned();
        assert!(after("InputPathsMap: ").contains("job: $.detail.startedBy"));
        Self { rule: Rule { prefix, template }, worker: Batch::new() }
    }

    /// The message that the rule sends: a text goes into the template without quotes or escapes.
    fn message(&self, event: &Value) -> Option<String> {
        let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str);
        let fits = text("/source") == Some("aws.ecs")
            && text("/detail-type") == Some("ECS Task State Change")
            && text("/detail/lastStatus") == Some("STOPPED");
        let job = text("/detail/startedBy").filter(|job| job.starts_with(&self.rule.prefix))?;
        fits.then(|| self.rule.template.replace("<job>", job))
    }
}

impl Target for TaskState {
    fn name(&self) -> &'static str {
        "task-state"
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        let mut seeds = corpus::events("ecs-task");
        let text = String::from_utf8_lossy(&seeds[0]).into_owned();
        let known = "job-00000000000000000000000000000001";
        seeds.push(text.replace(known, self.worker.job()).into_bytes());
        let quoting = format!("{known}\\\",\\\"reason\\\":\\\"cancel");
        seeds.push(text.replace(known, &quoting).into_bytes());
        seeds
    }

    fn reset(&mut self) {
        self.worker.reset();
    }

    fn run(&mut self, input: &[u8]) -> Result<String, String> {
        let Ok(event) = serde_json::from_slice::<Value>(input) else { return Ok("no JSON".into()) };
        let Some(body) = self.message(&event) else { return Ok("not for us".into()) };
        let mut record = SqsMessage::default();
        (record.message_id, record.body) = (Some("one".to_owned()), Some(body.clone()));
        let mut batch = SqsEvent::default();
        batch.records = vec![record];
        let back = self.worker.handle(batch);
        let wake = serde_json::from_str::<Wake>(&body);
        hold(back.is_empty() == wake.is_ok(), || format!("{body} was not handled by what it is"))?;
        Ok(wake.map_or("no wake".into(), |wake| format!("{:?}", wake.reason)))
    }
}
