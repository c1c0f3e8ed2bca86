//! A bundle: a job's evidence in one document, as it is handed out and attached to tickets.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    Fact, Hash, Head, Signature,
    canonical::{NotCanonical, hash},
    claim::{Claim, Subject, digest, last_claims},
};
use crate::id::JobId;

/// The form of a bundle. It grows when what is checked changes.
pub const FORMAT: u32 = 1;

/// What a store has of a job's evidence. Entries are as they were written: another release may have
/// done so, and every byte counts.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Stored {
    pub entries: Vec<Value>,
    /// The chains of its runs, by number.
    pub runs: BTreeMap<u32, Vec<Value>>,
    pub signature: Option<Signature>,
}

/// A run's own chain.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunChain {
    pub run: u32,
    pub head: Head,
    pub entries: Vec<Value>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bundle {
    /// [`FORMAT`].
    pub format: u32,
    pub job: JobId,
    /// SHA-256 over the claims: the same for two jobs of one scenario.
    pub digest: Hash,
    pub claims: Vec<Claim>,
    /// The end of the chain, which is what is signed.
    pub head: Head,
    pub unsigned: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<Signature>,
    pub entries: Vec<Value>,
    /// The chains of those runs whose heads the job's chain has taken up.
    pub runs: Vec<RunChain>,
}

/// A fact that cannot be read: a newer release wrote it, or somebody else.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    #[error("entry {0} cannot be read")]
    Entry(usize),
    #[error("entry {0}: {1}")]
    NotCanonical(usize, NotCanonical),
}

impl Bundle {
    /// Puts together what a store has. `origin` is the hash that stands for no entry at all.
    ///
    /// # Errors
    /// When an entry cannot be read.
    pub fn new(job: &JobId, stored: Stored) -> Result<Self, Unreadable> {
        let Stored { entries, mut runs, signature } = stored;
        let claims = claims(&entries)?;
        let digest = digest(&claims).map_err(|error| Unreadable::NotCanonical(0, error))?;
        let head = match entries.last() {
            None => super::Chain::of_job(job).head().clone(),
            Some(last) => {
                let hash =
                    hash(last).map_err(|error| Unreadable::NotCanonical(entries.len(), error))?;
                Head { count: u32::try_from(entries.len()).unwrap_or(u32::MAX), hash }
            }
        };
        let taken = taken(&entries)?;
        let runs = taken.into_iter().map(|(run, head)| {
            let mut entries = runs.remove(&run).unwrap_or_default();
            // What was written beyond the head is of nobody's.
            entries.truncate(head.count as usize);
            RunChain { run, head, entries }
        });
        let runs = runs.collect();
        let unsigned = signature.is_none();
        Ok(Self {
            format: FORMAT,
            job: job.clone(),
            digest,
            claims,
            head,
            unsigned,
            signature,
            entries,
            runs,
        })
    }
}

pub(super) fn fact(entry: &Value) -> Option<Fact> {
    serde_json::from_value::<super::Entry>(entry.clone()).ok().map(|entry| entry.fact)
}

fn facts(entries: &[Value], kind: &str) -> Result<Vec<(usize, Fact)>, Unreadable> {
    let of_kind = |entry: &Value| entry.get("fact").and_then(Value::as_str) == Some(kind);
    let found = entries.iter().enumerate().filter(|(_, entry)| of_kind(entry));
    found
        .map(|(index, entry)| {
            fact(entry).map(|fact| (index + 1, fact)).ok_or(Unreadable::Entry(index + 1))
        })
        .collect()
}

/// What a chain claims in the end.
pub(super) fn claims(entries: &[Value]) -> Result<Vec<Claim>, Unreadable> {
    let claimed: Vec<(Subject, Vec<Claim>)> = facts(entries, "claimed")?
        .into_iter()
        .filter_map(|(_, fact)| match fact {
            Fact::Claimed { about, claims } => Some((about, claims)),
            _ => None,
        })
        .collect();
    Ok(last_claims(claimed.iter().map(|(about, claims)| (*about, claims.as_slice()))))
}

/// The heads of runs that a chain has taken up, by number.
pub(super) fn taken(entries: &[Value]) -> Result<Vec<(u32, Head)>, Unreadable> {
    let taken = facts(entries, "run_taken")?.into_iter().filter_map(|(_, fact)| match fact {
        Fact::RunTaken { run, evidence, .. } => {
            evidence.and_then(|evidence| evidence.chain).map(|head| (run, head))
        }
        _ => None,
    });
    Ok(taken.collect())
}

/// A run, and the digest of its playbooks as the job's chain and as the run's own tell it.
pub(super) type OfRun = (u32, [Option<Hash>; 2]);

/// The digest of the playbooks that a run's chain and the job's chain tell of, by run.
pub(super) fn playbooks(entries: &[Value], runs: &[RunChain]) -> Result<Vec<OfRun>, Unreadable> {
    let mut all = Vec::new();
    for (_, fact) in facts(entries, "run_taken")? {
        let Fact::RunTaken { run, evidence: Some(evidence), .. } = fact else { continue };
        for chain in runs.iter().filter(|chain| chain.run == run) {
            for (_, fact) in facts(&chain.entries, "run_began")? {
                if let Fact::RunBegan { playbooks, .. } = fact {
                    all.push((run, [evidence.playbooks.clone(), playbooks]));
                }
            }
        }
    }
    Ok(all)
}

/// The job that a chain says it is of: its first entry does.
pub(super) fn subject(entries: &[Value]) -> Option<JobId> {
    match fact(entries.first()?)? {
        Fact::Began { job, .. } | Fact::RotationBegan { job, .. } => Some(job),
        _ => None,
    }
}
