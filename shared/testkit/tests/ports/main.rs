//! The simulated ports do what they say, when nothing goes wrong and when something does.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod bench;
mod defects;
mod events;
mod lookup;
mod run;
mod server;
mod store;
mod token;
mod trouble;
