//! What the run tells while it goes on: entries of the job's timeline and pieces of its log,
//! gathered and appended at intervals.

use jiff::{SignedDuration, Timestamp};
use nodeyard_domain::{
    evidence::{Fact, Hash, RunEvidence},
    run::Run,
    timeline::{Source, TimelineEntry},
};
use nodeyard_engine::{Clock, store::RunStore};
use secrecy::SecretString;
use tokio::time::Instant;

use crate::{
    evidence::Evidence, log::Log, persist::persist, printable::printable, redaction::Redactor,
    tempo::Tempo,
};

/// The most entries a run adds to its job's timeline, not counting the last two, which tell how many
/// were left out and how the run ended. The log has the rest.
pub(crate) const MAX_ENTRIES: usize = 400;
/// Of those, kept for failures.
const KEPT_FOR_FAILURES: usize = 100;
/// Of those, the one that tells where the gap begins.
const KEPT_FOR_THE_GAP: usize = 1;

pub(crate) struct Report<'a, S, C> {
    store: &'a S,
    clock: &'a C,
    run: &'a Run,
    tempo: Tempo,
    redactor: Redactor,
    log: Log,
    evidence: Evidence,
    entries: Vec<TimelineEntry>,
    /// Entries ever noted.
    noted: usize,
    /// Entries there was no place for.
    left_out: usize,
    last_at: Timestamp,
    appended: Instant,
    /// Results of tasks so far.
    tasks: u32,
}

impl<'a, S: RunStore, C: Clock> Report<'a, S, C> {
    pub(crate) fn new(store: &'a S, clock: &'a C, run: &'a Run, tempo: Tempo) -> Self {
        Self {
            store,
            clock,
            run,
            tempo,
            redactor: Redactor::default(),
            log: Log::default(),
            evidence: Evidence::of(run),
            entries: Vec::new(),
            noted: 0,
            left_out: 0,
            last_at: Timestamp::MIN,
            appended: Instant::now(),
            tasks: 0,
        }
    }

    /// One more task has a result.
    pub(crate) fn task_done(&mut self) {
        self.tasks = self.tasks.saturating_add(1);
    }

    pub(crate) fn tasks(&self) -> u32 {
        self.tasks
    }

    /// How far the run is by the last one of its profile, in percent. The end is told by its own
    /// entry: until then it is not 100.
    fn percent(&self) -> Option<u64> {
        let expected = u64::from(self.run.expected_tasks.filter(|tasks| *tasks > 0)?);
        Some((u64::from(self.tasks) * 100 / expected).min(99))
    }

    pub(crate) fn number(&self) -> u32 {
        self.run.number
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Nothing reported from now on holds this secret.
    pub(crate) fn know(&mut self, secret: &SecretString) {
        self.redactor.know(secret);
    }

    /// A text that may be stored and shown.
    pub(crate) fn redacted(&self, text: &str) -> String {
        printable(&self.redactor.text(text)).into_owned()
    }

    /// Notes an entry, unless the run has noted too many; failures have some places more.
    pub(crate) fn note(&mut self, entry: TimelineEntry) {
        let is_failure = entry.fields.get("status").is_some_and(|status| status == "failed");
        let kept = KEPT_FOR_THE_GAP + if is_failure { 0 } else { KEPT_FOR_FAILURES };
        if self.noted < MAX_ENTRIES - kept {
            self.noted += 1;
            self.entries.push(entry);
            return;
        }
        if self.left_out == 0 {
            let text =
                format!("a run notes {MAX_ENTRIES} entries at most: only failures from here");
            let gap = self.entry(text);
            self.entries.push(gap);
        }
        self.left_out += 1;
    }

    /// Notes how the run ended, however many entries there are; before it, how many were left out.
    pub(crate) fn note_end(&mut self, end: impl FnOnce(&mut Self) -> TimelineEntry) {
        if self.left_out > 0 {
            let text = format!("{} entries were left out: see the log", self.left_out);
            let left_out = self.entry(text).with("left_out", self.left_out);
            self.entries.push(left_out);
        }
        let end = end(self);
        self.entries.push(end);
    }

    /// An entry of this run: redacted, and later than the one before.
    pub(crate) fn entry(&mut self, message: impl AsRef<str>) -> TimelineEntry {
        let next = self.last_at.checked_add(SignedDuration::from_micros(1));
        self.last_at = self.clock.now().max(next.unwrap_or(self.last_at));
        let message = self.redacted(message.as_ref());
        let entry =
            TimelineEntry::new(self.last_at, Source::Run, message).with("run", self.run.number);
        match self.percent() {
            Some(percent) => entry.with("percent", percent),
            None => entry,
        }
    }

    pub(crate) fn say(&mut self, message: impl AsRef<str>) {
        let entry = self.entry(message);
        self.note(entry);
    }

    /// Puts a fact on the run's own chain of evidence; its texts come in redacted.
    pub(crate) fn prove(&mut self, fact: Fact) {
        self.evidence.add(self.clock.now(), fact);
    }

    /// Which playbooks run: part of the result, and of the chain's first entry.
    pub(crate) fn begin_evidence(&mut self, playbooks: Option<Hash>) {
        let began = self.evidence.begin(self.run, playbooks);
        self.prove(began);
    }

    /// What the result tells of the chain, which nothing is added to any more.
    pub(crate) fn evidence(&self) -> RunEvidence {
        self.evidence.told()
    }

    /// Adds a line of a child's output to the log.
    pub(crate) fn line(&mut self, line: &str) {
        if let Some(clean) = self.redactor.line(line) {
            self.log.add(&printable(&clean));
        }
    }

    /// Appends what was gathered if the last time is long enough ago. What the store refuses now
    /// is offered again the next time.
    pub(crate) async fn append_when_due(&mut self) {
        if self.appended.elapsed() >= self.tempo.report_gap {
            self.append(false).await;
            self.appended = Instant::now();
        }
    }

    /// Appends everything. A report that cannot be stored does not change the run's result.
    pub(crate) async fn close(&mut self) {
        self.log.end();
        self.append(true).await;
    }

    async fn append(&mut self, insist: bool) {
        let Self { store, run, entries, log, evidence, tempo, .. } = self;
        while let Some(batch) = evidence.batch() {
            let append = async || store.append_run_evidence(&run.job_id, run.number, batch).await;
            match persist("appending to the evidence", tempo.retry_pause, |_| insist, append).await
            {
                Ok(is_ours) => evidence.stored(is_ours),
                Err(error) => {
                    tracing::warn!(%error, "the evidence was not appended to");
                    break;
                }
            }
        }
        if !entries.is_empty() {
            let batch = entries.as_slice();
            let append = async || store.append_timeline(&run.job_id, batch).await;
            match persist("appending to the timeline", tempo.retry_pause, |_| insist, append).await
            {
                Ok(()) => entries.clear(),
                Err(error) => return tracing::warn!(%error, "the timeline was not appended to"),
            }
        }
        log.close_piece();
        while let Some((number, text)) = log.piece() {
            let append = async || store.append_log(&run.job_id, run.number, number, text).await;
            match persist("appending to the log", tempo.retry_pause, |_| insist, append).await {
                Ok(()) => log.stored(),
                Err(error) => return tracing::warn!(%error, "the log was not appended to"),
            }
        }
    }
}
