//! Being asked to end: Ctrl-C, or a polite signal.

use tokio::signal::unix::{SignalKind, signal};

use crate::error::{IoContext, Result, XtaskError};

/// Ends when somebody asks this program to end.
///
/// # Errors
/// Signals cannot be listened to.
pub async fn asked_to_end() -> Result<()> {
    let mut interrupt = signal(SignalKind::interrupt()).during("listening to signals")?;
    let mut terminate = signal(SignalKind::terminate()).during("listening to signals")?;
    let mut hangup = signal(SignalKind::hangup()).during("listening to signals")?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
    }
    Ok(())
}

/// Does some work, unless asked to end first.
///
/// # Errors
/// The work's own, or [`XtaskError::Interrupted`].
pub async fn unless_interrupted<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::select! {
        // First, so that the signals are listened to before the work begins.
        biased;
        asked = asked_to_end() => asked.and(Err(XtaskError::Interrupted)),
        result = work => result,
    }
}
