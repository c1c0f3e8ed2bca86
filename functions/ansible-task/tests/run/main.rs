//! The task as a whole: real processes in place of `ansible-playbook` and ssh's programs, the
//! ports in memory.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod ends;
mod failures;
mod host_keys;
mod key_versions;
mod looks;
mod machine;
mod memory;
mod secrets;
mod sizes;
mod success;
mod world;
