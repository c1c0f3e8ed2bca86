//! The events of a playbook: one JSON object per line, written by the callback plugin
//! `nodeyard_events`. The parser is tolerant: an event it does not know is not an error.

use std::collections::BTreeMap;

use nodeyard_domain::run::Recap;
use serde::Deserialize;
use serde_json::{Map, Value};

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum Event {
    Play {
        #[serde(default)]
        play: String,
    },
    Task(TaskEvent),
    Stats {
        #[serde(default)]
        hosts: BTreeMap<String, HostCounts>,
        /// What the playbook reported with `set_stats`.
        #[serde(default)]
        custom: Map<String, Value>,
    },
    #[serde(other)]
    Other,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    Ok,
    Changed,
    Failed,
    Unreachable,
    Skipped,
    #[default]
    #[serde(other)]
    Other,
}

/// One result of a task on a host, or of one item of its loop.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default)]
pub(crate) struct TaskEvent {
    pub(crate) play: String,
    pub(crate) task: String,
    pub(crate) role: Option<String>,
    pub(crate) host: String,
    pub(crate) status: Status,
    pub(crate) item: Option<String>,
    pub(crate) msg: Option<String>,
    pub(crate) seconds: f64,
    /// The play goes on in spite of the failure, as its author said.
    pub(crate) ignored: bool,
}

/// Ansible's counts of one host, as its recap prints them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
pub(crate) struct HostCounts {
    ok: u32,
    changed: u32,
    failures: u32,
    unreachable: u32,
    skipped: u32,
}

impl Event {
    /// `None` for a line that is no event.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        serde_json::from_str(line).ok()
    }
}

/// What a task said when it failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TaskFailure {
    pub(crate) task: String,
    pub(crate) message: String,
    of_item: bool,
}

/// What one playbook's events add up to.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Tally {
    /// True once a play began: what goes wrong before is the playbook's text.
    pub(crate) play_began: bool,
    /// Set by the final counts: a playbook without them did not come to its end.
    pub(crate) hosts: Option<usize>,
    counted: Recap,
    /// The last failure that was not ignored: what a rescue says comes last.
    pub(crate) failure: Option<TaskFailure>,
    pub(crate) unreachable: Option<TaskFailure>,
    pub(crate) custom: Map<String, Value>,
}

impl Tally {
    pub(crate) fn add(&mut self, event: &Event) {
        match event {
            Event::Play { .. } => self.play_began = true,
            Event::Task(task) => self.add_task(task),
            Event::Stats { hosts, custom } => {
                // Ansible's own counts: they know of rescued failures and failed handlers.
                self.hosts = Some(hosts.len());
                self.counted = hosts.values().fold(Recap::default(), |sum, host| {
                    sum.plus(Recap {
                        ok: host.ok,
                        changed: host.changed,
                        failed: host.failures,
                        unreachable: host.unreachable,
                        skipped: host.skipped,
                    })
                });
                self.custom = custom.clone();
            }
            Event::Other => {}
        }
    }

    fn add_task(&mut self, task: &TaskEvent) {
        let of_item = task.item.is_some();
        let said = || TaskFailure {
            task: task.task.clone(),
            message: task.msg.clone().unwrap_or_default(),
            of_item,
        };
        match task.status {
            Status::Failed if !task.ignored => {
                // "One or more items failed" says less than the item did.
                let item_said =
                    self.failure.as_ref().is_some_and(|it| it.of_item && it.task == task.task);
                if of_item || !item_said {
                    self.failure = Some(said());
                }
            }
            Status::Unreachable => self.unreachable = Some(said()),
            _ => {}
        }
        if !of_item && self.hosts.is_none() {
            match task.status {
                Status::Ok => self.counted.ok += 1,
                Status::Changed => {
                    self.counted.ok += 1;
                    self.counted.changed += 1;
                }
                Status::Failed if task.ignored => self.counted.ok += 1,
                Status::Failed => self.counted.failed += 1,
                Status::Unreachable => self.counted.unreachable += 1,
                Status::Skipped => self.counted.skipped += 1,
                Status::Other => {}
            }
        }
    }

    /// The recap: Ansible's, or, for a playbook that did not come to its end, what was seen.
    pub(crate) fn recap(&self) -> Recap {
        self.counted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(lines: &[&str]) -> Tally {
        let mut tally = Tally::default();
        for event in lines.iter().filter_map(|line| Event::parse(line)) {
            tally.add(&event);
        }
        tally
    }

    #[test]
    fn a_playbook_that_came_to_its_end_has_ansibles_own_recap() {
        let tally = tally(&[
            r#"{"event": "play", "play": "Profile base"}"#,
            r#"{"event": "task", "play": "Profile base", "task": "a", "role": null, "host": "node-1", "status": "changed", "seconds": 0.5}"#,
            r#"{"event": "task", "play": "Profile base", "task": "h", "role": "r", "host": "node-1", "status": "failed", "msg": "no", "seconds": 0.5}"#,
            r#"{"event": "stats", "hosts": {"node-1": {"ok": 4, "changed": 2, "failures": 1, "unreachable": 0, "skipped": 3, "rescued": 0}}, "custom": {"readiness": []}}"#,
        ]);
        let recap = Recap { ok: 4, changed: 2, failed: 1, unreachable: 0, skipped: 3 };
        assert_eq!(tally.recap(), recap);
        assert_eq!((tally.play_began, tally.hosts), (true, Some(1)));
        assert_eq!(tally.failure.unwrap().message, "no");
        assert!(tally.custom.contains_key("readiness"));
    }

    #[test]
    fn a_playbook_that_was_killed_has_what_was_seen() {
        let tally = tally(&[
            r#"{"event":"play","play":"p"}"#,
            r#"{"event":"task","task":"a","status":"ok"}"#,
            r#"{"event":"task","task":"b","status":"changed","item":"1"}"#,
            r#"{"event":"task","task":"b","status":"changed"}"#,
            r#"{"event":"task","task":"c","status":"failed","ignored":true,"msg":"never mind"}"#,
            r#"{"event":"task","task":"d","status":"skipp"#,
        ]);
        let recap = Recap { ok: 3, changed: 1, failed: 0, unreachable: 0, skipped: 0 };
        assert_eq!(tally.recap(), recap);
        assert_eq!((tally.hosts, tally.failure), (None, None));
    }

    #[test]
    fn the_item_that_failed_is_what_is_told() {
        let tally = tally(&[
            r#"{"event":"task","task":"b","status":"failed","item":"nginx","msg":"no such package"}"#,
            r#"{"event":"task","task":"b","status":"failed","msg":"One or more items failed"}"#,
        ]);
        assert_eq!(tally.failure.unwrap().message, "no such package");
    }

    #[test]
    fn the_last_failure_is_the_one_that_ended_the_play() {
        let tally = tally(&[
            r#"{"event":"task","task":"prove","status":"failed","msg":"refused"}"#,
            r#"{"event":"task","task":"take back","status":"changed"}"#,
            r#"{"event":"task","task":"say why","status":"failed","msg":"taken back: refused"}"#,
        ]);
        assert_eq!(tally.failure.unwrap().task, "say why");
    }

    #[test]
    fn what_is_unknown_does_no_harm() {
        for line in
            ["", "null", "[]", "{}", "{\"event\":1}", "\u{0}", "{\"event\":\"task\",\"host\":3}"]
        {
            assert_eq!(Event::parse(line), None, "{line}");
        }
        assert_eq!(Event::parse(r#"{"event":"weather","x":1}"#), Some(Event::Other));
        let odd = Event::parse(r#"{"event":"task","task":"t","status":"rebooted","extra":[1]}"#);
        assert!(matches!(odd, Some(Event::Task(TaskEvent { status: Status::Other, .. }))));
    }
}
