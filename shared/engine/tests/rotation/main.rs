//! Rotations over the simulated ports. Who can log in where is judged by what is on the nodes and
//! in the secret store, never by our records alone.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod bench;
mod evidence;
mod killed;
mod trouble;
mod whole;
