//! What is explored: where the jobs stand at the beginning, what may go wrong and how often.

use nodeyard_domain::step::Policy;

/// One tick is a second of the policy. Waits between looks are short: that time passes matters to
/// the settle time, to the lives of workers and POSTs, to the sweep, and at the limits of forward
/// work and undo, which are so far away that time gets there in one jump.
pub const FAR_SECS: i64 = 1_000_000;
/// A worker lives at most so many ticks: the function's time-out.
pub const LIFE_TICKS: i64 = 1;
/// A POST that was sent lands at most so many ticks later.
pub const LAND_TICKS: i64 = 1;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beginning {
    /// A node has just been accepted.
    Provision,
    /// The release of a node whose last job left a run alive.
    Release,
    /// A configure job is open, and a release waits for its turn.
    Turn,
}

/// A safeguard that is left out, to see that the model notices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Defect {
    /// Creates are sent without setting `sent_at` first.
    NoClaim,
    /// A commit does not ask whether the record is as it was loaded.
    NoFence,
    /// An absent name is believed at once.
    NoSettle,
    /// One tick less than a worker's life and a landing take.
    ShortSettle,
    /// Nobody looks after jobs whose wakes are lost.
    NoSweep,
    /// What a budget refused before the call counts as the call's own answer.
    NotSentIsAnAnswer,
}

#[derive(Debug, Clone)]
pub struct Scenario {
    pub name: &'static str,
    pub beginning: Beginning,
    /// How many things may go wrong on one path.
    pub faults: u8,
    /// Whether a caller may cancel, at any time.
    pub may_cancel: bool,
    /// Whether the provider refuses a second server of the same name. Without, our own rules alone
    /// have to see to it that there is none.
    pub names_are_unique: bool,
    /// Crashes after which a job is given up.
    pub poison_crashes: u32,
    /// Looks no further than to the start of the first run: more can go wrong before it then.
    pub only_creation: bool,
    pub defect: Option<Defect>,
}

impl Scenario {
    fn new(name: &'static str, beginning: Beginning, faults: u8) -> Self {
        let may_cancel = beginning != Beginning::Release;
        Self {
            name,
            beginning,
            faults,
            may_cancel,
            names_are_unique: false,
            poison_crashes: u32::MAX,
            only_creation: false,
            defect: None,
        }
    }

    /// All that are explored, with so many faults a path each.
    pub fn all(faults: u8) -> Vec<Self> {
        let unique = Self {
            names_are_unique: true,
            only_creation: true,
            ..Self::new("creation, names unique", Beginning::Provision, faults)
        };
        let creation =
            Self { only_creation: true, ..Self::new("creation", Beginning::Provision, faults + 1) };
        let poisonous = Self {
            may_cancel: false,
            poison_crashes: 2,
            ..Self::new("provision, poisonous", Beginning::Provision, faults)
        };
        vec![
            Self::new("provision", Beginning::Provision, faults),
            unique,
            creation,
            poisonous,
            Self::new("release", Beginning::Release, faults + 1),
            Self::new("turn", Beginning::Turn, faults),
        ]
    }

    pub fn provision(faults: u8) -> Self {
        Self::new("provision", Beginning::Provision, faults)
    }

    #[must_use]
    pub fn without(mut self, safeguard: Defect) -> Self {
        self.defect = Some(safeguard);
        self
    }

    pub fn lacks(&self, safeguard: Defect) -> bool {
        self.defect == Some(safeguard)
    }

    pub fn policy(&self) -> Policy {
        // A claim made at 0 is used until `LIFE_TICKS`, and its POST lands `LAND_TICKS` later. From
        // then on a look is right, and the worker that looked tells of it up to a life later.
        let settle_secs = match self.defect {
            Some(Defect::NoSettle) => 0,
            Some(Defect::ShortSettle) => 2 * LIFE_TICKS + LAND_TICKS,
            _ => 2 * LIFE_TICKS + LAND_TICKS + 1,
        };
        Policy {
            back_off_secs: vec![1],
            settle_secs,
            settle_look_secs: settle_secs,
            first_poll_secs: 0,
            poll_secs: 0,
            busy_secs: 1,
            gone_poll_secs: 1,
            run_look_secs: 1,
            refusal_secs: 0,
            stuck_secs: 10 * FAR_SECS,
            park_look_secs: 1,
            // The turn is told; the look is for when that is lost.
            turn_look_secs: 1000,
            undo_limit_secs: FAR_SECS,
            max_runs: 1,
            max_replacements: 1,
            poison_crashes: self.poison_crashes,
            ..Policy::default()
        }
    }
}
