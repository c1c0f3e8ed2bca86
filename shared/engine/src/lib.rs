//! The ports and the one driver loop: load → perform the recorded effect → observe → `step` →
//! fenced commit → wake.
//!
//! Must not: name AWS, HTTP or a provider's wire format, or decide what a job does next (that is
//! `nodeyard_domain::step`).
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod admit;
mod budget;
pub mod check;
pub mod driver;
mod effect;
pub mod event;
pub mod evidence;
pub mod exchange;
pub mod metric;
pub mod orphan;
mod poll;
pub mod provider;
pub mod queue;
pub mod rotation;
pub mod runner;
pub mod secrets;
pub mod store;
pub mod sweep;
pub mod watch;

pub use driver::{Driver, Handled};

/// Where the time comes from: the wall, or a simulated clock.
pub trait Clock: Send + Sync {
    fn now(&self) -> jiff::Timestamp;
}

impl<F: Fn() -> jiff::Timestamp + Send + Sync> Clock for F {
    fn now(&self) -> jiff::Timestamp {
        self()
    }
}
