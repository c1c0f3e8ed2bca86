//! The orphan check in whole worlds: what it finds, what it removes, and what it never touches.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod admin;
mod bench;
mod restore;
mod servers;
mod things;
mod trouble;
