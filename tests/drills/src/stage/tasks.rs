//! The container tasks: each run that was started takes its time, ends one way or the other, and
//! tells its result as the real task does.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use nodeyard_domain::{
    code::Code,
    id::JobId,
    readiness::{Finding, ReadinessCode},
    run::{Recap, RunResult},
    wake::{Wake, WakeReason},
};
use nodeyard_engine::{queue::WakeQueue as _, store::RunStore as _};

use super::{Ended, Stage, Tag};

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

/// The tasks that are known, and when they end.
#[derive(Debug, Default)]
pub struct Tasks {
    known: BTreeSet<(JobId, u32)>,
    ends: BTreeMap<Timestamp, Vec<(JobId, u32, Ending)>>,
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
            for (job, number, ending) in ends {
                if stage.world.runner.running().contains(&(job.clone(), number)) {
                    stage.end_task(job, number, ending, teller);
                }
            }
        }
    }
}

impl Stage {
    /// Ends one task. What it tells goes through the faulty ports of `teller`.
    fn end_task(&mut self, job: JobId, number: u32, ending: Ending, teller: usize) {
        let (code, is_ready) = match ending {
            Ending::Ready => (None, true),
            Ending::NotReady => (None, false),
            Ending::Fails(code) => (Some(code), false),
            Ending::Dies { is_told } => {
                self.world.runner.end(&job, number, None);
                if is_told {
                    self.send(&Wake::new(job, WakeReason::Run));
                }
                return;
            }
        };
        let result = result(code, is_ready, self.now());
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
        code,
        message: code.map(|code| code.sentence().to_owned()).unwrap_or_default(),
        recap: Recap { ok: 10, changed: 3, failed: u32::from(code.is_some()), ..Recap::default() },
        readiness: vec![Finding {
            code: ReadinessCode::ServiceDown,
            ok: is_ready,
            warning: false,
            detail: String::new(),
        }],
        finished_at: now,
    }
}
