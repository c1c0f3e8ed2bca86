//! Repeats calls that may fail for a moment. The adapters retry too; this outlasts an outage of
//! seconds, because a run that is given up costs minutes.

use std::{fmt::Display, time::Duration};

/// Tries, the first included.
const TRIES: u32 = 5;

/// Calls until it succeeds, at most five times, pausing one, two, three… times `pause` between.
///
/// # Errors
/// The last error, once `passing` says that it will not pass, or after the last try.
pub(crate) async fn persist<T, E: Display>(
    what: &str,
    pause: Duration,
    passing: impl Fn(&E) -> bool,
    mut call: impl AsyncFnMut() -> Result<T, E>,
) -> Result<T, E> {
    let mut tries = 1;
    loop {
        match call().await {
            Err(error) if tries < TRIES && passing(&error) => {
                tracing::info!(%error, tries, "{what} failed, trying again");
                tokio::time::sleep(pause * tries).await;
                tries += 1;
            }
            answer => return answer,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn count(passing: bool, succeeds_at: u32) -> (u32, Result<(), &'static str>) {
        let mut calls = 0;
        let answer = persist(
            "a call",
            Duration::ZERO,
            |_| passing,
            async || {
                calls += 1;
                if calls == succeeds_at { Ok(()) } else { Err("no") }
            },
        )
        .await;
        (calls, answer)
    }

    #[tokio::test]
    async fn what_passes_is_outlasted_and_the_rest_is_not_tried_again() {
        assert_eq!(count(true, 3).await, (3, Ok(())));
        assert_eq!(count(true, 99).await, (TRIES, Err("no")));
        assert_eq!(count(false, 2).await, (1, Err("no")));
    }
}
