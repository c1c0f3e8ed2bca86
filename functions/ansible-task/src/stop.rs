//! Why and when a run has to stop before its end.

use std::{convert::Infallible, future::Future, time::Duration};

use jiff::Timestamp;
use nodeyard_domain::{code::Code, run::Run};
use nodeyard_engine::{Clock, store::RunStore};
use tokio::sync::watch;

use crate::{failure::Failure, tempo::Tempo};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StopCause {
    /// Somebody asked for it in the run record.
    Requested,
    Deadline,
    /// The container service ends the task, and nobody has asked for it.
    Ended,
}

impl From<StopCause> for Failure {
    fn from(cause: StopCause) -> Self {
        match cause {
            StopCause::Requested => Self::new(Code::JobCancelled, "the run was stopped as asked"),
            StopCause::Deadline => {
                Self::new(Code::AnsibleTimeout, "the run did not end by its deadline")
            }
            StopCause::Ended => Self::of_task("the container service ended the task"),
        }
    }
}

/// Where a run's parts learn that it has to stop.
#[derive(Clone)]
pub(crate) struct Stop(watch::Receiver<Option<StopCause>>);

/// Who tells them.
pub(crate) struct Stopper(watch::Sender<Option<StopCause>>);

pub(crate) fn channel() -> (Stopper, Stop) {
    let (sender, receiver) = watch::channel(None);
    (Stopper(sender), Stop(receiver))
}

impl Stop {
    /// Waits until the run has to stop.
    pub(crate) async fn wait(&mut self) -> StopCause {
        let cause = self.0.wait_for(Option::is_some).await.ok().and_then(|cause| *cause);
        match cause {
            Some(cause) => cause,
            // Nobody is left who could tell.
            None => std::future::pending().await,
        }
    }

    /// # Errors
    /// When the run has to stop now.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        let cause = *self.0.borrow();
        cause.map_or(Ok(()), |cause| Err(cause.into()))
    }

    /// Waits for something, unless the run has to stop before.
    pub(crate) async fn or<T>(&mut self, wanted: impl Future<Output = T>) -> Result<T, Failure> {
        tokio::select! {
            biased;
            cause = self.wait() => Err(cause.into()),
            done = wanted => Ok(done),
        }
    }
}

impl Stopper {
    /// Watches the run record, the deadline and the container service's word, and says once what
    /// came first. It goes on watching for ever: whoever performs the run ends it.
    pub(crate) async fn watch(
        self,
        store: &impl RunStore,
        clock: &impl Clock,
        run: &Run,
        tempo: &Tempo,
        told_to_end: impl Future<Output = ()>,
    ) -> Infallible {
        let look = async {
            loop {
                let left = time_left(clock.now(), run.deadline_at);
                tokio::time::sleep(left.min(tempo.stop_gap)).await;
                if clock.now() >= run.deadline_at {
                    return StopCause::Deadline;
                }
                if is_requested(store, run).await {
                    return StopCause::Requested;
                }
            }
        };
        let cause = tokio::select! {
            cause = look => cause,
            () = told_to_end => {
                // A stop that was asked for comes both ways; the record says which it is.
                if is_requested(store, run).await { StopCause::Requested } else { StopCause::Ended }
            }
        };
        tracing::info!(job = %run.job_id, run = run.number, ?cause, "the run has to stop");
        self.0.send_replace(Some(cause));
        std::future::pending().await
    }
}

async fn is_requested(store: &impl RunStore, run: &Run) -> bool {
    match store.run(&run.job_id, run.number).await {
        Ok(record) => record.is_some_and(|record| record.stop_requested),
        Err(error) => {
            // The next look will tell.
            tracing::warn!(%error, "the run record could not be read");
            false
        }
    }
}

/// Never negative.
pub(crate) fn time_left(now: Timestamp, until: Timestamp) -> Duration {
    Duration::try_from(until.duration_since(now)).unwrap_or(Duration::ZERO)
}
