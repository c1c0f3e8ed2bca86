//! A service on 127.0.0.1 that gives every caller the answer it was last told to give, and
//! remembers what it was asked.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

/// Bytes of a request's body that are remembered.
const MAX_BODY_BYTES: usize = 1 << 20;

#[derive(Debug, Default)]
struct State {
    answer: Vec<u8>,
    /// What the next one is answered, in the place of `answer`.
    once: Option<Vec<u8>>,
    bodies: Vec<Vec<u8>>,
}

/// Clones are the same service.
#[derive(Debug, Clone)]
pub struct Parrot {
    endpoint: String,
    state: Arc<Mutex<State>>,
}

impl Parrot {
    /// Listens on the runtime this is called in.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start() -> std::io::Result<Self> {
        let socket = TcpListener::bind("127.0.0.1:0").await?;
        let endpoint = format!("http://{}", socket.local_addr()?);
        let parrot = Self { endpoint, state: Arc::default() };
        let serving = parrot.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = socket.accept().await {
                let serving = serving.clone();
                // A caller that has gone away is no trouble.
                tokio::spawn(async move { serving.serve(stream).await.ok() });
            }
        });
        Ok(parrot)
    }

    /// Without a slash at the end.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// What is answered from here on: a status line's number, headers and a body. Their length is
    /// told rightly, the connection ends with each.
    pub fn say<'a>(
        &self,
        status: u16,
        headers: impl IntoIterator<Item = (&'a [u8], &'a [u8])>,
        body: &[u8],
    ) {
        let mut state = self.state();
        (state.answer, state.once) = (answer(status, headers, body), None);
    }

    /// The next one is answered so; all after it, 200 and `then`.
    pub fn say_once(&self, status: u16, body: &[u8], then: &[u8]) {
        let mut state = self.state();
        state.once = Some(answer(status, [], body));
        state.answer = answer(200, [], then);
    }

    /// The bodies of all requests since the last time.
    pub fn take_bodies(&self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.state().bodies)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn serve(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let mut bytes = Vec::new();
        let mut buffer = vec![0; 16 * 1024];
        let (head, length) = loop {
            let read = stream.read(&mut buffer).await?;
            bytes.extend_from_slice(&buffer[..read]);
            if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
                break (at + 4, content_length(&bytes[..at]).min(MAX_BODY_BYTES));
            }
            if read == 0 || bytes.len() > MAX_BODY_BYTES {
                return Ok(());
            }
        };
        while bytes.len() < head + length {
            let read = stream.read(&mut buffer).await?;
            if read == 0 {
                break;
            }
            bytes.extend_from_slice(&buffer[..read]);
        }
        let answer = {
            let mut state = self.state();
            state.bodies.push(bytes.split_off(head));
            state.once.take().unwrap_or_else(|| state.answer.clone())
        };
        stream.write_all(&answer).await
    }
}

fn answer<'a>(
    status: u16,
    headers: impl IntoIterator<Item = (&'a [u8], &'a [u8])>,
    body: &[u8],
) -> Vec<u8> {
    let mut answer =
        format!("HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {}\r\n", body.len())
            .into_bytes();
    for (name, value) in headers {
        for part in [name, b": ", value, b"\r\n"] {
            answer.extend_from_slice(part);
        }
    }
    answer.extend_from_slice(b"\r\n");
    answer.extend_from_slice(body);
    answer
}

fn content_length(head: &[u8]) -> usize {
    let head = String::from_utf8_lossy(head).to_lowercase();
    let told = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    told.and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}
