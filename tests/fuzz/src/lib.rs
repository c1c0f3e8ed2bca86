//! Inputs nobody meant to send, for every parser: mutated from the sample events and from what our
//! own code writes, by a seeded generator.
//!
//! A target fails on a panic, on a broken property, and on an input that takes too long or too much
//! memory. What fails is kept below `seeds` and tried ever since.
//!
//! Must not: reach anything but 127.0.0.1.
#![allow(clippy::expect_used)]

pub mod api;
pub mod corpus;
pub mod message;
pub mod mutation;
pub mod parrot;
pub mod run;
pub mod target;
pub mod targets;
mod trees;

use peak_alloc::PeakAlloc;

/// Counts, so that a target can be held to the memory it may take.
#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;
