//! Giving way at the boundaries of an effect, independent of any runtime.
//!
//! Every call of a simulated port pauses once before it takes effect and once after, and takes
//! effect in one go between. Whoever polls a hop by hand can let another worker in at each of
//! these points, or drop the hop there, which is a crash.

use std::{
    future::Future,
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
};

/// Gives way exactly once.
pub fn pause() -> Pause {
    Pause { has_paused: false }
}

/// What [`pause`] gives.
#[derive(Debug)]
pub struct Pause {
    has_paused: bool,
}

impl Future for Pause {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<()> {
        if self.has_paused {
            return Poll::Ready(());
        }
        self.has_paused = true;
        task.waker().wake_by_ref();
        Poll::Pending
    }
}

/// Polls a future to its end, without a runtime.
///
/// # Panics
/// When it is still pending after a million polls: it waits for something that is no [`pause`].
pub fn run_to_end<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut task = Context::from_waker(Waker::noop());
    for _ in 0..1_000_000 {
        if let Poll::Ready(output) = future.as_mut().poll(&mut task) {
            return output;
        }
    }
    panic!("the future does not come to an end");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_gives_way_once() {
        let mut future = pin!(async {
            pause().await;
            pause().await;
            7
        });
        let mut task = Context::from_waker(Waker::noop());
        let polls: Vec<Poll<i32>> = (0..3).map(|_| future.as_mut().poll(&mut task)).collect();
        assert_eq!(polls, [Poll::Pending, Poll::Pending, Poll::Ready(7)]);
    }

    #[test]
    fn a_future_is_run_to_its_end() {
        assert_eq!(
            run_to_end(async {
                pause().await;
                3
            }),
            3
        );
    }
}
