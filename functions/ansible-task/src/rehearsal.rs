//! A run that is only heard of: the output and the events of one playbook, as bytes, put through
//! the parsers of a real run, without a node or a process. It tells what a node's words can do.

use nodeyard_domain::run::{Run, RunResult};
use nodeyard_engine::{Clock, store::RunStore};
use secrecy::SecretString;

use crate::{
    events::{Event, Tally},
    host_key,
    lines::Lines,
    phases::Progress,
    playbook::tell,
    readiness,
    report::Report,
    task::conclude,
    tempo::Tempo,
    verdict::{self, Exit},
};

/// What a playbook said, and how its process ended.
#[derive(Debug, Clone, Copy)]
pub struct Said<O, E> {
    /// The playbook's name, without `.yml`.
    pub playbook: &'static str,
    pub exit_code: i32,
    /// Standard output and error, in the pieces they were read in.
    pub output: O,
    /// The events file, in the pieces it was read in.
    pub events: E,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Heard {
    /// As it would be recorded. Its findings are those of the events, whatever the playbook.
    pub result: RunResult,
    /// The host key that the events report, if it is one.
    pub host_key: Option<String>,
}

/// Hears a playbook. Timeline and log go to the store, as those of a real run do; `secret` is known
/// to the run, and taken out of what is stored.
pub async fn rehearse<'a, S, C, O, E>(
    (store, clock): (&S, &C),
    run: &Run,
    secret: &SecretString,
    said: Said<O, E>,
) -> Heard
where
    S: RunStore,
    C: Clock,
    O: IntoIterator<Item = &'a [u8]>,
    E: IntoIterator<Item = &'a [u8]>,
{
    let mut report = Report::new(store, clock, run, Tempo::default());
    report.know(secret);
    let mut lines = Lines::default();
    for piece in said.output {
        for line in lines.push(piece) {
            report.line(&line);
        }
    }
    if let Some(line) = lines.rest() {
        report.line(&line);
    }
    let (mut lines, mut tally) = (Lines::default(), Tally::default());
    for piece in said.events {
        for event in lines.push(piece).iter().filter_map(|line| Event::parse(line)) {
            tell(said.playbook, &event, &mut tally, &mut report);
        }
    }
    let mut progress = Progress { recap: tally.recap(), ..Progress::default() };
    let mut done = verdict::judge(said.playbook, Exit::Code(said.exit_code), &tally);
    if done.is_ok() {
        match readiness::findings(&tally.custom) {
            Ok(findings) => progress.findings = findings,
            Err(failure) => done = Err(failure),
        }
    }
    let host_key = host_key::next_key(&tally.custom).ok();
    Heard { result: conclude(done, progress, &mut report).await, host_key }
}
