//! The tables in the docs of the steps, read from their source and held to what `step` does: each
//! row is met, each of its words comes true, and nothing happens that no row tells.

mod observations;
mod results;

use std::collections::BTreeMap;

use nodeyard_domain::{
    job::{Job, JobKind, Step},
    observation::{Observation, Outcome},
    step::{Verdict, step},
};

use crate::{
    reachable::{CURRENT, STALE, policy, states},
    records::{now, outcomes},
};

/// The documented modules, in the order in which their rows are asked. The rows of `step.rs` tell
/// what holds in every step, so they come last.
const SOURCES: [(&str, &str); 7] = [
    ("check", include_str!("../../src/step/check.rs")),
    ("configure", include_str!("../../src/step/configure.rs")),
    ("release", include_str!("../../src/step/release.rs")),
    ("acquire", include_str!("../../src/step/acquire.rs")),
    ("running", include_str!("../../src/step/running.rs")),
    ("removal", include_str!("../../src/step/removal.rs")),
    ("step", include_str!("../../src/step.rs")),
];

/// One situation: a state, and what is told to it.
pub struct Case<'a> {
    pub job: &'a Job,
    pub outcome: &'a Outcome,
    /// The observation answers the effect the job waits for.
    pub current: bool,
}

struct Row {
    module: &'static str,
    steps: Vec<Step>,
    observation: String,
    /// What may follow, by the words of [`results`], and how often each has come true.
    then: BTreeMap<String, u32>,
}

impl Row {
    fn tells_of(&self, case: &Case<'_>) -> bool {
        let kind = match self.module {
            "check" => case.job.kind == JobKind::NodeCheck,
            "configure" => matches!(case.job.kind, JobKind::NodeConfigure | JobKind::NodeSmoke),
            "release" => case.job.kind == JobKind::NodeRelease,
            _ => true,
        };
        kind && (self.steps.is_empty() || self.steps.contains(&case.job.step))
            && observations::tells_of(&self.observation, case)
    }

    fn name(&self) -> String {
        format!("{}: {:?} | {}", self.module, self.steps, self.observation)
    }
}

fn named(word: &str) -> Option<Step> {
    serde_json::from_value(word.into()).ok()
}

/// The rows of the tables under `step | observation | then`.
fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for (module, text) in SOURCES {
        let mut within = false;
        for line in text.lines().map_while(|line| line.strip_prefix("//!")) {
            let cells: Vec<&str> =
                line.trim().trim_matches('|').split(" | ").map(str::trim).collect();
            match cells[..] {
                ["step", "observation", "then"] => within = true,
                [steps, observation, then] if within && !steps.starts_with("---") => {
                    rows.push(row(module, steps, observation, then));
                }
                [_, _, _] => {}
                _ => within = false,
            }
        }
    }
    rows
}

fn row(module: &'static str, steps: &str, observation: &str, then: &str) -> Row {
    let steps = match steps {
        "any" => Vec::new(),
        list => list
            .split(", ")
            .map(|word| named(word).unwrap_or_else(|| panic!("{module}: no step is called {word}")))
            .collect(),
    };
    assert!(observations::is_known(observation), "{module}: no test knows what {observation:?} is");
    let then = results::words(then);
    assert!(!then.is_empty(), "{module}: {observation:?} leads nowhere");
    Row {
        module,
        steps,
        observation: observation.to_owned(),
        then: then.into_iter().map(|word| (word, 0)).collect(),
    }
}

#[test]
fn the_tables_tell_what_happens_and_nothing_else_does() {
    let (policy, outcomes) = (policy(), outcomes());
    let mut rows = rows();
    // Rows that override: they are about the job's limits, whatever the step makes of the outcome.
    rows.sort_by_key(|row| !observations::overrides(&row.observation));
    let mut untold = BTreeMap::new();
    for job in &states() {
        for outcome in &outcomes {
            for (effect, current) in [(CURRENT, true), (STALE, false)] {
                let case = Case { job, outcome, current };
                let observation = Observation { effect, outcome: outcome.clone() };
                let verdict = step(job, observation, &policy, now());
                let Some(row) = rows.iter_mut().find(|row| row.tells_of(&case)) else {
                    let line =
                        format!("{:?} × {outcome:?} → {}", job.step, results::tell(&verdict));
                    untold.entry(line).or_insert(0_u32);
                    continue;
                };
                let name = row.name();
                let mut came =
                    row.then.iter_mut().filter(|(word, _)| results::is(word, job, &verdict));
                match came.next() {
                    Some((_, times)) => *times += 1,
                    None => {
                        let line = format!("{name}: {outcome:?} → {}", results::tell(&verdict));
                        untold.entry(line).or_insert(0);
                    }
                }
            }
        }
    }
    let untold: Vec<_> = untold.into_keys().collect();
    assert!(untold.is_empty(), "no row tells of:\n{}", untold.join("\n"));
    let idle: Vec<String> = rows
        .iter()
        .flat_map(|row| row.then.iter().map(move |(word, times)| (row.name(), word, times)))
        .filter(|(_, _, times)| **times == 0)
        .map(|(name, word, _)| format!("{name} → {word}"))
        .collect();
    assert!(idle.is_empty(), "this never happens:\n{}", idle.join("\n"));
}

#[test]
fn a_verdict_is_told_in_words_of_the_tables() {
    assert_eq!(results::words("create_server (attempt + 1), or parked on capacity").len(), 2);
    assert_eq!(results::words("the same step, with back-off"), ["the same step"]);
    assert!(results::words("whatever").is_empty());
    let verdict = Verdict::Drop;
    assert_eq!(results::tell(&verdict), "dropped");
}
