//! What every route refuses in the same way, and what a problem looks like.

use nodeyard_domain::token::Scope;
use serde_json::json;

use crate::support::{ADMIN, World};

#[tokio::test]
async fn callers_have_to_be_known() {
    let world = World::connected().await;
    let send = |path: &str| world.request("GET", path).anonymous();
    let answer = world.refused(send("/nodes")).await;
    insta::assert_snapshot!(answer.shown());
    for header in ["", "Bearer", "Bearer ", "Basic abc", "Bearer wrong", "wrong"] {
        let answer = world.refused(send("/nodes").header("Authorization", header)).await;
        assert_eq!((answer.status, answer.code()), (401, "invalid_token"), "{header}");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
    }
    let long = format!("Bearer {}", "x".repeat(5_000));
    assert_eq!(world.refused(send("/jobs").header("Authorization", &long)).await.status, 401);
    let lower = format!("bearer {ADMIN}");
    assert_eq!(send("/nodes").header("Authorization", &lower).send().await.status, 200);
}

/// A stranger learns nothing about bodies, ids or queries: the token comes first.
#[tokio::test]
async fn the_token_is_looked_at_first() {
    let world = World::connected().await;
    for (method, path) in [
        ("GET", "/providers"),
        ("PUT", "/providers/new"),
        ("GET", "/providers/main"),
        ("GET", "/providers/main/catalog"),
        ("POST", "/providers/main/check"),
        ("DELETE", "/providers/main"),
        ("POST", "/nodes?x=1"),
        ("GET", "/nodes?x=1"),
        ("GET", "/nodes/7"),
        ("PATCH", "/nodes/7"),
        ("DELETE", "/nodes/7"),
        ("POST", "/nodes/7/configure"),
        ("GET", "/jobs?x=1"),
        ("GET", "/jobs/7"),
        ("GET", "/jobs/7/timeline"),
        ("GET", "/jobs/7/log"),
        ("POST", "/jobs/7/cancel"),
        ("GET", "/audit?x=1"),
        ("GET", "/tokens"),
        ("POST", "/tokens"),
        ("DELETE", "/tokens/7"),
    ] {
        let request = world.request(method, path).token("wrong").raw("text/plain", "{");
        let answer = world.refused(request).await;
        assert_eq!((answer.status, answer.code()), (401, "invalid_token"), "{method} {path}");
    }
}

#[tokio::test]
async fn unknown_routes_and_methods_are_problems() {
    let world = World::connected().await;
    for path in ["/", "/nope", "/nodes/", "/nodes/x/y", "/v1/nodes", "//nodes"] {
        let answer = world.refused(world.request("GET", path)).await;
        assert_eq!((answer.status, answer.code()), (404, "not_found"), "{path}");
    }
    let answer = world.refused(world.request("PUT", "/nodes").json(json!({}))).await;
    insta::assert_snapshot!(answer.shown());
    for (method, path) in [
        ("DELETE", "/nodes"),
        ("POST", "/providers"),
        ("PATCH", "/jobs/7"),
        ("POST", "/health"),
        ("TRACE", "/tokens"),
        ("DELETE", "/openapi.json"),
    ] {
        let answer = world.refused(world.request(method, path)).await;
        assert_eq!((answer.status, answer.code()), (405, "method_not_allowed"), "{path}");
        assert!(answer.header("allow").is_some(), "{method} {path}");
    }
}

#[tokio::test]
async fn bodies_are_bounded_and_json() {
    let world = World::connected().await;
    let paths = [("POST", "/nodes"), ("PUT", "/providers/new"), ("POST", "/tokens")];
    for (method, path) in paths {
        let send = |kind: &str, body: &str| world.request(method, path).raw(kind, body.to_owned());
        let large = format!("{{\"name\": \"{}\"}}", "a".repeat(64 * 1024));
        for (kind, body, expected) in [
            ("application/json", "{\"name\": ", (400, "invalid_json")),
            ("application/json", "", (400, "invalid_json")),
            ("application/json", "{} {}", (400, "invalid_json")),
            ("application/json", "\u{feff}{}", (400, "invalid_json")),
            ("text/plain", "{}", (415, "unsupported_media_type")),
            ("application/x-www-form-urlencoded", "name=a", (415, "unsupported_media_type")),
            ("application/json", large.as_str(), (413, "body_too_large")),
        ] {
            let answer = world.refused(send(kind, body)).await;
            assert_eq!((answer.status, answer.code()), expected, "{path} {kind}");
        }
        let lying = send("application/json", "{}").header("content-length", "99999999");
        assert_eq!(world.refused(lying).await.code(), "body_too_large");
    }
    let deep = format!("{}{}", "[".repeat(500), "]".repeat(500));
    let request = world.request("POST", "/nodes").raw("application/json", deep);
    assert_eq!(world.refused(request).await.code(), "invalid_json");
    let request = world.request("POST", "/nodes").raw("Application/JSON; charset=utf-8", "{}");
    assert_eq!(request.send().await.status, 202);
}

#[tokio::test]
async fn a_scope_that_is_missing_is_named() {
    let world = World::connected().await;
    world.put_token("ny_reader", &[Scope::Read], None).await;
    let request = world.request("POST", "/nodes").json(json!({})).token("ny_reader");
    insta::assert_snapshot!(world.refused(request).await.shown());
}

#[tokio::test]
async fn without_randomness_nothing_is_accepted() {
    let world = World::with(&[], None).with_admin().await;
    world.connect("main", "rw:p1").await;
    let answer = world.request("POST", "/nodes").json(json!({"name": "a"})).send().await;
    assert_eq!((answer.status, answer.code()), (500, "internal_error"));
    assert!(world.store.all_jobs().is_empty() && world.queue.messages().is_empty());
}

#[tokio::test]
async fn trace_parents_that_are_malformed_are_dropped() {
    let world = World::connected().await;
    for text in
        ["nonsense", "00-zz-zz-01", "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"]
    {
        let request = world.request("POST", "/nodes").header("traceparent", text).json(json!({}));
        let answer = request.send().await;
        assert_eq!(answer.status, 202);
        let loaded = world.load(answer.json["job"]["id"].as_str().unwrap()).await;
        assert_eq!(loaded.job.traceparent, None, "{text}");
    }
}
