//! What nodes cost in calls to the provider, and how quickly what was lost is found again: in
//! worlds without any other fault, with the provider's usual budget of 3,600 calls an hour.

use std::fmt::Write as _;

use jiff::Timestamp;
use nodeyard_domain::job::{Job, JobState};
use nodeyard_testkit::{defects::Defect, faults::Fault};

use crate::simulation::{life::Life, plan::Plan};

/// How many nodes are asked for at once, and how many calls each may cost.
pub const LIMITS: [(usize, f64); 4] = [(1, 5.0), (20, 2.0), (50, 1.5), (100, 1.5)];
/// A lost wake is repaired by then, in seconds.
pub const LOST_WAKE_SECS: i64 = 150;
/// How often something is lost, each time in a world of its own.
pub const LOSSES: u64 = 200;
/// In a provision's life there are about so many wakes.
const WAKES: usize = 8;

/// What so many nodes cost.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cost {
    pub nodes: usize,
    pub ready: usize,
    pub calls: u32,
    /// Calls that were answered 429.
    pub throttled: u32,
    /// Until the last node was ready, in seconds.
    pub secs: i64,
}

impl Cost {
    pub fn per_node(&self) -> f64 {
        f64::from(self.calls) / self.nodes as f64
    }

    pub fn is_within(&self, limit: f64) -> bool {
        self.per_node() <= limit && self.throttled == 0 && self.ready == self.nodes
    }
}

/// Seconds until what was lost was found again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Delays(Vec<i64>);

impl Delays {
    pub fn count(&self) -> usize {
        self.0.len()
    }

    pub fn median(&self) -> i64 {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        sorted.get(sorted.len() / 2).copied().unwrap_or_default()
    }

    pub fn longest(&self) -> i64 {
        self.0.iter().copied().max().unwrap_or_default()
    }
}

#[derive(Debug, Clone)]
pub struct Table {
    pub costs: Vec<Cost>,
    /// From the create whose answer was lost to its server on record.
    pub adoption: Delays,
    /// From the time a lost wake was for to the job's next commit.
    pub repair: Delays,
}

impl Table {
    pub fn is_within_limits(&self) -> bool {
        let is_cheap = |(cost, (_, limit)): (&Cost, &(usize, f64))| cost.is_within(*limit);
        self.costs.iter().zip(&LIMITS).all(is_cheap) && self.repair.longest() <= LOST_WAKE_SECS
    }

    pub fn text(&self) -> String {
        let mut text =
            String::from("nodes  ready  calls per node   429s  seconds until all are ready\n");
        for cost in &self.costs {
            let Cost { nodes, ready, throttled, secs, .. } = cost;
            let per_node = cost.per_node();
            let _ = writeln!(
                text,
                "{nodes:>5}  {ready:>5}  {per_node:>14.2}  {throttled:>5}  {secs:>5}"
            );
        }
        for (what, delays) in [
            ("from a lost create answer to adoption", &self.adoption),
            ("from a lost wake to the next step", &self.repair),
        ] {
            let (count, median, longest) = (delays.count(), delays.median(), delays.longest());
            let _ = writeln!(text, "{what}: {count} times, median {median} s, longest {longest} s");
        }
        text
    }
}

/// Everything that is measured, `losses` times what is lost.
pub fn table(losses: u64) -> Table {
    Table {
        costs: LIMITS.iter().map(|(nodes, _)| cost(*nodes, None)).collect(),
        adoption: Delays((1..=losses).filter_map(adoption).collect()),
        repair: Delays((1..=losses).filter_map(repair).collect()),
    }
}

/// What so many nodes cost, all at once.
pub fn cost(nodes: usize, defect: Option<Defect>) -> Cost {
    let mut life = Life::new(Plan::bare(1, nodes), defect);
    let mut began = None;
    while life.step() {
        if began.is_none() && !jobs(&life).is_empty() {
            began = Some(life.stage.now());
        }
    }
    let jobs = jobs(&life);
    let ended = jobs.iter().filter_map(|job| job.finished_at).max();
    let books = life.stage.world.provider.books();
    Cost {
        nodes,
        ready: jobs.iter().filter(|job| job.state == JobState::Succeeded).count(),
        calls: books.calls,
        throttled: books.throttled,
        secs: between(began, ended).unwrap_or_default(),
    }
}

/// A create's answer is lost.
fn adoption(seed: u64) -> Option<i64> {
    let mut life = Life::new(Plan::bare(seed, 1), None);
    life.faults.once(Fault::CreateAnswerLost);
    while life.step() {
        if jobs(&life).iter().any(|job| job.server.is_some()) {
            let made = life.stage.world.provider.books().servers.first()?.made_at;
            return between(Some(made), Some(life.stage.now()));
        }
    }
    None
}

/// A wake of a provision is lost, any of them.
fn repair(seed: u64) -> Option<i64> {
    let mut life = Life::new(Plan::bare(seed, 1), None);
    let hops = life.random.below(WAKES) as u64;
    let mut is_planted = false;
    while life.step() && !is_lost(&life) {
        if !is_planted && life.stage.tally.hops >= hops {
            life.faults.once(Fault::SendLost);
            is_planted = true;
        }
    }
    // The hop that has sent it was committed before.
    let lost = jobs(&life).into_iter().next().filter(|job| !job.state.is_terminal())?;
    // News are for at once, whatever the job was going to do when.
    let now = life.stage.now();
    let due = lost.due_at.filter(|_| lost.news_at.is_none()).map_or(now, |due| due.max(now));
    while life.step() {
        if jobs(&life).iter().any(|job| job.version > lost.version) {
            return between(Some(due), Some(life.stage.now())).map(|secs| secs.max(0));
        }
    }
    None
}

fn is_lost(life: &Life) -> bool {
    life.faults.counts().contains_key(&Fault::SendLost)
}

fn jobs(life: &Life) -> Vec<Job> {
    life.stage.world.store.all_jobs()
}

/// Whole seconds, rounded up.
fn between(from: Option<Timestamp>, to: Option<Timestamp>) -> Option<i64> {
    let millis = to?.as_millisecond() - from?.as_millisecond();
    Some((millis + 999) / 1000)
}
