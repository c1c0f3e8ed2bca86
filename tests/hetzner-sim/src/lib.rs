//! A stand-in for the Hetzner Cloud API.

pub mod backing;
mod lab;
