//! Evidence: the hash-chained, signed record of what a job did and saw.
//!
//! An entry is one fact, the time it was written and the hash of the entry before. Hashes are
//! SHA-256 over the entry's [`canonical`] text; the first entry holds the hash of its chain's
//! origin, which names the job, so that no chain passes for another's. The job holds no more than
//! how long its chain is and the hash of its last entry: the [`Chain`]. A run keeps a chain of its
//! own, written by the container task; its head is in the result, and the job's chain takes it up.
//!
//! | fact | in the chain of | tells |
//! | --- | --- | --- |
//! | began | job | what the job is, and which release of the code works on it |
//! | called | job | one request to the provider and its answer, with the correlation id |
//! | decided | job | an effect, what came of it, from which step to which, and why |
//! | probed | job | one readiness probe of a run |
//! | run_taken | job | how a run ended, the head of its chain, the digest of its playbooks |
//! | claimed | job | what is claimed by now of one subject: the only fact that the digest reads |
//! | left_out | job, run | how many entries there was no room for |
//! | rotation_began | job | which connection and version a `key_rotation` is about, and the release |
//! | rotation_decided | job | as decided, of a `key_rotation` |
//! | key_made | job | a new version of the managed key, and its fingerprint |
//! | nodes_taken | job | nodes that are being configured with it |
//! | nodes_done | job | nodes that let it in, and no other |
//! | nodes_listed | job | nodes that keep an older version for now, and why |
//! | keys_kept | job | the versions there are in the end |
//! | run_began | run | server, profile, digest of the playbooks, release of the code |
//! | task_ended | run | one result of an Ansible task, or of one item of its loop |
//! | playbook_ended | run | a playbook's recap |
//! | run_ended | run | how the run ended |
//!
//! Polls that change nothing have no entries. A chain is bounded: what there is no room for is
//! counted and said; claims, runs and the end always have room.

pub mod bundle;
pub mod canonical;
mod chain;
pub mod claim;
mod fact;
mod left;
mod owner;
mod record;
mod rotation;
mod signature;
pub mod verify;

pub use self::{
    chain::{Chain, Entry, Hash, Head, InvalidHash, MAX_PIECE_BYTES, pieces},
    fact::{Call, Decided, Fact, RotationDecided, RunEvidence},
    left::left_by_run,
    owner::Owner,
    record::{Recorded, Seen, left_run, record},
    rotation::RotationSeen,
    signature::{ALGORITHM, PublicKey, Signature, UnreadableKey},
};
