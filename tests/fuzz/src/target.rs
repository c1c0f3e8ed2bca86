//! What is fuzzed: a parser with everything behind it.

use std::time::Duration;

use nodeyard_drills::random::Random;

use crate::mutation;

/// What one input may cost.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub time: Duration,
    /// Bytes in use at the same time, beyond those in use before.
    pub memory: usize,
}

impl Default for Limits {
    fn default() -> Self {
        // Debug builds on a machine that does other things: a hang is meant, not a slow second.
        Self { time: Duration::from_secs(5), memory: 32 << 20 }
    }
}

/// A parser under test. It works on one thread.
pub trait Target {
    fn name(&self) -> &'static str;

    /// Inputs that are right or nearly so.
    fn seeds(&self) -> Vec<Vec<u8>>;

    /// Forgets what earlier inputs have left behind.
    fn reset(&mut self) {}

    /// Tries one input. The answer names the kind of outcome: an input of a new kind is mutated on.
    ///
    /// # Errors
    /// Which property does not hold.
    fn run(&mut self, input: &[u8]) -> Result<String, String>;

    fn limits(&self) -> Limits {
        Limits::default()
    }

    fn mutate(&self, random: &mut Random, input: &[u8], other: &[u8]) -> Vec<u8> {
        mutation::mutate(random, input, other)
    }
}
