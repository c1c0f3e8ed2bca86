//! Each fault of the store: not answered without effect, and not answered with it.

use nodeyard_domain::{job::Step, step::step};
use nodeyard_domain::{
    observation::{Observation, Outcome},
    step::{Policy, Verdict},
};
use nodeyard_engine::{
    Clock as _,
    store::{Begin, Commit, JobStore as _, Loaded, RunStore as _},
};
use nodeyard_testkit::{faults::Fault, pause::run_to_end};

use crate::bench::Bench;

fn provisioned(bench: &mut Bench) -> Loaded {
    let (job, _) = run_to_end(bench.world.provision(|_| {}));
    run_to_end(bench.world.store.load(&job)).unwrap().unwrap()
}

#[test]
fn a_commit_is_lost_before_or_after_its_effect() {
    for (fault, step_after) in
        [(Fault::CommitUnavailable, Step::EnsureKey), (Fault::CommitAnswerLost, Step::CreateServer)]
    {
        let mut bench = Bench::new();
        let loaded = provisioned(&mut bench);
        let effect = loaded.job.intent.as_ref().unwrap().id;
        let observation = Observation { effect, outcome: Outcome::KeyReady { version: 1 } };
        let now = bench.world.clock.now();
        let Verdict::Commit(decision) = step(&loaded.job, observation, &Policy::default(), now)
        else {
            panic!("no decision")
        };
        bench.world.faults.once(fault);
        let store = &bench.world.driver.store;
        assert!(run_to_end(store.commit(&loaded, &decision)).is_err());
        let stored = bench.world.open_jobs().remove(0);
        assert_eq!(stored.step, step_after, "{fault:?}");
        let again = run_to_end(store.commit(&loaded, &decision)).unwrap();
        let expected = if fault == Fault::CommitUnavailable { Commit::Done } else { Commit::Lost };
        assert_eq!(again, expected, "{fault:?}");
        assert!(bench.world.store.largest_job_bytes() > 100);
    }
}

#[test]
fn a_claim_whose_answer_is_lost_is_made() {
    let mut bench = Bench::new();
    let loaded = provisioned(&mut bench);
    let store = &bench.world.driver.store;
    bench.world.faults.once(Fault::BeginUnavailable);
    assert!(run_to_end(store.begin(&loaded.job, true)).is_err());
    bench.world.faults.once(Fault::BeginAnswerLost);
    assert!(run_to_end(store.begin(&loaded.job, true)).is_err());
    assert_eq!(run_to_end(store.begin(&loaded.job, true)).unwrap(), Begin::AlreadySent);
    assert_eq!(bench.world.open_jobs()[0].crashes, 1);
}

#[test]
fn everything_else_fails_for_workers_and_never_for_the_observer() {
    let mut bench = Bench::new();
    let loaded = provisioned(&mut bench);
    let (id, connection) = (&loaded.job.id, &loaded.job.connection);
    let now = bench.world.clock.now();
    let faults = &bench.world.faults;
    let theirs = &bench.world.driver.store;
    faults.once(Fault::LoadUnavailable);
    assert!(run_to_end(bench.world.store.load(id)).is_ok());
    assert!(run_to_end(theirs.load(id)).is_err());
    faults.once(Fault::ReadUnavailable);
    assert!(run_to_end(theirs.due(now, 10)).is_err());
    let later = now + jiff::SignedDuration::from_secs(60);
    faults.once(Fault::IndexLags);
    assert_eq!(run_to_end(theirs.due(later, 10)).unwrap().len(), 0);
    assert_eq!(run_to_end(theirs.due(later, 10)).unwrap().len(), 1);
    faults.once(Fault::WriteAnswerLost);
    assert!(run_to_end(theirs.set_news(id, now)).is_err());
    assert_eq!(bench.world.open_jobs()[0].news_at, Some(now));

    let pace = run_to_end(theirs.pace(connection, now)).unwrap();
    faults.once(Fault::PaceUnavailable);
    assert!(run_to_end(theirs.swap_pace(connection, &pace)).is_err());
    faults.once(Fault::PaceAnswerLost);
    assert!(run_to_end(theirs.swap_pace(connection, &pace)).is_err());
    assert!(!run_to_end(theirs.swap_pace(connection, &pace)).unwrap(), "it was stored");

    faults.once(Fault::RunAnswerLost);
    let node = &loaded.node.id;
    assert!(run_to_end(theirs.stop_run(id, node, 1, now)).is_err());
    assert!(run_to_end(theirs.run(id, 1)).unwrap().unwrap().stop_requested);
    assert_eq!(faults.counts().values().sum::<u64>(), 7);
}

#[test]
fn without_a_fence_or_with_its_loss_unsaid_a_stale_commit_seems_done() {
    use nodeyard_testkit::defects::Defect;
    for (defect, is_written) in
        [(Some(Defect::NoFence), true), (Some(Defect::ObservationDropped), false), (None, false)]
    {
        let mut bench = defect.map_or_else(Bench::new, Bench::lacking);
        let loaded = provisioned(&mut bench);
        let effect = loaded.job.intent.as_ref().unwrap().id;
        let observation = Observation { effect, outcome: Outcome::KeyReady { version: 1 } };
        let now = bench.world.clock.now();
        let Verdict::Commit(decision) = step(&loaded.job, observation, &Policy::default(), now)
        else {
            panic!("no decision")
        };
        // Somebody calls for attention after the load.
        run_to_end(bench.world.store.set_news(&loaded.job.id, now)).unwrap();
        let told = run_to_end(bench.world.driver.store.commit(&loaded, &decision)).unwrap();
        assert_eq!(told == Commit::Done, defect.is_some(), "{defect:?}");
        let moved = bench.world.open_jobs()[0].step == Step::CreateServer;
        assert_eq!(moved, is_written, "{defect:?}");
    }
}
