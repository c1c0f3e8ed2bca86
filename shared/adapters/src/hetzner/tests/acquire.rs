//! Keys, looking a server up, creating it, its actions.

use nodeyard_domain::observation::{FailureClass, ServerStatus};

use super::*;

const FIND: &str = "GET /servers?name=web-000000000001";
const KEY_BY_FINGERPRINT: &str = "GET /ssh_keys?fingerprint=26%3Af8%3Ab3%3A61%3A29%3Aa2%3A59%3A6b%3A36%3A4f%3Aa8%3A43%3Ad2%3A48%3A44%3Afd";

async fn find(script: Vec<(&'static str, Reply)>) -> (World, Result<Option<FoundServer>>) {
    let world = calls(script).await;
    let found = world.provider.find_server(&world.connection, "web-000000000001").await;
    world.listener.requests();
    (world, found)
}

async fn create(reply: Reply) -> (World, Result<CreatedServer>) {
    let world = calls(vec![("POST /servers", reply)]).await;
    let created = world.provider.create_server(&world.connection, &create_body()).await;
    (world, created)
}

#[tokio::test]
async fn a_key_is_found_by_fingerprint_and_reused() {
    let world = calls(vec![(KEY_BY_FINGERPRINT, page("ssh_keys", json!([key_json(77)])))]).await;
    let id = world.provider.ensure_key(&world.connection, &managed_key()).await;
    assert_eq!(id, Ok(77));
    world.listener.requests();
}

#[tokio::test]
async fn a_key_that_is_absent_is_created_under_a_name_of_its_own() {
    let other = json!([{"id": 1, "name": "x", "fingerprint": "00:00"}]);
    let world = calls(vec![
        // A filter that was not heeded shows somebody else's key.
        (KEY_BY_FINGERPRINT, page("ssh_keys", other)),
        ("POST /ssh_keys", Reply::Json(201, json!({"ssh_key": {"id": 78}}))),
    ])
    .await;
    assert_eq!(world.provider.ensure_key(&world.connection, &managed_key()).await, Ok(78));
    let requests = world.listener.requests();
    let expected = json!({"name": "nodeyard-main-v2-26f8b361", "public_key": PUBLIC_KEY});
    assert_eq!(requests[1].json(), expected);
}

#[tokio::test]
async fn a_key_made_by_another_meanwhile_means_look_again() {
    let world = calls(vec![
        (KEY_BY_FINGERPRINT, page("ssh_keys", json!([]))),
        ("POST /ssh_keys", error(409, "uniqueness_error")),
    ])
    .await;
    let failure = world.provider.ensure_key(&world.connection, &managed_key()).await.unwrap_err();
    assert_eq!(failure.class, FailureClass::NameTaken);
    world.listener.requests();
}

#[tokio::test]
async fn a_server_is_found_by_its_exact_name() {
    let mut other = server_json(1);
    other["name"] = "web".into();
    let servers = json!([other, server_json(5_000_000_001)]);
    let (_, found) = find(vec![(FIND, page("servers", servers))]).await;
    let found = found.unwrap().unwrap();
    assert_eq!(found.server.id, 5_000_000_001);
    assert_eq!(found.server.ipv4.as_deref(), Some("198.51.100.7"));
    assert_eq!(found.server.ipv6.as_deref(), Some("2001:db8:1::1"));
    assert_eq!(found.server.primary_ips, [11, 12]);
    assert_eq!(found.server.server_type.as_deref(), Some("cx23"));
    assert_eq!(found.server.location.as_deref(), Some("fsn1"));
    assert_eq!(found.status, ServerStatus::Running);
    assert_eq!(found.labels["nodeyard/nonce"], "abc");
}

#[tokio::test]
async fn a_name_is_absent_only_when_no_page_has_it() {
    let mut other = server_json(1);
    other["name"] = "web".into();
    let first = json!({"servers": [other], "meta": {"pagination": {"next_page": 2}}});
    let second = "GET /servers?name=web-000000000001&page=2";
    let script = vec![
        (FIND, Reply::Json(200, first.clone())),
        (second, page("servers", json!([server_json(9)]))),
    ];
    assert_eq!(find(script).await.1.unwrap().unwrap().server.id, 9);
    let script = vec![(FIND, Reply::Json(200, first)), (second, page("servers", json!([])))];
    assert_eq!(find(script).await.1, Ok(None));
}

#[tokio::test]
async fn an_entry_that_cannot_be_read_is_not_an_absent_server() {
    let (_, found) = find(vec![(FIND, page("servers", json!([{"id": 4}])))]).await;
    assert_eq!(found.unwrap_err().class, FailureClass::Drift);
    let (_, found) = find(vec![(FIND, Reply::Json(200, json!({"items": []})))]).await;
    assert_eq!(found.unwrap_err().class, FailureClass::Drift);
    let (_, found) = find(vec![(FIND, Reply::Text(200, "<html>"))]).await;
    let failure = found.unwrap_err();
    assert_eq!((failure.class, failure.code.as_str()), (FailureClass::Unknown, "unreadable"));
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
async fn a_provider_that_cannot_be_reached_is_unknown() {
    let World { listener, provider, connection, .. } = world(Scenario::NoCall).await;
    drop(listener);
    tokio::task::yield_now().await;
    let failure = provider.find_server(&connection, "x").await.unwrap_err();
    assert_eq!((failure.class, failure.code.as_str()), (FailureClass::Unknown, "connection"));
}

#[tokio::test]
async fn refusals_of_a_create_are_told_apart() {
    let location = json!({"error": {"code": "invalid_input", "message": "unsupported location",
        "details": {"fields": [{"name": "location", "messages": ["x"]}]}}});
    let words = json!({"error": {"code": "invalid_input", "details": null,
        "message": "unsupported location for server type"}});
    for (reply, class) in [
        (Reply::Json(422, words), FailureClass::NoCapacity),
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
        {"id": 1, "status": "running"}, {"id": 2, "status": "success"},
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
        (2, ActionState::Succeeded),
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
async fn a_server_is_fetched_and_words_we_do_not_know_stay_themselves() {
    let mut server = server_json(9);
    server["status"] = "hibernating".into();
    server["public_net"]["ipv4"] = Value::Null;
    let world = calls(vec![("GET /servers/9", Reply::Json(200, json!({"server": server})))]).await;
    let found = world.provider.server(&world.connection, 9).await.unwrap();
    assert_eq!(found.status, ServerStatus::Other("hibernating".into()));
    assert_eq!((found.server.ipv4, found.server.primary_ips), (None, vec![12]));
}
