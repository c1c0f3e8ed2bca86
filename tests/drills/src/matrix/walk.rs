//! A world at its own pace: one hop after the other, in order, by the first worker. At one point
//! it is disturbed.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use nodeyard_domain::{
    id::{JobId, NodeId},
    job::{Job, JobState, Step},
    node::Node,
    wake::{Wake, WakeReason},
};
use nodeyard_testkit::{defects::Defect, faults::Faults, world::Setup};

use super::{
    point::Variant,
    scenario::{LATEST_SECS, READY, Scenario},
};
use crate::stage::{
    Stage,
    judge::{Circumstances, Findings, judge},
    tasks::{Ending, Tasks},
    watch::Watch,
};

const RUN_SECS: i64 = 40;
const SWEEP_SECS: i64 = 60;
const CHECK_SECS: i64 = 300;
/// In this time the orphan check has found and removed what is left behind, in seconds.
const TIDY_SECS: i64 = 1800;
/// What is not over by then never will be, in seconds.
const END_SECS: i64 = 12 * 3600;
/// A stalled worker goes on within its time-out, in seconds.
const STALL_SECS: i64 = 58;
/// By then a cancelled job is over, the settle time included, in seconds.
const SUSPENDED_SECS: i64 = 900;
/// More workers than may die of one effect.
const MOST_DEATHS: u32 = 14;

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
    acts_done: usize,
    spot: Option<Spot>,
    is_disturbed: bool,
    deaths: u32,
    /// The disturbance has cancelled the job.
    is_cancelled: bool,
    /// When the orphan check comes next, where it is needed.
    next_check: Option<Timestamp>,
    /// Each hop of the job: where the job stood, and how many polls it took.
    pub hops: Vec<(Step, u32)>,
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
            acts_done: 0,
            spot: None,
            is_disturbed: false,
            deaths: 0,
            is_cancelled: false,
            next_check: None,
            hops: Vec::new(),
            begun_at: now,
        };
        let job = (scenario.begin)(&mut walk);
        walk.job = Some(job);
        walk.spot = spot;
        walk.begun_at = walk.stage.now();
        walk.settle();
        // What is still on its way has its time, and so has the orphan check.
        let secs = if walk.next_check.is_some() { TIDY_SECS } else { LATEST_SECS };
        let tidied_at = walk.stage.now() + SignedDuration::from_secs(secs);
        walk.until(|walk| walk.stage.now() >= tidied_at);
        walk.settle();
        if walk.next_check.is_some() {
            walk.stage.sighted.clear();
        }
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
        self.act();
        let Some(wake) = self.stage.deliver(0, 0) else { return false };
        let is_about = self.job.as_ref() == Some(&wake.job_id);
        let step = self.job().map_or(Step::Done, |job| job.step);
        let spot = self.spot.take_if(|(hop, ..)| is_about && *hop == self.hops.len());
        match spot {
            Some((_, polls, variant)) => self.disturb(&wake, polls, variant),
            None => {
                let polls = self.finish(0);
                if is_about {
                    self.hops.push((step, polls));
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
        if self.next_check.is_some_and(|at| at <= self.stage.now()) {
            self.next_check = Some(self.stage.now() + SignedDuration::from_secs(CHECK_SECS));
            self.stage.begin_check();
            self.stage.run_others();
        }
        let Self { tasks, stage, scenario, runs_ended, job, .. } = self;
        tasks.look(stage, || {
            // What was run before there is the job went well.
            if job.is_none() {
                return (RUN_SECS, Ending::Ready);
            }
            let ending = scenario.runs.get(*runs_ended).or(scenario.runs.last());
            *runs_ended += 1;
            (RUN_SECS, *ending.unwrap_or(&Ending::Ready))
        });
        tasks.end_due(stage, 1);
        stage.run_others();
    }

    /// What the scenario does to the job when it comes to a place.
    fn act(&mut self) {
        if let Some((when, act)) = self.scenario.acts.get(self.acts_done)
            && let Some(job) = self.job().filter(when)
        {
            self.acts_done += 1;
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
        self.is_disturbed = true;
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
                self.stall(wake, STALL_SECS);
                self.finish(0);
            }
            Variant::CancelledStalledDies => {
                self.cancel();
                self.stall(wake, STALL_SECS);
                self.stage.kill(0);
            }
            Variant::CancelledOverruns => {
                // No limit is made for a POST that comes so late: where its answer is lost, too,
                // the orphan check has to find what it made.
                self.next_check = Some(self.stage.now()).filter(|_| self.scenario.loses_answer);
                self.cancel();
                self.stall(wake, SUSPENDED_SECS);
                self.finish(0);
            }
            Variant::News => {
                self.stage.set_news(&wake.job_id);
                self.finish(0);
            }
            Variant::KeepsDying => {
                self.stage.kill(0);
                self.deaths += 1;
                if self.deaths < MOST_DEATHS {
                    self.spot = Some((self.hops.len(), polls, variant));
                }
            }
        }
    }

    /// The other worker handles a copy of the wake, from beginning to end.
    fn beside(&mut self, wake: &Wake) {
        self.stage.deliver_copy(1, wake);
        self.finish(1);
        self.act();
    }

    fn cancel(&mut self) {
        let Some(id) = self.job.clone() else { return };
        self.is_cancelled = true;
        self.stage.cancel(&id);
        self.beside(&Wake::new(id, WakeReason::Cancel));
    }

    /// The first worker stands still while the other one goes on with everything.
    fn stall(&mut self, wake: &Wake, secs: i64) {
        self.beside(wake);
        let until = self.stage.now() + SignedDuration::from_secs(secs);
        while self.stage.now() < until {
            self.pass();
            self.act();
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
        let visible = self.stage.world.queue.next_visible_at();
        let next = [visible, self.tasks.next_end(), self.next_check];
        let next = next.into_iter().flatten().fold(self.next_sweep, Timestamp::min);
        if next > now {
            self.stage.world.clock.advance_to(next.min(limit));
        }
    }

    /// Creates, deletions, and look-ups by name, where none are usual.
    pub fn calls(&self) -> [u32; 3] {
        let books = self.stage.world.provider.books();
        let count = |route: &str| books.by_route.get(route).copied().unwrap_or_default();
        [count("POST /servers"), count("DELETE /servers/{id}"), count("GET /servers?name")]
    }

    /// How often one run was started, at most.
    fn most_starts(&self) -> usize {
        let mut counts = BTreeMap::<_, usize>::new();
        for start in self.stage.world.runner.starts() {
            *counts.entry(start).or_default() += 1;
        }
        counts.into_values().max().unwrap_or_default()
    }

    /// The books' verdict, and whether the scenario came to an end that it may have.
    fn judged(&mut self) -> Findings {
        let known = Circumstances { calm_at: self.begun_at, ..Circumstances::default() };
        let mut findings = judge(&self.stage, &mut self.watch, &known);
        let Some(job) = self.job() else { return findings };
        let end = (job.state, self.node(&job.node_id).status);
        // A disturbed job may be done before it is cancelled; one that only the disturbance
        // cancels may end either way.
        let acts = self.scenario.acts;
        let is_late = self.is_disturbed && !acts.is_empty() && READY.contains(&end);
        let most = self.stage.world.driver.policy.poison_crashes;
        let is_poisoned = self.deaths >= most && job.state == JobState::Failed;
        let is_excused = is_late || is_poisoned || self.is_cancelled;
        if !self.scenario.ends.contains(&end) && !is_excused {
            findings.broken.push(format!("ended as {end:?}: {:?}", job.error));
        }
        let starts = self.most_starts();
        if starts > most as usize {
            findings.broken.push(format!("one run was started by {starts} workers that died"));
        }
        findings
    }
}
