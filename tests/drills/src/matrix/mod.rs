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

/// The histories of a world that is disturbed at a point.
pub fn tell(point: &Point) -> String {
    let spot = (point.hop, point.poll, point.variant);
    Walk::through(point.scenario, Some(spot), None).0.stage.histories(|_| true)
}

/// Every point there is, found by going through each scenario undisturbed.
pub fn points() -> Vec<Point> {
    let mut points = Vec::new();
    for scenario in SCENARIOS {
        let (walk, _) = Walk::through(scenario, None, None);
        for (hop, (step, polls)) in walk.hops.iter().enumerate() {
            // A hop that is like those before and after it shows nothing new.
            let is_same = |at: usize| walk.hops.get(at).is_some_and(|(other, _)| other == step);
            if hop >= 2 && is_same(hop - 2) && is_same(hop - 1) && is_same(hop + 1) {
                continue;
            }
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
    let (walk, mut findings) = Walk::through(point.scenario, Some(spot), defect);
    if point.variant == Variant::News {
        // Losing the fence loses nothing: what was done is not done again.
        let (undisturbed, _) = Walk::through(point.scenario, None, None);
        let (usual, made) = (undisturbed.calls(), walk.calls());
        if usual != made {
            findings.broken.push(format!("calls {made:?} instead of {usual:?}"));
        }
    }
    findings
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
