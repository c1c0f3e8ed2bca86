//! Evidence in memory: chains, signatures, and what is unsigned.

use jiff::Timestamp;
use nodeyard_domain::{
    evidence::{Entry, Owner, Signature, bundle::Stored},
    id::JobId,
};
use nodeyard_engine::evidence::Unsigned;
use serde_json::Value;

use super::{Items, MemoryStore};
use crate::held;

impl Items {
    pub(super) fn add_evidence(&mut self, of: Owner<'_>, entries: &[Entry]) {
        self.evidence.entry(of.job.clone()).or_default().extend_from_slice(entries);
        if let Some(head) = of.to_sign() {
            self.unsigned.insert(of.job.clone(), (of.updated_at, head.clone()));
        }
    }

    pub(super) fn unsigned_jobs(&self, before: Timestamp, limit: usize) -> Vec<Unsigned> {
        let due = self.unsigned.iter().filter(|(_, (at, _))| *at <= before);
        let mut due: Vec<_> = due.collect();
        due.sort_by_key(|(_, (at, _))| *at);
        let unsigned = |(job, (_, head)): (&JobId, &(Timestamp, _))| Unsigned {
            job: job.clone(),
            head: Clone::clone(head),
        };
        due.into_iter().take(limit).map(unsigned).collect()
    }

    pub(super) fn put_signature(&mut self, job: &JobId, signature: &Signature) -> bool {
        let is_first = self.unsigned.remove(job).is_some();
        if is_first {
            self.signatures.insert(job.clone(), signature.clone());
        }
        is_first
    }

    pub(super) fn add_run_evidence(&mut self, job: &JobId, run: u32, entries: &[Entry]) -> bool {
        let known = self.run_evidence.entry((job.clone(), run)).or_default();
        let Some(first) = entries.first() else { return true };
        let at = first.number as usize - 1;
        match known.len() {
            length if length == at => known.extend_from_slice(entries),
            // The same once more, or another's.
            _ => return known.get(at..at + entries.len()) == Some(entries),
        }
        true
    }

    pub(super) fn own_chain(&self, job: &JobId, run: u32) -> Vec<Value> {
        self.run_evidence
            .get(&(job.clone(), run))
            .map(|entries| values(entries))
            .unwrap_or_default()
    }

    pub(crate) fn all_evidence(&self, job: &JobId) -> Stored {
        let of_job = self.run_evidence.range((job.clone(), 0)..=(job.clone(), u32::MAX));
        Stored {
            entries: self.evidence.get(job).map(|entries| values(entries)).unwrap_or_default(),
            runs: of_job.map(|((_, run), entries)| (*run, values(entries))).collect(),
            signature: self.signatures.get(job).cloned(),
        }
    }
}

fn values(entries: &[Entry]) -> Vec<Value> {
    let value = |entry| serde_json::to_value(entry).expect("an entry serialises");
    entries.iter().map(value).collect()
}

impl MemoryStore {
    /// A job's evidence, without the port.
    pub fn evidence_now(&self, job: &JobId) -> Stored {
        held(&self.items).all_evidence(job)
    }

    /// Jobs that have ended and whose evidence nobody has signed.
    pub fn unsigned_now(&self) -> Vec<JobId> {
        held(&self.items).unsigned.keys().cloned().collect()
    }
}
