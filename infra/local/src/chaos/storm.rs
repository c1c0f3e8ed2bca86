//! What the drill does to the stack while nodes are acquired.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use reqwest::Method;
use serde_json::json;

use super::fleet::{self, Member, Standing};
use super::plan::Plan;
use super::{victims, weather};
use crate::bench::Bench;
use crate::ecs::running_tasks;
use crate::error::{Result, XtaskError};
use crate::function::{self, HEALTH, WORKER};
use crate::process::Identity;
use crate::random::Dice;
use crate::simulator::PROJECT;

/// How long the first create may take to be seen at the provider, in seconds.
const CREATE_SECS: u64 = 60;
/// How long its answer is held back, in seconds: longer than the look that finds it.
const HELD_SECS: u32 = 8;
/// Dice are rolled once a second; a container task that is to die is looked for more often.
const TICK: Duration = Duration::from_millis(200);
const TICKS_A_ROLL: u32 = 5;
/// Between two sweeps of a short drill.
const SWEEP_GAP: Duration = Duration::from_secs(5);

/// The stack, and what has been done to it.
#[derive(Debug)]
pub struct Storm<'a> {
    bench: &'a Bench,
    plan: Plan,
    dice: Dice,
    workers_killed: usize,
    tasks_killed: usize,
    /// A container task dies as soon as there is one.
    task_is_to_die: bool,
    killed_at: Option<Timestamp>,
    swept: std::cell::Cell<Instant>,
}

impl<'a> Storm<'a> {
    /// Nothing done yet.
    ///
    /// # Errors
    /// Processes cannot be found on this system.
    pub fn new(bench: &'a Bench, plan: Plan, dice: Dice) -> Result<Self> {
        if !cfg!(target_os = "linux") {
            return Err(XtaskError::Missing {
                what: "/proc".to_owned(),
                remedy: "this drill finds the processes it kills there: run it on Linux".to_owned(),
            });
        }
        Ok(Self {
            bench,
            plan,
            dice,
            workers_killed: 0,
            tasks_killed: 0,
            task_is_to_die: false,
            killed_at: None,
            swept: std::cell::Cell::new(Instant::now()),
        })
    }

    /// The stack.
    pub fn bench(&self) -> &Bench {
        self.bench
    }

    /// How long jobs may take to come to rest.
    pub fn patience(&self) -> Duration {
        self.plan.patience
    }

    /// Processes killed so far.
    pub fn kills(&self) -> usize {
        self.workers_killed + self.tasks_killed
    }

    /// When the worker of the first create was killed.
    pub fn killed_at(&self) -> Option<Timestamp> {
        self.killed_at
    }

    /// Asks for a node and kills its worker once the server is there and nobody has been told.
    ///
    /// # Errors
    /// The server was not seen.
    pub async fn kill_during_a_create(&mut self, name: &str) -> Result<Member> {
        self.bench.simulator.arm(&weather::slow_create(HELD_SECS)).await?;
        let member = fleet::ask(self.bench, name).await?;
        let deadline = Instant::now() + Duration::from_secs(CREATE_SECS);
        while self.bench.simulator.world(PROJECT).await?.servers.is_empty() {
            if Instant::now() > deadline {
                return Err(XtaskError::TimedOut {
                    what: "the first server".to_owned(),
                    secs: CREATE_SECS,
                    hint: "the functions' logs say why".to_owned(),
                });
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        for worker in victims::processes_of(&self.bench.state, WORKER) {
            self.kill_worker(&worker);
        }
        self.killed_at = Some(Timestamp::now());
        self.bench.report.line(format!("{name}: its worker was killed with the create under way"));
        Ok(member)
    }

    /// Decides what goes wrong with the creates to come.
    ///
    /// # Errors
    /// The simulator refuses.
    pub async fn lose_answers_of_creates(&mut self, creates: u32) -> Result<()> {
        for nth in 1..=creates {
            if let Some(fault) = weather::of_create(&mut self.dice, nth, self.plan.waits_out) {
                self.bench.simulator.arm(&fault).await?;
            }
        }
        Ok(())
    }

    /// Decides what goes wrong with the deletions to come.
    ///
    /// # Errors
    /// The simulator refuses.
    pub async fn lose_answers_of_deletes(&mut self, deletes: usize) -> Result<()> {
        for nth in (1..=deletes).filter_map(|nth| u32::try_from(nth).ok()) {
            if let Some(fault) = weather::of_delete(&mut self.dice, nth) {
                self.bench.simulator.arm(&fault).await?;
            }
        }
        Ok(())
    }

    /// Kills, loses and takes back until its time is over or everything has come to rest.
    ///
    /// # Errors
    /// The simulator or the API does not answer.
    pub async fn rage(&mut self, members: &[Member]) -> Result<()> {
        let start = Instant::now();
        let mut takebacks = self.takebacks(members);
        let mut ticks = tokio::time::interval(TICK);
        for tick in 0.. {
            ticks.tick().await;
            self.kill_a_task();
            if tick % TICKS_A_ROLL != 0 {
                continue;
            }
            self.roll(members.len()).await?;
            let due = |(at, ..): &(Duration, _, _)| start.elapsed() >= *at;
            while takebacks.last().is_some_and(due) {
                if let Some((_, member, cancels)) = takebacks.pop() {
                    self.take_back(&member, cancels).await;
                }
            }
            self.sweep_if_short().await;
            let standing = Standing::of(self.bench).await?;
            if standing.is_at_rest() || start.elapsed() > self.plan.storm {
                break;
            }
            if tick % (15 * TICKS_A_ROLL) == 0 {
                self.bench.report.line(standing.summary());
            }
        }
        self.bench.report.line(format!(
            "killed so far: {} workers, {} container tasks",
            self.workers_killed, self.tasks_killed
        ));
        Ok(())
    }

    /// Rolls for an answer, a worker and a container task.
    async fn roll(&mut self, creates: usize) -> Result<()> {
        if self.dice.chance(self.plan.losses) {
            let fault = weather::of_any_call(&mut self.dice, self.plan.waits_out);
            self.bench.simulator.arm(&fault).await?;
        }
        if self.dice.chance(self.plan.worker_kills) && self.workers_may_die(creates).await? {
            let workers = victims::processes_of(&self.bench.state, WORKER);
            if let Some(worker) = self.dice.pick(&workers).cloned() {
                self.kill_worker(&worker);
            }
        }
        self.task_is_to_die |= self.dice.chance(self.plan.task_kills);
        Ok(())
    }

    fn kill_a_task(&mut self) {
        if !self.task_is_to_die {
            return;
        }
        let tasks = running_tasks(&self.bench.tasks_folder());
        if let Some(task) = self.dice.pick(&tasks) {
            task.kill();
            self.tasks_killed += 1;
            self.task_is_to_die = false;
        }
    }

    /// A worker that dies after its claim and before its create leaves a name that has to be
    /// absent for a while before anything is sent: too long for a short drill.
    async fn workers_may_die(&self, creates: usize) -> Result<bool> {
        if self.plan.waits_out {
            return Ok(true);
        }
        let journal = self.bench.simulator.journal().await?;
        Ok(journal.iter().filter(|entry| entry.is_create()).count() >= creates)
    }

    fn kill_worker(&mut self, worker: &Identity) {
        worker.kill();
        self.workers_killed += 1;
    }

    /// Whose provision is cancelled, and which node is released, and when; the first comes last.
    fn takebacks(&mut self, members: &[Member]) -> Vec<(Duration, Member, bool)> {
        let mut takebacks = Vec::new();
        // Not the first one: it is to show an adoption.
        let others = members.get(1..).unwrap_or_default();
        for number in 0..self.plan.takebacks * 2 {
            if let Some(member) = self.dice.pick(others) {
                let at = Duration::from_millis(500 + self.dice.below(20_000));
                takebacks.push((at, member.clone(), number % 2 == 0));
            }
        }
        takebacks.sort_by_key(|(at, ..)| std::cmp::Reverse(*at));
        takebacks
    }

    /// What has ended meanwhile refuses, rightly.
    async fn take_back(&self, member: &Member, cancels: bool) {
        let (method, path) = if cancels {
            (Method::POST, format!("/jobs/{}/cancel", member.job))
        } else {
            (Method::DELETE, format!("/nodes/{}", member.node))
        };
        let answer = self.bench.api.call(method.clone(), &path, None).await;
        let told = if answer.is_ok() { "accepted" } else { "refused" };
        self.bench.report.line(format!("{method} {path}: {told}"));
    }

    /// In a short drill the sweep comes more often than once a minute. One that fails is made up
    /// for by the next.
    pub async fn sweep_if_short(&self) {
        if self.plan.sweeps && self.swept.get().elapsed() >= SWEEP_GAP {
            self.swept.set(Instant::now());
            let _ = function::invoke(&self.bench.state, HEALTH, &json!({ "task": "sweep" })).await;
        }
    }
}
