//! What the search came to.

use std::collections::{BTreeMap, BTreeSet};

use super::EXEMPT;
use super::matcher::{Matcher, Secret};
use super::place::{Kind, Place, count};
use crate::error::{Result, XtaskError};

/// Kinds of places of which there has to be one, or the search was blind.
const WANTED: &[Kind] = &[
    Kind::FunctionLog,
    Kind::TaskLog,
    Kind::Item,
    Kind::Message,
    Kind::TaskDefinition,
    Kind::ContainerTask,
    Kind::Deployment,
    Kind::FileLeft,
    Kind::Answer,
    Kind::Timeline,
    Kind::JobLog,
    Kind::Audit,
];
/// Those that are found in `/proc`.
const WANTED_ON_LINUX: &[Kind] = &[Kind::CommandLine, Kind::Environment, Kind::ScratchFile];

/// Words of the lines that a leaking build writes, each of which has to be found as itself.
const PLANTED: &str = "planted: a secret was read";
const PLANTED_FORMS: &[&str] =
    &["JSON-escaped", "URL-encoded", "base64", "base64url", "hex", "HEX"];
/// The secret whose every form differs from every other.
const PLANTED_SECRET: &str = "provider token `rotated`";

/// What the search came to.
#[derive(Debug)]
pub struct Verdict {
    places: usize,
    counts: BTreeMap<Kind, (usize, usize)>,
    secrets: usize,
    /// Which secret, in which form, in which kind of place, and how often.
    leaks: BTreeMap<(Kind, String), BTreeMap<String, usize>>,
    /// Kinds of places that there was none of.
    blind: Vec<Kind>,
    /// Planted leaks that were not found.
    missed: Vec<String>,
}

impl Verdict {
    /// Searches all places for all secrets.
    pub fn of(secrets: &[Secret], places: &[Place], has_planted_leak: bool) -> Self {
        let matcher = Matcher::new(secrets);
        let mut leaks: BTreeMap<(Kind, String), BTreeMap<String, usize>> = BTreeMap::new();
        for place in places {
            for hit in matcher.find(&place.bytes) {
                // A name could itself be what leaks.
                let is_safe = matcher.find(place.name.as_bytes()).is_empty();
                let name = if is_safe { place.name.clone() } else { "(name withheld)".to_owned() };
                let found = leaks.entry((place.kind, hit.to_string())).or_default();
                *found.entry(name).or_default() += 1;
            }
        }
        let counts = count(places);
        let on_linux = if cfg!(target_os = "linux") { WANTED_ON_LINUX } else { &[] };
        let wanted = WANTED.iter().chain(on_linux);
        let blind = wanted.filter(|kind| !counts.contains_key(kind)).copied().collect();
        let missed = if has_planted_leak { missed(&matcher, places) } else { Vec::new() };
        let secrets = secrets.iter().filter(|secret| matcher.knows(&secret.name)).count();
        Self { places: places.len(), counts, secrets, leaks, blind, missed }
    }

    /// Whether nothing shows, and enough was looked at to say so.
    pub fn holds(&self) -> bool {
        self.leaks.is_empty() && self.blind.is_empty() && self.missed.is_empty()
    }

    /// Whether a leaking build was caught, in every form that it leaks.
    ///
    /// # Errors
    /// It was not; with what was missed.
    pub fn is_caught(&self) -> Result<()> {
        if !self.leaks.is_empty() && self.missed.is_empty() {
            return Ok(());
        }
        let missed = self.missed.join(", ");
        Err(XtaskError::Check(format!("a planted leak was not caught: {missed}")))
    }

    /// What was searched and what was not, and every leak by place and form.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for (kind, (number, bytes)) in &self.counts {
            lines.push(format!("searched: {number:5} {} ({} KB)", kind.word(), bytes / 1024));
        }
        if !self.counts.contains_key(&Kind::DeadLetter) {
            lines.push(format!("searched:     0 {}: there were none", Kind::DeadLetter.word()));
        }
        lines.push(format!("searched for {} secrets, each in every form", self.secrets));
        lines.extend(EXEMPT.iter().map(|place| format!("not searched: {place}")));
        for kind in &self.blind {
            lines.push(format!("BLIND: no {} were seen", kind.word()));
        }
        for form in &self.missed {
            lines.push(format!("MISSED: the planted leak was not found as {form}"));
        }
        for ((kind, hit), names) in &self.leaks {
            let some: Vec<&str> = names.keys().take(4).map(String::as_str).collect();
            let more = names.len().saturating_sub(some.len());
            let more = if more == 0 { String::new() } else { format!(" and {more} more") };
            lines.push(format!("LEAK: {hit} in {}: {}{more}", kind.word(), some.join(", ")));
        }
        lines
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let leaks: usize = self.leaks.values().flat_map(BTreeMap::values).sum();
        write!(f, "canary: {} places searched, {leaks} leaks", self.places)
    }
}

/// The forms of the planted leak that are not found, each in a line of its own.
fn missed(matcher: &Matcher, places: &[Place]) -> Vec<String> {
    let logs = places.iter().filter(|place| place.kind == Kind::FunctionLog);
    let mut found = BTreeSet::new();
    for line in logs.flat_map(|place| place.bytes.split(|byte| *byte == b'\n')) {
        if String::from_utf8_lossy(line).contains(PLANTED) {
            found.extend(matcher.find(line).iter().map(ToString::to_string));
        }
    }
    let is_missed = |form: &&&str| !found.contains(&format!("{PLANTED_SECRET} as {form}"));
    PLANTED_FORMS.iter().filter(is_missed).map(|form| (*form).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{Kind, PLANTED, Verdict, WANTED, WANTED_ON_LINUX};
    use crate::canary::matcher::Secret;
    use crate::canary::place::Place;

    const VALUE: &str = "a-secret-0123456789";

    fn secrets() -> Vec<Secret> {
        vec![Secret { name: "it".to_owned(), value: VALUE.as_bytes().to_vec() }]
    }

    fn place(kind: Kind, name: &str, text: &str) -> Place {
        Place { kind, name: name.to_owned(), bytes: text.as_bytes().to_vec() }
    }

    fn everywhere() -> Vec<Place> {
        let kinds = WANTED.iter().chain(WANTED_ON_LINUX);
        kinds.map(|kind| place(*kind, "a", "innocent")).collect()
    }

    #[test]
    fn it_holds_when_everything_was_seen_and_nothing_shows() {
        let verdict = Verdict::of(&secrets(), &everywhere(), false);
        assert!(verdict.holds());
        assert_eq!(verdict.to_string(), "canary: 15 places searched, 0 leaks");
        assert!(verdict.is_caught().is_err());
    }

    #[test]
    fn a_kind_of_place_that_was_never_seen_makes_it_blind() {
        let mut places = everywhere();
        places.pop();
        assert!(!Verdict::of(&secrets(), &places, false).holds());
    }

    #[test]
    fn a_leak_is_named_by_place_and_form_and_never_shown() {
        let mut places = everywhere();
        places.push(place(Kind::Item, "JOB#1", &format!("text {VALUE}")));
        places.push(place(Kind::Item, VALUE, &format!("other {VALUE}")));
        let verdict = Verdict::of(&secrets(), &places, false);
        assert!(!verdict.holds());
        assert_eq!(verdict.to_string(), "canary: 17 places searched, 2 leaks");
        let lines = verdict.lines().join("\n");
        assert!(lines.contains("LEAK: it as plain in items: (name withheld), JOB#1"), "{lines}");
        assert!(!lines.contains(VALUE));
    }

    #[test]
    fn a_planted_leak_that_is_missed_is_said() {
        let mut places = everywhere();
        places.push(place(Kind::FunctionLog, "a", &format!("{PLANTED} {VALUE}")));
        let verdict = Verdict::of(&secrets(), &places, true);
        assert!(!verdict.holds() && verdict.is_caught().is_err());
        assert!(verdict.lines().iter().any(|line| line.starts_with("MISSED")));
    }
}
