//! One point of the crash matrix, and its name.

use std::{fmt, str::FromStr};

use super::scenario::{SCENARIOS, Scenario};

/// What happens to a worker in the middle of a hop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variant {
    /// It dies; its wake comes again later.
    Dies,
    /// A second worker gets the wake as well and handles it to its end; then the first one dies.
    DoubledDies,
    /// The same, and the first one goes on.
    Doubled,
    /// Both go on, poll by poll in turn.
    Lockstep,
    /// The job is cancelled, the second worker sees to that, and the first one dies.
    CancelledDies,
    /// The same, and the first one goes on.
    Cancelled,
    /// It stands still for most of its time-out while the second one does everything that comes,
    /// and then goes on.
    Stalled,
    /// The job is cancelled meanwhile, and the worker dies in the end.
    CancelledStalledDies,
    /// The job is cancelled, and the worker stands still until all is over: its host was
    /// suspended. Then it goes on.
    CancelledOverruns,
    /// There is news for the job, and its wake is lost; the worker goes on.
    News,
    /// Every worker that takes the job up dies at the same place, many times over.
    KeepsDying,
}

impl Variant {
    pub const ALL: &[Variant] = &[
        Self::Dies,
        Self::DoubledDies,
        Self::Doubled,
        Self::Lockstep,
        Self::CancelledDies,
        Self::Cancelled,
        Self::Stalled,
        Self::CancelledStalledDies,
        Self::CancelledOverruns,
        Self::News,
        Self::KeepsDying,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Dies => "dies",
            Self::DoubledDies => "doubled-dies",
            Self::Doubled => "doubled",
            Self::Lockstep => "lockstep",
            Self::CancelledDies => "cancelled-dies",
            Self::Cancelled => "cancelled",
            Self::Stalled => "stalled",
            Self::CancelledStalledDies => "cancelled-stalled-dies",
            Self::CancelledOverruns => "cancelled-overruns",
            Self::News => "news",
            Self::KeepsDying => "keeps-dying",
        }
    }
}

#[derive(Clone, Copy)]
pub struct Point {
    pub scenario: &'static Scenario,
    /// Which hop of the job, from 0.
    pub hop: usize,
    /// How many polls of it were made.
    pub poll: u32,
    pub variant: Variant,
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scenario, hop, poll, variant } = self;
        write!(f, "{}:{hop}:{poll}:{}", scenario.name, variant.name())
    }
}

/// A text that names no point.
#[derive(Debug)]
pub struct NoPoint;

impl FromStr for Point {
    type Err = NoPoint;

    fn from_str(text: &str) -> Result<Self, NoPoint> {
        let parts: Vec<&str> = text.split(':').collect();
        let [scenario, hop, poll, variant] = parts[..] else { return Err(NoPoint) };
        Ok(Self {
            scenario: SCENARIOS.iter().find(|it| it.name == scenario).ok_or(NoPoint)?,
            hop: hop.parse().map_err(|_| NoPoint)?,
            poll: poll.parse().map_err(|_| NoPoint)?,
            variant: *Variant::ALL.iter().find(|it| it.name() == variant).ok_or(NoPoint)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_finds_its_point() {
        let point = Point {
            scenario: &SCENARIOS[0],
            hop: 3,
            poll: 14,
            variant: Variant::CancelledStalledDies,
        };
        let again: Point = point.to_string().parse().unwrap_or(Point { hop: 0, ..point });
        assert_eq!(again.to_string(), "provision:3:14:cancelled-stalled-dies");
        assert!("provision:3:14".parse::<Point>().is_err());
    }
}
