//! Speaks SQS's JSON protocol to an emulator, as far as waking and feeding need it.

use std::time::Duration;

use reqwest::{Client, RequestBuilder};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::api::{http_client, read, text};
use crate::error::{Result, XtaskError};

/// A message that was received and not yet deleted.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Message {
    /// Its id.
    pub message_id: String,
    /// What deletes it.
    pub receipt_handle: String,
    /// What was sent.
    pub body: String,
    /// MD5 of the body, in hex.
    #[serde(rename = "MD5OfBody")]
    pub md5_of_body: String,
    /// Receive count, time sent and the like.
    #[serde(default)]
    pub attributes: Map<String, Value>,
}

/// An SQS client.
#[derive(Debug, Clone)]
pub struct Queue {
    client: Client,
}

impl Queue {
    /// A client for any queue.
    ///
    /// # Errors
    /// No HTTP client can be made.
    pub fn new() -> Result<Self> {
        Ok(Self { client: http_client()? })
    }

    /// Makes a queue; answers with its URL.
    ///
    /// # Errors
    /// It was refused.
    pub async fn create(&self, endpoint: &str, name: &str) -> Result<String> {
        let request = json!({ "QueueName": name });
        text(&self.call(endpoint, "CreateQueue", &request).await?, "/QueueUrl")
    }

    /// A queue's ARN, by its URL.
    ///
    /// # Errors
    /// It was refused.
    pub async fn arn(&self, url: &str) -> Result<String> {
        let request = json!({ "QueueUrl": url, "AttributeNames": ["QueueArn"] });
        text(&self.call(url, "GetQueueAttributes", &request).await?, "/Attributes/QueueArn")
    }

    /// Sends a message.
    ///
    /// # Errors
    /// It was not accepted.
    pub async fn send(&self, url: &str, body: &str) -> Result<()> {
        let request = json!({ "QueueUrl": url, "MessageBody": body });
        self.call(url, "SendMessage", &request).await.map(drop)
    }

    /// Receives up to ten messages, waiting for the first one.
    ///
    /// # Errors
    /// No answer, or none that can be read.
    pub async fn receive(&self, url: &str, wait: Duration) -> Result<Vec<Message>> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Received {
            #[serde(default)]
            messages: Vec<Message>,
        }
        let request = json!({
            "QueueUrl": url,
            "MaxNumberOfMessages": 10,
            "WaitTimeSeconds": wait.as_secs(),
            "AttributeNames": ["All"],
        });
        let answer = self.call(url, "ReceiveMessage", &request).await?;
        serde_json::from_value::<Received>(answer).map(|received| received.messages).map_err(
            |error| XtaskError::Answer {
                context: "ReceiveMessage".to_owned(),
                detail: error.to_string(),
            },
        )
    }

    /// Deletes a message that was received.
    ///
    /// # Errors
    /// It was not deleted.
    pub async fn delete(&self, url: &str, message: &Message) -> Result<()> {
        let request = json!({ "QueueUrl": url, "ReceiptHandle": message.receipt_handle });
        self.call(url, "DeleteMessage", &request).await.map(drop)
    }

    async fn call(&self, url: &str, action: &str, body: &Value) -> Result<Value> {
        let request = signed(self.client.post(url), "sqs")
            .header("X-Amz-Target", format!("AmazonSQS.{action}"))
            .header("Content-Type", "application/x-amz-json-1.0")
            .body(body.to_string());
        let (status, text) = read(request, action).await?;
        if !status.is_success() {
            let detail = format!("{status}\n{text}");
            return Err(XtaskError::Answer { context: action.to_owned(), detail });
        }
        Ok(serde_json::from_str(&text).unwrap_or_default())
    }
}

/// Emulators read the service and the region out of the signature, and do not check it.
pub fn signed(request: RequestBuilder, service: &str) -> RequestBuilder {
    let scope = format!("test/20260101/us-east-1/{service}/aws4_request");
    request.header(
        "Authorization",
        format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"),
    )
}
