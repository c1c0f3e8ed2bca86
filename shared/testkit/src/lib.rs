//! The simulated world: every port in memory, a clock, and the conformance suite that the
//! simulated and the real ports both pass.
//!
//! Must not: be linked into a function; nothing here is for production.
#![allow(clippy::expect_used, clippy::panic)]

mod audit;
pub mod clock;
pub mod conformance;
pub mod defects;
pub mod events;
pub mod faults;
pub mod figures;
pub mod idp;
mod orphans;
pub mod outbox;
pub mod pause;
pub mod provider;
pub mod queue;
pub mod reach;
pub mod runner;
pub mod secrets;
pub mod signer;
pub mod store;
mod store_api;
pub mod world;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// A lock that survives a panic of another test's thread: the state behind it is plain data.
pub(crate) fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
