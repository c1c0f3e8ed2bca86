//! Random ids, from the system; and dice that roll the same for the same seed.

use std::fmt::Write;
use std::fs::File;
use std::io::Read;

use crate::error::{IoContext, Result};

/// As many random bytes as asked for, as lower-case hex digits.
///
/// # Errors
/// The system has no source of randomness.
pub fn hex(bytes: usize) -> Result<String> {
    let mut buffer = vec![0; bytes];
    let source = "/dev/urandom";
    File::open(source).and_then(|mut file| file.read_exact(&mut buffer)).during(source)?;
    Ok(buffer.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    }))
}

/// SplitMix64: the same seed gives the same rolls. Not for secrets.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// Dice that start at `seed`.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A seed that nobody chose.
    ///
    /// # Errors
    /// As [`hex`].
    pub fn seed() -> Result<u64> {
        Ok(u64::from_str_radix(&hex(4)?, 16).unwrap_or_default())
    }

    /// A number below `bound`; 0 if `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        if bound == 0 { 0 } else { mixed % bound }
    }

    /// True so many times in a hundred.
    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// One of these; none of nothing.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        let at = usize::try_from(self.below(from.len() as u64)).ok()?;
        from.get(at)
    }
}

#[cfg(test)]
mod tests {
    use super::Dice;

    #[test]
    fn a_seed_repeats_itself_and_another_differs() {
        let rolls = |seed| {
            let mut dice = Dice::new(seed);
            (0..8).map(|_| dice.below(1000)).collect::<Vec<_>>()
        };
        assert_eq!(rolls(7), rolls(7));
        assert_ne!(rolls(7), rolls(8));
        assert_eq!(Dice::new(1).pick::<u8>(&[]), None);
        assert!((0..50).all(|seed| Dice::new(seed).chance(100) && !Dice::new(seed).chance(0)));
    }
}
