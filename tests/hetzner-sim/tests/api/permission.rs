//! Tokens: who may see and do what, and how a refusal looks.

use hetzner_sim::{Access, TokenSpec};
use serde_json::{Value, json};

use crate::bench::{Bench, KEYS, draft};

async fn plain(bench: &Bench, secret: Option<&str>, method: &str, path: &str) -> (u16, Value) {
    let (status, _, text) = bench.raw(secret, method, path, None).await.unwrap();
    (status, serde_json::from_str(&text).unwrap())
}

#[tokio::test]
async fn unknown_paths_are_404_before_the_token_is_read() {
    let bench = Bench::new().await;
    for secret in [None, Some("wrong"), Some("main-secret")] {
        let (status, body) = plain(&bench, secret, "GET", "/moons").await;
        assert_eq!((status, &body["error"]["code"]), (404, &json!("not_found")));
        assert_eq!(body["error"]["details"], Value::Null);
    }
}

#[tokio::test]
async fn missing_and_wrong_tokens_are_told_apart() {
    let bench = Bench::new().await;
    let (status, body) = plain(&bench, None, "GET", "/servers").await;
    assert_eq!((status, &body["error"]["code"]), (401, &json!("unauthorized")));
    assert_eq!(body["error"]["message"], "token is required");
    assert!(body["error"].as_object().unwrap().contains_key("details"));
    let (status, body) = plain(&bench, Some("wrong"), "GET", "/servers").await;
    assert_eq!(status, 401);
    assert!(body["error"]["message"].as_str().unwrap().contains("invalid"));
}

#[tokio::test]
async fn a_wrong_method_is_401_without_a_token_and_405_with_one() {
    let bench = Bench::new().await;
    assert_eq!(plain(&bench, None, "DELETE", "/servers").await.0, 401);
    let (status, body) = plain(&bench, Some("main-secret"), "DELETE", "/servers").await;
    assert_eq!((status, &body["error"]["code"]), (405, &json!("method_not_allowed")));
    assert_eq!(plain(&bench, Some("main-secret"), "POST", "/locations").await.0, 405);
    assert_eq!(plain(&bench, Some("main-secret"), "PATCH", "/servers/7").await.0, 405);
}

#[tokio::test]
async fn a_token_sees_its_own_project_only() {
    let bench = Bench::new().await;
    let id = bench.running("web-1").await;
    let path = format!("/servers/{id}");
    let action = bench.get(&format!("{path}/actions")).await.body["actions"][0]["id"].clone();
    for (method, path) in [
        ("GET", path.clone()),
        ("DELETE", path.clone()),
        ("POST", format!("{path}/actions/poweroff")),
        ("GET", format!("{path}/actions")),
        ("GET", format!("/actions/{action}")),
    ] {
        let answer = bench.call_as("other", method, &path, None).await;
        assert_eq!((answer.status, answer.code()), (404, "not_found"), "{method} {path}");
    }
    let list = bench.call_as("other", "GET", "/servers", None).await;
    assert!(list.names("servers").is_empty());
    let actions = bench.call_as("other", "GET", &format!("/actions?id={action}"), None).await;
    assert_eq!(actions.body["actions"], json!([]));
    let same_name = bench.call_as("other", "POST", "/servers", Some(&draft("web-1"))).await;
    assert_eq!(same_name.status, 201);
    assert_ne!(
        same_name.body["server"]["public_net"]["ipv4"]["ip"], "198.18.0.10",
        "addresses are shared by all projects"
    );
}

#[tokio::test]
async fn a_readers_writes_are_refused_as_set() {
    let bench = Bench::new().await;
    let write = async || bench.call_as("reader", "POST", "/servers", Some(&draft("web-1"))).await;
    assert_eq!(bench.call_as("reader", "GET", "/servers", None).await.status, 200);
    let answer = write().await;
    assert_eq!((answer.status, answer.code()), (401, "token_readonly"));
    bench.set(json!({"readonly": {"status": 403}}));
    let answer = write().await;
    assert_eq!((answer.status, answer.code()), (403, "token_readonly"));
    bench.set(json!({"readonly": {"code": "forbidden"}}));
    let answer = write().await;
    assert_eq!((answer.status, answer.code()), (403, "forbidden"));
    assert_eq!(bench.counts().live_servers, 0);
}

#[tokio::test]
async fn permission_is_looked_at_first_or_later_as_set() {
    let bench = Bench::new().await;
    let id = bench.running("web-1").await;
    let codes = async || {
        let absent = bench.call_as("reader", "DELETE", "/ssh_keys/4711", None).await;
        let empty = bench.call_as("reader", "POST", "/ssh_keys", Some(&json!({}))).await;
        let key = json!({"name": "k", "public_key": KEYS[0]});
        let right = bench.call_as("reader", "POST", "/ssh_keys", Some(&key)).await;
        let server = bench.call_as("reader", "DELETE", &format!("/servers/{id}"), None).await;
        [absent, empty, right, server].map(|answer| answer.code().to_owned())
    };
    let refused = "token_readonly";
    assert_eq!(codes().await, [refused; 4]);
    bench.set(json!({"permission_check": "after_existence"}));
    assert_eq!(codes().await, ["not_found", refused, refused, refused]);
    bench.set(json!({"permission_check": "after_validation"}));
    assert_eq!(codes().await, ["not_found", "invalid_input", refused, refused]);
    assert_eq!(bench.status(id).await, "running", "nothing came of trying");
    assert_eq!(bench.get("/ssh_keys").await.body["ssh_keys"], json!([]));
}

#[tokio::test]
async fn tokens_come_go_and_change_while_it_runs() {
    let bench = Bench::new().await;
    bench.create("web-1").await;
    assert!(bench.sim.revoke_token("main"));
    assert!(!bench.sim.revoke_token("main"));
    assert_eq!(bench.call_as("main", "GET", "/servers", None).await.code(), "unauthorized");
    bench.sim.add_token(TokenSpec {
        name: "new".to_owned(),
        secret: "new-secret".to_owned(),
        access: Access::ReadWrite,
        project: "shop".to_owned(),
    });
    let list = bench.call_as("new", "GET", "/servers", None).await;
    assert_eq!(list.names("servers"), ["web-1"]);
}
