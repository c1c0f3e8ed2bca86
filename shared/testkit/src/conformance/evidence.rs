//! Evidence: written with the commit it tells of, kept as it was written, signed once.

use nodeyard_domain::{
    evidence::{
        Chain, Entry, Fact, Seen, Signature,
        bundle::{Bundle, Stored},
        verify::{Verdict, verify},
    },
    job::{Effect, Job, JobState},
    node::NodeStatus,
    observation::Outcome,
    step::Decision,
};
use nodeyard_engine::store::{Commit, Loaded};

use super::{
    Store,
    fixture::{accept, accepted, commit, decision, ending, later, load, new_node},
};
use crate::signer;

/// A decision that gives evidence, as the driver has it.
fn told(loaded: &Loaded, mut decision: Decision) -> Decision {
    let effect = Effect::EnsureKey;
    let outcome = Outcome::KeyReady { version: 3 };
    let seen = Seen { effect: Some(&effect), outcome: &outcome, calls: &[], left: None };
    decision.give_evidence(&loaded.job, &loaded.node, seen);
    decision
}

/// Brings a job to its end, with evidence.
async fn ended<S: Store>(store: &S, loaded: &Loaded, secs: i64) -> Job {
    let going = told(loaded, decision(loaded));
    let loaded = commit(store, loaded, &going).await;
    let mut ending = ending(&loaded, NodeStatus::Ready);
    ending.job.updated_at = later(secs);
    let ending = told(&loaded, ending);
    commit(store, &loaded, &ending).await.job
}

fn bundle(job: &Job, stored: Stored) -> serde_json::Value {
    let bundle = Bundle::new(&job.id, stored).expect("a bundle");
    assert_eq!(Some(&bundle.head), job.evidence.as_ref().map(Chain::head));
    serde_json::to_value(bundle).expect("a bundle serialises")
}

fn signature(job: &Job) -> Signature {
    let head = &job.evidence.as_ref().expect("evidence").head().hash;
    signer::sign(head, later(50))
}

fn run_entries(job: &Job, run: u32, at: i64, count: i64) -> Vec<Entry> {
    let mut chain = Chain::of_run(&job.id, run);
    let fact = |number: i64| Fact::PlaybookEnded {
        playbook: format!("playbook-{number}-{}", "p".repeat(200)),
        recap: nodeyard_domain::run::Recap::default(),
    };
    (0..count).filter_map(|number| chain.append(later(at), fact(number))).collect()
}

pub(super) async fn it_is_written_with_its_commit<S: Store>(store: &S) {
    let loaded = accepted(store).await;
    assert_eq!(store.evidence(&loaded.job.id).await.expect("evidence"), Stored::default());
    let going = told(&loaded, decision(&loaded));
    assert!(going.evidence.len() >= 2, "it begins, and a decision was made");
    let after = commit(store, &loaded, &going).await;
    let stored = store.evidence(&loaded.job.id).await.expect("evidence");
    assert_eq!(stored.entries.len(), going.evidence.len());
    let verdict = verify(&bundle(&after.job, stored.clone()), None);
    assert!(matches!(verdict, Verdict::NotAuthenticated { .. }), "{verdict}");
    // Who loses the fence leaves nothing.
    let lost = store.commit(&loaded, &going).await.expect("commit");
    assert_eq!(lost, Commit::Lost);
    assert_eq!(store.evidence(&loaded.job.id).await.expect("evidence"), stored);
}

pub(super) async fn it_is_whole_and_signed_in_the_end<S: Store>(store: &S) {
    let job = ended(store, &accepted(store).await, 10).await;
    assert_eq!(job.state, JobState::Succeeded);
    let unsigned = store.unsigned(later(10), 10).await.expect("unsigned");
    assert_eq!(unsigned.len(), 1);
    assert_eq!(Some(&unsigned[0].head), job.evidence.as_ref().map(Chain::head));
    assert!(store.put_signature(&job.id, &signature(&job)).await.expect("sign"));
    let (_, key) = signer::public_key();
    let stored = store.evidence(&job.id).await.expect("evidence");
    assert_eq!(verify(&bundle(&job, stored.clone()), Some(&key)), Verdict::Authenticated);
    assert_eq!(stored.signature, Some(signature_in(&stored)));
    // Once: another one changes nothing.
    assert!(!store.put_signature(&job.id, &signature(&job)).await.expect("sign"));
    assert_eq!(store.evidence(&job.id).await.expect("evidence"), stored);
    assert_eq!(load(store, &job.id).await.job, job, "the job has ended and stays as it is");
}

fn signature_in(stored: &Stored) -> Signature {
    stored.signature.clone().expect("it is signed")
}

pub(super) async fn what_is_unsigned_comes_oldest_first<S: Store>(store: &S) {
    let mut jobs = Vec::new();
    for (bits, secs) in [(1, 30), (2, 10), (3, 20)] {
        let loaded = accept(store, &new_node(bits)).await;
        jobs.push(ended(store, &loaded, secs).await.id);
    }
    let ids = async |before, limit| -> Vec<_> {
        let found = store.unsigned(later(before), limit).await.expect("unsigned");
        found.into_iter().map(|unsigned| unsigned.job).collect()
    };
    let [first, second, third] = [&jobs[1], &jobs[2], &jobs[0]];
    assert_eq!(ids(99, 10).await, [first, second, third].map(Clone::clone));
    assert_eq!(ids(99, 2).await, [first, second].map(Clone::clone));
    assert_eq!(ids(10, 10).await, [first].map(Clone::clone), "its very time is due");
    assert_eq!(ids(9, 10).await, []);
    let signed = load(store, second).await.job;
    assert!(store.put_signature(second, &signature(&signed)).await.expect("sign"));
    assert_eq!(ids(99, 10).await, [first, third].map(Clone::clone));
    assert_eq!(store.due(later(9_999), 10).await.expect("due"), [], "no job is open");
}

pub(super) async fn a_job_that_goes_on_has_nothing_to_be_signed<S: Store>(store: &S) {
    let loaded = accepted(store).await;
    let going = told(&loaded, decision(&loaded));
    let after = commit(store, &loaded, &going).await;
    assert_eq!(store.unsigned(later(99), 10).await.expect("unsigned"), []);
    assert!(!store.put_signature(&after.job.id, &signature(&after.job)).await.expect("sign"));
    assert_eq!(store.evidence(&after.job.id).await.expect("evidence").signature, None);
}

pub(super) async fn a_run_keeps_its_own_chain<S: Store>(store: &S) {
    let job = accepted(store).await.job;
    let (first, second) = (run_entries(&job, 1, 5, 90), run_entries(&job, 2, 6, 3));
    let append = async |run, entries: &[Entry]| {
        store.append_run_evidence(&job.id, run, entries).await.expect("append")
    };
    assert!(append(1, &first[..40]).await);
    assert!(append(2, &second).await);
    assert!(append(1, &first[40..]).await);
    assert!(append(1, &[]).await);
    assert!(append(1, &first[40..]).await, "an answer that was lost");
    let another = run_entries(&job, 1, 7, 90);
    assert!(!append(1, &another[..40]).await, "another task of the same run");
    let chain = store.run_evidence(&job.id, 1).await.expect("run evidence");
    let written: Vec<_> =
        first.iter().map(|entry| serde_json::to_value(entry).expect("json")).collect();
    assert_eq!(chain, written);
    assert_eq!(
        store.run_evidence(&job.id, 9).await.expect("run evidence"),
        [] as [serde_json::Value; 0]
    );
    let stored = store.evidence(&job.id).await.expect("evidence");
    let values = |entries: &[Entry]| -> Vec<_> {
        entries.iter().map(|entry| serde_json::to_value(entry).expect("json")).collect()
    };
    assert_eq!(stored.entries, Vec::<serde_json::Value>::new());
    assert_eq!(stored.runs.get(&1), Some(&values(&first)), "in order, and as it was");
    assert_eq!(stored.runs.get(&2), Some(&values(&second)));
}
