//! Evidence of whole lives in the simulated world: it fits, it is signed, it is the same for the
//! same scenario, and whatever is altered in it is found.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use nodeyard_domain::{
    evidence::{
        bundle::Bundle,
        verify::{Place, Verdict, verify},
    },
    id::JobId,
    job::{JobKind, JobState},
};
use nodeyard_engine::evidence::Unsigned;
use nodeyard_engine::store::JobStore as _;
use nodeyard_testkit::{
    faults::{Fault, Faults},
    signer,
    world::{Setup, World},
};
use serde_json::{Value, json};

fn bundle(world: &World, job: &JobId) -> Bundle {
    Bundle::new(job, world.store.evidence_now(job)).unwrap()
}

fn json_of(bundle: &Bundle) -> Value {
    serde_json::to_value(bundle).unwrap()
}

/// Until every job has ended and its evidence is signed, whatever fails on the way.
async fn settle(world: &World) {
    for _ in 0..200 {
        let _ = world.run_for(60).await;
        if world.open_jobs().is_empty() && world.store.unsigned_now().is_empty() {
            return;
        }
        world.clock.advance(jiff::SignedDuration::from_secs(60));
        let _ = world.sweep().await;
    }
    panic!("the world does not come to rest");
}

/// A node's whole life, with a job of each kind.
async fn life(seed: u64, faults: Faults) -> (World, [JobId; 5]) {
    let mut world = World::build(Setup { seed, faults, ..Setup::default() }).await;
    // Another time, another run time, another place in the cloud's books.
    world.clock.advance(jiff::SignedDuration::from_secs(seed as i64 * 7919));
    world.run_secs = 40 + (seed % 7) as i64;
    let (provision, node) = world.provision(|_| {}).await;
    settle(&world).await;
    let configure = world.work(JobKind::NodeConfigure, &node).await.unwrap();
    settle(&world).await;
    let check = world.work(JobKind::NodeCheck, &node).await.unwrap();
    settle(&world).await;
    let smoke = world.work(JobKind::NodeSmoke, &node).await.unwrap();
    settle(&world).await;
    let release = world.work(JobKind::NodeRelease, &node).await.unwrap();
    settle(&world).await;
    (world, [provision, configure, check, smoke, release])
}

/// What passes: nothing of it may show in a digest.
const PASSING: &[Fault] = &[
    Fault::SendFails,
    Fault::SendLost,
    Fault::SendDoubled,
    Fault::SendDelayed,
    Fault::CreateAnswerLost,
    Fault::CreateUnreadable,
    Fault::CreateBadGateway,
    Fault::CallAnswerLost,
    Fault::CallDropped,
    Fault::ServerError,
    Fault::StartAnswerLost,
    Fault::LookUnanswered,
    Fault::SecretsUnavailable,
    Fault::CommitUnavailable,
    Fault::WriteUnavailable,
];

#[tokio::test]
async fn two_lives_of_one_scenario_have_one_digest() {
    let (_, key) = signer::public_key();
    let (world, jobs) = life(1, Faults::none()).await;
    let digests = jobs.each_ref().map(|job| bundle(&world, job).digest);
    for (index, digest) in digests.iter().enumerate() {
        assert!(!digests[..index].contains(digest), "another kind of job");
    }
    let mut troubles = 0;
    for seed in 2..14 {
        let faults = Faults::seeded(seed);
        PASSING.iter().for_each(|fault| faults.set(*fault, 60));
        faults.once(Fault::TaskKilled);
        let (other, others) = life(seed, faults.clone()).await;
        for (index, job) in others.iter().enumerate() {
            assert_eq!(other.state(job), JobState::Succeeded, "seed {seed}");
            let found = bundle(&other, job);
            assert_eq!(found.digest, digests[index], "seed {seed}: {:#?}", found.claims);
            assert_ne!(found.head, bundle(&world, &jobs[index]).head, "it is another life");
            assert_eq!(verify(&json_of(&found), Some(&key)), Verdict::Authenticated);
        }
        troubles += faults.counts().values().sum::<u64>();
    }
    assert!(troubles > 60, "only {troubles} faults");
}

#[tokio::test]
async fn another_outcome_has_another_digest() {
    let (world, jobs) = life(1, Faults::none()).await;
    let good = bundle(&world, &jobs[0]).digest;
    let mut failed = Vec::new();
    for seed in [5, 6] {
        let faults = Faults::seeded(seed);
        faults.set(Fault::RunFails, 1000);
        let mut world = World::build(Setup { seed, faults, ..Setup::default() }).await;
        let (job, _) = world.provision(|_| {}).await;
        settle(&world).await;
        assert_eq!(world.state(&job), JobState::Failed);
        failed.push(bundle(&world, &job).digest);
    }
    assert_eq!(failed[0], failed[1], "it fails the same way twice");
    assert_ne!(failed[0], good);
}

#[tokio::test]
async fn what_is_altered_in_a_job_s_evidence_is_found() {
    let (world, jobs) = life(3, Faults::none()).await;
    let (_, key) = signer::public_key();
    let whole = json_of(&bundle(&world, &jobs[0]));
    assert_eq!(verify(&whole, Some(&key)), Verdict::Authenticated);
    let mut seen = std::collections::BTreeSet::new();
    for list in ["/entries", "/runs/0/entries"] {
        let count = whole.pointer(list).unwrap().as_array().unwrap().len();
        for index in 0..count {
            let mut altered = whole.clone();
            let entry = altered.pointer_mut(&format!("{list}/{index}")).unwrap();
            seen.insert(entry["fact"].as_str().unwrap().to_owned());
            entry["at"] = json!("2026-01-01T00:00:00.000000001Z");
            let verdict = verify(&altered, Some(&key));
            let is_chain = matches!(verdict, Verdict::Broken { place: Place::Chain, .. });
            assert!(is_chain, "{list}/{index}: {verdict}");
        }
    }
    for kind in ["began", "called", "decided", "run_taken", "probed", "claimed", "run_began"] {
        assert!(seen.contains(kind), "no {kind} in {seen:?}");
    }
    let alter = |pointer: &str, value: Value| {
        let mut altered = whole.clone();
        *altered.pointer_mut(pointer).unwrap() = value;
        match verify(&altered, Some(&key)) {
            Verdict::Broken { place, .. } => place,
            other => panic!("{pointer}: {other}"),
        }
    };
    assert_eq!(alter("/digest", whole["head"]["hash"].clone()), Place::Digest);
    assert_eq!(alter("/claims/0/verdict", json!("failed")), Place::Digest);
    assert_eq!(alter("/signature/signature", json!("AAAA")), Place::Signature);
    assert_eq!(alter("/signature/public_key", json!("AAAA")), Place::Signature);
}

#[tokio::test]
async fn calls_have_the_provider_s_correlation_ids() {
    let (world, jobs) = life(1, Faults::none()).await;
    let entries = bundle(&world, &jobs[0]).entries;
    let calls: Vec<&Value> = entries.iter().filter(|entry| entry["fact"] == "called").collect();
    assert!((3..=6).contains(&calls.len()), "{} calls", calls.len());
    assert!(calls.iter().all(|call| call["correlation_id"].is_string()));
    assert!(calls.iter().any(|call| call["request"] == "CreateServer"), "{calls:?}");
}

#[tokio::test]
async fn what_the_worker_could_not_sign_the_sweep_signs() {
    let faults = Faults::none();
    let mut world =
        World::build(Setup { seed: 4, faults: faults.clone(), ..Setup::default() }).await;
    let (job, node) = world.provision(|_| {}).await;
    settle(&world).await;
    let configure = world.work(JobKind::NodeConfigure, &node).await.unwrap();
    while world.runner.running().is_empty() {
        world.run_for(1).await.unwrap();
    }
    faults.set(Fault::SecretsUnavailable, 1000);
    let _ = world.run_for(400).await;
    assert_eq!(world.state(&configure), JobState::Succeeded);
    assert_eq!(world.store.unsigned_now(), std::slice::from_ref(&configure));
    let unsigned = bundle(&world, &configure);
    assert!(unsigned.unsigned);
    let told = verify(&json_of(&unsigned), None).to_string();
    assert_eq!(told, "consistent, not authenticated: the bundle is unsigned");
    faults.clear();
    world.clock.advance(jiff::SignedDuration::from_secs(60));
    world.sweep().await.unwrap();
    let (_, key) = signer::public_key();
    let signed = bundle(&world, &configure);
    assert_eq!(verify(&json_of(&signed), Some(&key)), Verdict::Authenticated);
    assert_eq!(
        world.store.unsigned(nodeyard_engine::Clock::now(&world.clock), 9).await.unwrap(),
        Vec::<Unsigned>::new()
    );
    assert!(!bundle(&world, &job).unsigned);
}
