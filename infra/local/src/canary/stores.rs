//! Reads what the stack keeps: logs, items, messages, task definitions, tasks, configurations, and
//! the secrets themselves.

use std::io::Read;

use flate2::read::ZlibDecoder;
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};

use super::matcher::{Secret, decoded_base64, seed_of};
use super::place::{Kind, Places};
use crate::api::{http_client, read, text};
use crate::error::{Result, XtaskError};
use crate::queue::signed;
use crate::state::StackState;

/// The most that is expanded of one compressed attribute, in bytes: more than an item may hold.
const MAX_EXPANDED_BYTES: u64 = 16 * 1024 * 1024;
/// Pages of one list; more than any stack has.
const MAX_PAGES: usize = 2_000;
const TASK_SERVICE: &str = "AmazonEC2ContainerServiceV20141113";

/// The stores of one stack.
#[derive(Debug, Clone)]
pub struct Stores {
    client: Client,
    aws_url: String,
    ecs_url: String,
    queue_url: String,
}

impl Stores {
    /// The stores of a stack that has been deployed.
    ///
    /// # Errors
    /// It has not been.
    pub fn of(state: &StackState) -> Result<Self> {
        let queue_url = state.queue_url.clone();
        Ok(Self {
            client: http_client()?,
            aws_url: state.aws_url.clone(),
            ecs_url: state.ecs_url.clone(),
            queue_url: queue_url.ok_or_else(|| XtaskError::NotUp(state.stack.clone()))?,
        })
    }

    /// What changes from moment to moment: items, messages, container tasks.
    ///
    /// # Errors
    /// A store does not answer.
    pub async fn look(&self, places: &Places) -> Result<()> {
        self.messages(places).await?;
        self.items(places).await?;
        self.tasks(places).await
    }

    /// What only grows or stays: logs, task definitions, the deployment.
    ///
    /// # Errors
    /// A store does not answer.
    pub async fn look_at_the_end(&self, places: &Places) -> Result<()> {
        self.logs(places).await?;
        self.task_definitions(places).await?;
        self.deployment(places).await
    }

    /// Every secret there is, with all its versions, and the seeds of private keys.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn secrets(&self) -> Result<Vec<Secret>> {
        let mut secrets = Vec::new();
        let listed = self.list("secretsmanager", "secretsmanager.ListSecrets", json!({})).await?;
        for entry in listed.iter().flat_map(|page| items_of(page, "SecretList")) {
            let name = text(entry, "/Name")?;
            let target = "secretsmanager.ListSecretVersionIds";
            let versions = json!({ "SecretId": name, "IncludeDeprecated": true });
            for page in self.list("secretsmanager", target, versions).await? {
                for version in items_of(&page, "Versions") {
                    let version = text(version, "/VersionId")?;
                    let wanted = json!({ "SecretId": name, "VersionId": version });
                    let target = "secretsmanager.GetSecretValue";
                    let answer =
                        self.call(&self.aws_url, "secretsmanager", target, &wanted).await?;
                    let value = text(&answer, "/SecretString")?.into_bytes();
                    if let Some(seed) = seed_of(&value) {
                        secrets.push(Secret { name: format!("{name}, its seed"), value: seed });
                    }
                    secrets.push(Secret { name: name.clone(), value });
                }
            }
        }
        Ok(secrets)
    }

    /// Looks at the messages without receiving them: nobody's turn is taken.
    async fn messages(&self, places: &Places) -> Result<()> {
        let wakes = self.queue_url.rsplit('/').next().unwrap_or_default();
        let request = self.client.get(format!("{}/_ministack/sqs/messages", self.aws_url));
        let (status, answer) = read(request, "messages").await?;
        if !status.is_success() {
            return Err(unexpected("messages", status, &answer));
        }
        let mut found = Vec::new();
        collect_messages(&serde_json::from_str(&answer).unwrap_or_default(), "", &mut found);
        for (queue, message) in found {
            let is_wake = queue.ends_with(wakes);
            let kind = if is_wake { Kind::Message } else { Kind::DeadLetter };
            places.add(kind, kind.word(), message.to_string());
        }
        Ok(())
    }

    async fn items(&self, places: &Places) -> Result<()> {
        for table in self.list("dynamodb", "DynamoDB_20120810.ListTables", json!({})).await? {
            for table in items_of(&table, "TableNames").filter_map(Value::as_str) {
                let scan = json!({ "TableName": table, "ConsistentRead": true });
                for page in self.list("dynamodb", "DynamoDB_20120810.Scan", scan).await? {
                    for item in items_of(&page, "Items") {
                        let key = |name: &str| item.pointer(&format!("/{name}/S")).cloned();
                        let key = [key("pk"), key("sk")].map(Option::unwrap_or_default);
                        places.add(Kind::Item, format!("{} {}", key[0], key[1]), spelt_out(item));
                    }
                }
            }
        }
        Ok(())
    }

    async fn tasks(&self, places: &Places) -> Result<()> {
        for status in ["RUNNING", "STOPPED"] {
            let target = format!("{TASK_SERVICE}.ListTasks");
            let cluster = "nodeyard-local";
            let body = json!({ "cluster": cluster, "desiredStatus": status });
            let listed = self.call(&self.ecs_url, "ecs", &target, &body).await?;
            let arns: Vec<&Value> = items_of(&listed, "taskArns").collect();
            for arns in arns.chunks(100) {
                let target = format!("{TASK_SERVICE}.DescribeTasks");
                let body = json!({ "cluster": cluster, "tasks": arns });
                let described = self.call(&self.ecs_url, "ecs", &target, &body).await?;
                for task in items_of(&described, "tasks") {
                    let name = text(task, "/taskArn")?;
                    places.add(Kind::ContainerTask, name, task.to_string());
                }
            }
        }
        Ok(())
    }

    async fn logs(&self, places: &Places) -> Result<()> {
        let target = "Logs_20140328.DescribeLogGroups";
        for page in self.list("logs", target, json!({})).await? {
            for group in items_of(&page, "logGroups") {
                let group = text(group, "/logGroupName")?;
                let target = "Logs_20140328.DescribeLogStreams";
                let streams = json!({ "logGroupName": group });
                for page in self.list("logs", target, streams).await? {
                    for stream in items_of(&page, "logStreams") {
                        let stream = text(stream, "/logStreamName")?;
                        let lines = self.log_stream(&group, &stream).await?;
                        places.add(Kind::FunctionLog, format!("{group} {stream}"), lines);
                    }
                }
            }
        }
        Ok(())
    }

    /// A stream from its beginning, page by page until one is empty: a list filtered over a whole
    /// group ends in the emulator after 10,000 events, without saying so.
    async fn log_stream(&self, group: &str, stream: &str) -> Result<String> {
        let target = "Logs_20140328.GetLogEvents";
        let mut body =
            json!({ "logGroupName": group, "logStreamName": stream, "startFromHead": true });
        let mut lines = String::new();
        for _ in 0..MAX_PAGES {
            let page = self.call(&self.aws_url, "logs", target, &body).await?;
            let before = lines.len();
            for event in items_of(&page, "events") {
                lines.push_str(text(event, "/message")?.trim_end());
                lines.push('\n');
            }
            if lines.len() == before {
                return Ok(lines);
            }
            if let Some(fields) = body.as_object_mut() {
                fields.insert("nextToken".to_owned(), json!(text(&page, "/nextForwardToken")?));
            }
        }
        Err(XtaskError::Check(format!("{target}: more than {MAX_PAGES} pages")))
    }

    async fn task_definitions(&self, places: &Places) -> Result<()> {
        let target = format!("{TASK_SERVICE}.ListTaskDefinitions");
        for page in self.list("ecs", &target, json!({})).await? {
            for arn in items_of(&page, "taskDefinitionArns") {
                let target = format!("{TASK_SERVICE}.DescribeTaskDefinition");
                let body = json!({ "taskDefinition": arn });
                let answer = self.call(&self.aws_url, "ecs", &target, &body).await?;
                places.add(Kind::TaskDefinition, arn.to_string(), answer.to_string());
            }
        }
        Ok(())
    }

    async fn deployment(&self, places: &Places) -> Result<()> {
        for action in ["DescribeStacks", "DescribeStackEvents", "DescribeStackResources"] {
            let form = format!("Action={action}&Version=2010-05-15&StackName=nodeyard");
            let request = signed(self.client.post(&self.aws_url), "cloudformation")
                .header("Content-Type", "application/x-www-form-urlencoded")
                .body(form);
            let (status, answer) = read(request, action).await?;
            if !status.is_success() {
                return Err(unexpected(action, status, &answer));
            }
            places.add(Kind::Deployment, action, answer);
        }
        let url = format!("{}/2015-03-31/functions/", self.aws_url);
        let (status, answer) = read(signed(self.client.get(url), "lambda"), "functions").await?;
        if !status.is_success() {
            return Err(unexpected("functions", status, &answer));
        }
        places.add(Kind::Deployment, "configurations of the functions", answer);
        Ok(())
    }

    /// All pages of a list, whatever the service calls the place where the next one begins.
    async fn list(&self, service: &str, target: &str, mut body: Value) -> Result<Vec<Value>> {
        const NEXT: &[(&str, &str)] = &[
            ("nextToken", "nextToken"),
            ("NextToken", "NextToken"),
            ("LastEvaluatedKey", "ExclusiveStartKey"),
            ("LastEvaluatedTableName", "ExclusiveStartTableName"),
        ];
        let mut pages = Vec::new();
        while pages.len() < MAX_PAGES {
            let page = self.call(&self.aws_url, service, target, &body).await?;
            let next = NEXT.iter().find_map(|(said, asked)| {
                let next = page.get(*said).filter(|next| !next.is_null())?;
                Some(((*asked).to_owned(), next.clone()))
            });
            pages.push(page);
            let Some((asked, next)) = next else { return Ok(pages) };
            if let Some(fields) = body.as_object_mut() {
                fields.insert(asked, next);
            }
        }
        Err(XtaskError::Check(format!("{target}: more than {MAX_PAGES} pages")))
    }

    async fn call(&self, url: &str, service: &str, target: &str, body: &Value) -> Result<Value> {
        let version = if service == "dynamodb" { "1.0" } else { "1.1" };
        let request: RequestBuilder = signed(self.client.post(url), service)
            .header("X-Amz-Target", target)
            .header("Content-Type", format!("application/x-amz-json-{version}"))
            .body(body.to_string());
        let (status, answer) = read(request, target).await?;
        if !status.is_success() {
            return Err(unexpected(target, status, &answer));
        }
        serde_json::from_str(&answer).map_err(|error| XtaskError::Answer {
            context: target.to_owned(),
            detail: error.to_string(),
        })
    }
}

/// Says nothing of the answer's body: it may be one that holds a secret.
fn unexpected(context: &str, status: reqwest::StatusCode, answer: &str) -> XtaskError {
    let kind = serde_json::from_str::<Value>(answer).ok();
    let kind = kind.as_ref().and_then(|body| body.get("__type")?.as_str()).unwrap_or_default();
    XtaskError::Answer { context: context.to_owned(), detail: format!("{status} {kind}") }
}

fn items_of<'a>(page: &'a Value, field: &str) -> impl Iterator<Item = &'a Value> {
    page.get(field).and_then(Value::as_array).into_iter().flatten()
}

/// An item as text, and behind it what its binary attributes hold, expanded if compressed.
fn spelt_out(item: &Value) -> Vec<u8> {
    let mut bytes = item.to_string().into_bytes();
    let mut rest = vec![item];
    while let Some(value) = rest.pop() {
        match value {
            Value::Object(fields) => {
                let binary = fields.get("B").and_then(Value::as_str);
                if let Some(binary) = binary.and_then(|text| decoded_base64(text.as_bytes())) {
                    bytes.push(b'\n');
                    bytes.extend(expanded(&binary).unwrap_or(binary));
                }
                rest.extend(fields.values());
            }
            Value::Array(values) => rest.extend(values),
            _ => {}
        }
    }
    bytes
}

fn expanded(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    ZlibDecoder::new(bytes).take(MAX_EXPANDED_BYTES).read_to_end(&mut text).ok()?;
    Some(text)
}

/// Whatever has a `Body` is a message; the nearest name or address around it is its queue's.
fn collect_messages(value: &Value, queue: &str, found: &mut Vec<(String, Value)>) {
    match value {
        Value::Object(fields) if fields.contains_key("Body") || fields.contains_key("body") => {
            found.push((queue.to_owned(), value.clone()));
        }
        Value::Object(fields) => {
            let named = ["QueueUrl", "queue_url", "QueueName", "name"];
            let name = named.iter().find_map(|name| fields.get(*name)?.as_str());
            for (key, inner) in fields {
                let inside = if key.contains("://") { key } else { name.unwrap_or(queue) };
                collect_messages(inner, inside, found);
            }
        }
        Value::Array(values) => {
            values.iter().for_each(|inner| collect_messages(inner, queue, found));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::ZlibEncoder;
    use serde_json::json;

    use super::{collect_messages, spelt_out};

    #[test]
    fn what_is_compressed_in_an_item_is_spelt_out() {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(b"a line of a job's log").unwrap();
        let bytes = encoder.finish().unwrap();
        let item = json!({
            "pk": { "S": "JOB#1" },
            "list": { "L": [{ "M": { "text": { "B": encoded(&bytes) } } }] },
            "raw": { "B": encoded(b"as it is") },
        });
        let text = String::from_utf8_lossy(&spelt_out(&item)).into_owned();
        for part in ["JOB#1", "a line of a job's log", "as it is"] {
            assert!(text.contains(part), "{part}");
        }
    }

    fn encoded(bytes: &[u8]) -> String {
        let digits: Vec<char> =
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".chars().collect();
        let bit =
            |at: usize| usize::from(bytes.get(at / 8).map_or(0, |byte| byte >> (7 - at % 8) & 1));
        let digit =
            |at: usize| digits[(0..6).fold(0, |value, part| value << 1 | bit(at * 6 + part))];
        (0..(bytes.len() * 8).div_ceil(6)).map(digit).collect()
    }

    #[test]
    fn messages_are_found_with_their_queue() {
        let answer = json!({ "queues": [
            { "QueueUrl": "http://127.0.0.1/0/wakes", "messages": [{ "Body": "a" }] },
            { "name": "dead", "messages": [{ "MessageId": "1", "body": "b" }] },
        ] });
        let mut found = Vec::new();
        collect_messages(&answer, "", &mut found);
        let told: Vec<_> = found.iter().map(|(queue, message)| (queue.as_str(), message)).collect();
        assert_eq!(told[0], ("http://127.0.0.1/0/wakes", &json!({ "Body": "a" })));
        assert_eq!(told[1].0, "dead");
    }
}
