//! The Hetzner adapter against the simulator: the same calls over real HTTP, with a clock that
//! moves when told and faults on request.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod inventory;
mod life;
mod shared;
mod stack;
mod token;
mod token_forms;
