//! Makes sockets inside a network namespace.
//!
//! A socket belongs to the namespace that its thread was in when it was made,
//! for ever. So a short-lived thread goes in, makes it, and hands it out; the
//! rest of the process never leaves the host's network.

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use nix::sched::{CloneFlags, setns};
use tokio::net::TcpListener;

use crate::backing::BackingError;
use crate::backing::command::io;

/// Listens on `address` as the namespace at `path` sees it.
///
/// # Errors
/// No such namespace, no right to enter it, or an address that is taken.
pub async fn listen(path: &Path, address: SocketAddr) -> Result<TcpListener, BackingError> {
    let context = format!("listening on {address} in {}", path.display());
    let path = PathBuf::from(path);
    let (answer, answered) = tokio::sync::oneshot::channel();
    std::thread::Builder::new()
        .name("netns".to_owned())
        .spawn(move || {
            let _ = answer.send(listen_inside(&path, address));
        })
        .map_err(io(context.clone()))?;
    answered
        .await
        .map_err(|_| io(context.clone())(std::io::Error::other("the thread died")))?
        .and_then(TcpListener::from_std)
        .map_err(io(context))
}

/// Moves this thread into the namespace and listens there. Only for a thread
/// that ends right after.
fn listen_inside(path: &Path, address: SocketAddr) -> std::io::Result<std::net::TcpListener> {
    setns(File::open(path)?, CloneFlags::CLONE_NEWNET)?;
    let listener = std::net::TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}
