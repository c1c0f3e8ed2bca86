//! The run's own chain of evidence: what its tasks, playbooks and end were, for whoever wants proof.

use jiff::Timestamp;
use nodeyard_domain::{
    evidence::{Chain, Entry, Fact, Hash, MAX_PIECE_BYTES, RunEvidence, pieces},
    run::Run,
};

/// The most entries stored at a time; fewer where they would not fit into a piece.
const MAX_BATCH: usize = 64;

/// Entries that wait to be stored, and the end of the chain.
pub(crate) struct Evidence {
    chain: Chain,
    waiting: Vec<Entry>,
    playbooks: Option<Hash>,
    /// Another task has written entries of this run: the chain is not ours.
    is_disputed: bool,
}

impl Evidence {
    pub(crate) fn of(run: &Run) -> Self {
        let chain = Chain::of_run(&run.job_id, run.number);
        Self { chain, waiting: Vec::new(), playbooks: None, is_disputed: false }
    }

    pub(crate) fn add(&mut self, at: Timestamp, fact: Fact) {
        let is_end = matches!(fact, Fact::RunEnded { .. });
        if is_end {
            self.waiting.extend(self.chain.append_left_out(at));
        }
        self.waiting.extend(self.chain.append(at, fact));
    }

    /// The first fact of a run.
    pub(crate) fn begin(&mut self, run: &Run, playbooks: Option<Hash>) -> Fact {
        self.playbooks.clone_from(&playbooks);
        Fact::RunBegan {
            job: run.job_id.clone(),
            run: run.number,
            node: run.node_id.clone(),
            server: run.server_id.to_string(),
            profile: run.profile.clone(),
            playbooks,
            release: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

    /// The next entries to store. They stay until they are [`Self::stored`].
    pub(crate) fn batch(&self) -> Option<&[Entry]> {
        if self.is_disputed {
            return None;
        }
        let mut batch = &self.waiting[..self.waiting.len().min(MAX_BATCH)];
        while batch.len() > 1 && pieces(batch).len() > 1 {
            batch = &batch[..batch.len() / 2];
        }
        debug_assert!(pieces(batch).iter().all(|piece| piece.len() <= MAX_PIECE_BYTES));
        (!batch.is_empty()).then_some(batch)
    }

    /// The last batch is on record; or, when it is not ours, never will be.
    pub(crate) fn stored(&mut self, is_ours: bool) {
        let batch = self.batch().map_or(0, <[Entry]>::len);
        self.waiting.drain(..batch);
        self.is_disputed = !is_ours;
    }

    /// A chain of which not all is on record has no end.
    pub(crate) fn told(&self) -> RunEvidence {
        let is_whole = self.waiting.is_empty() && !self.is_disputed;
        RunEvidence {
            chain: is_whole.then(|| self.chain.head().clone()),
            playbooks: self.playbooks.clone(),
            release: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}
