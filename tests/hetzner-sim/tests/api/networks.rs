//! Primary IPs and firewalls.

use serde_json::{Value, json};

use crate::bench::{Bench, draft};

#[tokio::test]
async fn ips_made_with_a_server_carry_no_labels_and_go_with_it() {
    let bench = Bench::new().await;
    let mut body = draft("web-1");
    body["labels"] = json!({"ours": "yes"});
    let created = bench.post("/servers", &body).await;
    let server = created.body["server"]["id"].as_u64().unwrap();
    let ips = bench.get("/primary_ips").await;
    let ips = ips.body["primary_ips"].as_array().unwrap();
    assert_eq!(ips.len(), 2);
    for ip in ips {
        assert_eq!(ip["labels"], json!({}));
        assert_eq!(ip["auto_delete"], true);
        assert_eq!(ip["assignee_type"], "server");
        assert_eq!(ip["assignee_id"], server);
    }
    let v4 = created.body["server"]["public_net"]["ipv4"]["id"].as_u64().unwrap();
    assert_eq!(bench.get(&format!("/primary_ips/{v4}")).await.status, 200);
    assert_eq!(bench.delete(&format!("/primary_ips/{v4}")).await.code(), "server_not_stopped");
    bench.pass(60);
    bench.delete(&format!("/servers/{server}")).await;
    bench.pass(1);
    assert_eq!(bench.get(&format!("/primary_ips/{v4}")).await.status, 200);
    bench.pass(1);
    assert_eq!(bench.get(&format!("/primary_ips/{v4}")).await.code(), "not_found");
    assert_eq!(bench.counts().live_primary_ips, 0);
}

async fn spare(bench: &Bench, name: &str, kind: &str, auto_delete: bool) -> u64 {
    let body = json!({
        "name": name, "type": kind, "location": "fsn1",
        "assignee_type": "unassigned", "auto_delete": auto_delete,
    });
    let made = bench.post("/primary_ips", &body).await;
    assert_eq!(made.status, 201, "{}", made.body);
    assert_eq!(made.body["primary_ip"]["assignee_type"], "unassigned");
    assert_eq!(made.body["primary_ip"]["assignee_id"], Value::Null);
    made.body["primary_ip"]["id"].as_u64().unwrap()
}

#[tokio::test]
async fn a_spare_ip_can_be_given_to_a_server_and_outlives_it() {
    let bench = Bench::new().await;
    let v4 = spare(&bench, "mine", "ipv4", false).await;
    let with_ip = |name: &str, location: &str, net: Value| {
        let mut body = draft(name);
        body["location"] = json!(location);
        body["public_net"] = net;
        body
    };
    let net = json!({"ipv4": v4, "enable_ipv6": false});
    let far = bench.post("/servers", &with_ip("a", "hel1", net.clone())).await;
    assert_eq!(far.code(), "primary_ip_datacenter_mismatch");
    let wrong = bench.post("/servers", &with_ip("a", "fsn1", json!({"ipv6": v4}))).await;
    assert_eq!(wrong.code(), "primary_ip_version_mismatch");
    let made = bench.post("/servers", &with_ip("a", "fsn1", net.clone())).await;
    assert_eq!(made.body["server"]["public_net"]["ipv4"]["id"], v4);
    assert_eq!(made.body["server"]["public_net"]["ipv6"], Value::Null);
    let taken = bench.post("/servers", &with_ip("b", "fsn1", net)).await;
    assert_eq!(taken.code(), "primary_ip_assigned");

    bench.pass(60);
    let server = made.body["server"]["id"].as_u64().unwrap();
    bench.delete(&format!("/servers/{server}")).await;
    bench.pass(60);
    let left = bench.get(&format!("/primary_ips/{v4}")).await;
    assert_eq!(left.body["primary_ip"]["assignee_type"], "unassigned");
    let path = format!("/primary_ips/{v4}");
    let changed = bench.put(&path, &json!({"name": "old", "auto_delete": true})).await;
    assert_eq!(changed.body["primary_ip"]["auto_delete"], true);
    let ip = left.body["primary_ip"]["ip"].as_str().unwrap();
    assert_eq!(bench.get(&format!("/primary_ips?ip={ip}")).await.names("primary_ips"), ["old"]);
    assert_eq!(bench.delete(&path).await.status, 204);
}

#[tokio::test]
async fn an_ip_is_assigned_only_to_a_server_that_is_off() {
    let bench = Bench::new().await;
    let mut body = draft("web-1");
    body["public_net"] = json!({"enable_ipv4": false});
    body["start_after_create"] = json!(false);
    let server = bench.post("/servers", &body).await.body["server"]["id"].as_u64().unwrap();
    let wish = json!({
        "name": "late", "type": "ipv4", "assignee_type": "server", "assignee_id": server,
    });
    assert_eq!(bench.post("/primary_ips", &wish).await.code(), "server_not_stopped");
    bench.pass(60);
    let made = bench.post("/primary_ips", &wish).await;
    assert_eq!(made.status, 201);
    assert_eq!(made.body["action"]["command"], "assign_primary_ip");
    assert_eq!(made.body["primary_ip"]["assignee_id"], server);
    let shown = bench.get(&format!("/servers/{server}")).await;
    assert_eq!(shown.body["server"]["public_net"]["ipv4"]["id"], made.body["primary_ip"]["id"]);
    for wrong in [
        json!({"name": "x", "type": "ipv5", "assignee_type": "server", "location": "fsn1"}),
        json!({"name": "x", "type": "ipv4", "assignee_type": "server"}),
        json!({"name": "x", "type": "ipv4", "assignee_type": "moon", "location": "fsn1"}),
    ] {
        assert_eq!(bench.post("/primary_ips", &wrong).await.code(), "invalid_input");
    }
}

#[tokio::test]
async fn firewalls_apply_to_servers_and_labels() {
    let bench = Bench::new().await;
    let rule = json!({
        "direction": "in", "protocol": "tcp", "port": "22", "source_ips": ["192.0.2.0/24"],
    });
    let body = json!({
        "name": "ssh", "rules": [rule],
        "apply_to": [{"type": "label_selector", "label_selector": {"selector": "role=web"}}],
    });
    let made = bench.post("/firewalls", &body).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let by_label = made.body["firewall"]["id"].as_u64().unwrap();
    let bare = bench.post("/firewalls", &json!({"name": "bare"})).await;
    let by_id = bare.body["firewall"]["id"].as_u64().unwrap();
    let mut server = draft("web-1");
    server["labels"] = json!({"role": "web"});
    server["firewalls"] = json!([{"firewall": by_id}]);
    let server = bench.post("/servers", &server).await;
    let held: Vec<u64> = server.body["server"]["public_net"]["firewalls"]
        .as_array()
        .unwrap()
        .iter()
        .map(|firewall| firewall["id"].as_u64().unwrap())
        .collect();
    assert_eq!(held, [by_label, by_id]);
    let shown = bench.get(&format!("/firewalls/{by_label}")).await;
    let picked = &shown.body["firewall"]["applied_to"][0]["applied_to_resources"];
    assert_eq!(picked[0]["server"]["id"], server.body["server"]["id"]);
    assert_eq!(bench.delete(&format!("/firewalls/{by_id}")).await.code(), "resource_in_use");
    bench.pass(60);
    bench.delete(&format!("/servers/{}", server.body["server"]["id"])).await;
    bench.pass(60);
    assert_eq!(bench.delete(&format!("/firewalls/{by_id}")).await.status, 204);
    assert_eq!(bench.get("/firewalls").await.names("firewalls"), ["ssh"]);
    let renamed = bench.put(&format!("/firewalls/{by_label}"), &json!({"name": "s"})).await;
    assert_eq!(renamed.body["firewall"]["name"], "s");
}

#[tokio::test]
async fn wrong_rules_are_refused() {
    let bench = Bench::new().await;
    for rule in [
        json!({"direction": "up", "protocol": "icmp", "destination_ips": ["0.0.0.0/0"]}),
        json!({"direction": "in", "protocol": "tcp", "source_ips": ["0.0.0.0/0"]}),
        json!({"direction": "in", "protocol": "icmp", "port": "1", "source_ips": ["0.0.0.0/0"]}),
        json!({"direction": "in", "protocol": "icmp", "source_ips": ["0.0.0.0"]}),
        json!({"direction": "in", "protocol": "icmp"}),
        json!(7),
    ] {
        let answer = bench.post("/firewalls", &json!({"name": "x", "rules": [rule]})).await;
        assert_eq!((answer.status, answer.code()), (422, "invalid_input"), "{rule}");
    }
}
