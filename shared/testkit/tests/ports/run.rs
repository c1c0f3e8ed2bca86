//! Container tasks: idempotent starts, slow stops, and tasks that die.

use nodeyard_domain::{id::JobId, job::JobState, run::Run};
use nodeyard_engine::{
    runner::{Runner as _, Start, TaskState},
    store::RunStore as _,
};
use nodeyard_testkit::{faults::Fault, pause::run_to_end};

use crate::bench::Bench;

/// A run on record, of a job that has just begun.
fn run(bench: &mut Bench) -> (JobId, Run) {
    let (job, _) = run_to_end(bench.world.provision(|_| {}));
    for _ in 0..40 {
        if let Some(run) = bench.world.store.all_runs().pop() {
            return (job, run);
        }
        run_to_end(bench.world.drain()).unwrap();
        bench.pass(1);
    }
    panic!("no run begins")
}

#[test]
fn a_start_whose_answer_is_lost_has_started_one_task() {
    let mut bench = Bench::new();
    let (job, first) = run(&mut bench);
    let runner = &bench.world.driver.runner;
    let again = Run { number: 9, ..first };
    for (fault, starts) in
        [(Fault::StartRefused, 0), (Fault::StartDropped, 0), (Fault::StartAnswerLost, 1)]
    {
        bench.world.faults.once(fault);
        let started = run_to_end(runner.start(&again));
        assert!(!matches!(started, Ok(Start::Started { .. })), "{fault:?}");
        let of_nine = bench.world.runner.starts().iter().filter(|(_, number)| *number == 9).count();
        assert_eq!(of_nine, starts, "{fault:?}");
    }
    assert!(matches!(run_to_end(runner.start(&again)), Ok(Start::Started { .. })));
    assert_eq!(bench.world.runner.running(), [(job.clone(), 1), (job, 9)]);
    assert_eq!(bench.world.runner.most_alive_per_node(), 2, "two tasks for one node are noted");
}

#[test]
fn a_task_takes_its_time_to_stop() {
    let mut bench = Bench::new();
    let (_, run) = run(&mut bench);
    let runner = &bench.world.driver.runner;
    bench.world.runner.set_stop_secs(20);
    bench.world.faults.once(Fault::StopUnanswered);
    assert!(run_to_end(runner.stop(&run)).is_err());
    bench.pass(30);
    assert_eq!(run_to_end(runner.look(&run)).unwrap(), TaskState::Running);
    run_to_end(runner.stop(&run)).unwrap();
    assert_eq!(run_to_end(runner.look(&run)).unwrap(), TaskState::Running);
    bench.pass(20);
    bench.world.faults.once(Fault::LookUnanswered);
    assert!(run_to_end(runner.look(&run)).is_err());
    assert!(matches!(run_to_end(runner.look(&run)).unwrap(), TaskState::Stopped { .. }));
}

#[test]
fn a_task_that_dies_or_fails_is_followed_by_another() {
    for fault in [Fault::TaskKilled, Fault::RunFails] {
        let mut bench = Bench::new();
        let (job, first) = run(&mut bench);
        bench.world.faults.once(fault);
        run_to_end(bench.world.run_for(1500)).unwrap();
        let told = run_to_end(bench.world.store.run(&job, first.number)).unwrap().unwrap().result;
        match fault {
            Fault::TaskKilled => {
                assert!(told.is_none());
                assert_eq!(bench.world.state(&job), JobState::Succeeded);
                assert_eq!(bench.world.runner.tasks().len(), 2);
            }
            _ => assert!(told.unwrap().code.is_some()),
        }
        assert_eq!(bench.world.runner.most_alive_per_node(), 1);
    }
}
