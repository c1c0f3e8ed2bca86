//! The container tasks: each run that was started takes its time, ends one way or the other, and
//! tells its result as the real task does.

use std::collections::{BTreeMap, BTreeSet};

use hetzner_sim::world::server::Status;
use jiff::{SignedDuration, Timestamp};
use nodeyard_domain::{
    code::Code,
    id::JobId,
    readiness::{Finding, ReadinessCode},
    run::{Recap, RunResult},
    wake::{Wake, WakeReason},
};
use nodeyard_engine::{queue::WakeQueue as _, store::RunStore as _};
use nodeyard_testkit::faults::Fault;

use super::{Ended, Stage, Tag, doors::Keys};

/// How a run ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    Ready,
    /// The playbooks succeed, and a probe fails.
    NotReady,
    Fails(Code),
    /// The task dies and tells nothing; the container service may tell that it did.
    Dies {
        is_told: bool,
    },
}

/// How long a run takes, in seconds, and how it ends.
pub type Course = (i64, Ending);

type End = (JobId, u32, Ending);

/// How long a run waits for its server to be up, and how often it looks, in seconds.
const BOOT_SECS: i64 = 400;
const LOOK_SECS: i64 = 10;

/// The tasks that are known, and when they end.
#[derive(Debug, Default)]
pub struct Tasks {
    known: BTreeSet<(JobId, u32)>,
    ends: BTreeMap<Timestamp, Vec<End>>,
}

impl Tasks {
    /// Plans the end of each task that was started since the last look.
    pub fn look(&mut self, stage: &Stage, mut course: impl FnMut() -> Course) {
        if stage.world.runner.started() == self.known.len() {
            return;
        }
        for (job, number) in stage.world.runner.running() {
            if self.known.insert((job.clone(), number)) {
                let (secs, ending) = course();
                let at = stage.now() + SignedDuration::from_secs(secs);
                self.ends.entry(at).or_default().push((job, number, ending));
            }
        }
    }

    pub fn next_end(&self) -> Option<Timestamp> {
        self.ends.keys().next().copied()
    }

    /// Lets every task end whose time has come.
    pub fn end_due(&mut self, stage: &mut Stage, teller: usize) {
        while self.next_end().is_some_and(|at| at <= stage.now()) {
            let Some((_, ends)) = self.ends.pop_first() else { return };
            for end in ends {
                self.end(stage, end, teller);
            }
        }
    }

    fn end(&mut self, stage: &mut Stage, (job, number, ending): End, teller: usize) {
        let tasks = stage.world.runner.tasks();
        let task = tasks.iter().find(|task| task.job == job && task.number == number);
        let Some(task) = task.filter(|task| task.is_alive()) else { return };
        if stage.is_running(task.server_id) {
            let ending = stage.drawn(ending);
            return stage.end_task(job, number, ending, teller);
        }
        // The playbooks wait for the boot, and fail in the end.
        let waited_secs = stage.now().as_second() - task.started_at.as_second();
        if waited_secs > BOOT_SECS {
            return stage.end_task(job, number, Ending::Fails(Code::NodeUnreachable), teller);
        }
        let again_at = stage.now() + SignedDuration::from_secs(LOOK_SECS);
        self.ends.entry(again_at).or_default().push((job, number, ending));
    }
}

impl Stage {
    fn is_running(&self, server: u64) -> bool {
        self.world.provider.look(|world| {
            world.server(server).is_some_and(|server| server.status == Status::Running)
        })
    }

    /// How a run ends that was to end so, if nothing else goes wrong.
    fn drawn(&self, ending: Ending) -> Ending {
        if self.world.faults.hits(Fault::TaskKilled) {
            Ending::Dies { is_told: false }
        } else if self.world.faults.hits(Fault::RunFails) {
            Ending::Fails(Code::AnsibleHostFailed)
        } else {
            ending
        }
    }

    /// Ends one task. What it tells goes through the faulty ports of `teller`.
    fn end_task(&mut self, job: JobId, number: u32, ending: Ending, teller: usize) {
        let (code, is_ready) = match ending {
            Ending::Ready => (None, true),
            Ending::NotReady => (None, false),
            Ending::Fails(code) => (Some(code), false),
            Ending::Dies { is_told } => {
                // Every other one comes as far as the keys.
                let keys = if number.is_multiple_of(2) { Keys::Replaced } else { Keys::AsTheyWere };
                self.log_in(&job, number, keys);
                self.world.runner.end(&job, number, None);
                if is_told {
                    self.send(&Wake::new(job, WakeReason::Run));
                }
                return;
            }
        };
        let keys = if code.is_none() { Keys::Replaced } else { Keys::AsTheyWere };
        let proved = if code == Some(Code::NodeUnreachable) {
            None
        } else {
            self.log_in(&job, number, keys)
        };
        let result = RunResult { key_version: proved, ..result(code, is_ready, self.now()) };
        let driver = self.workers[teller].driver.clone();
        let runner = self.world.runner.clone();
        let tag = Tag::Telling { job: job.clone(), number };
        self.hops.start(tag, async move {
            // The result is recorded first; a task that cannot record it ends all the same.
            if driver.store.finish_run(&job, number, &result).await.is_ok() {
                let _ = driver.queue.send(&Wake::new(job.clone(), WakeReason::Run), 0).await;
            }
            runner.end(&job, number, Some(0));
            Ended::Told
        });
    }
}

fn result(code: Option<Code>, is_ready: bool, now: Timestamp) -> RunResult {
    RunResult {
        smokes: Vec::new(),
        tasks: None,
        code,
        message: code.map(|code| code.sentence().to_owned()).unwrap_or_default(),
        recap: Recap { ok: 10, changed: 3, failed: u32::from(code.is_some()), ..Recap::default() },
        key_version: None,
        evidence: None,
        readiness: vec![Finding {
            code: ReadinessCode::ServiceDown,
            ok: is_ready,
            warning: false,
            detail: String::new(),
        }],
        finished_at: now,
    }
}
