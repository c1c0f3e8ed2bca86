//! Bundles, whole and altered.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod altered;
mod bench;
mod recorded;
mod scenarios;
