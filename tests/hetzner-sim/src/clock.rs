//! Where the time comes from: the machine's clock, or one that stands still
//! until it is told to move.

use std::time::Duration;

use tokio::sync::watch;

/// Milliseconds since 1970-01-01 UTC.
pub type EpochMillis = i64;

/// 2026-11-02 08:00:00 UTC: after every dated change of the API that is
/// modelled here.
pub const VIRTUAL_START: EpochMillis = 1_793_606_400_000;

/// A clock that can be moved forward by hand. Clones are one clock.
#[derive(Debug, Clone)]
pub struct Clock {
    follows_machine: bool,
    offset_millis: watch::Sender<i64>,
}

impl Clock {
    /// The machine's clock.
    pub fn real() -> Self {
        Self { follows_machine: true, offset_millis: watch::Sender::new(0) }
    }

    /// A clock that starts at [`VIRTUAL_START`] and moves only by
    /// [`Clock::advance`].
    pub fn standing() -> Self {
        Self { follows_machine: false, offset_millis: watch::Sender::new(VIRTUAL_START) }
    }

    /// Whether it moves by itself.
    pub fn follows_machine(&self) -> bool {
        self.follows_machine
    }

    /// The time now.
    pub fn now(&self) -> EpochMillis {
        let base = if self.follows_machine { jiff::Timestamp::now().as_millisecond() } else { 0 };
        base + *self.offset_millis.borrow()
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        let by_millis = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        self.offset_millis.send_modify(|offset| *offset = offset.saturating_add(by_millis));
    }

    /// Ends once this clock has come to `until`.
    pub async fn wait_until(&self, until: EpochMillis) {
        let mut moved = self.offset_millis.subscribe();
        loop {
            let left = until - self.now();
            if left <= 0 {
                return;
            }
            let pause = Duration::from_millis(left.unsigned_abs());
            let changed = if self.follows_machine {
                tokio::select! {
                    () = tokio::time::sleep(pause) => Ok(()),
                    changed = moved.changed() => changed,
                }
            } else {
                moved.changed().await
            };
            if changed.is_err() {
                return;
            }
        }
    }
}

/// RFC 3339 in whole seconds, UTC.
pub fn rfc3339_secs(at: EpochMillis) -> String {
    jiff::Timestamp::from_second(at.div_euclid(1000))
        .map(|instant| instant.to_string())
        .unwrap_or_default()
}

/// RFC 3339 with milliseconds, UTC.
pub fn rfc3339_millis(at: EpochMillis) -> String {
    jiff::Timestamp::from_millisecond(at).map(|instant| format!("{instant:.3}")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Clock, VIRTUAL_START, rfc3339_millis, rfc3339_secs};

    #[test]
    fn a_standing_clock_moves_only_when_told() {
        let clock = Clock::standing();
        assert_eq!(clock.now(), VIRTUAL_START);
        clock.clone().advance(Duration::from_millis(1500));
        assert_eq!(clock.now(), VIRTUAL_START + 1500);
    }

    #[tokio::test]
    async fn waiting_ends_when_the_clock_is_moved() {
        let clock = Clock::standing();
        let mut waiting = std::pin::pin!(clock.wait_until(VIRTUAL_START + 3_600_000));
        clock.advance(Duration::from_secs(3599));
        let early = std::future::poll_fn(|task| {
            std::task::Poll::Ready(std::future::Future::poll(waiting.as_mut(), task).is_pending())
        });
        assert!(early.await);
        clock.advance(Duration::from_secs(1));
        waiting.await;
    }

    #[test]
    fn times_are_written_in_utc() {
        assert_eq!(rfc3339_secs(VIRTUAL_START + 999), "2026-11-02T08:00:00Z");
        assert_eq!(rfc3339_millis(VIRTUAL_START + 7), "2026-11-02T08:00:00.007Z");
    }
}
