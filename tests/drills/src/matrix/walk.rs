//! A world at its own pace: one hop after the other, in order, by the first worker. At one point
//! it is disturbed.

use jiff::{SignedDuration, Timestamp};
use nodeyard_domain::{
    id::{JobId, NodeId},
    job::Job,
    node::Node,
    wake::{Wake, WakeReason},
};
use nodeyard_testkit::{defects::Defect, faults::Faults, world::Setup};

use super::{
    point::Variant,
    scenario::{READY, Scenario},
};
use crate::stage::{
    Stage,
    judge::{Circumstances, Findings, judge},
    tasks::{Ending, Tasks},
    watch::Watch,
};

const RUN_SECS: i64 = 40;
const SWEEP_SECS: i64 = 60;
/// What is not over by then never will be, in seconds.
const END_SECS: i64 = 12 * 3600;
/// A stalled worker goes on within its time-out, in seconds.
const STALL_SECS: i64 = 50;

/// Where a walk is disturbed: in which hop of its job, after how many polls, and how.
pub type Spot = (usize, u32, Variant);

pub struct Walk {
    pub stage: Stage,
    pub faults: Faults,
    scenario: &'static Scenario,
    tasks: Tasks,
    watch: Watch,
    runs_ended: usize,
    next_sweep: Timestamp,
    end: Timestamp,
    /// The job that the matrix is about, and what is still to be done to it on its way.
    job: Option<JobId>,
    is_then_done: bool,
    spot: Option<Spot>,
    /// Polls that each hop of the job took.
    pub hops: Vec<u32>,
    begun_at: Timestamp,
}

impl Walk {
    /// Goes through a scenario from beginning to end.
    pub fn through(
        scenario: &'static Scenario,
        spot: Option<Spot>,
        defect: Option<Defect>,
    ) -> (Self, Findings) {
        let faults = Faults::seeded(1);
        let setup = Setup { faults: faults.clone(), defect, ..Setup::default() };
        let stage = Stage::new(setup, 2);
        let now = stage.now();
        let mut walk = Self {
            stage,
            faults,
            scenario,
            tasks: Tasks::default(),
            watch: Watch::default(),
            runs_ended: 0,
            next_sweep: now + SignedDuration::from_secs(SWEEP_SECS),
            end: now + SignedDuration::from_secs(END_SECS),
            job: None,
            is_then_done: false,
            spot: None,
            hops: Vec::new(),
            begun_at: now,
        };
        let job = (scenario.begin)(&mut walk);
        walk.job = Some(job);
        walk.spot = spot;
        walk.begun_at = walk.stage.now();
        walk.settle();
        let findings = walk.judged();
        (walk, findings)
    }

    pub fn node(&self, id: &NodeId) -> Node {
        self.stage
            .world
            .store
            .with_nodes(|nodes| nodes.get(id).cloned())
            .unwrap_or_else(|| unreachable!("nodes are not deleted"))
    }

    fn job(&self) -> Option<Job> {
        let id = self.job.as_ref()?;
        self.stage.world.store.with_jobs(|jobs| jobs.get(id).cloned())
    }

    /// Goes on until nothing is left to do.
    pub fn settle(&mut self) {
        self.until(|walk| walk.stage.hops.is_empty() && walk.stage.is_settled());
    }

    /// Goes on until something holds, or the end has come.
    pub fn until(&mut self, holds: impl Fn(&Self) -> bool) {
        while self.stage.now() < self.end && !holds(self) {
            if !self.go_on() {
                self.wait();
            }
        }
    }

    /// The next hop, from its beginning to its end. False when there is none now.
    fn go_on(&mut self) -> bool {
        self.pass();
        self.then();
        let Some(wake) = self.stage.deliver(0, 0) else { return false };
        let is_about = self.job.as_ref() == Some(&wake.job_id);
        let spot = self.spot.take_if(|(hop, ..)| is_about && *hop == self.hops.len());
        match spot {
            Some((_, polls, variant)) => self.disturb(&wake, polls, variant),
            None => {
                let polls = self.finish(0);
                if is_about {
                    self.hops.push(polls);
                }
            }
        }
        self.watch.look(&self.stage);
        true
    }

    /// What happens by itself: sweeps, and container tasks that end.
    fn pass(&mut self) {
        if self.stage.now() >= self.next_sweep {
            self.next_sweep = self.stage.now() + SignedDuration::from_secs(SWEEP_SECS);
            self.stage.begin_sweep();
            self.stage.run_others();
        }
        let Self { tasks, stage, scenario, runs_ended, .. } = self;
        tasks.look(stage, || {
            let ending = scenario.runs.get(*runs_ended).or(scenario.runs.last());
            *runs_ended += 1;
            (RUN_SECS, *ending.unwrap_or(&Ending::Ready))
        });
        tasks.end_due(stage, 1);
        stage.run_others();
    }

    fn then(&mut self) {
        if let Some((step, act)) = self.scenario.then
            && !self.is_then_done
            && let Some(job) = self.job().filter(|job| job.step == step)
        {
            self.is_then_done = true;
            act(&mut self.stage, &job);
        }
    }

    /// Polls a worker's hops to their ends. Answers how many polls that took.
    fn finish(&mut self, worker: usize) -> u32 {
        let mut polls = 0;
        while let Some(index) = self.stage.hop_of(worker) {
            self.stage.poll(index);
            polls += 1;
        }
        polls
    }

    /// The hop that was just begun goes so many polls, and then it is disturbed.
    fn disturb(&mut self, wake: &Wake, polls: u32, variant: Variant) {
        for _ in 0..polls {
            if let Some(index) = self.stage.hop_of(0) {
                self.stage.poll(index);
            }
        }
        match variant {
            Variant::Dies => self.stage.kill(0),
            Variant::DoubledDies => {
                self.beside(wake);
                self.stage.kill(0);
            }
            Variant::Doubled => {
                self.beside(wake);
                self.finish(0);
            }
            Variant::Lockstep => {
                self.stage.deliver_copy(1, wake);
                while !self.stage.hops.is_empty() {
                    for worker in [1, 0] {
                        if let Some(index) = self.stage.hop_of(worker) {
                            self.stage.poll(index);
                        }
                    }
                }
            }
            Variant::CancelledDies => {
                self.cancel();
                self.stage.kill(0);
            }
            Variant::Cancelled => {
                self.cancel();
                self.finish(0);
            }
            Variant::Stalled => {
                self.stall(wake);
                self.finish(0);
            }
            Variant::CancelledStalledDies => {
                self.cancel();
                self.stall(wake);
                self.stage.kill(0);
            }
        }
    }

    /// The other worker handles a copy of the wake, from beginning to end.
    fn beside(&mut self, wake: &Wake) {
        self.stage.deliver_copy(1, wake);
        self.finish(1);
        self.then();
    }

    fn cancel(&mut self) {
        let Some(id) = self.job.clone() else { return };
        self.stage.cancel(&id);
        self.beside(&Wake::new(id, WakeReason::Cancel));
    }

    /// The first worker stands still while the other one goes on with everything.
    fn stall(&mut self, wake: &Wake) {
        self.beside(wake);
        let until = self.stage.now() + SignedDuration::from_secs(STALL_SECS);
        while self.stage.now() < until {
            self.pass();
            self.then();
            if self.stage.deliver(1, 0).is_some() {
                self.finish(1);
            } else {
                self.wait_until(until);
            }
        }
    }

    fn wait(&mut self) {
        self.wait_until(self.end);
    }

    /// Lets time pass until something can go on.
    fn wait_until(&mut self, limit: Timestamp) {
        let now = self.stage.now();
        let next = [self.stage.world.queue.next_visible_at(), self.tasks.next_end()];
        let next = next.into_iter().flatten().fold(self.next_sweep, Timestamp::min);
        if next > now {
            self.stage.world.clock.advance_to(next.min(limit));
        }
    }

    /// The books' verdict, and whether the scenario came to an end that it may have.
    fn judged(&mut self) -> Findings {
        let known = Circumstances { calm_at: self.begun_at, ..Circumstances::default() };
        let mut findings = judge(&self.stage, &mut self.watch, &known);
        let Some(job) = self.job() else { return findings };
        let end = (job.state, self.node(&job.node_id).status);
        // A disturbed job may be past the step at which it was to be cancelled; one that the
        // disturbance cancels may end either way.
        let may_end = match self.scenario.then {
            Some(_) if !self.is_then_done => READY,
            _ => self.scenario.ends,
        };
        let is_cancelled = self.is_then_done || job.cancel_requested_at.is_none();
        if !may_end.contains(&end) && is_cancelled {
            findings.broken.push(format!("ended as {end:?}: {:?}", job.error));
        }
        findings
    }
}
