//! Trying a node's SSH port from where we run.

use std::{net::IpAddr, time::Duration};

use nodeyard_engine::watch::Reach;
use tokio::{net::TcpStream, time::timeout};

const SSH_PORT: u16 = 22;
const LIMIT: Duration = Duration::from_secs(3);

/// The SSH port of an address.
#[derive(Debug, Clone, Copy)]
pub struct SshPort {
    /// False where nodes are not reached from here: nothing is tried, and nothing is said.
    pub tried: bool,
}

impl Reach for SshPort {
    async fn answers(&self, address: &str) -> Option<bool> {
        let address: IpAddr = address.parse().ok().filter(|_| self.tried)?;
        Some(is_open(address, SSH_PORT).await)
    }
}

async fn is_open(address: IpAddr, port: u16) -> bool {
    matches!(timeout(LIMIT, TcpStream::connect((address, port))).await, Ok(Ok(_)))
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_port_that_is_listened_on_is_open_and_another_is_not() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let here = listener.local_addr().unwrap();
        assert!(is_open(here.ip(), here.port()).await);
        drop(listener);
        assert!(!is_open(here.ip(), here.port()).await);
    }

    #[tokio::test]
    async fn nothing_is_said_of_what_is_not_tried() {
        assert_eq!(SshPort { tried: false }.answers("127.0.0.1").await, None);
        assert_eq!(SshPort { tried: true }.answers("node.example").await, None);
    }
}
