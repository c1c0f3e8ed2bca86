//! Tokens: dead, replaced, read-only, malformed; and what a check finds out.

use nodeyard_domain::{connection::RateBudget, observation::FailureClass};

use super::*;

const PROBE: &str = "GET /ssh_keys?per_page=1";
const BY_FINGERPRINT: &str = "GET /ssh_keys?fingerprint=26%3Af8%3Ab3%3A61%3A29%3Aa2%3A59%3A6b%3A36%3A4f%3Aa8%3A43%3Ad2%3A48%3A44%3Afd";

fn dead() -> Reply {
    error(401, "unauthorized")
}

fn tokens_sent(world: &World) -> Vec<String> {
    let requests = world.listener.requests();
    let tokens = requests.iter().filter_map(|request| request.header("authorization"));
    tokens.map(|text| text.trim_start_matches("Bearer ").to_owned()).collect()
}

#[tokio::test]
async fn a_read_is_repeated_once_with_the_fresh_token() {
    let server = Reply::Json(200, json!({"server": server_json(9)}));
    let script = vec![("GET /servers/9", dead()), ("GET /servers/9", server)];
    let world = world_with(Scenario::Calls(script), Vault::with(OLD, NEW)).await;
    assert_eq!(found(world.provider.server(&world.connection, 9).await).server.id, 9);
    assert_eq!(tokens_sent(&world), [OLD, NEW]);
    assert_eq!(*world.vault.fresh_reads.lock().unwrap(), 1);
}

#[tokio::test]
async fn a_token_is_dead_when_the_fresh_one_is_refused_too() {
    let world = calls(vec![("GET /servers/9", dead()), ("GET /servers/9", dead())]).await;
    let failure = world.provider.server(&world.connection, 9).await.unwrap_err();
    assert_eq!(failure.class, FailureClass::Unauthorized);
    world.listener.requests();
}

#[tokio::test]
async fn a_write_is_never_sent_again_after_a_401() {
    for (stored, probe, class, code) in [
        // The secret was rotated meanwhile: the job sends another create soon.
        (NEW, page("ssh_keys", json!([])), FailureClass::Busy, "token_replaced"),
        (NEW, dead(), FailureClass::Unauthorized, "unauthorized"),
        (OLD, dead(), FailureClass::Unauthorized, "unauthorized"),
        // It reads and may not write, whatever the code says.
        (OLD, page("ssh_keys", json!([])), FailureClass::ReadOnly, "unauthorized"),
        // No verdict on a token without an answer.
        (OLD, error(503, "unavailable"), FailureClass::Busy, "unauthorized"),
        (OLD, Reply::Drop, FailureClass::Busy, "unauthorized"),
        (OLD, error(429, "rate_limit_exceeded"), FailureClass::RateLimited, "rate_limit_exceeded"),
    ] {
        let script = vec![("POST /servers", dead()), (PROBE, probe)];
        let world = world_with(Scenario::Calls(script), Vault::with(OLD, stored)).await;
        let answer = world.provider.create_server(&world.connection, &create_body()).await;
        let failure = answer.unwrap_err();
        assert_eq!((failure.class, failure.code.as_str()), (class, code));
        assert_eq!(tokens_sent(&world), [OLD, stored]);
    }
}

#[tokio::test]
async fn a_read_only_token_is_told_by_its_code_and_not_taken_for_a_dead_one() {
    let world = calls(vec![("POST /servers", error(401, "token_readonly"))]).await;
    let answer = world.provider.create_server(&world.connection, &create_body()).await;
    assert_eq!(answer.unwrap_err().class, FailureClass::ReadOnly);
    assert_eq!(*world.vault.fresh_reads.lock().unwrap(), 0);
    world.listener.requests();
}

#[tokio::test]
async fn a_token_that_cannot_be_a_header_is_never_sent() {
    for token in ["", "has space", "line\r\nX-Evil: 1", "t\u{f6}ken"] {
        let world = world_with(Scenario::NoCall, Vault::with(token, token)).await;
        let failure = world.provider.server(&world.connection, 9).await.unwrap_err();
        assert_eq!(failure.class, FailureClass::Unauthorized);
        assert_eq!(failure.code, "token_malformed");
        let checked = world
            .provider
            .check_token(&SecretString::from(token), "k", PUBLIC_KEY, None)
            .await
            .unwrap_err();
        assert_eq!(checked.class, FailureClass::Unauthorized);
        world.listener.requests();
    }
}

/// No call was made, so nothing is unknown either.
#[tokio::test]
async fn without_a_token_there_is_no_call() {
    for (is_down, class) in [(false, FailureClass::Unauthorized), (true, FailureClass::Busy)] {
        let vault = Vault { cached: None, stored: None, is_down, fresh_reads: Mutex::new(0) };
        let world = world_with(Scenario::NoCall, Arc::new(vault)).await;
        let answer = world.provider.create_server(&world.connection, &create_body()).await;
        assert_eq!(answer.unwrap_err().class, class);
        world.listener.requests();
    }
}

#[tokio::test]
async fn a_secret_that_is_gone_after_a_401_is_a_dead_token() {
    let vault =
        Vault { cached: Some(OLD), stored: None, is_down: false, fresh_reads: Mutex::new(0) };
    let world = world_with(Scenario::Calls(vec![("POST /servers", dead())]), Arc::new(vault)).await;
    let answer = world.provider.create_server(&world.connection, &create_body()).await;
    let failure = answer.unwrap_err();
    assert_eq!(
        (failure.class, failure.code.as_str()),
        (FailureClass::Unauthorized, "token_missing")
    );
    world.listener.requests();
}

async fn check(
    script: Vec<(&'static str, Reply)>,
    known: Option<&ManagedKey>,
) -> (World, Result<TokenReport>) {
    let world = calls(script).await;
    let token = SecretString::from(OLD);
    let report = world.provider.check_token(&token, "nodeyard-main", PUBLIC_KEY, known).await;
    world.listener.requests();
    (world, report)
}

#[tokio::test]
async fn a_first_token_proves_itself_by_creating_the_key() {
    let script = vec![
        (BY_FINGERPRINT, page("ssh_keys", json!([]))),
        ("POST /ssh_keys", Reply::Json(201, json!({"ssh_key": {"id": 80}}))),
    ];
    let (world, report) = check(script, None).await;
    let key = ManagedKey { version: 1, provider_id: 80, ..managed_key() };
    let budget = RateBudget { limit: 3600, remaining: 3598 };
    let expected = TokenReport {
        permission: Permission::ReadWrite,
        rate_budget: Some(budget),
        key: Some(key),
        sees_marker: false,
    };
    assert_eq!(report, Ok(expected));
    assert_eq!(world.listener.requests()[1].json()["name"], "nodeyard-main");
}

#[tokio::test]
async fn a_key_that_is_there_is_written_with_what_it_has() {
    let script = vec![
        (BY_FINGERPRINT, page("ssh_keys", json!([key_json(80)]))),
        ("PUT /ssh_keys/80", Reply::Json(200, json!({"ssh_key": key_json(80)}))),
    ];
    let (world, report) = check(script, None).await;
    let report = report.unwrap();
    assert_eq!(report.permission, Permission::ReadWrite);
    assert_eq!(report.key.unwrap().provider_id, 80);
    let sent = world.listener.requests()[1].json();
    assert_eq!(sent, json!({"name": "ours", "labels": {"team": "x"}}));
}

#[tokio::test]
async fn a_known_key_is_the_marker_and_the_proof() {
    let marker = Reply::Json(200, json!({"ssh_key": key_json(77)}));
    let script = vec![
        ("GET /ssh_keys/77", marker),
        ("PUT /ssh_keys/77", Reply::Json(200, json!({"ssh_key": key_json(77)}))),
    ];
    let (_, report) = check(script, Some(&managed_key())).await;
    let report = report.unwrap();
    assert!(report.sees_marker);
    assert_eq!((report.permission, report.key), (Permission::ReadWrite, Some(managed_key())));
}

/// In another project the key would be litter: nothing is created there.
#[tokio::test]
async fn a_token_of_another_project_sees_no_marker_and_writes_nothing() {
    let script = vec![
        ("GET /ssh_keys/77", error(404, "not_found")),
        (BY_FINGERPRINT, page("ssh_keys", json!([]))),
    ];
    let (_, report) = check(script, Some(&managed_key())).await;
    let report = report.unwrap();
    assert!(!report.sees_marker);
    assert_eq!((report.permission, report.key), (Permission::Unknown, None));
}

#[tokio::test]
async fn only_the_providers_own_word_makes_a_token_read_only() {
    for (reply, permission) in [
        (error(401, "token_readonly"), Permission::ReadOnly),
        (error(403, "forbidden"), Permission::ReadOnly),
        (dead(), Permission::Unknown),
        (error(403, "resource_limit_exceeded"), Permission::Unknown),
        (error(500, "server_error"), Permission::Unknown),
        (Reply::Drop, Permission::Unknown),
        (Reply::Text(201, "created"), Permission::Unknown),
    ] {
        let script = vec![(BY_FINGERPRINT, page("ssh_keys", json!([]))), ("POST /ssh_keys", reply)];
        let (_, report) = check(script, None).await;
        let report = report.unwrap();
        assert_eq!((report.permission, report.key), (permission, None));
    }
}

#[tokio::test]
async fn a_taken_key_name_does_not_keep_a_token_out() {
    let script = vec![
        (BY_FINGERPRINT, page("ssh_keys", json!([]))),
        ("POST /ssh_keys", error(409, "uniqueness_error")),
        (BY_FINGERPRINT, page("ssh_keys", json!([]))),
        ("POST /ssh_keys", Reply::Json(201, json!({"ssh_key": {"id": 81}}))),
    ];
    let (world, report) = check(script, None).await;
    assert_eq!(report.unwrap().key.unwrap().provider_id, 81);
    assert_eq!(world.listener.requests()[3].json()["name"], "nodeyard-main-26f8b361");
}

#[tokio::test]
async fn a_dead_token_is_an_error_and_so_is_no_answer() {
    let (_, report) = check(vec![(BY_FINGERPRINT, dead())], None).await;
    assert_eq!(report.unwrap_err().class, FailureClass::Unauthorized);
    let (_, report) = check(vec![("GET /ssh_keys/77", dead())], Some(&managed_key())).await;
    assert_eq!(report.unwrap_err().class, FailureClass::Unauthorized);
    let (_, report) = check(vec![(BY_FINGERPRINT, error(503, "unavailable"))], None).await;
    assert_eq!(report.unwrap_err().class, FailureClass::Unknown);
}

#[tokio::test]
async fn a_line_that_is_no_public_key_is_no_call() {
    let world = world(Scenario::NoCall).await;
    let report = world.provider.check_token(&SecretString::from(OLD), "k", "ssh-rsa x", None).await;
    assert_eq!(report.unwrap_err().code, "invalid_key");
    world.listener.requests();
}
