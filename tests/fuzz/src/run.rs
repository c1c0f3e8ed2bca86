//! Drives a target: input after input, each held to the target's properties and limits.

use std::{
    cell::RefCell,
    collections::BTreeSet,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Mutex, Once, PoisonError},
    time::{Duration, Instant},
};

use nodeyard_drills::random::Random;

use crate::{MEMORY, corpus, target::Target};

/// Inputs that share what they leave behind.
const INPUTS_PER_WORLD: u64 = 64;
/// Inputs of new kinds that are mutated on.
const MAX_CORPUS: usize = 2_000;
/// Tries at making a failing input smaller.
const SHRINKING_TRIES: usize = 300;

/// When to stop, whichever comes first.
#[derive(Debug, Clone, Copy)]
pub struct End {
    pub executions: u64,
    pub time: Duration,
}

/// An input that a target has failed on.
#[derive(Debug, Clone)]
pub struct Crash {
    pub what: String,
    pub input: Vec<u8>,
    /// The input's number in its run.
    pub execution: u64,
    /// False when it takes the inputs before it to fail.
    pub fails_alone: bool,
}

/// What came of a run.
#[derive(Debug, Clone)]
pub struct Report {
    pub target: &'static str,
    pub seed: u64,
    pub executions: u64,
    /// Kinds of outcome that were met.
    pub kinds: BTreeSet<String>,
    pub slowest: Duration,
    /// Bytes.
    pub most_memory: usize,
    pub crash: Option<Crash>,
}

impl Report {
    /// One line, and more if the target failed.
    pub fn text(&self) -> String {
        let mut text = format!(
            "{}: {} executions, {} kinds of outcome, slowest {} ms, most memory {} KB, seed {}",
            self.target,
            self.executions,
            self.kinds.len(),
            self.slowest.as_millis(),
            self.most_memory >> 10,
            self.seed
        );
        if let Some(crash) = &self.crash {
            text.push_str(&format!(
                "\n  FAILED: {}\n  at execution {} of seed {}, {}; the input:\n  {}",
                crash.what,
                crash.execution,
                self.seed,
                if crash.fails_alone { "alone" } else { "only after the inputs before it" },
                shown(&crash.input)
            ));
        }
        text
    }
}

fn shown(input: &[u8]) -> String {
    let shown = input[..input.len().min(2_000)].escape_ascii().to_string();
    if input.len() > 2_000 { format!("{shown}… ({} bytes)", input.len()) } else { shown }
}

thread_local! {
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
    static WATCHING: RefCell<bool> = const { RefCell::new(false) };
}

/// Runs a target until the end or its first failure, which is kept as a seed.
pub fn drive(target: &mut dyn Target, seed: u64, end: End) -> Report {
    // Memory is counted for the whole process.
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    watch_panics();

    let mut corpus = target.seeds();
    corpus.extend(corpus::kept(target.name()));
    let firsts = corpus.len() as u64;
    let mut report = Report {
        target: target.name(),
        seed,
        executions: 0,
        kinds: BTreeSet::new(),
        slowest: Duration::ZERO,
        most_memory: 0,
        crash: None,
    };
    let began = Instant::now();
    let mut random = Random::new(seed);
    while report.executions < end.executions && began.elapsed() < end.time {
        let number = report.executions;
        if number.is_multiple_of(INPUTS_PER_WORLD) {
            target.reset();
        }
        let input = if number < firsts {
            corpus[number as usize].clone()
        } else {
            let (from, other) = (random.below(corpus.len()), random.below(corpus.len()));
            target.mutate(&mut random, &corpus[from], &corpus[other])
        };
        report.executions += 1;
        let tried = attempt(target, &input);
        report.slowest = report.slowest.max(tried.time);
        report.most_memory = report.most_memory.max(tried.memory);
        match tried.outcome {
            Ok(kind) => {
                if report.kinds.insert(kind) && number >= firsts && corpus.len() < MAX_CORPUS {
                    corpus.push(input);
                }
            }
            Err(what) => {
                report.crash = Some(settle(target, what, input, number));
                break;
            }
        }
    }
    report
}

struct Tried {
    outcome: Result<String, String>,
    time: Duration,
    memory: usize,
}

fn attempt(target: &mut dyn Target, input: &[u8]) -> Tried {
    let limits = target.limits();
    PANIC.with_borrow_mut(|panic| *panic = None);
    WATCHING.with_borrow_mut(|watching| *watching = true);
    MEMORY.reset_peak_usage();
    let before = MEMORY.current_usage();
    let began = Instant::now();
    let done = catch_unwind(AssertUnwindSafe(|| target.run(input)));
    let time = began.elapsed();
    let memory = MEMORY.peak_usage().saturating_sub(before);
    WATCHING.with_borrow_mut(|watching| *watching = false);
    // Also one that was caught on its way: a function lives on, its record does not.
    let panic = PANIC.with_borrow_mut(Option::take);
    let outcome = match (panic, done) {
        (Some(panic), _) => Err(format!("panic: {panic}")),
        (None, Err(_)) => Err("panic without words".to_owned()),
        (None, Ok(Err(what))) => Err(what),
        (None, Ok(Ok(_))) if time > limits.time => Err(format!("took {time:?}")),
        (None, Ok(Ok(_))) if memory > limits.memory => Err(format!("took {memory} bytes")),
        (None, Ok(Ok(kind))) => Ok(kind),
    };
    Tried { outcome, time, memory }
}

/// Whether an input fails by itself; if so, made smaller and kept as a seed.
fn settle(target: &mut dyn Target, what: String, input: Vec<u8>, execution: u64) -> Crash {
    let mut fails = |input: &[u8]| {
        target.reset();
        attempt(target, input).outcome.err()
    };
    let Some(what_alone) = fails(&input) else {
        return Crash { what, input, execution, fails_alone: false };
    };
    let mut crash = Crash { what: what_alone, input, execution, fails_alone: true };
    let (mut tries, mut piece) = (0, crash.input.len() / 2);
    while piece > 0 && tries < SHRINKING_TRIES {
        let mut at = 0;
        while at < crash.input.len() && tries < SHRINKING_TRIES {
            let mut smaller = crash.input.clone();
            smaller.drain(at..(at + piece).min(smaller.len()));
            tries += 1;
            match fails(&smaller) {
                Some(what) => (crash.what, crash.input) = (what, smaller),
                None => at += piece,
            }
        }
        piece /= 2;
    }
    if let Err(error) = corpus::keep(target.name(), &crash.input) {
        crash.what.push_str(&format!(" (not kept as a seed: {error})"));
    }
    crash
}

/// The most bytes that were in use at the same time since the process began, or since the last
/// input.
pub fn peak_memory() -> usize {
    MEMORY.peak_usage()
}

/// Panics of an input are told by its report; others as ever.
fn watch_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let told = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if !WATCHING.with_borrow(|watching| *watching) {
                return told(panic);
            }
            let place = panic.location().map(ToString::to_string).unwrap_or_default();
            let words = panic.payload_as_str().unwrap_or("no words").to_owned();
            PANIC.with_borrow_mut(|kept| {
                kept.get_or_insert(format!("{place}: {words}"));
            });
        }));
    });
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic)]
    use super::*;
    use crate::target::Limits;

    /// Fails on a byte that its seed does not have, in one of the ways there are.
    struct Touchy(&'static str);

    impl Target for Touchy {
        fn name(&self) -> &'static str {
            self.0
        }

        fn seeds(&self) -> Vec<Vec<u8>> {
            vec![b"aaaaaaaaaaaaaaaaaaaaaaaa".to_vec()]
        }

        fn limits(&self) -> Limits {
            Limits { time: Duration::from_secs(60), memory: 1 << 20 }
        }

        fn run(&mut self, input: &[u8]) -> Result<String, String> {
            if input.contains(&b'\n') {
                match self.0 {
                    "test-panics" => panic!("a line feed"),
                    "test-hungry" => drop(std::hint::black_box(vec![1_u8; 2 << 20])),
                    _ => return Err("a line feed".to_owned()),
                }
            }
            Ok(input.len().to_string())
        }
    }

    #[test]
    fn panics_broken_properties_and_hunger_are_found_and_made_small() {
        for (name, what) in
            [("test-panics", "a line feed"), ("test-hungry", "bytes"), ("test-fails", "line feed")]
        {
            let end = End { executions: 20_000, time: Duration::from_secs(60) };
            let report = drive(&mut Touchy(name), 1, end);
            let crash = report.crash.clone().expect("it was found");
            assert!(crash.what.contains(what), "{}", report.text());
            assert_eq!((crash.input.as_slice(), crash.fails_alone), (&b"\n"[..], true));
            assert_eq!(corpus::kept(name), [b"\n"]);
            let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(name);
            std::fs::remove_dir_all(folder).expect("it was kept");
        }
    }

    #[test]
    fn a_seed_gives_the_same_run() {
        struct Fine;
        impl Target for Fine {
            fn name(&self) -> &'static str {
                "test-fine"
            }
            fn seeds(&self) -> Vec<Vec<u8>> {
                corpus::events("worker")
            }
            fn run(&mut self, input: &[u8]) -> Result<String, String> {
                Ok(format!("{}", input.len() % 50))
            }
        }
        let end = End { executions: 300, time: Duration::from_secs(60) };
        let (once, again) = (drive(&mut Fine, 5, end), drive(&mut Fine, 5, end));
        assert_eq!((once.executions, &once.kinds), (300, &again.kinds));
        assert!(once.crash.is_none());
    }
}
