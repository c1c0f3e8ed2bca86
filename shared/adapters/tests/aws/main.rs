//! The ports on AWS: against prepared answers, and against a real emulator process.
//!
//! The latter needs `NODEYARD_PYTHON`, the interpreter of an environment that has ministack and
//! moto; each is left out, and says so, where it is not.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod answers;
mod dynamo;
mod ecs;
mod emulator;
mod eventbridge;
mod secrets;
mod sqs;
