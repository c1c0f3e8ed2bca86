//! SSH keys and placement groups.

use serde_json::json;

use crate::bench::{Bench, KEYS, draft};

#[tokio::test]
async fn keys_are_unique_by_name_and_by_fingerprint() {
    let bench = Bench::new().await;
    let body = json!({"name": "one", "public_key": KEYS[0], "labels": {"a": "b"}});
    let made = bench.post("/ssh_keys", &body).await;
    assert_eq!(made.status, 201);
    let print = made.body["ssh_key"]["fingerprint"].as_str().unwrap();
    assert_eq!(print.len(), 47);

    let same_key = json!({"name": "two", "public_key": KEYS[0]});
    let clash = bench.post("/ssh_keys", &same_key).await;
    assert_eq!((clash.status, clash.code()), (409, "uniqueness_error"));
    assert_eq!(clash.body["error"]["details"]["fields"][0]["name"], "public_key");
    let same_name = json!({"name": "one", "public_key": KEYS[1]});
    let clash = bench.post("/ssh_keys", &same_name).await;
    assert_eq!(clash.body["error"]["details"]["fields"][0]["name"], "name");
    // Another project does not mind.
    let there = bench.call_as("other", "POST", "/ssh_keys", Some(&body)).await;
    assert_eq!(there.status, 201);
    assert_eq!(there.body["ssh_key"]["fingerprint"], print);
}

#[tokio::test]
async fn keys_are_found_changed_and_removed() {
    let bench = Bench::new().await;
    for (name, key) in ["a", "b", "c"].into_iter().zip(KEYS) {
        let body = json!({"name": name, "public_key": key, "labels": {"is": name}});
        assert_eq!(bench.post("/ssh_keys", &body).await.status, 201, "{key}");
    }
    assert_eq!(bench.get("/ssh_keys?name=b").await.names("ssh_keys"), ["b"]);
    assert_eq!(bench.get("/ssh_keys?label_selector=is%3Dc").await.names("ssh_keys"), ["c"]);
    assert_eq!(bench.get("/ssh_keys?sort=name:desc").await.names("ssh_keys"), ["c", "b", "a"]);
    let all = bench.get("/ssh_keys").await;
    let print = all.body["ssh_keys"][2]["fingerprint"].as_str().unwrap().to_owned();
    let found = bench.get(&format!("/ssh_keys?fingerprint={print}")).await;
    assert_eq!(found.names("ssh_keys"), ["c"]);

    let id = all.body["ssh_keys"][0]["id"].as_u64().unwrap();
    let path = format!("/ssh_keys/{id}");
    let same = bench.put(&path, &json!({"name": "a", "labels": {"is": "a"}})).await;
    assert_eq!(same.status, 200, "a change to what it already has is a write that works");
    assert_eq!(bench.put(&path, &json!({"name": "b"})).await.code(), "uniqueness_error");
    assert_eq!(bench.put(&path, &json!({"name": ""})).await.code(), "invalid_input");
    assert_eq!(bench.delete(&path).await.status, 204);
    assert_eq!(bench.get(&path).await.code(), "not_found");
    assert_eq!(bench.delete(&path).await.code(), "not_found");
}

#[tokio::test]
async fn what_is_no_key_is_refused() {
    let bench = Bench::new().await;
    for key in ["", "hello", "ssh-ed25519 AAAA", "ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAA"] {
        let answer = bench.post("/ssh_keys", &json!({"name": "x", "public_key": key})).await;
        assert_eq!((answer.status, answer.code()), (422, "invalid_input"), "{key}");
    }
    let answer = bench.post("/ssh_keys", &json!({})).await;
    assert_eq!(answer.body["error"]["details"]["fields"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_spread_group_holds_ten() {
    let bench = Bench::new().await;
    let body = json!({"name": "apart", "type": "spread", "labels": {"a": ""}});
    let made = bench.post("/placement_groups", &body).await;
    assert_eq!(made.status, 201);
    let group = made.body["placement_group"]["id"].as_u64().unwrap();
    let member = |number: u32| {
        let mut body = draft(&format!("web-{number}"));
        body["placement_group"] = json!(group);
        body
    };
    let first = bench.post("/servers", &member(0)).await;
    assert_eq!(first.body["server"]["placement_group"]["id"], group);
    for number in 1..10 {
        assert_eq!(bench.post("/servers", &member(number)).await.status, 201);
    }
    let eleventh = bench.post("/servers", &member(10)).await;
    assert_eq!(eleventh.code(), "placement_group_member_limit_reached");
    let path = format!("/placement_groups/{group}");
    let full = bench.get(&path).await;
    assert_eq!(full.body["placement_group"]["servers"].as_array().unwrap().len(), 10);

    assert_eq!(bench.put(&path, &json!({"name": "far"})).await.status, 200);
    let listed = bench.get("/placement_groups?type=spread&name=far").await;
    assert_eq!(listed.names("placement_groups"), ["far"]);
    assert_eq!(
        bench.post("/placement_groups", &json!({"name": "far", "type": "spread"})).await.status,
        409
    );
    assert_eq!(
        bench.post("/placement_groups", &json!({"name": "x", "type": "tight"})).await.status,
        422
    );
    assert_eq!(bench.delete(&path).await.status, 204);
    let id = first.body["server"]["id"].as_u64().unwrap();
    let left = bench.get(&format!("/servers/{id}")).await;
    assert_eq!(left.body["server"]["placement_group"], json!(null));
}
