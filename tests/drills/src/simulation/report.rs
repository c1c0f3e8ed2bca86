//! What many worlds came to, together.

use std::fmt::Write as _;

use nodeyard_testkit::faults::Fault;

use super::{deed::Deed, expected, life::Outcome};
use crate::coverage::{Counts, add};

/// How many failing worlds are told in full.
const TOLD: usize = 20;

#[derive(Debug, Default)]
pub struct Report {
    pub worlds: u64,
    pub jobs: u64,
    pub hops: u64,
    pub polls: u64,
    pub duplicates: usize,
    pub orphans: usize,
    pub stuck: usize,
    /// Other invariants that were broken.
    pub broken: usize,
    pub transitions: Counts,
    pub faults: Counts,
    pub ends: Counts,
    /// Seeds that failed, and what was found.
    pub failures: Vec<(u64, Vec<String>)>,
}

impl Report {
    pub fn add(&mut self, outcome: Outcome) {
        self.worlds += 1;
        self.jobs += outcome.jobs;
        self.hops += outcome.hops;
        self.polls += outcome.polls;
        let findings = &outcome.findings;
        self.duplicates += findings.duplicates.len();
        self.orphans += findings.orphans.len();
        self.stuck += findings.stuck.len();
        self.broken += findings.broken.len();
        add(&mut self.transitions, &outcome.transitions);
        add(&mut self.faults, &outcome.faults);
        add(&mut self.ends, &outcome.ends);
        if !findings.is_clean() {
            self.failures.push((outcome.seed, findings.all().cloned().collect()));
        }
    }

    pub fn is_clean(&self) -> bool {
        self.failures.is_empty()
    }

    /// Faults that no world has met.
    pub fn missed_faults(&self) -> Vec<&'static str> {
        let faults = Fault::ALL.iter().map(|fault| fault.name());
        let deeds = Deed::ALL.iter().map(|deed| deed.name());
        let others = ["Worker killed", "Worker stalled", "Worker timed out"];
        faults.chain(deeds).chain(others).filter(|name| !self.faults.contains_key(*name)).collect()
    }

    /// Transitions that the tables name and no world has made.
    pub fn missed_transitions(&self) -> Vec<String> {
        expected::missed(&self.transitions)
    }

    /// Transitions that were made and that no table names.
    pub fn unknown_transitions(&self) -> Vec<String> {
        expected::unknown(&self.transitions)
    }

    /// For people: counts, and what failed.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (title, counts) in [
            ("faults", &self.faults),
            ("transitions (job type, step, outcome, next step)", &self.transitions),
            ("ends (job type, state, code)", &self.ends),
        ] {
            let _ = writeln!(text, "{title}:");
            for (name, count) in counts {
                let _ = writeln!(text, "  {count:>10}  {name}");
            }
        }
        let untold = self.failures.len().saturating_sub(TOLD);
        if untold > 0 {
            let _ = writeln!(text, "{untold} more worlds failed than are told here");
        }
        for (seed, found) in self.failures.iter().take(TOLD) {
            let _ = writeln!(text, "seed {seed} failed; replay: drills sim --runs 1 --seed {seed}");
            for finding in found {
                let _ = writeln!(text, "  {finding}");
            }
        }
        text
    }
}
