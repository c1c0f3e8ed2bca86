//! What the simulated ports do wrong, by chance or on demand. The same seed and the same order of
//! calls give the same faults.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex},
};

use hetzner_sim::random::Random;

use crate::held;

macro_rules! faults {
    ($($(#[doc = $told:literal])+ $name:ident,)+) => {
        /// One way in which a port can fail.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Fault {
            $($(#[doc = $told])+ $name,)+
        }

        impl Fault {
            pub const ALL: &[Fault] = &[$(Self::$name),+];

            /// Its name, for reports.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)+
                }
            }
        }
    };
}

faults! {
    /// `load` is not answered.
    LoadUnavailable,
    /// Another read of the store is not answered.
    ReadUnavailable,
    /// An index that lags behind: a listing of what is due finds nothing.
    IndexLags,
    /// `begin` takes no effect.
    BeginUnavailable,
    /// `begin` takes effect, and its answer is lost.
    BeginAnswerLost,
    /// `commit` takes no effect.
    CommitUnavailable,
    /// `commit` takes effect, and its answer is lost.
    CommitAnswerLost,
    /// `swap_pace` takes no effect.
    PaceUnavailable,
    /// `swap_pace` takes effect, and its answer is lost.
    PaceAnswerLost,
    /// A write of a run or of pins takes no effect.
    RunUnavailable,
    /// A write of a run or of pins takes effect, and its answer is lost.
    RunAnswerLost,
    /// Another write of the store takes no effect.
    WriteUnavailable,
    /// Another write of the store takes effect, and its answer is lost.
    WriteAnswerLost,
    /// A wake cannot be sent.
    SendFails,
    /// A wake is taken and lost.
    SendLost,
    /// A wake is delivered twice.
    SendDoubled,
    /// A wake comes up to 900 seconds later than asked.
    SendDelayed,
    /// The server is made, and the answer is lost.
    CreateAnswerLost,
    /// The create is lost on its way.
    CreateDropped,
    /// The create's answer is lost, and the server is made up to 100 seconds later.
    CreateLandsLate,
    /// The server is made, and the answer cannot be read.
    CreateUnreadable,
    /// The server is made, and a gateway answers 502.
    CreateBadGateway,
    /// The create's action ends in an error.
    CreateActionFails,
    /// The server that is made stays `initializing`.
    CreateStuck,
    /// The deletion begins, and the answer is lost.
    DeleteAnswerLost,
    /// The deletion's action ends in an error: the server stays.
    DeleteActionFails,
    /// Another call takes effect, and its answer is lost.
    CallAnswerLost,
    /// A call is lost on its way.
    CallDropped,
    /// A call takes effect, and its answer cannot be read.
    CallUnreadable,
    /// A call is answered 429, whatever the budget.
    Throttled,
    /// A call is answered 500 and takes no effect.
    ServerError,
    /// A call is answered `maintenance` and takes no effect.
    Maintenance,
    /// The container service refuses a start.
    StartRefused,
    /// A start is lost on its way.
    StartDropped,
    /// A start takes effect, and its answer is lost.
    StartAnswerLost,
    /// A look at a task is not answered.
    LookUnanswered,
    /// A stop is lost on its way.
    StopUnanswered,
    /// A container task dies without a result.
    TaskKilled,
    /// A container task's playbook fails.
    RunFails,
    /// The secret store is not answering.
    SecretsUnavailable,
    /// The bus does not answer, and takes nothing.
    EventsUnanswered,
    /// The bus takes the events, and its answer is lost.
    EventsAnswerLost,
    /// The bus refuses one event among others.
    EventRefused,
}

#[derive(Debug)]
struct Chances {
    random: Random,
    /// In a thousand.
    rates: BTreeMap<Fault, u16>,
    planted: VecDeque<Fault>,
    counts: BTreeMap<Fault, u64>,
}

/// The chances of all faults. Clones share them; none occurs unless it is asked for.
#[derive(Debug, Clone)]
pub struct Faults(Arc<Mutex<Chances>>);

impl Default for Faults {
    fn default() -> Self {
        Self::seeded(0)
    }
}

impl Faults {
    /// No faults; they can be set later.
    pub fn none() -> Self {
        Self::default()
    }

    pub fn seeded(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(Chances {
            random: Random::new(seed),
            rates: BTreeMap::new(),
            planted: VecDeque::new(),
            counts: BTreeMap::new(),
        })))
    }

    /// How often a fault occurs where it can, in a thousand.
    pub fn set(&self, fault: Fault, per_mille: u16) {
        held(&self.0).rates.insert(fault, per_mille);
    }

    /// Gives all faults the same chance, in a thousand.
    pub fn set_all(&self, per_mille: u16) {
        for fault in Fault::ALL {
            self.set(*fault, per_mille);
        }
    }

    /// No fault occurs from here on; what has occurred stays counted.
    pub fn clear(&self) {
        let mut chances = held(&self.0);
        chances.rates.clear();
        chances.planted.clear();
    }

    /// The fault occurs the next time that it can.
    pub fn once(&self, fault: Fault) {
        held(&self.0).planted.push_back(fault);
    }

    /// Whether the fault occurs now. Counts it.
    pub fn hits(&self, fault: Fault) -> bool {
        let mut chances = held(&self.0);
        let planted = chances.planted.iter().position(|planted| *planted == fault);
        let is_hit = match planted {
            Some(at) => chances.planted.remove(at).is_some(),
            None => match chances.rates.get(&fault).copied().unwrap_or(0) {
                0 => false,
                rate => chances.random.below(1000) < u64::from(rate),
            },
        };
        if is_hit {
            *chances.counts.entry(fault).or_default() += 1;
        }
        is_hit
    }

    /// A number below `bound` from the same seed; 0 if `bound` is 0.
    pub fn below(&self, bound: u64) -> u64 {
        held(&self.0).random.below(bound)
    }

    /// How often each fault has occurred.
    pub fn counts(&self) -> BTreeMap<Fault, u64> {
        held(&self.0).counts.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_goes_wrong_unless_it_is_asked_for() {
        let faults = Faults::seeded(1);
        assert!(Fault::ALL.iter().all(|fault| !faults.hits(*fault)));
        assert!(faults.counts().is_empty());
    }

    #[test]
    fn a_planted_fault_occurs_once() {
        let faults = Faults::none();
        faults.once(Fault::SendLost);
        assert!(!faults.hits(Fault::SendFails));
        assert!(faults.hits(Fault::SendLost));
        assert!(!faults.hits(Fault::SendLost));
        assert_eq!(faults.counts(), BTreeMap::from([(Fault::SendLost, 1)]));
    }

    #[test]
    fn a_seed_repeats_itself_at_about_its_rate() {
        let draw = |seed| {
            let faults = Faults::seeded(seed);
            faults.set(Fault::Throttled, 250);
            (0..4000).map(|_| faults.hits(Fault::Throttled)).collect::<Vec<_>>()
        };
        assert_eq!(draw(5), draw(5));
        assert_ne!(draw(5), draw(6));
        let hits = draw(5).into_iter().filter(|hit| *hit).count();
        assert!((900..1100).contains(&hits), "{hits}");
        let faults = Faults::seeded(5);
        faults.set_all(1000);
        assert!(faults.hits(Fault::TaskKilled));
        faults.clear();
        assert!(!faults.hits(Fault::TaskKilled));
    }

    #[test]
    fn names_are_unique() {
        let names: std::collections::BTreeSet<&str> =
            Fault::ALL.iter().map(|fault| fault.name()).collect();
        assert_eq!(names.len(), Fault::ALL.len());
    }
}
