//! Polls futures by hand, one poll at a time, in an order that somebody else chooses. A future
//! that is dropped half-way is a worker that died there.
//!
//! Must not: know what the futures do, or draw by chance.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll, Waker},
};

/// What one poll came to. A future that ended, one way or the other, is no longer held.
#[derive(Debug)]
pub enum Polled<T, O> {
    Pending,
    Done { tag: T, output: O },
    Panicked { tag: T, message: String },
}

struct Hop<T, O> {
    tag: T,
    future: Pin<Box<dyn Future<Output = O>>>,
}

/// Futures in flight, each with a tag that says what it is.
pub struct Executor<T, O> {
    hops: Vec<Hop<T, O>>,
}

impl<T, O> Default for Executor<T, O> {
    fn default() -> Self {
        Self { hops: Vec::new() }
    }
}

impl<T, O> Executor<T, O> {
    pub fn start(&mut self, tag: T, future: impl Future<Output = O> + 'static) {
        self.hops.push(Hop { tag, future: Box::pin(future) });
    }

    pub fn len(&self) -> usize {
        self.hops.len()
    }

    pub fn is_empty(&self) -> bool {
        self.hops.is_empty()
    }

    pub fn tags(&self) -> impl Iterator<Item = &T> {
        self.hops.iter().map(|hop| &hop.tag)
    }

    pub fn tag(&self, index: usize) -> Option<&T> {
        self.hops.get(index).map(|hop| &hop.tag)
    }

    /// Where the first one is of which this holds.
    pub fn position(&self, holds: impl Fn(&T) -> bool) -> Option<usize> {
        self.hops.iter().position(|hop| holds(&hop.tag))
    }

    pub fn tag_mut(&mut self, index: usize) -> Option<&mut T> {
        self.hops.get_mut(index).map(|hop| &mut hop.tag)
    }

    /// Polls one future once. Indices of others may change when it ends.
    ///
    /// # Panics
    /// When there is none of this index. A panic of the future itself is caught and told.
    pub fn poll(&mut self, index: usize) -> Polled<T, O> {
        let hop = &mut self.hops[index];
        let mut context = Context::from_waker(Waker::noop());
        let future = &mut hop.future;
        match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(&mut context))) {
            Ok(Poll::Pending) => Polled::Pending,
            Ok(Poll::Ready(output)) => {
                Polled::Done { tag: self.hops.swap_remove(index).tag, output }
            }
            Err(payload) => {
                let message = message_of(payload.as_ref());
                Polled::Panicked { tag: self.hops.swap_remove(index).tag, message }
            }
        }
    }

    /// Drops one future where it stands.
    ///
    /// # Panics
    /// When there is none of this index.
    pub fn kill(&mut self, index: usize) -> T {
        self.hops.swap_remove(index).tag
    }
}

fn message_of(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use std::{cell::RefCell, rc::Rc};

    use super::*;

    async fn once() {
        let mut first = true;
        std::future::poll_fn(|_| {
            if std::mem::take(&mut first) { Poll::Pending } else { Poll::Ready(()) }
        })
        .await;
    }

    #[test]
    fn the_order_of_polls_is_the_order_of_effects() {
        let told = Rc::new(RefCell::new(Vec::new()));
        let mut executor = Executor::default();
        for name in ["a", "b"] {
            let told = told.clone();
            executor.start(name, async move {
                told.borrow_mut().push(format!("{name}1"));
                once().await;
                told.borrow_mut().push(format!("{name}2"));
            });
        }
        assert!(matches!(executor.poll(1), Polled::Pending));
        assert!(matches!(executor.poll(0), Polled::Pending));
        assert!(matches!(executor.poll(1), Polled::Done { tag: "b", .. }));
        assert_eq!(executor.kill(0), "a");
        assert_eq!(*told.borrow(), ["b1", "a1", "b2"]);
    }

    #[test]
    fn a_panic_ends_its_own_future_only() {
        let mut executor = Executor::default();
        executor.start(1, async { panic!("a planted panic") });
        executor.start(2, async {});
        let Polled::Panicked { tag: 1, message } = executor.poll(0) else { panic!("no panic") };
        assert_eq!(message, "a planted panic");
        assert!(matches!(executor.poll(0), Polled::Done { tag: 2, .. }));
    }
}
