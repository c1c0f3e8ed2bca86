//! Requests that are wrong, and how that is told.

use serde_json::{Value, json};

use crate::bench::{Answer, Bench, draft};

fn fields(answer: &Answer) -> Vec<&str> {
    answer.body["error"]["details"]["fields"]
        .as_array()
        .map(|fields| fields.iter().map(|field| field["name"].as_str().unwrap()).collect())
        .unwrap_or_default()
}

fn with(field: &str, value: Value) -> Value {
    let mut body = draft("web-1");
    body[field] = value;
    body
}

#[tokio::test]
async fn each_wrong_field_of_a_server_is_named() {
    let bench = Bench::new().await;
    let long = "a".repeat(64);
    let cases = [
        ("name", json!("under_score"), "name"),
        ("name", json!("-dash"), "name"),
        ("name", json!(long), "name"),
        ("name", json!(7), "name"),
        ("name", Value::Null, "name"),
        ("server_type", json!("cx9000"), "server_type"),
        ("server_type", json!("cx22"), "server_type"),
        ("server_type", Value::Null, "server_type"),
        ("image", json!("debian-99"), "image"),
        ("image", json!("debian-11"), "image"),
        ("image", json!(["debian-13"]), "image"),
        ("location", json!("mars1"), "location"),
        ("ssh_keys", json!(["nobody"]), "ssh_keys"),
        ("ssh_keys", json!("nobody"), "ssh_keys"),
        ("firewalls", json!([{"firewall": 7}]), "firewalls"),
        ("firewalls", json!([7]), "firewalls"),
        ("placement_group", json!(7), "placement_group"),
        ("user_data", json!("x".repeat(32 * 1024 + 1)), "user_data"),
        ("labels", json!({"a b": "c"}), "labels"),
        ("labels", json!({"a": 1}), "labels"),
        ("labels", json!({"hetzner.cloud/x": "y"}), "labels"),
        ("start_after_create", json!("yes"), "start_after_create"),
        ("public_net", json!({"enable_ipv4": false, "enable_ipv6": false}), "public_net"),
        ("public_net", json!({"enable_ipv4": 1}), "public_net.enable_ipv4"),
        ("public_net", json!({"ipv4": 7}), "ipv4"),
    ];
    for (field, value, named) in cases {
        let answer = bench.post("/servers", &with(field, value.clone())).await;
        assert_eq!((answer.status, answer.code()), (422, "invalid_input"), "{field} {value}");
        assert_eq!(fields(&answer), [named], "{field} {value}");
    }
    assert_eq!(bench.counts().live_servers, 0);
}

#[tokio::test]
async fn all_faults_are_told_together() {
    let bench = Bench::new().await;
    let answer = bench.post("/servers", &json!({"labels": {"-": ""}})).await;
    assert_eq!(fields(&answer), ["name", "server_type", "image", "labels"]);
    let unknown = json!({"name": "a", "server_type": "none", "image": "none", "location": "none"});
    let answer = bench.post("/servers", &unknown).await;
    assert_eq!(fields(&answer), ["server_type", "image", "location"]);
}

#[tokio::test]
async fn what_is_no_json_is_told_apart() {
    let bench = Bench::new().await;
    let send = async |text: &str| {
        let (status, _, body) = bench
            .raw(Some("main-secret"), "POST", "/servers", Some(text.to_owned()))
            .await
            .unwrap();
        let body: Value = serde_json::from_str(&body).unwrap();
        (status, body["error"]["code"].as_str().unwrap().to_owned())
    };
    assert_eq!(send("{").await, (400, "json_error".to_owned()));
    assert_eq!(send("").await, (400, "json_error".to_owned()));
    assert_eq!(send("[]").await, (422, "invalid_input".to_owned()));
}

#[tokio::test]
async fn a_location_that_a_type_is_not_sold_in_has_its_own_message() {
    let bench = Bench::new().await;
    let mut body = draft("web-1");
    body["server_type"] = json!("cx23");
    body["location"] = json!("ash");
    let answer = bench.post("/servers", &body).await;
    assert_eq!((answer.status, answer.code()), (422, "invalid_input"));
    assert_eq!(answer.body["error"]["message"], "unsupported location for server type");
}

#[tokio::test]
async fn largest_user_data_and_references_by_id_are_taken() {
    let bench = Bench::new().await;
    let key = json!({"name": "k", "public_key": crate::bench::KEYS[0]});
    let key = bench.post("/ssh_keys", &key).await.body["ssh_key"]["id"].as_u64().unwrap();
    let body = json!({
        "name": "web-1",
        "server_type": "109",
        "image": "310557660",
        "location": "1",
        "ssh_keys": [key.to_string()],
        "user_data": "x".repeat(32 * 1024),
        "labels": {"example.com/role": "web", "just-a-key": ""},
    });
    let answer = bench.post("/servers", &body).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    assert_eq!(answer.body["server"]["server_type"]["name"], "cpx22");
    assert_eq!(answer.body["root_password"], Value::Null, "null where a key was given");
}

#[tokio::test]
async fn an_image_name_stands_for_the_image_of_the_types_architecture() {
    let bench = Bench::new().await;
    let mut body = draft("arm-1");
    body["server_type"] = json!("cax11");
    let arm = bench.post("/servers", &body).await;
    assert_eq!(arm.body["server"]["image"]["architecture"], "arm");
    let x86_image = json!("310557660");
    let mut body = draft("arm-2");
    body["server_type"] = json!("cax11");
    body["image"] = x86_image;
    assert_eq!(bench.post("/servers", &body).await.code(), "invalid_input");
}

#[tokio::test]
async fn what_is_not_simulated_is_refused_and_not_ignored() {
    let bench = Bench::new().await;
    for field in ["volumes", "networks"] {
        let answer = bench.post("/servers", &with(field, json!([1]))).await;
        assert_eq!((answer.status, answer.code()), (422, "unsupported_error"));
        assert_eq!(bench.post("/servers", &with(field, json!([]))).await.status, 201);
        bench.pass(60);
        let id = bench.get("/servers").await.body["servers"][0]["id"].as_u64().unwrap();
        bench.delete(&format!("/servers/{id}")).await;
        bench.pass(60);
    }
}
