//! The wall clock, and where random ids come from.

use jiff::Timestamp;
use nodeyard_engine::Clock;

#[derive(Debug, Clone, Copy, Default)]
pub struct WallClock;

impl Clock for WallClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the system gives no random bytes: {0}")]
pub struct RandomError(#[from] getrandom::Error);

/// 128 bits from the system's generator, as ids are made of.
///
/// # Errors
/// When the system gives none, which it does not do once it has booted.
pub fn random_bits() -> Result<u128, RandomError> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes)?;
    Ok(u128::from_le_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_differ() {
        assert_ne!(random_bits().unwrap(), random_bits().unwrap());
    }
}
