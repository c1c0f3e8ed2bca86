//! A job by its id: one on a node, or the one on a connection.

use nodeyard_domain::{
    connection::ConnectionName,
    id::JobId,
    job::{Job, JobState, Phase},
    rotation::Rotation,
    step::is_cancellable,
};
use nodeyard_engine::{rotation::RotationStore, store::JobStore};

use super::view::JobView;
use crate::{
    app::{App, Ports},
    auth::Caller,
    problem::Problem,
};

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

    fn state(&self) -> JobState {
        match self {
            Self::OnNode(job) => job.state,
            Self::Rotation(rotation) => rotation.state,
        }
    }

    fn connection(&self) -> &ConnectionName {
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
            Self::OnNode(job) => is_cancellable(job),
            Self::Rotation(_) => !self.has_ended(),
        }
    }

    pub fn is_undone(&self) -> bool {
        matches!(self, Self::OnNode(job) if job.phase == Phase::Undo)
    }

    pub fn is_rotation(&self) -> bool {
        matches!(self, Self::Rotation(_))
    }

    pub fn view(&self) -> JobView {
        match self {
            Self::OnNode(job) => JobView::from(&**job),
            Self::Rotation(rotation) => JobView::from(&**rotation),
        }
    }
}

impl<P: Ports> App<P> {
    /// A job the caller may see.
    ///
    /// # Errors
    /// `not_found`, also for what is no id and for what the caller may not see.
    pub(crate) async fn visible_work(&self, caller: &Caller, id: &str) -> Result<Work, Problem> {
        let absent = || Problem::not_found("job");
        let id = id.parse::<JobId>().map_err(|_| absent())?;
        let work = match self.store.load(&id).await? {
            Some(loaded) => Work::OnNode(Box::new(loaded.job)),
            None => {
                let loaded = self.store.load_rotation(&id).await?.ok_or_else(absent)?;
                Work::Rotation(Box::new(loaded.rotation))
            }
        };
        if caller.sees(work.connection()) { Ok(work) } else { Err(absent().unseen()) }
    }
}
