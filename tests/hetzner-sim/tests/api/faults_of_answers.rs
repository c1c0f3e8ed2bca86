//! Faults of what comes back: failed actions, stuck servers, answers that
//! say what nobody expects.

use serde_json::{Value, json};

use crate::bench::{Bench, draft};

fn on_create(fault: Value) -> Value {
    json!({"match": {"method": "POST", "path": "/servers"}, "fault": fault})
}

#[tokio::test]
async fn an_action_can_fail_after_the_201() {
    let bench = Bench::new().await;
    bench.arm(on_create(json!({
        "kind": "action_fails", "code": "unknown_error", "message": "no luck",
    })));
    let created = bench.post("/servers", &draft("web-1")).await;
    assert_eq!(created.status, 201);
    assert_eq!(created.body["action"]["status"], "running");
    bench.pass(60);
    for action in [&created.body["action"], &created.body["next_actions"][0]] {
        let ended = bench.get(&format!("/actions/{}", action["id"])).await;
        assert_eq!(ended.body["action"]["status"], "error");
        let error = json!({"code": "unknown_error", "message": "no luck"});
        assert_eq!(ended.body["action"]["error"], error);
    }
    let id = created.body["server"]["id"].as_u64().unwrap();
    assert_eq!(bench.status(id).await, "off");
    assert_eq!(bench.delete(&format!("/servers/{id}")).await.status, 200);
    bench.pass(60);
    assert_eq!(bench.counts().live_servers, 0);
}

#[tokio::test]
async fn a_deletion_can_fail() {
    let bench = Bench::new().await;
    let id = bench.running("web-1").await;
    bench.arm(json!({
        "match": {"method": "DELETE", "path": "/servers/*"},
        "fault": {"kind": "action_fails"},
    }));
    let path = format!("/servers/{id}");
    let action = bench.delete(&path).await.body["action"]["id"].clone();
    bench.pass(60);
    let ended = bench.get(&format!("/actions/{action}")).await;
    assert_eq!(ended.body["action"]["error"]["code"], "action_failed");
    assert_eq!(bench.get(&path).await.body["server"]["locked"], false);
    assert_eq!(bench.delete(&path).await.status, 200);
}

#[tokio::test]
async fn a_server_can_hang_in_initializing() {
    let bench = Bench::new().await;
    bench.arm(on_create(json!({"kind": "server_stuck"})));
    let created = bench.post("/servers", &draft("web-1")).await;
    let id = created.body["server"]["id"].as_u64().unwrap();
    let action = format!("/actions/{}", created.body["action"]["id"]);
    bench.pass(100_000);
    assert_eq!(bench.status(id).await, "initializing");
    assert_eq!(bench.get(&action).await.body["action"]["status"], "running");
    let power = bench.post(&format!("/servers/{id}/actions/poweron"), &json!({})).await;
    assert_eq!(power.code(), "conflict");
    assert_eq!(bench.delete(&format!("/servers/{id}")).await.status, 200);
    bench.pass(60);
    assert_eq!(bench.status(id).await, "gone");
    assert_eq!(bench.get(&action).await.body["action"]["status"], "error");
}

#[tokio::test]
async fn enumerated_values_can_be_unheard_of() {
    let bench = Bench::new().await;
    bench.arm(on_create(json!({"kind": "unknown_enum"})));
    let bent = bench.unchecked("main", "POST", "/servers", Some(&draft("web-1"))).await;
    let server = &bent.body["server"];
    assert_eq!(bent.status, 201);
    for pointer in ["/status", "/image/type", "/image/os_flavor", "/server_type/cpu_type"] {
        assert_eq!(server.pointer(pointer).unwrap(), "unheard_of", "{pointer}");
    }
    assert_eq!(server["name"], "web-1");
    assert_eq!(bent.body["action"]["status"], "unheard_of");
    bench.arm(json!({"fault": {
        "kind": "unknown_enum", "pointers": ["/servers/*/status"], "value": "resting",
    }}));
    let list = bench.unchecked("main", "GET", "/servers", None).await;
    assert_eq!(list.body["servers"][0]["status"], "resting");
    assert_eq!(list.body["servers"][0]["image"]["type"], "system");
    assert_eq!(bench.get("/servers").await.body["servers"][0]["status"], "initializing");
}

#[tokio::test]
async fn fields_can_be_missing_or_different() {
    let bench = Bench::new().await;
    bench.arm(on_create(json!({
        "kind": "remove_fields",
        "pointers": ["/server/image", "/server/server_type/prices/*/location"],
    })));
    bench.arm(on_create(json!({
        "kind": "set_fields", "fields": {"/server/primary_disk_size": 80.5},
    })));
    let bent = bench.unchecked("main", "POST", "/servers", Some(&draft("web-1"))).await;
    let server = &bent.body["server"];
    assert!(server.get("image").is_none());
    assert!(server["server_type"]["prices"][0].get("location").is_none());
    assert_eq!(server["primary_disk_size"], 80.5);
    assert!(server["id"].is_u64());
}

#[tokio::test]
async fn a_201_can_be_unreadable() {
    let bench = Bench::new().await;
    bench.arm(on_create(json!({"kind": "unreadable"})));
    let body = Some(draft("web-1").to_string());
    let (status, _, text) = bench.raw(Some("main-secret"), "POST", "/servers", body).await.unwrap();
    assert_eq!(status, 201);
    assert!(serde_json::from_str::<Value>(&text).is_err());
    assert_eq!(bench.counts().live_servers, 1);
}
