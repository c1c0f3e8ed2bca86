//! How many refusals are written down.
//!
//! Anybody can be refused, at no cost to them: without a bound a stranger could fill the table, at
//! ours, and bury what matters in it. So in each process and minute a stranger's refusals have
//! [`ANONYMOUS_LIMIT`] entries, all strangers together: their addresses are theirs to choose. A
//! token's have [`TOKEN_LIMIT`], each token for itself, so that nobody uses up another's. A process
//! answers one request at a time, and the gateway lets 50 a second through, so that there are few
//! of them. At the limits, a stranger writes 29,000 small entries a day and process.
//!
//! What is left out is counted. The first of a minute is counted in the trail at once, so that the
//! gap shows even if this process ends; the rest when the minute is over, with the next request,
//! whoever's it is. The log has a line for each of them in any case.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use jiff::{SignedDuration, Timestamp};

use super::notes::Who;

const WINDOW: SignedDuration = SignedDuration::from_secs(60);
/// Entries a minute for callers without a known token.
pub(crate) const ANONYMOUS_LIMIT: u32 = 20;
/// Entries a minute for each known token.
pub(crate) const TOKEN_LIMIT: u32 = 120;

/// Whether a refusal is written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admission {
    Kept,
    /// The first that is not: said in the trail at once.
    FirstLeftOut,
    LeftOut,
}

#[derive(Debug)]
struct Window {
    since: Timestamp,
    kept: u32,
    /// Without the first, which was told.
    left_out: u32,
    is_full: bool,
}

/// The refusals of the running minute, by who was refused: as many as there are tokens, at most.
#[derive(Debug, Default)]
pub(crate) struct Bounds(Mutex<BTreeMap<Who, Window>>);

impl Bounds {
    pub(super) fn admit(&self, who: &Who, now: Timestamp) -> Admission {
        let mut windows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Window { since: now, kept: 0, left_out: 0, is_full: false };
        let window = windows.entry(who.clone()).or_insert_with(new);
        let limit = if who.token.is_some() { TOKEN_LIMIT } else { ANONYMOUS_LIMIT };
        if window.kept < limit {
            window.kept += 1;
            return Admission::Kept;
        }
        if !window.is_full {
            window.is_full = true;
            return Admission::FirstLeftOut;
        }
        window.left_out = window.left_out.saturating_add(1);
        Admission::LeftOut
    }

    /// What was left out in minutes that are over and was not told yet. Forgets those minutes.
    pub(super) fn take_ended(&self, now: Timestamp) -> Vec<(Who, u32)> {
        let mut windows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut ended = Vec::new();
        windows.retain(|who, window| {
            // A clock that was set back ends a minute as well.
            let runs = (window.since..window.since + WINDOW).contains(&now);
            if !runs && window.left_out > 0 {
                ended.push((who.clone(), window.left_out));
            }
            runs
        });
        ended
    }
}

#[cfg(test)]
mod tests {
    use nodeyard_domain::id::TokenId;

    use super::*;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_second(1_795_428_000 + secs).unwrap()
    }

    fn token(bits: u128) -> Who {
        Who { actor: "ci".into(), token: Some(TokenId::from_bits(bits)) }
    }

    fn kept(bounds: &Bounds, who: &Who, tries: u32) -> u32 {
        let admitted = (0..tries).filter(|_| bounds.admit(who, at(0)) == Admission::Kept);
        u32::try_from(admitted.count()).unwrap()
    }

    #[test]
    fn what_is_left_out_is_counted_once() {
        let (bounds, stranger) = (Bounds::default(), Who::default());
        assert_eq!(kept(&bounds, &stranger, ANONYMOUS_LIMIT), ANONYMOUS_LIMIT);
        assert_eq!(bounds.admit(&stranger, at(1)), Admission::FirstLeftOut);
        for _ in 0..1_000 {
            assert_eq!(bounds.admit(&stranger, at(59)), Admission::LeftOut);
        }
        assert_eq!(bounds.take_ended(at(59)), [], "the minute runs");
        assert_eq!(bounds.take_ended(at(60)), [(stranger.clone(), 1_000)]);
        assert_eq!(bounds.take_ended(at(61)), [], "it was told");
        assert_eq!(bounds.admit(&stranger, at(61)), Admission::Kept, "and another begins");
    }

    #[test]
    fn nobody_uses_up_anothers() {
        let bounds = Bounds::default();
        assert_eq!(kept(&bounds, &Who::default(), 500), ANONYMOUS_LIMIT);
        assert_eq!(kept(&bounds, &token(1), 500), TOKEN_LIMIT);
        assert_eq!(kept(&bounds, &token(2), 1), 1, "of the same name");
        assert_eq!(bounds.take_ended(at(60)).len(), 2);
    }

    #[test]
    fn quiet_minutes_are_forgotten() {
        let bounds = Bounds::default();
        for bits in 0..50 {
            bounds.admit(&token(bits), at(0));
        }
        assert_eq!(bounds.take_ended(at(-1)), [], "also when the clock is set back");
        assert!(bounds.0.lock().unwrap().is_empty());
    }
}
