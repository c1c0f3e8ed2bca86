//! Quota, stock and placement.

use hetzner_sim::world::stock::Supply;
use serde_json::json;

use crate::bench::{Bench, KEYS, draft};

#[tokio::test]
async fn quota_is_told_with_the_limits_name_and_freed_when_deletion_has_ended() {
    let bench = Bench::new().await;
    bench.set(json!({"limits": {"servers": 1}}));
    let id = bench.running("web-1").await;
    let over = bench.post("/servers", &draft("web-2")).await;
    assert_eq!((over.status, over.code()), (403, "resource_limit_exceeded"));
    assert_eq!(over.body["error"]["details"]["limits"][0]["name"], "server_limit");
    bench.delete(&format!("/servers/{id}")).await;
    assert_eq!(bench.post("/servers", &draft("web-2")).await.status, 403);
    bench.pass(2);
    assert_eq!(bench.post("/servers", &draft("web-2")).await.status, 201);
}

#[tokio::test]
async fn ips_keys_and_groups_have_limits_too() {
    let bench = Bench::new().await;
    bench.set(json!({"limits": {"primary_ips": 1, "ssh_keys": 0, "placement_groups": 0}}));
    let server = bench.post("/servers", &draft("web-1")).await;
    assert_eq!(server.body["error"]["details"]["limits"][0]["name"], "primary_ip_limit");
    let mut lean = draft("web-1");
    lean["public_net"] = json!({"enable_ipv6": false});
    assert_eq!(bench.post("/servers", &lean).await.status, 201);
    let key = bench.post("/ssh_keys", &json!({"name": "k", "public_key": KEYS[0]})).await;
    assert_eq!(key.body["error"]["details"]["limits"][0]["name"], "ssh_key_limit");
    let group = bench.post("/placement_groups", &json!({"name": "g", "type": "spread"})).await;
    assert_eq!(group.body["error"]["details"]["limits"][0]["name"], "placement_group_limit");
}

#[tokio::test]
async fn what_is_out_of_stock_is_refused_there_only() {
    let bench = Bench::new().await;
    assert_eq!(bench.sim.set_stock("cpx22", Some("fsn1"), Supply::Left(1)), 1);
    assert_eq!(bench.post("/servers", &draft("web-1")).await.status, 201);
    let out = bench.post("/servers", &draft("web-2")).await;
    assert_eq!((out.status, out.code()), (412, "resource_unavailable"));
    let mut elsewhere = draft("web-2");
    elsewhere["location"] = json!("nbg1");
    assert_eq!(bench.post("/servers", &elsewhere).await.status, 201);
    let mut anywhere = draft("web-3");
    anywhere.as_object_mut().unwrap().remove("location");
    let placed = bench.post("/servers", &anywhere).await;
    assert_eq!(placed.body["server"]["location"]["name"], "nbg1");
    assert_eq!(bench.sim.set_stock("cpx22", None, Supply::PlacementError), 6);
    let unplaced = bench.post("/servers", &draft("web-4")).await;
    assert_eq!((unplaced.status, unplaced.code()), (422, "placement_error"));
}

#[tokio::test]
async fn stock_can_be_out_though_the_catalogue_says_otherwise() {
    let bench = Bench::new().await;
    bench.sim.set_stock("cpx22", Some("fsn1"), Supply::OutUnseen);
    let listed = bench.get("/server_types?name=cpx22").await;
    assert_eq!(listed.body["server_types"][0]["locations"][0]["available"], true);
    assert_eq!(bench.post("/servers", &draft("web-1")).await.code(), "resource_unavailable");
}

#[tokio::test]
async fn addresses_run_out() {
    let bench = Bench::new().await;
    for number in 0..241 {
        bench.create(&format!("web-{number}")).await;
    }
    let over = bench.post("/servers", &draft("web-241")).await;
    assert_eq!((over.status, over.code()), (412, "resource_unavailable"));
    let mut without = draft("web-241");
    without["public_net"] = json!({"enable_ipv4": false});
    assert_eq!(bench.post("/servers", &without).await.status, 201);
}
