use nodeyard_domain::{
    audit::{Action, Outcome, Resource, ResourceKind},
    evidence::{
        RotationSeen,
        verify::{Verdict, verify},
    },
    job::JobState,
    rotation::{Listed, ListedReason, RotationOutcome, step::RotationDecision},
    token::Scope,
};
use nodeyard_engine::{
    Clock as _,
    rotation::RotationStore as _,
    store::{ApiStore as _, Commit, JobStore as _},
};
use serde_json::json;

use crate::support::{World, answer::Answer};

const PATH: &str = "/providers/main/rotate-key";

async fn rotate(world: &World) -> Answer {
    world.request("POST", PATH).send().await
}

fn id(answer: &Answer) -> String {
    answer.json["job"]["id"].as_str().unwrap().to_owned()
}

/// Commits what a worker would have decided.
async fn commit(world: &World, job: &str, change: impl FnOnce(&mut RotationDecision)) {
    let loaded = world.store.load_rotation(&job.parse().unwrap()).await.unwrap().unwrap();
    let mut rotation = loaded.rotation.clone();
    rotation.news_at = None;
    let mut decision = RotationDecision {
        rotation,
        connection: None,
        entries: Vec::new(),
        done: Vec::new(),
        listed: Vec::new(),
        evidence: Vec::new(),
    };
    change(&mut decision);
    assert_eq!(world.store.commit_rotation(&loaded, &decision).await.unwrap(), Commit::Done);
}

async fn end(world: &World, job: &str, state: JobState) {
    let mut connection = world.store.connection(&"main".parse().unwrap()).await.unwrap().unwrap();
    connection.rotation = None;
    let now = world.clock.now();
    commit(world, job, |decision| {
        (decision.rotation.state, decision.rotation.finished_at) = (state, Some(now));
        (decision.rotation.intent, decision.rotation.due_at) = (None, None);
        decision.connection = Some(connection);
    })
    .await;
}

#[tokio::test]
async fn accepts_a_rotation_that_can_be_followed() {
    let world = World::connected().await;
    let answer = rotate(&world).await;
    assert_eq!(answer.status, 202, "{}", answer.text);
    let job = id(&answer);
    assert_eq!(answer.header("location"), Some(format!("/jobs/{job}").as_str()));
    let told = &answer.json["job"];
    assert_eq!((&told["kind"], &told["state"]), (&json!("key_rotation"), &json!("queued")));
    assert_eq!((&told["step"], &told["node_id"]), (&json!("make_key"), &json!(null)));
    assert_eq!(told["rotation"]["key_version"], 2);
    assert_eq!(world.get("/providers/main").await.json["rotation"], job.as_str());
    assert_eq!(world.get(&format!("/jobs/{job}")).await.json, *told);
    assert_eq!(world.queue.messages().len(), 1, "one wake");
    let entry = world.store.audit().pop().unwrap();
    assert_eq!((entry.action, entry.outcome), (Action::ProviderRotateKey, Outcome::Accepted));
    assert_eq!(entry.resource, Resource::named(ResourceKind::Connection, "main"));

    commit(&world, &job, |decision| {
        let node_id = nodeyard_domain::id::NodeId::from_bits(9);
        decision.rotation.listed.push(Listed { node_id, reason: ListedReason::Off });
        (decision.rotation.done, decision.rotation.listed_total) = (4, 1);
    })
    .await;
    let later = world.get(&format!("/jobs/{job}")).await;
    assert_eq!((later.status, later.header("etag")), (200, Some("\"2\"")));
    let rotation = &later.json["rotation"];
    assert_eq!((&rotation["done"], &rotation["listed"][0]["reason"]), (&json!(4), &json!("off")));
    assert_eq!(world.get(&format!("/jobs/{job}/timeline")).await.status, 200);
}

#[tokio::test]
async fn a_rotation_has_evidence() {
    let world = World::connected().await;
    let job = id(&rotate(&world).await);
    let evidence = format!("/jobs/{job}/evidence");
    let answer = world.get(&evidence).await;
    assert_eq!((answer.status, &answer.json["entries"]), (200, &json!([])));
    assert_eq!(world.get(&format!("/jobs/{job}")).await.json["links"]["evidence"], evidence);
    let before = world.store.load_rotation(&job.parse().unwrap()).await.unwrap().unwrap().rotation;
    commit(&world, &job, |decision| {
        decision.rotation.public_key = Some("ssh-ed25519 of old".into());
        let outcome = RotationOutcome::KeyMade { public_key: "ssh-ed25519 of old".into() };
        let seen = RotationSeen { effect: None, outcome: &outcome, calls: &[], connection: None };
        decision.give_evidence(&before, seen);
    })
    .await;
    let answer = world.get(&evidence).await;
    let facts: Vec<_> = answer.json["entries"].as_array().unwrap().iter().collect();
    assert_eq!(facts.len(), 3, "{}", answer.text);
    assert_eq!(facts[0]["fact"], "rotation_began");
    assert_eq!((&answer.json["unsigned"], &answer.json["job"]), (&json!(true), &json!(job)));
    let verdict = verify(&answer.json, None);
    assert!(matches!(verdict, Verdict::NotAuthenticated { .. }), "{verdict}");
}

#[tokio::test]
async fn there_is_one_at_a_time() {
    let world = World::connected().await;
    let first = id(&rotate(&world).await);
    let answer = world.refused(world.request("POST", PATH)).await;
    assert_eq!((answer.status, answer.code()), (409, "rotation_open"));
    assert!(answer.json["guidance"].as_str().unwrap().contains(&first));
    let answer = world.refused(world.request("DELETE", "/providers/main")).await;
    assert_eq!((answer.status, answer.code()), (409, "connection_in_use"));
    end(&world, &first, JobState::Succeeded).await;
    assert_eq!(rotate(&world).await.status, 202);
}

#[tokio::test]
async fn the_same_key_gives_the_same_rotation() {
    let world = World::connected().await;
    let send = || world.request("POST", PATH).header("Idempotency-Key", "k");
    let first = send().send().await;
    let again = send().json(json!({})).send().await;
    assert_eq!((first.status, again.status), (202, 202));
    assert_eq!(id(&first), id(&again));
    end(&world, &id(&first), JobState::Succeeded).await;
    let late = send().send().await;
    assert_eq!((id(&late), &late.json["job"]["state"]), (id(&first), &json!("succeeded")));
    assert_ne!(id(&rotate(&world).await), id(&first), "without the key it is another one");
}

#[tokio::test]
async fn only_an_admin_of_the_connection_may_ask_for_one_or_stop_it() {
    let world = World::connected().await;
    world.put_token("ny_operator", &[Scope::Operate], None).await;
    world.put_token("ny_elsewhere", &[Scope::Admin], Some(&["other"])).await;
    let request = world.request("POST", PATH).token("ny_operator");
    assert_eq!(world.refused(request).await.code(), "forbidden");
    let request = world.request("POST", PATH).token("ny_elsewhere");
    assert_eq!(world.refused(request).await.code(), "provider_not_found");
    let request = world.request("POST", PATH).json(json!({"version": 7}));
    assert_eq!(world.refused(request).await.code(), "unknown_field");

    let job = id(&rotate(&world).await);
    let cancel = format!("/jobs/{job}/cancel");
    let request = world.request("POST", &cancel).token("ny_operator");
    assert_eq!(world.refused(request).await.code(), "forbidden");
    let request = world.request("GET", &format!("/jobs/{job}")).token("ny_elsewhere");
    assert_eq!(request.send().await.status, 404);
    let request = world.request("POST", &cancel).header("If-Match", "\"7\"");
    assert_eq!(world.refused(request).await.code(), "version_mismatch");
    let answer = world.request("POST", &cancel).send().await;
    assert_eq!((answer.status, &answer.json["job"]["id"]), (202, &json!(job)));
    let loaded = world.store.load_rotation(&job.parse().unwrap()).await.unwrap().unwrap();
    assert!(loaded.rotation.cancel_requested_at.is_some());
    end(&world, &job, JobState::Cancelled).await;
    assert_eq!(world.refused(world.request("POST", &cancel)).await.code(), "not_cancellable");
}

#[tokio::test]
async fn a_connection_that_cannot_write_is_refused_at_once() {
    let world = World::new().await;
    world.connect("main", "ro:p1").await;
    let answer = world.refused(world.request("POST", PATH)).await;
    assert_eq!((answer.status, answer.code()), (409, "provider_not_connected"));
}

#[tokio::test]
async fn no_more_versions_are_kept_than_a_run_can_offer() {
    let world = World::connected().await;
    let mut connection = world.store.connections().await.unwrap().remove(0);
    for _ in 0..2 {
        let mut key = connection.key.clone().unwrap();
        key.version += 1;
        connection.adopt_key(key, world.clock.now());
    }
    assert!(world.store.swap_connection(&connection, &[]).await.unwrap());
    let answer = world.refused(world.request("POST", PATH)).await;
    assert_eq!((answer.status, answer.code()), (409, "key_versions_in_use"));
}

#[tokio::test]
async fn a_new_token_keeps_the_versions_and_wakes_the_rotation() {
    let world = World::connected().await;
    let job = id(&rotate(&world).await);
    let wakes = world.queue.messages().len();
    assert_eq!(world.connect("main", "rw:p1").await.status, 200);
    let connection = world.store.connections().await.unwrap().remove(0);
    assert_eq!(connection.rotation.map(|id| id.to_string()), Some(job));
    assert_eq!(world.queue.messages().len(), wakes + 1);
}
