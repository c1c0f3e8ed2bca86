//! Planted defects: with each, the crash matrix, the count of calls or the simulation has to turn
//! red. One that stays green would prove that the drills are blind there.

use std::{
    fmt,
    sync::atomic::{AtomicUsize, Ordering},
};

use nodeyard_testkit::defects::Defect;

use crate::{
    calls::{self, Cost},
    matrix::{self, point::Point},
    parallel::in_order,
    simulation,
};

/// How hard a defect is looked for.
pub struct Effort {
    /// Every so many points of the matrix is tried.
    pub stride: usize,
    pub worlds: usize,
}

pub const LONG: Effort = Effort { stride: 1, worlds: 2000 };
pub const SHORT: Effort = Effort { stride: 29, worlds: 250 };

/// What turned red, after how much, and what it said.
#[derive(Debug)]
pub enum Catch {
    Matrix {
        after: usize,
        point: String,
        finding: String,
    },
    /// More calls than these nodes may cost.
    Calls(Cost),
    Simulation {
        after: usize,
        seed: u64,
        finding: String,
    },
}

impl fmt::Display for Catch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Matrix { after, point, finding } => {
                write!(f, "the crash matrix after {after} points, at {point}: {finding}")
            }
            Self::Calls(cost) => {
                let Cost { nodes, throttled, .. } = cost;
                let per_node = cost.per_node();
                write!(f, "the count of calls: {nodes} nodes took {per_node:.2} calls each, ")?;
                write!(f, "{throttled} were answered 429")
            }
            Self::Simulation { after, seed, finding } => {
                write!(f, "the simulation after {after} worlds, seed {seed}: {finding}")
            }
        }
    }
}

/// Plants a defect and goes through matrix and simulation until one turns red.
pub fn plant(defect: Defect, threads: usize, effort: &Effort) -> Option<Catch> {
    let points: Vec<Point> = matrix::points().into_iter().step_by(effort.stride).collect();
    let found = first(points.len(), threads, |index| {
        let point = &points[index];
        let found = matrix::try_point(point, Some(defect)).all().next().cloned()?;
        // What is red without the defect has not caught it.
        matrix::try_point(point, None).is_clean().then_some(found)
    });
    if let Some((index, finding)) = found {
        return Some(Catch::Matrix { after: index + 1, point: points[index].to_string(), finding });
    }
    let costs =
        calls::LIMITS.iter().map(|(nodes, limit)| (*limit, calls::cost(*nodes, Some(defect))));
    if let Some((_, cost)) = { costs }.find(|(limit, cost)| !cost.is_within(*limit)) {
        return Some(Catch::Calls(cost));
    }
    let seeds = simulation::seeds_from(1, effort.worlds);
    let found = first(seeds.len(), threads, |index| {
        let live = |defect| simulation::live(seeds[index], simulation::JOBS, defect).findings;
        let found = live(Some(defect)).all().next().cloned()?;
        live(None).is_clean().then_some(found)
    });
    found.map(|(index, finding)| Catch::Simulation {
        after: index + 1,
        seed: seeds[index],
        finding,
    })
}

/// The first piece of work that finds something, and what. Later pieces are left out.
fn first(
    count: usize,
    threads: usize,
    work: impl Fn(usize) -> Option<String> + Sync,
) -> Option<(usize, String)> {
    let earliest = AtomicUsize::new(usize::MAX);
    let mut found = None;
    let try_one = |index: usize| {
        if index > earliest.load(Ordering::Relaxed) {
            return None;
        }
        let finding = work(index)?;
        earliest.fetch_min(index, Ordering::Relaxed);
        Some((index, finding))
    };
    in_order(count, threads, try_one, |finding| {
        if found.is_none() {
            found = finding;
        }
    });
    found
}
