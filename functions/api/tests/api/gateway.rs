//! Events of an HTTP API (payload format 2.0) reach the same router.

use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::support::{ADMIN, World, answer::Answer};

async fn invoke(world: &World, event: Value) -> Answer {
    let request = lambda_http::request::from_str(&event.to_string()).unwrap();
    Answer::read(world.router().oneshot(request).await.unwrap()).await
}

/// The gateway has the one route `$default`, so that path parameters and route key say nothing.
fn event(method: &str, path: &str, query: &str, body: Option<&str>) -> Value {
    json!({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "headers": {
            "authorization": format!("Bearer {ADMIN}"),
            "content-type": "application/json",
            "host": "id.execute-api.eu-central-1.amazonaws.com"
        },
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "id",
            "domainName": "id.execute-api.eu-central-1.amazonaws.com",
            "domainPrefix": "id",
            "http": {
                "method": method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "192.0.2.1",
                "userAgent": "test"
            },
            "requestId": "JKJaXmPLvHcESHA=",
            "routeKey": "$default",
            "stage": "$default",
            "time": "15/Jan/2027:08:00:00 +0000",
            "timeEpoch": 1_800_000_000_000_u64
        },
        "body": body,
        "isBase64Encoded": false
    })
}

#[tokio::test]
async fn the_gateway_names_the_request() {
    let world = World::connected().await;
    let answer = invoke(&world, event("GET", "/nope", "", None)).await;
    assert_eq!((answer.status, answer.code()), (404, "not_found"));
    assert_eq!(answer.json["request_id"], "JKJaXmPLvHcESHA=");
    assert_eq!(answer.header("x-request-id"), Some("JKJaXmPLvHcESHA="));
}

#[tokio::test]
async fn paths_queries_and_bodies_arrive() {
    let world = World::connected().await;
    let body = json!({"name": "a", "labels": {"team": "shop"}}).to_string();
    let accepted = invoke(&world, event("POST", "/nodes", "", Some(&body))).await;
    assert_eq!(accepted.status, 202, "{}", accepted.text);
    let job = accepted.header("location").unwrap().to_owned();
    assert_eq!(invoke(&world, event("GET", &job, "", None)).await.json["state"], "queued");
    let query = "label=team%3Dshop&limit=1";
    let list = invoke(&world, event("GET", "/nodes", query, None)).await;
    assert_eq!(list.json["items"][0]["name"], "a", "{}", list.text);
    let audit = world.store.audit();
    assert_eq!(audit[0].request_id, "JKJaXmPLvHcESHA=");
}
