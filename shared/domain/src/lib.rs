//! What Nodeyard decides, and nothing else: the types of jobs and nodes, `step`, retry policy,
//! codes, names and labels, user data.
//!
//! Must not: do I/O, be `async`, read a clock, draw randomness, or name AWS or HTTP statuses we
//! answer with. Time and ids come in as values.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod acceptance;
pub mod audit;
pub mod code;
pub mod connection;
pub mod event;
pub mod evidence;
pub mod host_key;
pub mod id;
pub mod job;
pub mod label;
pub mod node;
pub mod observation;
pub mod orphan;
pub mod ownership;
pub mod pace;
pub mod placement;
pub mod readiness;
pub mod rotation;
pub mod run;
pub mod smoke;
pub mod spec;
pub mod step;
pub mod timeline;
pub mod token;
pub mod trace;
pub mod user_data;
pub mod wake;
pub mod watch;
pub mod work;
