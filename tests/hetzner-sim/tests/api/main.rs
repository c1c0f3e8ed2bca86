//! The simulator over HTTP. Every answer that the tests get is held against
//! the provider's contract, if that is there.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod actor;
mod bench;
mod catalogue;
mod contract;
mod control;
mod faults;
mod faults_of_answers;
mod guide;
mod keys;
mod lists;
mod machines;
mod networks;
mod official;
mod permission;
mod program;
mod rate;
mod scarcity;
mod servers;
mod strict_models;
mod validation;
