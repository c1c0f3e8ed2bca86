use crate::support::World;

#[tokio::test]
async fn needs_no_token() {
    let world = World::fresh();
    let answer = world.request("GET", "/health").anonymous().send().await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json["status"], "ok");
    assert_eq!(answer.json["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(answer.json["deployment"], "test");
    assert!(answer.header("x-request-id").is_some());
}
