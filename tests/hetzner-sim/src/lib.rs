//! A stand-in for the Hetzner Cloud API that its official clients accept.
//!
//! It keeps a world of projects in memory, lets real machines stand behind the
//! servers where a backing can, and fails in every way that the real one can,
//! on request. It must not be taken for the contract: what is known of that,
//! and what is only assumed, is tagged where it is coded, as `[documented]`,
//! `[observed]` or `[assumed]`.

pub mod actor;
pub mod backing;
pub mod clock;
pub mod config;
mod control;
pub mod faults;
mod http;
pub mod journal;
mod lab;
mod machines;
pub mod random;
mod render;
pub mod settings;
mod shared;
mod simulator;
pub mod world;

pub use config::{Access, SimulatorConfig, TokenSpec};
pub use faults::{Fault, FaultSpec};
pub use simulator::{RunningSimulator, Simulator, StartError};
