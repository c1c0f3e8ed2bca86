//! Each planted defect takes its safeguard away, and only from the workers.

use std::collections::BTreeSet;

use nodeyard_domain::{
    node::{NodeStatus, Server},
    observation::FailureClass,
    ownership::{self, Ownership},
    run::Run,
};
use nodeyard_engine::{
    Clock as _,
    provider::{Provider as _, Remains},
    runner::{Runner as _, TaskState},
    secrets::Secrets as _,
    store::{Begin, JobStore as _, Loaded},
};
use nodeyard_testkit::{
    defects::Defect, pause::run_to_end, provider::CreateFault, store::MemoryStore,
    world::DEPLOYMENT,
};

use crate::bench::{Bench, class};

fn loaded(bench: &mut Bench) -> Loaded {
    let (job, _) = run_to_end(bench.world.provision(|_| {}));
    run_to_end(bench.world.store.load(&job)).unwrap().unwrap()
}

#[test]
fn names_are_unique() {
    let names: BTreeSet<&str> = Defect::ALL.iter().map(|defect| defect.name()).collect();
    assert_eq!(names.len(), Defect::ALL.len());
}

#[test]
fn a_claim_is_not_written_down() {
    let mut bench = Bench::lacking(Defect::NoClaim);
    let loaded = loaded(&mut bench);
    let claim = |store: &MemoryStore| run_to_end(store.begin(&loaded.job, true)).unwrap();
    for crashes in [1, 2] {
        assert_eq!(claim(&bench.world.driver.store), Begin::Proceed { crashes });
    }
    assert_eq!(claim(&bench.world.store), Begin::Proceed { crashes: 3 });
    assert_eq!(claim(&bench.world.store), Begin::AlreadySent, "the observer's handle claims");
}

#[test]
fn crashes_are_not_counted() {
    let mut bench = Bench::lacking(Defect::CrashesUncounted);
    let loaded = loaded(&mut bench);
    let begun = run_to_end(bench.world.driver.store.begin(&loaded.job, false)).unwrap();
    assert_eq!(begun, Begin::Proceed { crashes: 0 });
}

#[test]
fn the_sweep_finds_nothing() {
    let mut bench = Bench::lacking(Defect::NoSweep);
    loaded(&mut bench);
    let later = bench.world.clock.now() + jiff::SignedDuration::from_secs(60);
    assert_eq!(run_to_end(bench.world.driver.store.due(later, 10)).unwrap().len(), 0);
    assert_eq!(run_to_end(bench.world.store.due(later, 10)).unwrap().len(), 1);
}

#[test]
fn what_is_shared_is_overwritten() {
    let bench = Bench::lacking(Defect::PaceUnfenced);
    let (store, name) = (&bench.world.driver.store, &bench.on.name);
    let pace = run_to_end(store.pace(name, bench.world.clock.now())).unwrap();
    for _ in 0..2 {
        assert!(run_to_end(store.swap_pace(name, &pace)).unwrap());
    }
}

#[test]
fn a_late_server_is_forgotten() {
    let mut bench = Bench::lacking(Defect::LateServerForgotten);
    let node = loaded(&mut bench).node;
    let server: Server = bench.create(1).unwrap().server;
    let now = bench.world.clock.now();
    let keep = |store: &MemoryStore| {
        run_to_end(store.keep_on_node(&node.id, &server, now)).unwrap();
        bench.world.store.all_nodes().remove(0).status
    };
    assert_eq!(keep(&bench.world.driver.store), NodeStatus::Acquiring);
    assert_eq!(keep(&bench.world.store), NodeStatus::CleanupPending);
}

#[test]
fn events_are_not_kept() {
    let mut bench = Bench::lacking(Defect::EventsUnkept);
    let node = loaded(&mut bench).node;
    let server: Server = bench.create(1).unwrap().server;
    let now = bench.world.clock.now();
    let keep = |store: &MemoryStore| {
        run_to_end(store.keep_on_node(&node.id, &server, now)).unwrap();
        bench.world.store.outbox().len()
    };
    assert_eq!(keep(&bench.world.driver.store), 0);
    bench.world.store.put_node(node.clone());
    assert_eq!(keep(&bench.world.store), 1);
}

#[test]
fn an_older_or_a_foreign_server_looks_like_the_open_attempts() {
    for (defect, with_our_labels, taken) in [
        (Defect::NoNonceCheck, true, true),
        (Defect::NoNonceCheck, false, false),
        (Defect::AdoptByNameOnly, true, true),
        (Defect::AdoptByNameOnly, false, true),
        (Defect::NoFence, true, false),
    ] {
        let mut bench = Bench::lacking(defect);
        let node = loaded(&mut bench).node;
        let labels = if with_our_labels {
            ownership::labels(DEPLOYMENT, &node.id, "00000000000000000000000000000000")
        } else {
            Default::default()
        };
        bench.world.provider.take_name_as(&node.server_name, labels);
        let found = bench.found(&node.server_name).unwrap();
        let key = run_to_end(bench.world.secrets.deployment_key()).unwrap();
        let judged = ownership::judge(&key, DEPLOYMENT, &node.id, node.attempts, &found.labels);
        assert_eq!(judged == Ownership::Current, taken, "{defect:?} {with_our_labels}");
    }
}

#[test]
fn a_create_is_sent_again_under_another_name() {
    let bench = Bench::lacking(Defect::BlindPostRetry);
    bench.world.provider.fault(CreateFault::AnswerLost);
    bench.create(1).unwrap();
    let books = bench.world.provider.books();
    assert_eq!((books.creates_sent, books.most_alive_per_node), (2, 2), "doubled, and noted");
    assert_eq!(books.most_alive_per_name, 1);
    let sound = Bench::new();
    sound.world.provider.fault(CreateFault::AnswerLost);
    assert_eq!(class(&sound.create(1)), Some(FailureClass::Unknown));
    assert_eq!(sound.world.provider.books().most_alive_per_node, 1);
}

#[test]
fn servers_are_made_without_labels() {
    let bench = Bench::lacking(Defect::NoLabels);
    bench.create(1).unwrap();
    assert!(bench.world.provider.books().servers[0].labels.is_empty());
}

#[test]
fn what_is_there_counts_as_gone() {
    for (defect, hidden) in [(Defect::BareNotFoundIsGone, true), (Defect::GoneUnconfirmed, false)] {
        let bench = Bench::lacking(defect);
        let id = bench.running(1);
        bench.world.provider.hide_marker(hidden);
        assert_eq!(bench.remains(id, &[]).unwrap(), Remains::Nothing, "{defect:?}");
        let sound = run_to_end(bench.world.provider.remains(&bench.on, id, &[])).unwrap();
        assert_ne!(sound, Remains::Nothing, "{defect:?}");
    }
}

#[test]
fn a_task_lives_on_that_is_told_as_stopped() {
    let mut bench = Bench::lacking(Defect::SecondRunBeforeStop);
    let loaded = loaded(&mut bench);
    let run = Run {
        stop_requested: false,
        ..Run::tombstone(loaded.job.id.clone(), 1, &loaded.node, bench.world.clock.now())
    };
    let runner = &bench.world.driver.runner;
    run_to_end(runner.start(&run)).unwrap();
    run_to_end(runner.stop(&run)).unwrap();
    assert!(matches!(run_to_end(runner.look(&run)).unwrap(), TaskState::Stopped { .. }));
    assert_eq!(bench.world.runner.running().len(), 1);
}
