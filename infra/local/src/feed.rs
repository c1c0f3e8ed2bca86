//! Does for `cargo lambda watch` what an event source mapping does in the
//! cloud: hands a queue's messages to a function and deletes what it did not
//! report as failed.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use crate::api::{http_client, read};
use crate::cli::FeedOptions;
use crate::error::{Result, XtaskError};
use crate::queue::{Message, Queue};

/// How long one look at the queue waits for a message.
const WAIT: Duration = Duration::from_secs(5);

/// Hands messages over until asked to end.
///
/// # Errors
/// The queue or the function cannot be reached, or the function failed.
pub async fn feed(options: &FeedOptions) -> Result<()> {
    let queue = Queue::new()?;
    println!("feeding {} from {}", options.function, options.queue_url);
    loop {
        let (done, left) = hand_over(&queue, options).await?;
        if done + left > 0 {
            println!("{done} done, {left} left on the queue");
        }
    }
}

/// Hands over one batch; answers how many messages were deleted and how many left.
///
/// # Errors
/// As [`feed`]; the messages stay and show up again.
pub async fn hand_over(queue: &Queue, options: &FeedOptions) -> Result<(usize, usize)> {
    let messages = queue.receive(&options.queue_url, WAIT).await?;
    if messages.is_empty() {
        return Ok((0, 0));
    }
    let answer = invoke(options, &event(&messages, &options.queue_url)).await?;
    let failed = failed_ids(&answer);
    let mut done = 0;
    for message in messages.iter().filter(|message| !failed.contains(&message.message_id)) {
        queue.delete(&options.queue_url, message).await?;
        done += 1;
    }
    Ok((done, messages.len() - done))
}

async fn invoke(options: &FeedOptions, event: &Value) -> Result<Value> {
    let path = format!("/2015-03-31/functions/{}/invocations", options.function);
    let request = http_client()?
        .post(format!("{}{path}", options.watch_url))
        .timeout(Duration::from_secs(120))
        .json(event);
    let (status, text) = read(request, "invoking the function").await?;
    let answer: Value = serde_json::from_str(&text).unwrap_or_default();
    if !status.is_success() || answer.get("errorType").is_some() {
        return Err(XtaskError::Answer {
            context: "invoking the function".to_owned(),
            detail: format!("{status}\n{text}"),
        });
    }
    Ok(answer)
}

/// The messages as a function gets them from its event source.
fn event(messages: &[Message], queue_url: &str) -> Value {
    let name = queue_url.rsplit('/').next().unwrap_or_default();
    let records: Vec<Value> = messages
        .iter()
        .map(|message| {
            json!({
                "messageId": message.message_id,
                "receiptHandle": message.receipt_handle,
                "body": message.body,
                "attributes": message.attributes,
                "messageAttributes": {},
                "md5OfBody": message.md5_of_body,
                "eventSource": "aws:sqs",
                "eventSourceARN": format!("arn:aws:sqs:us-east-1:000000000000:{name}"),
                "awsRegion": "us-east-1",
            })
        })
        .collect();
    json!({ "Records": records })
}

/// The messages that the function wants to see again.
fn failed_ids(answer: &Value) -> BTreeSet<String> {
    let failures = answer.get("batchItemFailures").and_then(Value::as_array);
    failures
        .into_iter()
        .flatten()
        .filter_map(|failure| Some(failure.get("itemIdentifier")?.as_str()?.to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{event, failed_ids};
    use crate::queue::Message;
    use serde_json::json;

    fn message(id: &str) -> Message {
        serde_json::from_value(json!({
            "MessageId": id, "ReceiptHandle": "r", "Body": "{\"job_id\":\"job-1\"}",
            "MD5OfBody": "0", "Attributes": { "ApproximateReceiveCount": "2" },
        }))
        .unwrap()
    }

    #[test]
    fn messages_become_the_event_a_function_knows() {
        let event = event(&[message("a"), message("b")], "http://127.0.0.1:1/000000000000/wakes");
        assert_eq!(event.pointer("/Records/1/messageId").unwrap(), "b");
        assert_eq!(event.pointer("/Records/0/attributes/ApproximateReceiveCount").unwrap(), "2");
        let arn = event.pointer("/Records/0/eventSourceARN").unwrap();
        assert_eq!(arn, "arn:aws:sqs:us-east-1:000000000000:wakes");
    }

    #[test]
    fn only_what_the_function_names_stays() {
        let failed = failed_ids(&json!({ "batchItemFailures": [{ "itemIdentifier": "b" }] }));
        assert!(failed.contains("b") && !failed.contains("a"));
        assert!(failed_ids(&json!(null)).is_empty());
    }
}
