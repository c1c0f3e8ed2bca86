//! The entry point of the container task: performs one run, records its result once, sends the
//! wake.
//!
//! Must not: decide what becomes of the job, write a private key to a disk, or let a child see a
//! credential of the task or outlive it.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod args;
pub mod rehearsal;
pub mod tempo;

mod agent;
mod boot;
mod child;
mod digest;
mod events;
mod evidence;
mod failure;
mod host_key;
mod inventory;
mod lines;
mod log;
mod login;
mod managed_keys;
mod persist;
mod phases;
mod playbook;
mod printable;
mod process;
mod readiness;
mod redaction;
mod report;
mod scratch;
mod site;
mod smokes;
mod stop;
mod task;
mod verdict;

pub use process::{end_signal, hide_memory};
pub use task::{Settings, Task, TaskError};
