//! The places that are searched, each kept as the bytes that were found there.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;

/// What a place is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// What the functions logged.
    FunctionLog,
    /// What the container tasks logged.
    TaskLog,
    /// An item of the table, with what is compressed in it.
    Item,
    /// A message on the wake queue.
    Message,
    /// A message among the dead letters.
    DeadLetter,
    /// A task definition.
    TaskDefinition,
    /// A container task, with its overrides.
    ContainerTask,
    /// What is deployed: outputs, parameters, events, configurations of functions.
    Deployment,
    /// The words a process was started with.
    CommandLine,
    /// The environment of a process.
    Environment,
    /// A file in the scratch folder of a run that lives.
    ScratchFile,
    /// A file that is there when everything has ended.
    FileLeft,
    /// What the API answered, headers included.
    Answer,
    /// A page of a job's timeline.
    Timeline,
    /// A page of a job's log: what Ansible printed.
    JobLog,
    /// A job's evidence: its chains and its signature.
    Evidence,
    /// A page of the audit trail.
    Audit,
}

impl Kind {
    /// What a person calls it.
    pub fn word(self) -> &'static str {
        match self {
            Self::FunctionLog => "function logs",
            Self::TaskLog => "task logs",
            Self::Item => "items",
            Self::Message => "queue messages",
            Self::DeadLetter => "dead letters",
            Self::TaskDefinition => "task definitions",
            Self::ContainerTask => "container tasks and overrides",
            Self::Deployment => "deployment",
            Self::CommandLine => "command lines",
            Self::Environment => "environments",
            Self::ScratchFile => "scratch files",
            Self::FileLeft => "files left behind",
            Self::Answer => "answers",
            Self::Timeline => "timelines",
            Self::JobLog => "job logs",
            Self::Evidence => "evidence",
            Self::Audit => "audit trail",
        }
    }
}

/// One place.
#[derive(Debug, Clone)]
pub struct Place {
    /// What it is.
    pub kind: Kind,
    /// Which one; may be told.
    pub name: String,
    /// What was found there.
    pub bytes: Vec<u8>,
}

/// All places so far; shared with those that watch.
#[derive(Debug, Clone, Default)]
pub struct Places(Arc<Mutex<Found>>);

#[derive(Debug, Default)]
struct Found {
    places: Vec<Place>,
    seen: BTreeSet<(Kind, u64)>,
}

impl Places {
    /// Keeps a place, unless the very same bytes were found in one of its kind already.
    pub fn add(&self, kind: Kind, name: impl Into<String>, bytes: impl Into<Vec<u8>>) {
        let bytes = bytes.into();
        if bytes.is_empty() {
            return;
        }
        let mut hasher = DefaultHasher::new();
        bytes.hash(&mut hasher);
        let mut found = self.found();
        if found.seen.insert((kind, hasher.finish())) {
            found.places.push(Place { kind, name: name.into(), bytes });
        }
    }

    /// Forgets messages with one of these bodies.
    pub fn forget_messages(&self, bodies: &[String]) {
        let is_one = |place: &Place| {
            let message: Value = serde_json::from_slice(&place.bytes).unwrap_or_default();
            let body = message.get("Body").and_then(Value::as_str);
            body.is_some_and(|body| bodies.iter().any(|own| own == body))
        };
        let of_a_queue = |kind| matches!(kind, Kind::Message | Kind::DeadLetter);
        self.found().places.retain(|place| !(of_a_queue(place.kind) && is_one(place)));
    }

    /// Everything that was found.
    pub fn all(&self) -> Vec<Place> {
        self.found().places.clone()
    }

    fn found(&self) -> MutexGuard<'_, Found> {
        // A list that grows in single steps is never half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many places of each kind, and how many bytes.
pub fn count(places: &[Place]) -> BTreeMap<Kind, (usize, usize)> {
    let mut counts = BTreeMap::new();
    for place in places {
        let (number, bytes) = counts.entry(place.kind).or_insert((0, 0));
        *number += 1;
        *bytes += place.bytes.len();
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::{Kind, Places, count};

    #[test]
    fn what_we_sent_ourselves_is_forgotten_on_queues_alone() {
        let places = Places::default();
        let message = r#"{"Body":"ours","MessageId":"1"}"#;
        for kind in [Kind::Message, Kind::DeadLetter, Kind::Item] {
            places.add(kind, "a", message);
        }
        places.add(Kind::Message, "b", r#"{"Body":"theirs"}"#);
        places.forget_messages(&["ours".to_owned()]);
        let left: Vec<_> = places.all().into_iter().map(|place| (place.kind, place.name)).collect();
        assert_eq!(left, [(Kind::Item, "a".to_owned()), (Kind::Message, "b".to_owned())]);
    }

    #[test]
    fn a_place_is_kept_once_for_each_kind_and_an_empty_one_not_at_all() {
        let places = Places::default();
        places.add(Kind::Item, "a", "same");
        places.add(Kind::Item, "b", "same");
        places.add(Kind::Message, "c", "same");
        places.add(Kind::Message, "d", "");
        let counts = count(&places.all());
        assert_eq!(counts.get(&Kind::Item), Some(&(1, 4)));
        assert_eq!(counts.get(&Kind::Message), Some(&(1, 4)));
    }
}
