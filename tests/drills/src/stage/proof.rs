//! The evidence at the end: each job's bundle fits, and one that has ended is signed.

use nodeyard_domain::evidence::{
    bundle::Bundle,
    verify::{Verdict, verify},
};
use nodeyard_testkit::signer;

use super::Stage;

/// What is wrong with the evidence of any job.
pub fn wrong(stage: &Stage) -> Vec<String> {
    let (_, key) = signer::public_key();
    let store = &stage.world.store;
    let mut wrong = Vec::new();
    for job in store.all_jobs() {
        let stored = store.evidence_now(&job.id);
        let head = job.evidence.as_ref().map(|chain| chain.head().clone());
        let begun = head.is_some() || stored.entries.is_empty();
        let bundle = Bundle::new(&job.id, stored);
        let fits = bundle.as_ref().is_ok_and(|it| begun && head.is_none_or(|head| head == it.head));
        let verdict = bundle.ok().and_then(|it| serde_json::to_value(it).ok());
        let verdict = verdict.map(|it| verify(&it, Some(&key)));
        match verdict {
            Some(Verdict::Authenticated) if fits => {}
            Some(Verdict::NotAuthenticated { .. }) if fits && !job.state.is_terminal() => {}
            other => wrong.push(format!("the evidence of {} ({:?}): {other:?}", job.id, job.kind)),
        }
    }
    wrong
}

/// Jobs that have ended and whose evidence nobody has signed.
pub fn unsigned(stage: &Stage) -> Vec<String> {
    let left = stage.world.store.unsigned_now();
    left.iter().map(|job| format!("nobody has signed the evidence of {job}")).collect()
}
