//! Time passes: wakes are handled, container tasks end, the sweep comes every minute.

use hetzner_sim::world::server::Status;
use jiff::{SignedDuration, Timestamp};
use nodeyard_domain::{
    code::Code,
    evidence::{Chain, Fact, RunEvidence, canonical::hash_of},
    id::JobId,
    job::Step,
    readiness::{Finding, ReadinessCode},
    run::{Recap, Run, RunResult},
    wake::WakeReason,
};
use nodeyard_engine::{
    Clock as _, Driver, Handled,
    check::{CheckError, check},
    driver::DriverError,
    evidence::sign_left,
    store::{JobStore as _, RunStore as _, StoreError},
    sweep::{Swept, sweep},
};

use super::{World, name};
use crate::{defects::Defect, faults::Fault, runner::Task};

/// How often the sweep comes, in seconds.
pub const SWEEP_SECS: i64 = 60;
/// How long a container task waits for its server to be up, in seconds.
const BOOT_SECS: i64 = 300;

impl World {
    /// Handles every wake that is visible now. Each hop is bounded by the world's patience.
    pub async fn drain(&self) -> Result<u32, DriverError> {
        let mut hops = 0;
        while let Some(wake) = self.queue.take() {
            hops += u32::from(self.driver.handle(&wake).await? == Handled::Committed);
            assert!(hops < 10_000, "the world does not come to rest");
        }
        Ok(hops)
    }

    /// Handles wakes one by one until a job stands at `step`.
    pub async fn drain_until(&self, job: &JobId, step: Step) {
        for _ in 0..100 {
            let loaded = self.store.load(job).await.expect("memory store").expect("a job");
            if loaded.job.step == step {
                return;
            }
            let Some(wake) = self.queue.take() else { break };
            self.driver.handle(&wake).await.expect("memory ports");
        }
        panic!("the job does not come to {step:?}");
    }

    /// Lets time pass until no job is open or `secs` are over: wakes, container tasks and a sweep
    /// a minute.
    pub async fn run_for(&self, secs: i64) -> Result<(), DriverError> {
        let end = self.clock.now() + SignedDuration::from_secs(secs);
        let next = || self.clock.now() + SignedDuration::from_secs(SWEEP_SECS);
        let mut next_sweep = next();
        loop {
            self.drain().await?;
            self.end_runs().await;
            if self.open_jobs().is_empty() || self.clock.now() >= end {
                return Ok(());
            }
            self.clock.advance(SignedDuration::from_secs(1));
            if self.clock.now() >= next_sweep {
                next_sweep = next();
                self.sweep().await?;
            }
        }
    }

    /// One sweep, with what goes wrong for workers.
    ///
    /// # Errors
    /// When the store does not answer: the next sweep does it.
    pub async fn sweep(&self) -> Result<Swept, StoreError> {
        let Driver { store, queue, events, clock, .. } = &self.driver;
        let swept = sweep(store, queue, events, clock.now()).await?;
        sign_left(store, &self.driver.secrets, clock.now()).await?;
        Ok(swept)
    }

    /// One check of the connection, with what goes wrong for workers.
    ///
    /// # Errors
    /// When the store or the secret store does not answer: the next check does it.
    pub async fn check_connection(&self) -> Result<(), CheckError> {
        let Some(connection) = self.store.connection(&name()).await? else { return Ok(()) };
        let driver = &self.driver;
        let now = driver.clock.now();
        check(
            &driver.store,
            &driver.secrets,
            &driver.provider,
            &driver.deployment,
            &connection,
            now,
        )
        .await
        .map(drop)
    }

    /// The container tasks: each that has had its time ends, records its result and wakes its job.
    pub async fn end_runs(&self) {
        for task in self.runner.tasks().into_iter().filter(Task::is_alive) {
            let Ok(Some(run)) = self.store.run(&task.job, task.number).await else { continue };
            let Some(end) = self.end_of(&task, &run) else { continue };
            if let End::Told(code) = end {
                let evidence = self.run_evidence(&run, code).await;
                let result = RunResult { evidence, ..result(code, self.clock.now()) };
                let told = self.store.finish_run(&task.job, task.number, &result).await;
                told.expect("memory store");
            }
            let exit_code = matches!(end, End::Told(_)).then_some(0);
            self.runner.end(&task.job, task.number, exit_code);
            self.wake(task.job, WakeReason::Run).await;
        }
    }

    /// The run's own chain, as a container task writes it.
    async fn run_evidence(&self, run: &Run, code: Option<Code>) -> Option<RunEvidence> {
        let playbooks = Some(hash_of(b"the playbooks of tests"));
        let release = "test".to_owned();
        let mut chain = Chain::of_run(&run.job_id, run.number);
        let began = Fact::RunBegan {
            job: run.job_id.clone(),
            run: run.number,
            node: run.node_id.clone(),
            server: run.server_id.to_string(),
            profile: run.profile.clone(),
            playbooks: playbooks.clone(),
            release: release.clone(),
        };
        let status = if code.is_some() { "failed" } else { "changed" };
        let task = ("Install packages", Some("packages"), None);
        let seconds = self.run_secs as f64;
        let ended = Fact::task_ended(run.profile.as_str(), task, status, seconds, None);
        let facts = [began, ended, Fact::run_ended(code, "")];
        let now = self.clock.now();
        let entries: Vec<_> =
            facts.into_iter().filter_map(|fact| chain.append(now, fact)).collect();
        let stored = self.store.append_run_evidence(&run.job_id, run.number, &entries).await;
        let is_ours = stored.expect("memory store");
        let chain = is_ours.then(|| chain.head().clone());
        Some(RunEvidence { chain, playbooks, release })
    }

    /// How a task ends now, if it does.
    fn end_of(&self, task: &Task, run: &Run) -> Option<End> {
        let now = self.clock.now();
        let is_over = |secs: i64| task.started_at + SignedDuration::from_secs(secs) <= now;
        if run.stop_requested && self.defect != Some(Defect::SecondRunBeforeStop) {
            return Some(End::Told(Some(Code::JobCancelled)));
        }
        if !is_over(self.run_secs) {
            return (run.deadline_at <= now).then_some(End::Told(Some(Code::AnsibleTimeout)));
        }
        let is_up = self.provider.look(|world| {
            world.server(task.server_id).is_some_and(|server| server.status == Status::Running)
        });
        if !is_up {
            let gives_up = is_over(self.run_secs + BOOT_SECS) || run.deadline_at <= now;
            return gives_up.then_some(End::Told(Some(Code::NodeUnreachable)));
        }
        if self.faults.hits(Fault::TaskKilled) {
            return Some(End::Killed);
        }
        let fails = self.faults.hits(Fault::RunFails);
        Some(End::Told(fails.then_some(Code::AnsibleHostFailed)))
    }
}

enum End {
    /// Without a result.
    Killed,
    Told(Option<Code>),
}

fn result(code: Option<Code>, finished_at: Timestamp) -> RunResult {
    // A node that cannot be reached is known not to be ready; of other failures nothing follows.
    let reached = code != Some(Code::NodeUnreachable);
    let finding = Finding {
        code: if reached { ReadinessCode::BootUnfinished } else { ReadinessCode::SshUnreachable },
        ok: reached,
        warning: false,
        detail: String::new(),
    };
    RunResult {
        smokes: Vec::new(),
        tasks: Some(12),
        code,
        message: code.map(|code| code.as_str().to_owned()).unwrap_or_default(),
        recap: Recap { ok: 10, changed: 3, failed: u32::from(code.is_some()), ..Recap::default() },
        readiness: if code.is_none() || !reached { vec![finding] } else { Vec::new() },
        key_version: None,
        evidence: None,
        finished_at,
    }
}
