//! Reaches into the lab's network namespace, where the machines are.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::{IoContext, Result, XtaskError};

/// How long a machine may take to answer one request.
const PATIENCE: Duration = Duration::from_secs(10);
/// An answer longer than this is no health page.
const MAX_ANSWER_BYTES: u64 = 64 * 1024;

/// Status and body of what a machine answers to `GET path`, asked from inside the lab.
///
/// # Errors
/// It cannot be reached, or its answer is no HTTP.
pub async fn fetch(netns: &Path, address: SocketAddr, path: &str) -> Result<(u16, String)> {
    let url = format!("http://{address}{path}");
    let (netns, path) = (netns.to_owned(), path.to_owned());
    // Only the thread enters the namespace, and it ends with its one request.
    let (sender, receiver) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || sender.send(fetch_inside(netns, address, &path)));
    let answer = receiver.await.map_err(|_| XtaskError::Answer {
        context: url.clone(),
        detail: "the thread that asked has died".to_owned(),
    })?;
    parse(&answer.during(&url)?)
        .ok_or_else(|| XtaskError::Answer { context: url, detail: "no HTTP answer".to_owned() })
}

fn fetch_inside(netns: PathBuf, address: SocketAddr, path: &str) -> std::io::Result<String> {
    enter(&netns)?;
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let host = address.ip();
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {host}\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.take(MAX_ANSWER_BYTES).read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[cfg(target_os = "linux")]
fn enter(netns: &Path) -> std::io::Result<()> {
    let namespace = File::open(netns)?;
    Ok(nix::sched::setns(namespace, nix::sched::CloneFlags::CLONE_NEWNET)?)
}

#[cfg(not(target_os = "linux"))]
fn enter(netns: &Path) -> std::io::Result<()> {
    File::open(netns).map(drop)
}

fn parse(answer: &str) -> Option<(u16, String)> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.")?.split_whitespace().nth(1)?.parse().ok()?;
    Some((status, body.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn an_answer_has_a_status_and_a_body() {
        let answer = "HTTP/1.1 503 Service Unavailable\r\nServer: nginx\r\n\r\n{\"status\":\"no\"}";
        assert_eq!(parse(answer), Some((503, "{\"status\":\"no\"}".to_owned())));
        assert_eq!(parse("SSH-2.0-OpenSSH_10.0\r\n"), None);
    }
}
