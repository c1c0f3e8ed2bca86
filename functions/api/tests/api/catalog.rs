use nodeyard_domain::token::Scope;

use crate::support::World;

#[tokio::test]
async fn shows_what_is_for_sale() {
    let world = World::connected().await;
    insta::assert_snapshot!(world.get("/providers/main/catalog").await.shown());
}

#[tokio::test]
async fn stock_is_read_again_after_ten_seconds() {
    let world = World::connected().await;
    for (advance, calls) in [(0, 1), (5, 1), (6, 2)] {
        world.clock.advance(jiff::SignedDuration::from_secs(advance));
        world.get("/providers/main/catalog").await;
        assert_eq!(world.cloud.catalogue_calls(), calls);
    }
}

#[tokio::test]
async fn a_refused_stored_token_and_an_outage_are_told_apart() {
    let world = World::connected().await;
    world.cloud.revoke("rw:p1");
    let answer = world.refused(world.request("GET", "/providers/main/catalog")).await;
    assert_eq!((answer.status, answer.code()), (409, "provider_not_connected"));
    world.cloud.set_down(true);
    let answer = world.refused(world.request("GET", "/providers/main/catalog")).await;
    assert_eq!((answer.status, answer.code()), (503, "provider_unavailable"));
    assert_eq!(answer.header("retry-after"), Some("5"));
}

#[tokio::test]
async fn an_invisible_connection_has_no_catalogue() {
    let world = World::connected().await;
    world.put_token("ny_other", &[Scope::Admin], Some(&["other"])).await;
    let request = world.request("GET", "/providers/main/catalog").token("ny_other");
    assert_eq!(world.refused(request).await.code(), "provider_not_found");
}
