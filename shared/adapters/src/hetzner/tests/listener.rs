//! A loopback API that answers by a script and keeps what it was asked.

use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// What the API does with one call.
pub enum Reply {
    Json(u16, Value),
    Text(u16, &'static str),
    /// Reads the call and hangs up: whether it took effect nobody knows.
    Drop,
    /// Promises more bytes than it sends.
    CutShort,
    /// Reads the call and says nothing.
    Silence,
}

/// What the API is there for in one test.
pub enum Scenario {
    /// No call may happen.
    NoCall,
    /// Exactly these calls, in this order: method and target, and what comes back.
    Calls(Vec<(&'static str, Reply)>),
}

#[derive(Debug, Clone)]
pub struct Request {
    /// Method and target, as in `GET /servers?name=web`; paging left out.
    pub line: String,
    pub head: String,
    pub body: String,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

pub struct Listener {
    pub endpoint: String,
    seen: Arc<Mutex<Vec<Request>>>,
    expected: Vec<&'static str>,
    task: JoinHandle<()>,
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Listener {
    pub async fn start(scenario: Scenario) -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}/v1", socket.local_addr().unwrap());
        let script = match scenario {
            Scenario::NoCall => Vec::new(),
            Scenario::Calls(script) => script,
        };
        let expected = script.iter().map(|(line, _)| *line).collect();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let task = tokio::spawn(serve(socket, script, Arc::clone(&seen)));
        Self { endpoint, seen, expected, task }
    }

    /// What was asked, once it is sure that it was what the scenario says and no more.
    pub fn requests(&self) -> Vec<Request> {
        let seen = self.seen.lock().unwrap().clone();
        let lines: Vec<&str> = seen.iter().map(|request| request.line.as_str()).collect();
        assert_eq!(lines, self.expected);
        seen
    }
}

async fn serve(
    socket: TcpListener,
    script: Vec<(&'static str, Reply)>,
    seen: Arc<Mutex<Vec<Request>>>,
) {
    let mut script = script.into_iter();
    let mut silent = Vec::new();
    while let Ok((mut stream, _)) = socket.accept().await {
        let Some(request) = read(&mut stream).await else { continue };
        let remaining = {
            let mut seen = seen.lock().unwrap();
            seen.push(request);
            3600 - seen.len()
        };
        let reply = script.next().map(|(_, reply)| reply);
        let (status, body, promised) = match reply {
            Some(Reply::Json(status, body)) => {
                let text = body.to_string();
                let length = text.len();
                (status, text, length)
            }
            Some(Reply::Text(status, text)) => (status, text.to_owned(), text.len()),
            Some(Reply::CutShort) => (201, "{\"server\":{\"id\":".to_owned(), 4000),
            Some(Reply::Drop) => continue,
            Some(Reply::Silence) => {
                silent.push(stream);
                continue;
            }
            None => (500, "not in the script".to_owned(), 17),
        };
        let answer = format!(
            "HTTP/1.1 {status} X\r\nContent-Length: {promised}\r\nConnection: close\r\n\
             X-Correlation-Id: corr-1\r\nRateLimit-Limit: 3600\r\n\
             RateLimit-Remaining: {remaining}\r\n\
             RateLimit-Reset: 4102444800\r\nLocation: /v1/elsewhere\r\n\r\n{body}"
        );
        let _ = stream.write_all(answer.as_bytes()).await;
    }
}

async fn read(stream: &mut TcpStream) -> Option<Request> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
            let mut words = head.split(' ');
            let (method, target) = (words.next()?, words.next()?);
            let line = format!("{method} {}", without_paging(target.strip_prefix("/v1")?));
            let mut request = Request { line, head, body: String::new() };
            let length = request.header("content-length").unwrap_or("0").parse::<usize>().ok()?;
            if bytes.len() >= end + 4 + length {
                request.body = String::from_utf8_lossy(&bytes[end + 4..]).into_owned();
                return Some(request);
            }
        }
        let count = stream.read(&mut buffer).await.ok().filter(|count| *count > 0)?;
        bytes.extend_from_slice(&buffer[..count]);
    }
}

/// The first page of a list goes without saying.
fn without_paging(target: &str) -> String {
    let Some((path, query)) = target.split_once('?') else { return target.to_owned() };
    let told: Vec<&str> =
        query.split('&').filter(|part| !matches!(*part, "page=1" | "per_page=50")).collect();
    if told.is_empty() { path.to_owned() } else { format!("{path}?{}", told.join("&")) }
}
