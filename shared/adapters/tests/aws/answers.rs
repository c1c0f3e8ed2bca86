//! A service that gives prepared answers, one a request, and remembers what it was asked.

use std::sync::{Arc, Mutex};

use aws_config::{BehaviorVersion, Region, SdkConfig, retry::RetryConfig};
use aws_sdk_ecs::config::{Credentials, SharedCredentialsProvider};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

type Requests = Arc<Mutex<Vec<(String, Value)>>>;

pub struct Answers {
    endpoint: String,
    requests: Requests,
}

impl Answers {
    /// Serves the answers in their order, each on a connection of its own.
    pub async fn start(answers: Vec<(u16, Value)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let requests = Requests::default();
        let seen = requests.clone();
        tokio::spawn(async move {
            for (status, body) in answers {
                let (mut stream, _) = listener.accept().await.unwrap();
                let request = read_request(&mut stream).await;
                // Before the answer: whoever has that may look.
                seen.lock().unwrap().push(request);
                stream.write_all(response(status, &body.to_string()).as_bytes()).await.unwrap();
            }
        });
        Self { endpoint, requests }
    }

    pub fn config(&self) -> SdkConfig {
        let credentials = Credentials::new("test", "test", None, None, "test");
        SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::from_static("eu-central-1"))
            .endpoint_url(&self.endpoint)
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .retry_config(RetryConfig::disabled())
            .build()
    }

    /// Operation and body of each request so far.
    pub fn requests(&self) -> Vec<(String, Value)> {
        self.requests.lock().unwrap().clone()
    }
}

/// Operation and body.
async fn read_request(stream: &mut TcpStream) -> (String, Value) {
    let mut bytes = Vec::new();
    let (head, length) = loop {
        let mut chunk = [0; 4096];
        let read = stream.read(&mut chunk).await.unwrap();
        assert!(read > 0, "the request ends before its head does");
        bytes.extend_from_slice(&chunk[..read]);
        let text = String::from_utf8_lossy(&bytes).to_lowercase();
        if let Some(end) = text.find("\r\n\r\n") {
            let length = header(&text[..end], "content-length").parse::<usize>().unwrap();
            break (end + 4, length);
        }
    };
    while bytes.len() < head + length {
        let mut chunk = [0; 4096];
        let read = stream.read(&mut chunk).await.unwrap();
        assert!(read > 0, "the request ends before its body does");
        bytes.extend_from_slice(&chunk[..read]);
    }
    let head_text = String::from_utf8_lossy(&bytes[..head]).into_owned();
    let target = header(&head_text, "x-amz-target");
    let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
    (operation, serde_json::from_slice(&bytes[head..]).unwrap())
}

fn response(status: u16, body: &str) -> String {
    format!(
        "HTTP/1.1 {status} X\r\ncontent-type: application/x-amz-json-1.1\r\n\
         connection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn header<'a>(head: &'a str, name: &str) -> &'a str {
    head.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(key, _)| key.eq_ignore_ascii_case(name))
        .map_or("", |(_, value)| value.trim())
}
