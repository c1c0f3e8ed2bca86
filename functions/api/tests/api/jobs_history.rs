//! `GET /jobs/{id}/timeline` and `/log`.

use nodeyard_domain::timeline::{Source, TimelineEntry};
use nodeyard_engine::store::RunStore;
use serde_json::json;

use crate::support::{World, start};

#[tokio::test]
async fn the_timeline_is_paged_in_order() {
    let world = World::connected().await;
    let (_, job) = world.node(json!({})).await;
    let entry = |source, text: &str| TimelineEntry::new(start(), source, text);
    let entries = [
        entry(Source::Worker, "server created").with("server_id", 42),
        entry(Source::Run, "nginx : install"),
    ];
    world.store.append_timeline(&job.id, &entries).await.unwrap();
    let path = format!("/jobs/{}/timeline", job.id);
    insta::assert_snapshot!(world.get(&path).await.shown());
    let page = world.get(&format!("{path}?limit=1")).await;
    let next = world.get(page.json["next"].as_str().unwrap()).await;
    assert_eq!(next.json["items"][0]["message"], "nginx : install");
    assert_eq!(world.refused(world.request("GET", &format!("{path}?from=1"))).await.status, 400);
}

#[tokio::test]
async fn the_log_comes_in_pieces() {
    let world = World::connected().await;
    let (_, job) = world.node(json!({})).await;
    for (sequence, text) in [(2, "second\n"), (1, "first\n")] {
        world.store.append_log(&job.id, 1, sequence, text).await.unwrap();
    }
    let answer = world.get(&format!("/jobs/{}/log", job.id)).await;
    assert_eq!(answer.json, json!({"items": [{"text": "first\n"}, {"text": "second\n"}]}));
}

#[tokio::test]
async fn a_page_of_the_log_fits_into_a_functions_answer_whatever_it_holds() {
    let world = World::connected().await;
    let (_, job) = world.node(json!({})).await;
    let piece = "\u{1}".repeat(64 * 1024);
    for sequence in 0..30 {
        world.store.append_log(&job.id, 1, sequence, &piece).await.unwrap();
    }
    let mut next = Some(format!("/jobs/{}/log?limit=100", job.id));
    let mut pieces = 0;
    while let Some(path) = next {
        let page = world.get(&path).await.json;
        assert!(page.to_string().len() < 6_000_000, "{}", page.to_string().len());
        pieces += page["items"].as_array().unwrap().len();
        next = page["next"].as_str().map(str::to_owned);
    }
    assert_eq!(pieces, 30);
}

#[tokio::test]
async fn evidence_comes_as_one_bundle_that_can_be_verified() {
    use nodeyard_domain::{
        evidence::{
            Seen,
            verify::{Verdict, verify},
        },
        observation::Outcome,
        step::Decision,
    };
    use nodeyard_engine::{
        secrets::Secrets as _,
        store::{Commit, JobStore as _},
    };
    use nodeyard_testkit::signer;

    let world = World::connected().await;
    let (_, job) = world.node(json!({})).await;
    let path = format!("/jobs/{}/evidence", job.id);
    let before = world.get(&path).await;
    assert_eq!((before.status, &before.json["unsigned"]), (200, &json!(true)));
    assert_eq!(before.json["head"]["count"], 0);

    let loaded = world.load(job.id.as_str()).await;
    let mut ended = loaded.job.clone();
    (ended.state, ended.step) =
        (nodeyard_domain::job::JobState::Failed, nodeyard_domain::job::Step::Done);
    (ended.intent, ended.due_at, ended.finished_at) = (None, None, Some(start()));
    let mut decision = Decision {
        job: ended,
        node: nodeyard_domain::node::NodeChange::default(),
        entries: Vec::new(),
        evidence: Vec::new(),
    };
    let seen = Seen { effect: None, outcome: &Outcome::Poisoned, calls: &[], left: None };
    decision.give_evidence(&loaded.job, &loaded.node, seen);
    assert_eq!(world.store.commit(&loaded, &decision).await.unwrap(), Commit::Done);
    let head = decision.job.evidence.unwrap().head().hash.clone();
    let signature = world.secrets.sign_evidence(&head, start()).await.unwrap();
    assert!(world.store.put_signature(&job.id, &signature).await.unwrap());

    let answer = world.get(&path).await;
    let (_, key) = signer::public_key();
    assert_eq!(verify(&answer.json, Some(&key)), Verdict::Authenticated, "{}", answer.text);
    assert_eq!(answer.json["claims"][0]["step"], "end_job");
    let absent = format!("/jobs/job-{:032x}/evidence", 77);
    assert_eq!(world.get(&absent).await.status, 404);
}
