//! This process: when it is told to end, and what others may see of it.

use std::{future::Future, io};

use tokio::signal::unix::{SignalKind, signal};

/// Ready once this process is asked to end: by the container service's StopTask (SIGTERM), or from
/// a terminal.
///
/// # Errors
/// When the signals cannot be listened to.
pub fn end_signal() -> io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// Keeps children of the same user from reading our environment, which leads to the task's
/// credentials, through `/proc`. Root is not kept out.
pub fn hide_memory() {
    #[cfg(target_os = "linux")]
    if let Err(error) = nix::sys::prctl::set_dumpable(false) {
        tracing::warn!(%error, "children may read this process's environment");
    }
}
