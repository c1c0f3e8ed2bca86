//! One world from its beginning to its end: what happens next is drawn by chance, poll by poll.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use nodeyard_domain::{code::Code, job::Job, placement::Rung};
use nodeyard_testkit::{
    defects::Defect,
    faults::Faults,
    pause::run_to_end,
    world::{Setup, node_spec},
};

use super::{deed::Deed, plan::Plan};
use crate::{
    coverage::{self, Counts},
    random::Random,
    stage::{
        BATCH, Stage, Tag,
        judge::{Circumstances, Findings, judge},
        tasks::{Course, Ending, Tasks},
        watch::Watch,
    },
};

const SWEEP_SECS: i64 = 60;
const CHECK_SECS: i64 = 300;
/// A budget of fewer calls than this for each node is scarce.
const SCARCE: u32 = 36;
/// After the calm began, in seconds: at once, and when every undo has met its limit.
const RETRIES_SECS: [i64; 2] = [1, 4000];
/// The first node is ready by then, in seconds.
const FIRST_SECS: i64 = 200;
const USUAL_RUN_SECS: i64 = 40;
/// What is not over so long after the calm began never will be. A release of what is left behind
/// may come six hours after the one before.
const END_SECS: i64 = 20 * 3600;
/// What is left behind and proved ours is removed when it was seen twice, 15 minutes apart.
const TIDY_SECS: i64 = 1800;
/// A world that needs more polls than this does not come to rest.
const MAX_POLLS: u64 = 3_000_000;

#[derive(Debug, Clone, Copy)]
enum Event {
    Sweep,
    Check,
    Ask,
    Deed(Deed),
    Restore(Deed),
    Calm,
    /// Operators see to what is not ready.
    Retry,
}

pub struct Life {
    pub stage: Stage,
    pub random: Random,
    pub(super) plan: Plan,
    pub(super) rungs: Vec<Rung>,
    pub(super) known: Circumstances,
    pub(super) protected: Vec<u64>,
    /// Jobs that callers were granted.
    pub(super) accepted: usize,
    pub faults: Faults,
    watch: Watch,
    tasks: Tasks,
    agenda: BTreeMap<(Timestamp, u64), Event>,
    entries: u64,
    polls: u64,
    deeds: BTreeMap<Deed, u64>,
    others: BTreeMap<&'static str, u64>,
    is_calm: bool,
    /// Since when nothing is left to do.
    settled_at: Option<Timestamp>,
}

/// What a world came to.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    pub seed: u64,
    pub jobs: u64,
    pub hops: u64,
    pub polls: u64,
    pub findings: Findings,
    pub transitions: Counts,
    pub faults: Counts,
    /// Ends of jobs, by kind, state and code.
    pub ends: Counts,
}

impl Life {
    pub fn new(plan: Plan, defect: Option<Defect>) -> Self {
        let mut random = Random::new(plan.seed ^ 0x6c69_6665);
        let faults = Faults::seeded(random.seed());
        for (fault, rate) in &plan.faults {
            faults.set(*fault, *rate);
        }
        let setup =
            Setup { seed: random.seed(), faults: faults.clone(), defect, ..Setup::default() };
        let stage = Stage::new(setup, plan.workers);
        stage.world.provider.set_rate(plan.budget, f64::from(plan.budget) / 3600.0);
        let start = stage.now();
        let calm_at = start + SignedDuration::from_secs(plan.calm_secs);
        let mut life = Self {
            stage,
            random,
            rungs: node_spec().placement,
            known: Circumstances { calm_at, is_metered: plan.is_bare, ..Circumstances::default() },
            protected: Vec::new(),
            accepted: 0,
            faults,
            watch: Watch::default(),
            tasks: Tasks::default(),
            agenda: BTreeMap::new(),
            entries: 0,
            polls: 0,
            deeds: BTreeMap::new(),
            others: BTreeMap::new(),
            is_calm: false,
            settled_at: None,
            plan,
        };
        for worker in 0..life.plan.workers {
            let skew = life.random.between(-life.plan.skew_secs, life.plan.skew_secs);
            life.stage.set_skew(worker, skew);
        }
        life.plan_ahead();
        life
    }

    fn plan_ahead(&mut self) {
        // Callers come at any time between two sweeps.
        let secs = self.random.between(0, SWEEP_SECS);
        self.enter(secs, Event::Ask);
        self.enter(SWEEP_SECS, Event::Sweep);
        if !self.plan.is_bare {
            self.enter(CHECK_SECS, Event::Check);
        }
        self.enter(self.plan.calm_secs, Event::Calm);
        for (deed, every_secs) in self.plan.deeds.clone() {
            let secs = self.random.between(0, 2 * every_secs);
            self.enter(secs, Event::Deed(deed));
        }
    }

    /// Enters something into the agenda, `secs` from now.
    fn enter(&mut self, secs: i64, event: Event) {
        self.entries += 1;
        let at = self.stage.now() + SignedDuration::from_secs(secs);
        self.agenda.insert((at, self.entries), event);
    }

    /// Lives to the end and is judged.
    pub fn run(mut self) -> Outcome {
        // What an earlier world on this thread has left.
        drop(coverage::take_transitions());
        while self.step() {}
        self.outcome()
    }

    /// Lives to the end, is judged, and tells the histories of the jobs that the findings name, or
    /// of jobs on the nodes that they name.
    pub fn told(mut self) -> String {
        while self.step() {}
        let findings = judge(&self.stage, &mut self.watch, &self.known);
        let is_named = |id: &str| findings.all().any(|finding| finding.contains(id));
        let told = |job: &Job| is_named(job.id.as_str()) || is_named(job.node_id.as_str());
        format!("calm from {}\n{}", self.known.calm_at, self.stage.histories(told))
    }

    /// The next thing that happens. False when all is over, or never will be.
    pub fn step(&mut self) -> bool {
        self.happen();
        if self.go_on() {
            self.polls += 1;
            return self.polls < MAX_POLLS;
        }
        let end = self.known.calm_at + SignedDuration::from_secs(END_SECS);
        !self.is_over() && self.stage.now() < end && self.wait()
    }

    /// What the agenda has for now.
    fn happen(&mut self) {
        while let Some(entry) =
            self.agenda.first_entry().filter(|it| it.key().0 <= self.stage.now())
        {
            match entry.remove() {
                Event::Sweep => {
                    if self.stage.has_overdue() {
                        self.stage.begin_sweep();
                    }
                    self.enter(SWEEP_SECS, Event::Sweep);
                }
                Event::Check => {
                    self.stage.begin_check();
                    self.enter(CHECK_SECS, Event::Check);
                }
                Event::Ask => self.ask_next(),
                Event::Deed(deed) => self.do_deed(deed),
                Event::Restore(deed) => self.undo_deed(deed),
                Event::Calm => self.calm_down(),
                Event::Retry => self.retry(),
            }
        }
        let mut random = self.random.clone();
        let bad_runs = if self.is_calm { 0 } else { self.plan.bad_runs };
        let is_bare = self.plan.is_bare;
        self.tasks.look(&self.stage, || match is_bare {
            true => (USUAL_RUN_SECS, Ending::Ready),
            false => course(&mut random, bad_runs),
        });
        self.random = random;
        self.tasks.end_due(&mut self.stage, 0);
    }

    fn ask_next(&mut self) {
        if self.plan.is_bare {
            return self.ask_at_once();
        }
        self.ask();
        if self.accepted < self.plan.jobs {
            let mean = self.plan.traffic_secs / self.plan.jobs.max(1) as i64;
            // Some come all at once.
            let secs = if self.random.chance(300) { 0 } else { self.random.between(0, 2 * mean) };
            self.enter(secs, Event::Ask);
        }
    }

    /// All nodes at once. Where calls are scarce one comes first, so that the budget is known.
    fn ask_at_once(&mut self) {
        let is_scarce = self.plan.budget < self.plan.jobs as u32 * SCARCE;
        let count = match self.accepted {
            0 if is_scarce => 1,
            accepted => self.plan.jobs - accepted,
        };
        for _ in 0..count {
            self.stage.provision(|_| {});
        }
        self.accepted += count;
        if self.accepted < self.plan.jobs {
            self.enter(FIRST_SECS, Event::Ask);
        }
    }

    fn do_deed(&mut self, deed: Deed) {
        if self.is_calm {
            return;
        }
        *self.deeds.entry(deed).or_default() += 1;
        if let Some(secs) = self.perform(deed) {
            self.enter(secs, Event::Restore(deed));
        }
        let every = self.plan.deeds.iter().find(|(known, _)| *known == deed);
        if let Some((_, secs)) = every {
            let secs = self.random.between(1, 2 * secs);
            self.enter(secs, Event::Deed(deed));
        }
    }

    fn undo_deed(&mut self, deed: Deed) {
        if let Some(secs) = self.restore(deed) {
            self.enter(secs, Event::Restore(deed));
        }
    }

    /// Faults end, and everything that was taken is given back.
    fn calm_down(&mut self) {
        self.is_calm = true;
        // Time may have leapt past the planned moment.
        self.known.calm_at = self.stage.now();
        self.faults.clear();
        for deed in Deed::ALL {
            self.undo_deed(*deed);
        }
        self.stage.world.runner.set_stop_secs(0);
        self.stage.confirm_project();
        for secs in RETRIES_SECS {
            self.enter(secs, Event::Retry);
        }
        self.replace_token();
    }

    /// A token is stored by an operator: the connection is connected, and parked jobs resume.
    pub(super) fn replace_token(&mut self) {
        run_to_end(self.stage.world.resume_parked());
    }

    /// One poll, or one batch handed out. False when nothing can go on now.
    fn go_on(&mut self) -> bool {
        if self.random.chance(150) && self.hand_out() {
            return true;
        }
        let Some(index) = self.runnable() else { return self.hand_out() };
        if self.disturbed(index) {
            return true;
        }
        let flying = self.stage.hops.len();
        self.stage.poll(index);
        if self.stage.hops.len() < flying {
            self.watch.look(&self.stage);
        }
        // Those in flight go on side by side: time does not pass for each of them.
        if self.random.chance(300 / flying as u32) {
            let millis = self.random.between(1, 60);
            self.stage.advance_millis(millis);
        }
        true
    }

    /// Gives a batch to a worker that has none. False when there is no wake or no such worker.
    fn hand_out(&mut self) -> bool {
        let visible = self.stage.world.queue.visible();
        let count = self.stage.workers.len();
        let first = self.random.below(count);
        let mut workers = (0..count).map(|offset| (first + offset) % count);
        let Some(worker) = workers.find(|worker| !self.stage.is_busy(*worker)) else {
            return false;
        };
        if visible == 0 {
            return false;
        }
        for taken in 0..=self.random.below(visible.min(BATCH)) {
            let index = self.random.below(visible - taken);
            self.stage.deliver(worker, index);
        }
        true
    }

    /// Something in flight that is not stalled. Who has been at it too long is ended.
    fn runnable(&mut self) -> Option<usize> {
        let now = self.stage.now();
        let count = self.stage.hops.len();
        if count == 0 {
            return None;
        }
        let first = self.random.below(count);
        for offset in 0..count {
            let index = (first + offset) % count;
            match self.stage.hops.tag(index) {
                Some(Tag::Hop(hop)) if secs_since(hop.since, now) >= self.plan.time_out_secs => {
                    let worker = hop.worker;
                    self.count("Worker timed out");
                    self.stage.kill(worker);
                    return None;
                }
                Some(Tag::Hop(hop)) if hop.stalled_until.is_some_and(|until| until > now) => {}
                Some(_) => return Some(index),
                None => return None,
            }
        }
        None
    }

    /// A worker dies or stalls before this poll, perhaps.
    fn disturbed(&mut self, index: usize) -> bool {
        if self.is_calm {
            return false;
        }
        let (killed, stalled) = (self.plan.killed, self.plan.stalled);
        let secs = self.random.between(1, self.plan.time_out_secs);
        let until = self.stage.now() + SignedDuration::from_secs(secs);
        let Some(Tag::Hop(hop)) = self.stage.hops.tag_mut(index) else { return false };
        if self.random.chance(killed) {
            let worker = hop.worker;
            self.count("Worker killed");
            self.stage.kill(worker);
            return true;
        }
        if self.random.chance(stalled) {
            hop.stalled_until = Some(until);
            self.count("Worker stalled");
            return true;
        }
        false
    }

    /// Lets time pass until something can go on. False when nothing ever will.
    fn wait(&mut self) -> bool {
        let now = self.stage.now();
        let stalled = self.stage.hops.tags().filter_map(|tag| match tag {
            Tag::Hop(hop) => hop.stalled_until,
            _ => None,
        });
        let next = stalled
            .chain(self.stage.world.queue.next_visible_at())
            .chain(self.tasks.next_end())
            .chain(self.agenda.keys().next().map(|key| key.0))
            .filter(|at| *at > now)
            .min();
        if let Some(at) = next {
            self.stage.world.clock.advance_to(at);
        }
        next.is_some()
    }

    /// Calm, nothing is left to do, and the orphan check has had its time.
    fn is_over(&mut self) -> bool {
        let is_settled = self.is_calm
            && self.accepted >= self.plan.jobs
            && self.stage.hops.is_empty()
            && self.stage.is_settled();
        let now = self.stage.now();
        self.settled_at = is_settled.then(|| self.settled_at.unwrap_or(now));
        let tidied_at = self.settled_at.map(|at| at + SignedDuration::from_secs(TIDY_SECS));
        self.known.is_tidied = tidied_at.is_some_and(|at| at <= now);
        self.known.is_tidied
    }

    fn count(&mut self, what: &'static str) {
        *self.others.entry(what).or_default() += 1;
    }

    fn outcome(mut self) -> Outcome {
        let findings = judge(&self.stage, &mut self.watch, &self.known);
        let mut faults = Counts::new();
        for (fault, count) in self.faults.counts() {
            faults.insert(fault.name().to_owned(), count);
        }
        for (deed, count) in &self.deeds {
            faults.insert(deed.name().to_owned(), *count);
        }
        for (what, count) in &self.others {
            faults.insert((*what).to_owned(), *count);
        }
        let mut ends = Counts::new();
        for job in self.stage.world.store.all_jobs() {
            let code = job.error.as_ref().map_or("", |error| error.code.as_str());
            *ends.entry(format!("{:?} {:?} {code}", job.kind, job.state)).or_default() += 1;
        }
        for rotation in self.stage.world.store.all_rotations() {
            let code = rotation.error.as_ref().map_or("", |error| error.code.as_str());
            *ends.entry(format!("KeyRotation {:?} {code}", rotation.state)).or_default() += 1;
        }
        Outcome {
            seed: self.plan.seed,
            jobs: ends.values().sum(),
            hops: self.stage.tally.hops,
            polls: self.polls,
            findings,
            transitions: coverage::take_transitions(),
            faults,
            ends,
        }
    }
}

fn secs_since(then: Timestamp, now: Timestamp) -> i64 {
    now.as_second() - then.as_second()
}

/// How long a run takes, and how it ends.
fn course(random: &mut Random, bad_runs: u32) -> Course {
    let secs = *random.pick(&[5, USUAL_RUN_SECS, USUAL_RUN_SECS, 90, 300]);
    if !random.chance(bad_runs) {
        return (secs, Ending::Ready);
    }
    let endings = [
        Ending::NotReady,
        Ending::Fails(Code::AnsibleHostFailed),
        Ending::Fails(Code::AnsibleHostUnreachable),
        Ending::Fails(Code::AnsibleTimeout),
        Ending::Dies { is_told: true },
        Ending::Dies { is_told: false },
    ];
    (secs, *random.pick(&endings))
}
