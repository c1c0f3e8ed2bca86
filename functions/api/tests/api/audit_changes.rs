//! Every change leaves its entry, and nothing else does.

use nodeyard_domain::{
    audit::{Action, AuditEntry, Outcome, Resource, ResourceKind},
    token::Scope,
};
use nodeyard_testkit::faults::Fault;
use serde_json::{Value, json};

use crate::support::{BOOTSTRAP, World, answer::Answer};

/// What a request added to the trail.
async fn added(world: &World, method: &str, path: &str, body: Value) -> (Answer, Vec<AuditEntry>) {
    let before = world.store.audit().len();
    let answer = world.request(method, path).json(body).send().await;
    (answer, world.store.audit().split_off(before))
}

/// Holds that a request is answered so, and what it added.
async fn adds(
    world: &World,
    (method, path, body): (&str, &str, Value),
    status: u16,
    expected: &[(Action, ResourceKind, Option<&str>, Outcome)],
) -> Answer {
    let (answer, entries) = added(world, method, path, body).await;
    assert_eq!(answer.status, status, "{method} {path}: {}", answer.text);
    let found: Vec<_> = entries
        .iter()
        .map(|entry| {
            let Resource { kind, id } = &entry.resource;
            (entry.action, *kind, id.as_deref(), entry.outcome.clone())
        })
        .collect();
    assert_eq!(found, expected, "{method} {path}");
    for entry in &entries {
        assert_eq!(entry.actor, "admin");
        assert!(entry.token_id.is_some());
        assert_eq!(Some(entry.request_id.as_str()), answer.header("x-request-id"));
        assert_eq!(entry.source_address, None, "no gateway is there");
    }
    answer
}

#[tokio::test]
async fn a_rotation_and_its_end() {
    let world = World::connected().await;
    let main = Some("main");
    let entry = (Action::ProviderRotateKey, ResourceKind::Connection, main, Outcome::Accepted);
    adds(&world, ("POST", "/providers/main/rotate-key", json!({})), 202, &[entry]).await;
}

#[tokio::test]
async fn connections() {
    let world = World::new().await;
    let main = |action| [(action, ResourceKind::Connection, Some("main"), Outcome::Done)];
    let token = |text: &str| json!({"provider": "hetzner", "token": text});
    let path = "/providers/main";
    adds(&world, ("PUT", path, token("rw:p1")), 201, &main(Action::ProviderConnect)).await;
    adds(&world, ("PUT", path, token("rw:p1")), 200, &main(Action::ProviderRotate)).await;
    let check = "/providers/main/check";
    adds(&world, ("POST", check, json!({})), 200, &main(Action::ProviderCheck)).await;
    // A check that finds the token refused is a change as well.
    world.cloud.revoke("rw:p1");
    adds(&world, ("POST", check, json!({})), 200, &main(Action::ProviderCheck)).await;
    adds(&world, ("DELETE", path, json!({})), 204, &main(Action::ProviderDisconnect)).await;
}

#[tokio::test]
async fn nodes_and_jobs() {
    let world = World::connected().await;
    let accepted = |action, kind, id| (action, kind, Some(id), Outcome::Accepted);
    let (node_kind, job_kind) = (ResourceKind::Node, ResourceKind::Job);

    let (answer, entries) = added(&world, "POST", "/nodes", json!({"name": "web-1"})).await;
    let node = answer.json["node"]["id"].as_str().unwrap();
    let job = answer.json["job"]["id"].as_str().unwrap();
    assert_eq!(entries.len(), 1);
    assert_eq!(
        (entries[0].action, entries[0].resource.id.as_deref()),
        (Action::NodeCreate, Some(node))
    );
    assert_eq!(entries[0].outcome, Outcome::Accepted);

    let path = format!("/nodes/{node}");
    let labels = [(Action::NodeLabels, node_kind, Some(node), Outcome::Done)];
    adds(&world, ("PATCH", &path, json!({"labels": {"team": "shop"}})), 200, &labels).await;
    let cancel = format!("/jobs/{job}/cancel");
    let cancelled = [accepted(Action::JobCancel, job_kind, job)];
    adds(&world, ("POST", &cancel, json!({})), 202, &cancelled).await;
    adds(&world, ("POST", &cancel, json!({})), 202, &[]).await;

    let ready = world.ready_node(json!({"name": "web-2"})).await;
    let id = ready.id.as_str();
    let configure = format!("/nodes/{id}/configure");
    let configured = [accepted(Action::NodeConfigure, node_kind, id)];
    let answer = adds(&world, ("POST", &configure, json!({})), 202, &configured).await;
    // Two changes: the release waits, and the job before it is cancelled.
    let open = answer.json["job"]["id"].as_str().unwrap();
    let released =
        [accepted(Action::NodeRelease, node_kind, id), accepted(Action::JobCancel, job_kind, open)];
    adds(&world, ("DELETE", &format!("/nodes/{id}"), json!({})), 202, &released).await;

    let (young, _) = world.node(json!({"name": "web-3"})).await;
    let id = young.id.as_str();
    let released = [accepted(Action::NodeRelease, node_kind, id)];
    adds(&world, ("DELETE", &format!("/nodes/{id}"), json!({})), 202, &released).await;
}

#[tokio::test]
async fn tokens_and_orphans() {
    let world = World::new().await;
    let body = json!({"name": "ci", "scopes": ["read"]});
    let (answer, entries) = added(&world, "POST", "/tokens", body).await;
    let id = answer.json["id"].as_str().unwrap();
    assert_eq!(entries.len(), 1);
    assert_eq!(
        (entries[0].action, entries[0].resource.id.as_deref()),
        (Action::TokenCreate, Some(id))
    );
    let deleted = [(Action::TokenDelete, ResourceKind::Token, Some(id), Outcome::Done)];
    adds(&world, ("DELETE", &format!("/tokens/{id}"), json!({})), 204, &deleted).await;
    let confirmed = [(Action::OrphanConfirm, ResourceKind::Orphan, None, Outcome::Done)];
    adds(&world, ("POST", "/orphans/confirm", json!({})), 200, &confirmed).await;
}

#[tokio::test]
async fn both_uses_of_the_bootstrap_secret() {
    let world = World::fresh();
    let body = json!({"name": "first", "scopes": ["admin"]});
    let send = || world.request("POST", "/tokens").token(BOOTSTRAP).json(body.clone());
    let made = send().send().await;
    assert_eq!((made.status, send().send().await.code()), (201, "bootstrap_spent"));
    let shown: Vec<_> = world
        .store
        .audit()
        .into_iter()
        .map(|entry| (entry.actor, entry.action, entry.resource.id, entry.outcome))
        .collect();
    let by = || ("bootstrap".to_owned(), Action::BootstrapUse);
    let id = made.json["id"].as_str().map(str::to_owned);
    let refused = Outcome::Refused { code: "bootstrap_spent".into() };
    assert_eq!(shown, [(by().0, by().1, id, Outcome::Done), (by().0, by().1, None, refused)]);
}

#[tokio::test]
async fn what_changes_nothing_leaves_nothing() {
    let world = World::connected().await;
    let send = |body: Value| {
        world.request("POST", "/nodes").header("Idempotency-Key", "order-1").json(body)
    };
    let body = json!({"name": "web-1"});
    assert_eq!(send(body.clone()).send().await.status, 202);
    let before = world.store.audit();
    assert_eq!(send(body).send().await.status, 202);
    assert_eq!(world.post("/nodes?dry_run=true", json!({})).await.status, 200);
    for path in ["/providers", "/nodes", "/jobs", "/tokens", "/orphans", "/audit", "/nodes/7"] {
        world.get(path).await;
    }
    world.get("/health").await;
    assert_eq!(world.store.audit(), before);
}

/// With the transaction, or not at all.
#[tokio::test]
async fn a_change_that_fails_leaves_no_entry() {
    let world = World::connected().await;
    let before = world.store.audit();
    world.faults.set(Fault::WriteUnavailable, 1000);
    for (method, path, body) in [
        ("POST", "/nodes", json!({})),
        ("POST", "/tokens", json!({"name": "ci", "scopes": ["read"]})),
        ("POST", "/providers/main/check", json!({})),
        ("DELETE", "/providers/main", json!({})),
        ("POST", "/orphans/confirm", json!({})),
    ] {
        let answer = world.request(method, path).json(body).send().await;
        assert_eq!((answer.status, answer.code()), (503, "store_unavailable"), "{method} {path}");
    }
    assert_eq!(world.store.audit(), before);
}

/// The trail's own names are nobody's to take.
#[tokio::test]
async fn no_token_can_pass_for_another_actor() {
    let world = World::new().await;
    for name in ["anonymous", "bootstrap", "system"] {
        let body = json!({"name": name, "scopes": ["read"]});
        let answer = world.refused(world.request("POST", "/tokens").json(body)).await;
        assert_eq!((answer.status, answer.code()), (400, "invalid_body"), "{name}");
    }
    world.put_token("ny_one", &[Scope::Read], None).await;
    let (one, before) = (world.token_id("one").await, world.store.audit().len());
    world.request("POST", "/nodes").token("ny_one").json(json!({})).send().await;
    assert_eq!(world.store.audit()[before].token_id.as_ref(), Some(&one));
}
