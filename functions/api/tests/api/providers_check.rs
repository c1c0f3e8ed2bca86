use nodeyard_domain::{
    orphan::{Resource, ResourceKind},
    ownership::LABEL_DEPLOYMENT,
    token::Scope,
};
use serde_json::json;

use crate::support::World;

pub fn server(id: u64, deployment: &str) -> Resource {
    Resource {
        kind: ResourceKind::Server,
        id,
        name: "web".into(),
        labels: [(LABEL_DEPLOYMENT.to_owned(), deployment.to_owned())].into(),
        servers: 0,
        server: None,
    }
}

async fn check(world: &World) -> crate::support::answer::Answer {
    world.request("POST", "/providers/main/check").send().await
}

#[tokio::test]
async fn says_how_the_connection_is_now() {
    let world = World::connected().await;
    world.clock.advance(jiff::SignedDuration::from_secs(60));
    let answer = check(&world).await;
    assert_eq!((answer.status, &answer.json["status"]), (200, &json!("connected")));
    assert_eq!(answer.json["checked_at"], "2027-01-15T08:01:00Z");

    world.cloud.revoke("rw:p1");
    let answer = check(&world).await;
    assert_eq!(answer.json["status"], "disconnected");
    assert_eq!(answer.json["reason"], "unauthorized");
    assert_eq!(world.get("/providers/main").await.json, answer.json);
}

#[tokio::test]
async fn a_marker_that_is_gone_degrades_the_connection() {
    let world = World::connected().await;
    world.cloud.forget_keys();
    let answer = check(&world).await;
    assert_eq!(answer.json["status"], "degraded");
    assert_eq!(answer.json["reason"], "marker_missing");
}

#[tokio::test]
async fn an_admin_confirms_the_project_and_the_marker_is_made_again() {
    let world = World::connected().await;
    world.cloud.forget_keys();
    assert_eq!(check(&world).await.json["reason"], "marker_missing");
    world.put_token("ny_operator", &[Scope::Operate], None).await;
    let confirm =
        || world.request("POST", "/providers/main/check").json(json!({"confirm_project": true}));
    let refused = world.refused(confirm().token("ny_operator")).await;
    assert_eq!((refused.status, refused.code()), (403, "forbidden"));
    assert!(world.cloud.key_names().is_empty());
    let answer = confirm().send().await;
    assert_eq!((answer.status, &answer.json["status"]), (200, &json!("connected")));
    assert_eq!(world.cloud.key_names(), ["nodeyard-test-main-1"]);
    assert_eq!(check(&world).await.json["status"], "connected", "the new key is the marker");
    // Nothing is confirmed for a token that is refused.
    world.cloud.forget_keys();
    world.cloud.revoke("rw:p1");
    assert_eq!(confirm().send().await.json["reason"], "unauthorized");
}

#[tokio::test]
async fn a_server_on_record_proves_the_project_without_a_word() {
    let world = World::connected().await;
    let node = world.ready_node(json!({})).await;
    world.cloud.forget_keys();
    world.cloud.put(server(node.server.unwrap().id, "test"));
    let answer = check(&world).await;
    assert_eq!((answer.status, &answer.json["status"]), (200, &json!("connected")));
    assert_eq!(world.cloud.key_names(), ["nodeyard-test-main-1"]);
}

#[tokio::test]
async fn an_outage_says_nothing_about_the_connection() {
    let world = World::connected().await;
    world.cloud.set_down(true);
    let answer = world.refused(world.request("POST", "/providers/main/check")).await;
    assert_eq!((answer.status, answer.code()), (503, "provider_unavailable"));
}

#[tokio::test]
async fn takes_no_fields_and_needs_the_scope() {
    let world = World::connected().await;
    let request = world.request("POST", "/providers/main/check").json(json!({"deep": true}));
    assert_eq!(world.refused(request).await.code(), "unknown_field");
    world.put_token("ny_reader", &[Scope::Read], None).await;
    let request = world.request("POST", "/providers/main/check").token("ny_reader");
    assert_eq!(world.refused(request).await.code(), "forbidden");
    let request = world.request("POST", "/providers/none/check");
    assert_eq!(world.refused(request).await.code(), "provider_not_found");
}
