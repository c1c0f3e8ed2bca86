//! The real ports: DynamoDB, SQS, Secrets Manager, ECS and Hetzner Cloud; the functions'
//! configuration and logging.
//!
//! Only this crate names AWS types. Must not: decide what a job does next, know a status that we
//! answer with, or put a secret into an error, an item, a message or a log line.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod aws;
pub mod clock;
pub mod config;
pub mod dynamo;
pub mod ecs;
pub mod eventbridge;
pub mod hetzner;
pub mod jwt;
#[cfg(debug_assertions)]
mod planted;
pub mod reach;
pub mod secrets;
pub mod sqs;
pub mod telemetry;
