//! One run from its record to its result: whatever happens in between, a result is recorded once
//! and a wake is sent.

use std::{ffi::OsString, future::Future, path::PathBuf};

use nodeyard_adapters::config::TaskConfig;
use nodeyard_domain::{
    evidence::Fact,
    id::JobId,
    run::{Run, RunResult},
    wake::{Wake, WakeReason},
};
use nodeyard_engine::{
    Clock,
    queue::WakeQueue,
    secrets::Secrets,
    store::{RunStore, StoreError},
};

use crate::{
    args::Request,
    failure::Failure,
    log::cut,
    persist::persist,
    phases::{self, Progress},
    report::Report,
    scratch::Scratch,
    site::Site,
    stop::{self, StopCause},
    tempo::Tempo,
};

const MAX_MESSAGE_BYTES: usize = 1_500;

/// What a task is told by its environment.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The folder of playbooks, with `ansible.cfg`.
    pub playbooks: PathBuf,
    /// Where the run's own folder is made.
    pub scratch: PathBuf,
    /// Where `ansible-playbook`, `ssh`, `ssh-agent` and `ssh-add` are looked for.
    pub search_path: OsString,
    /// Our own addresses, let in wherever SSH is restricted.
    pub control_cidrs: Vec<String>,
    pub tempo: Tempo,
}

impl Settings {
    /// The settings of a deployed task: everything is looked for on our own `PATH`.
    pub fn new(config: TaskConfig) -> Self {
        Self {
            playbooks: config.playbooks,
            scratch: config.scratch,
            search_path: std::env::var_os("PATH").unwrap_or_default(),
            control_cidrs: config.control_cidrs,
            tempo: Tempo::default(),
        }
    }
}

/// A run that has no result recorded.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    #[error("there is no run {run} of {job}")]
    NoRun { job: JobId, run: u32 },
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The ports of a task and its settings.
pub struct Task<S, Q, K, C> {
    pub store: S,
    pub queue: Q,
    pub secrets: K,
    pub clock: C,
    pub settings: Settings,
}

impl<S: RunStore, Q: WakeQueue, K: Secrets, C: Clock> Task<S, Q, K, C> {
    /// Performs a run until its end, or until `told_to_end` is ready (the container service asks
    /// the task to end). `Ok`: a result is on record.
    ///
    /// # Errors
    /// When there is no such run, or its record can be neither read nor written.
    pub async fn perform(
        &self,
        request: &Request,
        told_to_end: impl Future<Output = ()>,
    ) -> Result<(), TaskError> {
        let (job, number) = (&request.job, request.run);
        let pause = self.settings.tempo.retry_pause;
        let run =
            persist("reading the run", pause, may_pass, async || self.store.run(job, number).await);
        let run = run.await?.ok_or_else(|| TaskError::NoRun { job: job.clone(), run: number })?;
        let traceparent = run.traceparent.as_deref();
        if run.result.is_none() {
            tracing::info!(%job, run = number, node = %run.node_id, traceparent, "run began");
            let result = self.result_of(&run, told_to_end).await;
            tracing::info!(
                %job, run = number, node = %run.node_id, code = result.code.map(|code| code.as_str()),
                message = result.message, changed = result.recap.changed, traceparent, "run ended"
            );
            let first = persist("recording the result", pause, may_pass, async || {
                self.store.finish_run(job, number, &result).await
            });
            if !first.await? {
                tracing::warn!(%job, run = number, "another result was on record; it stays");
            }
        }
        self.send_wake(job, traceparent).await;
        Ok(())
    }

    async fn result_of(&self, run: &Run, told_to_end: impl Future<Output = ()>) -> RunResult {
        let mut progress = Progress::default();
        let mut report = Report::new(&self.store, &self.clock, run, self.settings.tempo);
        let done = if run.stop_requested {
            Err(StopCause::Requested.into())
        } else {
            self.phases(run, told_to_end, &mut progress, &mut report).await
        };
        conclude(done, progress, &mut report).await
    }

    async fn phases(
        &self,
        run: &Run,
        told_to_end: impl Future<Output = ()>,
        progress: &mut Progress,
        report: &mut Report<'_, S, C>,
    ) -> Result<(), Failure> {
        let Self { store, secrets, clock, settings, .. } = self;
        let scratch = Scratch::make(&settings.scratch)?;
        let (stopper, stop) = stop::channel();
        let site = Site { run, settings, scratch: &scratch, stop };
        tokio::select! {
            biased;
            done = phases::perform(&site, (store, secrets, clock), progress, report) => done,
            never = stopper.watch(store, clock, run, &settings.tempo, told_to_end) => match never {},
        }
    }

    /// A wake that cannot be sent is no failure: the sweep looks at the run too.
    async fn send_wake(&self, job: &JobId, traceparent: Option<&str>) {
        let wake = Wake::new(job.clone(), WakeReason::Run).traced(traceparent);
        let pause = self.settings.tempo.retry_pause;
        let send =
            persist("sending the wake", pause, |_| true, async || self.queue.send(&wake, 0).await);
        if let Err(error) = send.await {
            tracing::warn!(%error, %job, "the wake was not sent; the sweep will find the result");
        }
    }
}

/// What a run came to, redacted and bounded, with everything that was reported of it stored.
pub(crate) async fn conclude<S: RunStore, C: Clock>(
    done: Result<(), Failure>,
    mut progress: Progress,
    report: &mut Report<'_, S, C>,
) -> RunResult {
    let (code, message) = match done {
        Ok(()) => (None, String::new()),
        Err(failure) => {
            progress.findings.extend(failure.findings);
            (Some(failure.code), failure.message)
        }
    };
    let bounded = |text: &str, report: &Report<'_, S, C>| {
        cut(&report.redacted(text), MAX_MESSAGE_BYTES).to_owned()
    };
    let message = bounded(&message, report);
    for finding in &mut progress.findings {
        finding.detail = bounded(&finding.detail, report);
    }
    report.note_end(|report| {
        let number = report.number();
        match code {
            None => report.entry(format!("run {number} succeeded")).with("percent", 100),
            Some(code) => report
                .entry(format!("run {number} ended: {}: {message}", code.as_str()))
                .with("code", code.as_str())
                .with("status", "failed"),
        }
    });
    report.prove(Fact::run_ended(code, &message));
    report.close().await;
    RunResult {
        code,
        message,
        recap: progress.recap,
        readiness: progress.findings,
        smokes: progress.smokes,
        tasks: Some(report.tasks()),
        key_version: progress.key_version,
        evidence: Some(report.evidence()),
        finished_at: report.now(),
    }
}

fn may_pass(error: &StoreError) -> bool {
    matches!(error, StoreError::Unavailable(_))
}
