//! Spread placement groups.

use nodeyard_domain::observation::FailureClass;

use super::*;

const POST: &str = "POST /placement_groups";
const BY_NAME: &str = "GET /placement_groups?name=spread-1";

fn group(id: u64, name: &str, deployment: &str) -> Value {
    json!({"id": id, "name": name, "type": "spread", "servers": [],
        "labels": {"nodeyard/deployment": deployment}})
}

async fn create(script: Vec<(&'static str, Reply)>) -> (World, Result<u64>) {
    let world = calls(script).await;
    let created = world.provider.create_group(&world.connection, "spread-1", "main").await;
    world.listener.requests();
    (world, created)
}

#[tokio::test]
async fn a_group_is_made_with_our_label() {
    let answer = Reply::Json(201, json!({"placement_group": {"id": 31}, "action": null}));
    let (world, created) = create(vec![(POST, answer)]).await;
    assert_eq!(created, Ok(31));
    let expected = json!({
        "name": "spread-1", "type": "spread", "labels": {"nodeyard/deployment": "main"},
    });
    assert_eq!(world.listener.requests()[0].json(), expected);
}

#[tokio::test]
async fn a_name_that_is_taken_is_ours_only_with_our_label() {
    let other_name = group(30, "spread-10", "main");
    for (found, expected) in [
        (json!([other_name, group(31, "spread-1", "main")]), Ok(31)),
        (json!([group(31, "spread-1", "other")]), Err(FailureClass::NameTaken)),
        (json!([{"id": 31, "name": "spread-1"}]), Err(FailureClass::NameTaken)),
        (json!([]), Err(FailureClass::NameTaken)),
    ] {
        let taken = (POST, error(409, "uniqueness_error"));
        let (_, created) = create(vec![taken, (BY_NAME, page("placement_groups", found))]).await;
        assert_eq!(created.map_err(|failure| failure.class), expected);
    }
}

#[tokio::test]
async fn a_group_that_may_have_been_made_is_unknown_and_not_made_again() {
    for (reply, class) in [
        (Reply::Drop, FailureClass::Unknown),
        (Reply::Json(201, json!({"placement_group": {}})), FailureClass::Unknown),
        (error(403, "resource_limit_exceeded"), FailureClass::Quota),
        (error(403, "forbidden"), FailureClass::ReadOnly),
    ] {
        assert_eq!(create(vec![(POST, reply)]).await.1.unwrap_err().class, class);
    }
}
