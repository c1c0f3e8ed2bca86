//! The steps of the smokes: a closed list, in the order in which a node is asked to do them.

use crate::run::SmokeStep;

/// The suites with their steps, as `playbooks/roles/smoke` names them.
pub const SUITES: &[(&str, &[&str])] = &[
    (
        "site",
        &[
            "remove_left_overs",
            "install_packages",
            "make_user",
            "make_folders",
            "make_pool",
            "make_database",
            "make_server_block",
            "write_config",
            "install_wordpress",
            "publish_post",
            "fetch_site",
            "clone_environment",
            "clone_content",
            "clone_database",
            "rewrite_clone",
            "mark_clone",
            "fetch_preview",
            "fetch_source_unmarked",
        ],
    ),
    (
        "backup",
        &[
            "back_up",
            "verify_backup",
            "damage_site",
            "fetch_damaged",
            "restore_site",
            "fetch_restored",
        ],
    ),
    (CLEAN_UP, &["nothing_left"]),
];

/// What follows the suites. Where the sites are to stay, it says that they do instead.
const CLEAN_UP: &str = "clean_up";
const KEPT: &str = "kept";

/// A step of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SmokeName {
    suite: &'static str,
    step: &'static str,
}

impl SmokeName {
    pub fn suite(self) -> &'static str {
        self.suite
    }

    pub fn step(self) -> &'static str {
        self.step
    }
}

/// The steps that a node has to do, in order, where it told of these.
pub fn wanted(told: &[SmokeStep]) -> impl Iterator<Item = SmokeName> {
    let is_kept = |it: &SmokeStep| it.ok && it.suite == CLEAN_UP && it.step == KEPT;
    let kept = told.iter().any(is_kept);
    names().filter(move |name| !kept || name.suite != CLEAN_UP)
}

/// All steps in order.
pub fn names() -> impl Iterator<Item = SmokeName> {
    let of = |suite: &(&'static str, &'static [&'static str])| {
        let (suite, steps) = *suite;
        steps.iter().map(move |step| SmokeName { suite, step })
    };
    SUITES.iter().flat_map(of)
}

/// The step of a name, if it is one of the list.
pub fn named(suite: &str, step: &str) -> Option<SmokeName> {
    names().find(|name| (name.suite, name.step) == (suite, step))
}

/// Whether a step was come to, and passed each time.
pub fn is_held(name: SmokeName, told: &[SmokeStep]) -> bool {
    let mut of_it = told.iter().filter(|it| is_of(name, it)).peekable();
    of_it.peek().is_some() && of_it.all(|it| it.ok)
}

/// What went wrong, for the operator: the first step that failed, or else one that is missing.
/// `None` when each step of the list was come to and passed.
pub fn fault(told: &[SmokeStep]) -> Option<String> {
    if let Some(SmokeStep { suite, step, command, detail, .. }) = told.iter().find(|it| !it.ok) {
        return Some(format!("{suite}.{step}: {command}: {detail}"));
    }
    let missing = wanted(told).find(|name| !told.iter().any(|it| is_of(*name, it)))?;
    Some(format!("{}.{}: not come to", missing.suite, missing.step))
}

fn is_of(name: SmokeName, told: &SmokeStep) -> bool {
    (told.suite.as_str(), told.step.as_str()) == (name.suite, name.step)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn told(name: SmokeName, ok: bool) -> SmokeStep {
        SmokeStep {
            suite: name.suite.into(),
            step: name.step.into(),
            ok,
            millis: 1,
            command: "curl".into(),
            detail: "503".into(),
        }
    }

    #[test]
    fn names_are_distinct() {
        let all: Vec<_> = names().collect();
        for (index, name) in all.iter().enumerate() {
            assert!(!all[..index].contains(name), "{name:?}");
            assert_eq!(named(name.suite, name.step), Some(*name));
        }
        assert_eq!(named("site", "mood"), None);
    }

    #[test]
    fn only_all_steps_passed_is_no_fault() {
        let mut all: Vec<_> = names().map(|name| told(name, true)).collect();
        assert_eq!(fault(&all), None);
        for index in 0..all.len() {
            let mut fewer = all.clone();
            let name = named(&fewer[index].suite, &fewer[index].step).unwrap();
            assert!(is_held(name, &fewer));
            let again = [fewer.as_slice(), &[told(name, false)]].concat();
            assert!(!is_held(name, &again), "it has to pass each time");
            fewer.remove(index);
            assert!(fault(&fewer).unwrap().ends_with("not come to"));
            assert!(!is_held(name, &fewer));
        }
        let mut kept: Vec<_> = all.clone();
        kept.last_mut().unwrap().step = KEPT.into();
        assert_eq!(fault(&kept), None, "what was to stay has stayed");
        kept.last_mut().unwrap().step = "mood".into();
        assert!(fault(&kept).unwrap().starts_with("clean_up.nothing_left"));
        all[0].ok = false;
        let first = names().next().unwrap();
        let expected = format!("{}.{}: curl: 503", first.suite, first.step);
        assert_eq!(fault(&all), Some(expected));
        assert!(!is_held(first, &all));
    }
}
