//! A job of any kind: one on a node, or the one on a connection.

use jiff::Timestamp;

use crate::{
    connection::ConnectionName,
    id::{JobId, NodeId},
    job::{Job, JobState, Phase},
    rotation::Rotation,
    step,
};

#[derive(Debug, Clone, PartialEq)]
pub enum Work {
    OnNode(Box<Job>),
    Rotation(Box<Rotation>),
}

impl Work {
    pub fn id(&self) -> &JobId {
        match self {
            Self::OnNode(job) => &job.id,
            Self::Rotation(rotation) => &rotation.id,
        }
    }

    pub fn version(&self) -> u64 {
        match self {
            Self::OnNode(job) => job.version,
            Self::Rotation(rotation) => rotation.version,
        }
    }

    pub fn has_ended(&self) -> bool {
        self.state().is_terminal()
    }

    pub fn state(&self) -> JobState {
        match self {
            Self::OnNode(job) => job.state,
            Self::Rotation(rotation) => rotation.state,
        }
    }

    pub fn connection(&self) -> &ConnectionName {
        match self {
            Self::OnNode(job) => &job.connection,
            Self::Rotation(rotation) => &rotation.connection,
        }
    }

    /// Cancelling was asked for, and the job goes on until it has stopped.
    pub fn is_stopping(&self) -> bool {
        let asked_at = match self {
            Self::OnNode(job) => job.cancel_requested_at,
            Self::Rotation(rotation) => rotation.cancel_requested_at,
        };
        asked_at.is_some() && !self.has_ended()
    }

    pub fn is_cancellable(&self) -> bool {
        match self {
            Self::OnNode(job) => step::is_cancellable(job),
            Self::Rotation(_) => !self.has_ended(),
        }
    }

    pub fn is_undone(&self) -> bool {
        matches!(self, Self::OnNode(job) if job.phase == Phase::Undo)
    }

    pub fn is_rotation(&self) -> bool {
        matches!(self, Self::Rotation(_))
    }

    pub fn created_at(&self) -> Timestamp {
        match self {
            Self::OnNode(job) => job.created_at,
            Self::Rotation(rotation) => rotation.created_at,
        }
    }

    /// `None` for a rotation, which is on a connection.
    pub fn node(&self) -> Option<&NodeId> {
        match self {
            Self::OnNode(job) => Some(&job.node_id),
            Self::Rotation(_) => None,
        }
    }
}
