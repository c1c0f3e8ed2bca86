//! What was seen: each hop's transition, read off the engine's one wide event per hop, and every
//! fault that was dealt out.
//!
//! The events are counted per thread, so a world counts its own when it runs on one thread.

use std::{
    cell::RefCell,
    collections::{BTreeMap, HashMap},
    fmt::Write as _,
};

use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    span,
};

/// How often each was seen, by its name.
pub type Counts = BTreeMap<String, u64>;

pub fn add(into: &mut Counts, more: &Counts) {
    for (name, count) in more {
        *into.entry(name.clone()).or_default() += count;
    }
}

thread_local! {
    static SEEN: RefCell<Seen> = RefCell::default();
}

/// The fields of one event, and the counts so far. The texts are kept to be filled again.
#[derive(Default)]
struct Seen {
    kind: String,
    step: String,
    outcome: String,
    next: String,
    key: String,
    counts: HashMap<String, u64>,
}

impl Visit for Seen {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "outcome" {
            self.outcome.clear();
            self.outcome.push_str(value);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let text = match field.name() {
            "kind" => &mut self.kind,
            "step" => &mut self.step,
            "next" => &mut self.next,
            _ => return,
        };
        text.clear();
        // A String takes every text.
        let _ = write!(text, "{value:?}");
    }
}

/// Counts the engine's hops and says nothing.
struct Counter;

impl Subscriber for Counter {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::INFO
            && metadata.target() == "nodeyard_engine::driver"
            && metadata.fields().field("outcome").is_some()
    }

    fn new_span(&self, _span: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _span: &span::Id, _values: &span::Record<'_>) {}

    fn record_follows_from(&self, _span: &span::Id, _follows: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        SEEN.with_borrow_mut(|seen| {
            event.record(seen);
            let mut key = std::mem::take(&mut seen.key);
            key.clear();
            let _ = write!(key, "{} {} {} {}", seen.kind, seen.step, seen.outcome, seen.next);
            match seen.counts.get_mut(&key) {
                Some(count) => *count += 1,
                None => drop(seen.counts.insert(key.clone(), 1)),
            }
            seen.key = key;
        });
    }

    fn enter(&self, _span: &span::Id) {}

    fn exit(&self, _span: &span::Id) {}
}

/// Counts the hops of this process from now on. Harmless when it is asked for again.
pub fn watch() {
    // Refused when there is a subscriber: then it is this one.
    let _ = tracing::subscriber::set_global_default(Counter);
}

/// The transitions this thread has made since it was last asked: `kind step outcome next`.
pub fn take_transitions() -> Counts {
    SEEN.with_borrow_mut(|seen| seen.counts.drain().collect())
}
