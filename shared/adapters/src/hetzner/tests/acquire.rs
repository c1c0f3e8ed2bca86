//! Creating a server, its actions, and what is seen of the rate budget.

use nodeyard_domain::{observation::FailureClass, pace::SeenRate};

use super::*;

async fn create(reply: Reply) -> (World, Result<CreatedServer>) {
    let world = calls(vec![("POST /servers", reply)]).await;
    let created = world.provider.create_server(&world.connection, &create_body()).await;
    (world, created)
}

#[tokio::test]
async fn a_create_sends_what_was_asked_and_keeps_the_ids() {
    let answer = json!({"server": server_json(5_000_000_001), "action": {"id": 6_000_000_000_u64}});
    let (world, created) = create(Reply::Json(201, answer)).await;
    let created = created.unwrap();
    assert_eq!(created.action_id, Some(6_000_000_000));
    assert_eq!((created.server.id, created.server.attempt), (5_000_000_001, 3));
    assert_eq!(created.server.name, "web-000000000001");
    assert_eq!(created.server.primary_ips, [11, 12]);
    let request = &world.listener.requests()[0];
    let expected = json!({
        "name": "web-000000000001", "server_type": "cx23", "location": "fsn1",
        "image": "debian-13", "ssh_keys": ["5000000000"], "user_data": create_body().user_data,
        "labels": {"a": "1", "b": "1", "c": "1"},
    });
    assert_eq!(request.json(), expected);
    assert_eq!(request.header("authorization"), Some("Bearer token-before"));
    let agent = concat!("nodeyard/", env!("CARGO_PKG_VERSION"));
    assert_eq!(request.header("user-agent"), Some(agent));
    assert_eq!(request.header("content-type"), Some("application/json"));
}

#[tokio::test]
async fn a_create_into_a_group_names_it() {
    let answer = Reply::Json(201, json!({"server": server_json(9)}));
    let world = calls(vec![("POST /servers", answer)]).await;
    let body = CreateServer { placement_group: Some(31), ..create_body() };
    world.provider.create_server(&world.connection, &body).await.unwrap();
    assert_eq!(world.listener.requests()[0].json()["placement_group"], 31);
    let body = CreateServer { placement_group: Some(u64::MAX), ..create_body() };
    let refused = world.provider.create_server(&world.connection, &body).await.unwrap_err();
    assert_eq!(refused.class, FailureClass::Invalid, "no such id exists");
    world.listener.requests();
}

/// A create that is sent again must be the same create, byte for byte.
#[test]
fn the_same_create_has_the_same_bytes() {
    let first = request::create_server(&create_body()).unwrap();
    for _ in 0..32 {
        assert_eq!(request::create_server(&create_body()).unwrap(), first);
    }
}

#[tokio::test]
async fn a_lost_answer_is_unknown_and_never_sent_again() {
    for (reply, code) in [
        (Reply::Drop, "connection"),
        (Reply::CutShort, "connection"),
        (Reply::Silence, "timeout"),
        (Reply::Text(201, "{\"server\": {\"id\""), "unreadable"),
        (Reply::Json(201, json!({"server": {"name": "x"}})), "unreadable"),
        (Reply::Text(502, "<html>"), "unreadable"),
        (Reply::Text(302, ""), "unreadable"),
        (Reply::Text(404, "<html>"), "unreadable"),
        (error(502, "bad_gateway"), "bad_gateway"),
        (error(504, "timeout"), "timeout"),
        (error(500, "server_error"), "server_error"),
        (error(503, "a_new_code"), "a_new_code"),
    ] {
        let (world, created) = create(reply).await;
        let failure = created.unwrap_err();
        assert_eq!((failure.class, failure.code.as_str()), (FailureClass::Unknown, code));
        assert_eq!(world.listener.requests().len(), 1);
    }
}

#[tokio::test]
async fn refusals_of_a_create_are_told_apart() {
    let location = json!({"error": {"code": "invalid_input", "message": "unsupported location",
        "details": {"fields": [{"name": "location", "messages": ["x"]}]}}});
    let unknown = |field: &str| {
        json!({"error": {"code": "invalid_input", "message": "not found",
            "details": {"fields": [{"name": field, "messages": ["not found"]}]}}})
    };
    let words = json!({"error": {"code": "invalid_input", "details": null,
        "message": "unsupported location for server type"}});
    for (reply, class) in [
        (Reply::Json(422, words), FailureClass::NoCapacity),
        (Reply::Json(422, unknown("ssh_keys")), FailureClass::NotFound),
        (Reply::Json(422, unknown("placement_group")), FailureClass::NotFound),
        (error(422, "placement_group_member_limit_reached"), FailureClass::NoCapacity),
        (gone(), FailureClass::NotFound),
        (error(409, "uniqueness_error"), FailureClass::NameTaken),
        (error(412, "resource_unavailable"), FailureClass::NoCapacity),
        (error(422, "placement_error"), FailureClass::NoCapacity),
        (Reply::Json(422, location), FailureClass::NoCapacity),
        (error(422, "invalid_input"), FailureClass::Invalid),
        (error(403, "resource_limit_exceeded"), FailureClass::Quota),
        (error(403, "maintenance"), FailureClass::Unknown),
        (error(423, "locked"), FailureClass::Busy),
        (error(410, "deprecated_api_endpoint"), FailureClass::Drift),
        (error(422, "a_new_code"), FailureClass::Invalid),
        (error(409, "a_new_code"), FailureClass::Busy),
    ] {
        let (world, created) = create(reply).await;
        let failure = created.unwrap_err();
        assert_eq!(failure.class, class, "{}", failure.code);
        assert_eq!(failure.correlation_id.as_deref(), Some("corr-1"));
        assert_eq!(world.listener.requests().len(), 1);
    }
}

#[tokio::test]
async fn a_quota_names_its_limit() {
    let refusal = json!({"error": {"code": "resource_limit_exceeded", "message": "no more",
        "details": {"limits": [{"name": "server_limit"}]}}});
    let (_, created) = create(Reply::Json(403, refusal)).await;
    assert_eq!(created.unwrap_err().message, "no more (limits: server_limit)");
}

#[tokio::test]
async fn a_429_pauses_for_the_calls_needed_and_not_until_the_full_refill() {
    for reply in [error(429, "rate_limit_exceeded"), Reply::Text(429, "slow down")] {
        let (_, created) = create(reply).await;
        let failure = created.unwrap_err();
        assert_eq!((failure.class, failure.pause_secs), (FailureClass::RateLimited, Some(2)));
    }
}

#[tokio::test]
async fn actions_go_twenty_five_to_a_call() {
    let ids: Vec<u64> = (1..=26).collect();
    let first: &'static str = "GET /actions?id=1&id=2&id=3&id=4&id=5&id=6&id=7&id=8&id=9&id=10&id=11&id=12&id=13&id=14&id=15&id=16&id=17&id=18&id=19&id=20&id=21&id=22&id=23&id=24&id=25";
    let actions = json!([
        {"id": 1, "status": "running", "started": "2026-01-01T00:00:00+00:00", "finished": null},
        {"id": 2, "status": "success"},
        {"id": 3, "status": "error", "error": {"code": "unknown_error", "message": "no"}},
        {"id": 4, "status": "a_new_word"}, {"id": 5, "status": "error"}, {"id": 99, "status": "success"},
    ]);
    let world = calls(vec![
        (first, Reply::Json(200, json!({"actions": actions}))),
        ("GET /actions?id=26", error(404, "not_found")),
    ])
    .await;
    let states = world.provider.actions(&world.connection, &ids).await.unwrap();
    let failed = |message: &str| ActionState::Failed {
        code: "unknown_error".into(),
        message: message.into(),
    };
    let expected = BTreeMap::from([
        (1, ActionState::Running),
        (2, ActionState::Succeeded { took_secs: None }),
        (3, failed("no")),
        (4, ActionState::Running),
        (5, failed("")),
    ]);
    assert_eq!(states, expected);
    world.listener.requests();
}

#[tokio::test]
async fn no_actions_are_no_call() {
    let world = world(Scenario::NoCall).await;
    assert_eq!(world.provider.actions(&world.connection, &[]).await, Ok(BTreeMap::new()));
    world.listener.requests();
}

#[tokio::test]
async fn an_action_says_how_long_it_took_when_its_times_can_be_read() {
    let took = async |started: Value, finished: Value| {
        let action =
            json!({"id": 1, "status": "success", "started": started, "finished": finished});
        let reply = Reply::Json(200, json!({"actions": [action]}));
        let world = calls(vec![("GET /actions?id=1", reply)]).await;
        match world.provider.actions(&world.connection, &[1]).await.unwrap().remove(&1) {
            Some(ActionState::Succeeded { took_secs }) => took_secs,
            other => panic!("{other:?}"),
        }
    };
    let start = json!("2026-01-01T00:00:00+00:00");
    assert_eq!(took(start.clone(), json!("2026-01-01T00:00:12+00:00")).await, Some(12));
    assert_eq!(took(start.clone(), json!("2026-01-01T01:00:12.2+01:00")).await, Some(13));
    assert_eq!(took(start.clone(), start.clone()).await, Some(0));
    for finished in [json!("2025-12-31T23:59:59Z"), json!("soon"), json!(12), Value::Null] {
        assert_eq!(took(start.clone(), finished.clone()).await, None, "{finished}");
    }
}

#[tokio::test]
async fn the_last_answer_of_any_kind_tells_the_rate() {
    let world = calls(vec![
        ("DELETE /servers/9", Reply::Json(200, json!({}))),
        ("DELETE /servers/9", error(429, "rate_limit_exceeded")),
        ("DELETE /servers/9", error(500, "server_error")),
        ("DELETE /servers/9", Reply::Drop),
    ])
    .await;
    let name = &world.connection.name;
    assert_eq!(world.provider.seen_rate(name), None, "nothing was asked yet");
    let at = SEEN_AT.parse().unwrap();
    for remaining in [3599, 3598, 3597, 3597] {
        let _ = world.provider.delete_server(&world.connection, 9).await;
        let seen = SeenRate { limit: 3600, remaining, at };
        assert_eq!(world.provider.seen_rate(name), Some(seen));
    }
    assert_eq!(world.provider.seen_rate(&"other".parse().unwrap()), None, "each has its own");
    world.listener.requests();
}
