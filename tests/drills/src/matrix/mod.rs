//! The crash matrix: every hop of every scenario is stopped after every poll, in every way, and
//! the world goes on to its end.

pub mod point;
pub mod scenario;
mod walk;

use nodeyard_testkit::defects::Defect;

use self::{
    point::{Point, Variant},
    scenario::SCENARIOS,
    walk::Walk,
};
use crate::{parallel::in_order, stage::judge::Findings};

/// What the matrix came to.
#[derive(Debug, Default)]
pub struct Report {
    pub points: usize,
    pub duplicates: usize,
    pub orphans: usize,
    pub stuck: usize,
    /// Other invariants that were broken.
    pub broken: usize,
    /// Points that failed, by name, and what was found.
    pub failures: Vec<(String, Vec<String>)>,
}

impl Report {
    fn add(&mut self, name: String, findings: &Findings) {
        self.points += 1;
        self.duplicates += findings.duplicates.len();
        self.orphans += findings.orphans.len();
        self.stuck += findings.stuck.len();
        self.broken += findings.broken.len();
        if !findings.is_clean() {
            self.failures.push((name, findings.all().cloned().collect()));
        }
    }
}

/// Every point there is, found by going through each scenario undisturbed.
pub fn points() -> Vec<Point> {
    let mut points = Vec::new();
    for scenario in SCENARIOS {
        let (walk, _) = Walk::through(scenario, None, None);
        for (hop, polls) in walk.hops.iter().enumerate() {
            for variant in Variant::ALL {
                let of_hop =
                    (0..*polls).map(|poll| Point { scenario, hop, poll, variant: *variant });
                points.extend(of_hop);
            }
        }
    }
    points
}

/// What is found when the world is disturbed at a point.
pub fn try_point(point: &Point, defect: Option<Defect>) -> Findings {
    let spot = (point.hop, point.poll, point.variant);
    Walk::through(point.scenario, Some(spot), defect).1
}

/// Goes through points on so many threads, and through each scenario undisturbed.
pub fn run(points: &[Point], threads: usize) -> Report {
    let mut report = Report::default();
    for scenario in SCENARIOS {
        let (_, findings) = Walk::through(scenario, None, None);
        report.add(scenario.name.to_owned(), &findings);
    }
    let work = |index: usize| (points[index].to_string(), try_point(&points[index], None));
    in_order(points.len(), threads, work, |(name, findings)| report.add(name, &findings));
    report
}
