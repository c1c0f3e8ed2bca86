//! The placement ladder: ordered rungs, their prices, and which one is next.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::code::Code;

/// The most rungs a ladder may have.
pub const MAX_RUNGS: usize = 16;

/// One entry of the ladder.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Rung {
    pub server_type: String,
    pub location: String,
}

impl std::fmt::Display for Rung {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}@{}", self.server_type, self.location)
    }
}

/// What a rung last answered when it was not granted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Index into the ladder.
    pub rung: usize,
    pub code: Code,
    /// The provider's own code.
    pub answer: String,
    /// Until when the rung is not asked for again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// What one node costs on a rung: net, a month, in the project's currency.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Price {
    pub monthly_net: f64,
    /// ISO 4217, as the provider names it.
    pub currency: String,
}

/// Notes a refusal; a later answer of the same rung takes the place of the earlier one.
pub fn remember(refusals: &mut Vec<Refusal>, refusal: Refusal) {
    refusals.retain(|known| known.rung != refusal.rung);
    refusals.push(refusal);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rung_keeps_its_last_answer_only() {
        let refusal = |rung, answer: &str| Refusal {
            rung,
            code: Code::ProviderCapacityExhausted,
            answer: answer.into(),
            until: None,
        };
        let mut refusals = Vec::new();
        for (rung, answer) in [(0, "a"), (1, "b"), (0, "c")] {
            remember(&mut refusals, refusal(rung, answer));
        }
        assert_eq!(refusals, [refusal(1, "b"), refusal(0, "c")]);
    }
}
