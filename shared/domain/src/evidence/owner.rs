//! Whose chain it is: what storing and signing evidence needs of a job of any kind.

use jiff::Timestamp;

use super::{Chain, Head};
use crate::{id::JobId, job::Job, rotation::Rotation};

/// A job as a commit leaves it.
#[derive(Debug, Clone, Copy)]
pub struct Owner<'a> {
    pub job: &'a JobId,
    pub version: u64,
    pub updated_at: Timestamp,
    chain: Option<&'a Chain>,
    has_ended: bool,
}

impl<'a> Owner<'a> {
    /// What is to be signed: the end of the chain of a job that has ended.
    pub fn to_sign(&self) -> Option<&'a Head> {
        self.chain.filter(|_| self.has_ended).map(Chain::head)
    }
}

impl<'a> From<&'a Job> for Owner<'a> {
    fn from(job: &'a Job) -> Self {
        Self {
            job: &job.id,
            version: job.version,
            updated_at: job.updated_at,
            chain: job.evidence.as_ref(),
            has_ended: job.state.is_terminal(),
        }
    }
}

impl<'a> From<&'a Rotation> for Owner<'a> {
    fn from(rotation: &'a Rotation) -> Self {
        Self {
            job: &rotation.id,
            version: rotation.version,
            updated_at: rotation.updated_at,
            chain: rotation.evidence.as_ref(),
            has_ended: rotation.state.is_terminal(),
        }
    }
}
