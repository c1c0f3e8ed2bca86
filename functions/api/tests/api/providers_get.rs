use nodeyard_domain::token::Scope;

use crate::support::World;

#[tokio::test]
async fn with_nothing_connected_there_is_guidance() {
    let world = World::new().await;
    insta::assert_snapshot!(world.get("/providers").await.shown());
}

#[tokio::test]
async fn lists_connections_with_their_health() {
    let world = World::connected().await;
    insta::assert_snapshot!(world.get("/providers").await.shown());
}

#[tokio::test]
async fn shows_one_connection() {
    let world = World::connected().await;
    world.connect("spare", "ro:p2").await;
    insta::assert_snapshot!(world.get("/providers/spare").await.shown());
}

#[tokio::test]
async fn unknown_and_invisible_connections_are_the_same() {
    let world = World::connected().await;
    world.put_token("ny_other", &[Scope::Read], Some(&["other"])).await;
    let mut answers = Vec::new();
    for (path, token) in [
        ("/providers/none", "ny_admin"),
        ("/providers/Not%20A%20Name", "ny_admin"),
        ("/providers/main", "ny_other"),
    ] {
        let answer = world.refused(world.request("GET", path).token(token)).await;
        assert_eq!((answer.status, answer.code()), (404, "provider_not_found"), "{path}");
        let mut body = answer.json;
        body["request_id"] = "".into();
        answers.push(body);
    }
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]));
    let answer = world.request("GET", "/providers").token("ny_other").send().await;
    assert_eq!(answer.json["items"], serde_json::json!([]));
}
