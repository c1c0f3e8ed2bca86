//! Which changes cause which events, and what a subscriber receives.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod changes;
mod samples;
