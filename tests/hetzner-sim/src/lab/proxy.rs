//! Carries TCP connections from a socket inside the lab to a port outside.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Where connections lead: an address of the host, reached from the host's own
/// network.
pub type Target = SocketAddr;

/// Most connections carried at once; more wait to be accepted. Bounds what a
/// machine gone wild can cost.
const MAX_CONNECTIONS: usize = 512;

/// Carries what arrives at `listener` to `target`, until dropped.
pub async fn serve(listener: TcpListener, target: Target) {
    let mut open = JoinSet::new();
    loop {
        while open.len() >= MAX_CONNECTIONS {
            open.join_next().await;
        }
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((inside, _)) => {
                    open.spawn(carry(inside, target));
                }
                // Out of descriptors, most likely: let some connections end.
                Err(error) => {
                    tracing::warn!(%error, %target, "a connection was not accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
            Some(_) = open.join_next() => {}
        }
    }
}

/// Carries one connection. One that cannot be made outside is closed inside,
/// which is all that the caller can be told.
async fn carry(mut inside: TcpStream, target: Target) {
    match TcpStream::connect(target).await {
        Ok(mut outside) => {
            let _ = inside.set_nodelay(true);
            let _ = outside.set_nodelay(true);
            let _ = copy_bidirectional(&mut inside, &mut outside).await;
        }
        Err(error) => tracing::debug!(%error, %target, "nothing answers behind the lab"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test]
    async fn bytes_pass_both_ways_and_an_end_is_passed_on() {
        let outside = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = outside.local_addr().unwrap();
        let inside = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let door = inside.local_addr().unwrap();
        let proxy = tokio::spawn(serve(inside, target));
        let echo = tokio::spawn(async move {
            let (mut stream, _) = outside.accept().await.unwrap();
            let mut heard = Vec::new();
            stream.read_to_end(&mut heard).await.unwrap();
            heard.reverse();
            stream.write_all(&heard).await.unwrap();
        });
        let mut caller = TcpStream::connect(door).await.unwrap();
        caller.write_all(b"abc").await.unwrap();
        caller.shutdown().await.unwrap();
        let mut answer = Vec::new();
        caller.read_to_end(&mut answer).await.unwrap();
        assert_eq!(answer, b"cba");
        echo.await.unwrap();
        proxy.abort();
    }

    #[tokio::test]
    async fn a_dead_target_closes_the_connection() {
        let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = gone.local_addr().unwrap();
        drop(gone);
        let inside = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let door = inside.local_addr().unwrap();
        let proxy = tokio::spawn(serve(inside, target));
        let mut caller = TcpStream::connect(door).await.unwrap();
        assert_eq!(caller.read(&mut [0; 1]).await.unwrap_or(0), 0);
        proxy.abort();
    }
}
