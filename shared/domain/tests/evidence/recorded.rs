//! What is written down, and what is not.

use nodeyard_domain::{
    evidence::{Fact, MAX_PIECE_BYTES, pieces},
    job::{JobKind, JobState},
    observation::Outcome,
    readiness::ReadinessCode,
};
use serde_json::Value;

use crate::bench::{Life, ready};

fn kinds(life: &Life) -> Vec<&str> {
    life.stored.entries.iter().map(|entry| entry["fact"].as_str().unwrap()).collect()
}

#[test]
fn a_plain_life_reads_from_top_to_bottom() {
    let life = ready(1);
    let expected = "began called decided called decided claimed decided called decided called \
                    decided claimed run_taken probed probed probed claimed decided claimed";
    assert_eq!(kinds(&life).join(" "), expected);
    let last_decision =
        life.stored.entries.iter().rfind(|entry| entry["fact"] == "decided").unwrap();
    assert_eq!(last_decision["to"], "done");
    assert_eq!(last_decision["outcome"], "run_finished");
    let chain = life.job.evidence.as_ref().unwrap();
    assert_eq!(chain.head().count as usize, life.stored.entries.len());
    assert_eq!(life.bundle().head, *chain.head());
    let called = &life.stored.entries[1];
    assert_eq!(called["correlation_id"], "corr-1-1");
}

#[test]
fn looks_that_change_nothing_are_not_written_down() {
    let mut life = Life::new(JobKind::NodeProvision, 1);
    life.sees(1, Outcome::KeyReady { version: 1 }).created().sees(1, Outcome::RunStarted);
    let before = (life.stored.entries.len(), life.job.evidence.clone());
    for _ in 0..50 {
        life.sees(2, Outcome::ActionRunning);
    }
    assert_eq!((life.stored.entries.len(), life.job.evidence.clone()), before);
}

#[test]
fn a_job_that_an_older_release_began_has_the_rest_of_its_chain() {
    let mut life = ready(1);
    life.stored.entries.clear();
    let mut late = Life::new(JobKind::NodeProvision, 1);
    late.sees(1, Outcome::KeyReady { version: 1 });
    late.job.evidence = None;
    late.stored.entries.clear();
    late.created();
    let began: Fact = serde_json::from_value(late.stored.entries[0].clone()).unwrap();
    assert!(matches!(began, Fact::Began { version: 2, .. }), "{began:?}");
    assert!(late.bundle().unsigned);
}

#[test]
fn the_largest_commit_fits_into_items_that_are_bounded() {
    let mut life = Life::new(JobKind::NodeProvision, 1);
    life.sees(1, Outcome::KeyReady { version: 1 }).created().sees(1, Outcome::RunStarted).up();
    let before = life.stored.entries.len();
    life.run(None, &[(ReadinessCode::DiskLow, true, false); 32]);
    assert_eq!(life.job.state, JobState::Succeeded);
    let entries: Vec<_> = life.stored.entries[before..]
        .iter()
        .map(|entry: &Value| serde_json::from_value(entry.clone()).unwrap())
        .collect();
    let pieces = pieces(&entries);
    assert!(pieces.iter().all(|piece| piece.len() <= MAX_PIECE_BYTES));
    let item = serde_json::to_vec(&life.job).unwrap().len();
    assert!(item < 4096, "the job's item has {item} bytes");
}
