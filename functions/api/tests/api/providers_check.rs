use nodeyard_domain::token::Scope;
use serde_json::json;

use crate::support::World;

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
