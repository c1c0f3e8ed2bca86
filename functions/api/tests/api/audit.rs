//! `GET /audit`: the trail as an admin reads it.

use jiff::SignedDuration;
use nodeyard_domain::{
    audit::{Action, AuditEntry, Outcome, Resource},
    token::Scope,
};
use nodeyard_engine::{Clock as _, store::ApiStore as _};
use serde_json::{Value, json};

use crate::support::{World, answer::Answer};

fn items(answer: &Answer) -> &[Value] {
    answer.json["items"].as_array().unwrap()
}

fn actions(answer: &Answer) -> Vec<&str> {
    items(answer).iter().map(|entry| entry["action"].as_str().unwrap()).collect()
}

/// A world in which some things happened, a second apart.
async fn eventful() -> World {
    let world = World::new().await;
    let tick = || world.clock.advance(SignedDuration::from_secs(1));
    tick();
    world.connect("main", "rw:p1").await;
    tick();
    let (node, job) = world.node(json!({"name": "web-1"})).await;
    tick();
    world.put_token("ny_operator", &[Scope::Operate], None).await;
    tick();
    let cancel = world.request("POST", &format!("/jobs/{}/cancel", job.id));
    assert_eq!(cancel.token("ny_operator").send().await.status, 202);
    tick();
    world.request("DELETE", &format!("/nodes/{}", node.id)).token("wrong").send().await;
    tick();
    world.request("GET", "/tokens").token("ny_operator").send().await;
    world
}

#[tokio::test]
async fn shows_what_was_done_and_refused_the_newest_first() {
    let world = eventful().await;
    let answer = world.get("/audit").await;
    insta::assert_snapshot!(answer.shown());
}

#[tokio::test]
async fn is_paged_and_a_page_moves_for_nothing_that_comes_meanwhile() {
    let world = eventful().await;
    let whole = world.get("/audit").await;
    assert_eq!(whole.json.get("next"), None);
    let (mut next, mut seen) = (Some("/audit?limit=2".to_owned()), Vec::new());
    while let Some(path) = next {
        let page = world.get(&path).await;
        assert_eq!(page.status, 200, "{}", page.text);
        assert!(items(&page).len() <= 2);
        seen.extend(items(&page).to_vec());
        next = page.json["next"].as_str().map(str::to_owned);
        // Refused looks and changes are entries as well.
        world.request("GET", "/audit").token("ny_operator").send().await;
    }
    assert_eq!(seen, items(&whole));
    assert_eq!(world.get("/audit").await.json["items"][0]["action"], "audit.read");
}

#[tokio::test]
async fn is_filtered_by_actor_action_and_resource() {
    let world = eventful().await;
    let whole = world.get("/audit").await;
    let node = items(&whole)
        .iter()
        .find(|entry| entry["action"] == "node.create")
        .and_then(|entry| entry["resource"]["id"].as_str())
        .unwrap();
    for (query, expected) in [
        ("actor=admin".to_owned(), vec!["node.create", "provider.connect"]),
        ("actor=operator".into(), vec!["token.read", "job.cancel"]),
        ("actor=anonymous".into(), vec!["node.release"]),
        ("actor=nobody".into(), vec![]),
        ("action=job.cancel".into(), vec!["job.cancel"]),
        ("action=orphan.confirm".into(), vec![]),
        ("resource=node".into(), vec!["node.release", "node.create"]),
        ("resource=connection".into(), vec!["provider.connect"]),
        ("resource=connection:main".into(), vec!["provider.connect"]),
        ("resource=main".into(), vec!["provider.connect"]),
        ("resource=node:main".into(), vec![]),
        (format!("resource={node}"), vec!["node.release", "node.create"]),
        (format!("resource=node:{node}&actor=admin"), vec!["node.create"]),
        (format!("resource={node}&actor=admin&action=node.release"), vec![]),
    ] {
        let answer = world.get(&format!("/audit?{query}")).await;
        assert_eq!(actions(&answer), expected, "{query}");
    }
    let first = world.get("/audit?actor=admin&limit=1").await;
    let next = first.json["next"].as_str().unwrap();
    assert!(next.contains("actor=admin") && next.contains("limit=1"), "{next}");
    assert_eq!(actions(&world.get(next).await), ["provider.connect"]);
}

#[tokio::test]
async fn bad_queries_have_stable_codes() {
    let world = World::new().await;
    for (query, code) in [
        ("action=node.paint", "invalid_query"),
        ("action=unknown", "invalid_query"),
        ("action=", "invalid_query"),
        ("resource=brush:1", "invalid_query"),
        ("limit=0", "invalid_query"),
        ("limit=101", "invalid_query"),
        ("since=yesterday", "invalid_query"),
        ("cursor=nonsense", "invalid_cursor"),
    ] {
        let answer = world.refused(world.request("GET", &format!("/audit?{query}"))).await;
        assert_eq!((answer.status, answer.code()), (400, code), "{query}");
    }
    let none = world.get("/audit?actor=%3Cscript%3E&resource=%00").await;
    assert_eq!((none.status, items(&none).len()), (200, 0), "nothing is of that name");
}

#[tokio::test]
async fn only_unrestricted_admins_read_it_and_others_are_in_it() {
    let world = World::new().await;
    world.put_token("ny_reader", &[Scope::Read], None).await;
    world.put_token("ny_operator", &[Scope::Operate], None).await;
    world.put_token("ny_some", &[Scope::Admin], Some(&["main"])).await;
    for token in ["ny_reader", "ny_operator", "ny_some"] {
        let answer = world.refused(world.request("GET", "/audit").token(token)).await;
        assert_eq!((answer.status, answer.code()), (403, "forbidden"), "{token}");
        let audit = world.store.audit();
        let entry = audit.last().unwrap();
        assert_eq!(entry.actor, token.trim_start_matches("ny_"));
        assert_eq!(entry.action, Action::AuditRead);
        assert_eq!(entry.outcome, Outcome::Refused { code: "forbidden".into() });
    }
    let before = world.store.audit().len();
    assert_eq!(world.get("/audit").await.status, 200);
    assert_eq!(world.store.audit().len(), before, "a look that was allowed leaves none");
}

#[tokio::test]
async fn nothing_but_reading_is_offered() {
    let world = World::new().await;
    for method in ["POST", "PUT", "PATCH", "DELETE"] {
        let answer = world.refused(world.request(method, "/audit").json(json!({}))).await;
        assert_eq!((answer.status, answer.code()), (405, "method_not_allowed"), "{method}");
        let answer = world.refused(world.request(method, "/audit/1").json(json!({}))).await;
        assert_eq!((answer.status, answer.code()), (404, "not_found"), "{method}");
    }
}

/// As the sweep and a later release write them.
#[tokio::test]
async fn entries_of_others_are_shown_as_they_are() {
    let world = World::new().await;
    let (node, now) = (nodeyard_domain::id::NodeId::from_bits(7), world.clock.now());
    let system = AuditEntry::of_system(
        now + SignedDuration::from_secs(1),
        Action::NodeRelease,
        Resource::from(&node),
        Outcome::Accepted,
    );
    let later = AuditEntry {
        at: now + SignedDuration::from_secs(2),
        action: Action::Unknown,
        resource: Resource::default(),
        outcome: Outcome::Unknown,
        ..system.clone()
    };
    for entry in [&system, &later] {
        world.store.append_audit(entry).await.unwrap();
    }
    let answer = world.get("/audit?actor=system&limit=2").await;
    let shown: Vec<_> = items(&answer).iter().map(|entry| entry["result"].clone()).collect();
    assert_eq!(shown, ["unknown", "accepted"]);
    assert_eq!(actions(&answer), ["unknown", "node.release"]);
}
