//! What the provider offers, and the shape of the API.

use hetzner_sim::world::stock::Supply;
use serde_json::{Value, json};

use crate::bench::Bench;
use crate::contract::contract;

#[tokio::test]
async fn stock_is_told_by_type_and_location() {
    let bench = Bench::new().await;
    bench.sim.set_stock("cpx22", Some("fsn1"), Supply::Out);
    let listed = bench.get("/server_types?name=cpx22").await;
    let size = &listed.body["server_types"][0];
    let available = |name: &str| {
        let locations = size["locations"].as_array().unwrap();
        locations.iter().find(|it| it["name"] == name).unwrap()["available"].clone()
    };
    assert_eq!(available("fsn1"), false);
    assert_eq!(available("nbg1"), true);
    let priced = size["prices"].as_array().unwrap();
    assert!(
        priced.iter().any(|price| price["location"] == "fsn1"),
        "a price is there also without stock"
    );
    let one = bench.get(&format!("/server_types/{}", size["id"])).await;
    assert_eq!(&one.body["server_type"], size);
    assert_eq!(bench.get("/server_types/9999").await.code(), "not_found");
}

#[tokio::test]
async fn types_on_their_way_out_say_so() {
    let bench = Bench::new().await;
    let old = bench.get("/server_types?name=cx22").await;
    let old = &old.body["server_types"][0];
    assert_eq!(old["deprecated"], true);
    assert_eq!(old["deprecation"]["unavailable_after"], "2026-01-01T00:00:00Z");
    assert_eq!(old["locations"][0]["available"], false);
}

#[tokio::test]
async fn an_image_name_has_an_entry_for_each_architecture() {
    let bench = Bench::new().await;
    let both = bench.get("/images?name=debian-13").await;
    let kinds: Vec<&Value> = both.body["images"]
        .as_array()
        .unwrap()
        .iter()
        .map(|image| &image["architecture"])
        .collect();
    assert_eq!(kinds, ["x86", "arm"]);
    let arm = bench.get("/images?name=debian-13&architecture=arm").await;
    assert_eq!(arm.names("images").len(), 1);
    assert!(bench.get("/images?status=creating").await.names("images").is_empty());
    let apps = bench.get("/images?type=app").await;
    assert_eq!(apps.names("images"), ["docker-ce", "docker-ce"]);
    assert!(bench.get("/images?name=debian-11").await.names("images").is_empty());
    let old = bench.get("/images?name=debian-11&include_deprecated=true").await;
    assert!(old.body["images"][0]["deprecated"].is_string());
    assert_eq!(bench.get("/images?architecture=mips").await.code(), "invalid_input");
    let id = &old.body["images"][0]["id"];
    assert_eq!(bench.get(&format!("/images/{id}")).await.status, 200);
    assert_eq!(bench.delete(&format!("/images/{id}")).await.code(), "forbidden");
    assert_eq!(bench.put(&format!("/images/{id}"), &json!({})).await.code(), "forbidden");
}

#[tokio::test]
async fn prices_are_decimal_text_in_the_owners_currency() {
    let bench = Bench::new().await;
    let pricing = bench.get("/pricing").await;
    let pricing = &pricing.body["pricing"];
    assert_eq!(pricing["currency"], "EUR");
    let price = pricing["server_types"]
        .as_array()
        .unwrap()
        .iter()
        .find(|size| size["name"] == "cpx22")
        .unwrap()["prices"][0]["price_monthly"]
        .clone();
    assert_eq!(price, json!({"net": "5.9900000000", "gross": "7.1281000000"}));
    let v4 = &pricing["primary_ips"][0];
    assert_eq!(v4["type"], "ipv4");
    assert_eq!(v4["prices"][0]["price_monthly"]["net"], "0.5000000000");
}

#[tokio::test]
async fn datacenters_are_gone() {
    let bench = Bench::new().await;
    for path in ["/datacenters", "/datacenters/3"] {
        let answer = bench.get(path).await;
        assert_eq!((answer.status, answer.code()), (410, "deprecated_api_endpoint"));
    }
}

#[tokio::test]
async fn locations_have_zones() {
    let bench = Bench::new().await;
    let all = bench.get("/locations?sort=name").await;
    assert_eq!(all.names("locations"), ["ash", "fsn1", "hel1", "hil", "nbg1", "sin"]);
    let one = bench.get("/locations?name=hil").await;
    assert_eq!(one.body["locations"][0]["network_zone"], "us-west");
    let id = &one.body["locations"][0]["id"];
    assert_eq!(bench.get(&format!("/locations/{id}")).await.status, 200);
}

#[tokio::test]
async fn every_path_and_method_of_the_contract_is_there() {
    let Some(contract) = contract() else { return };
    let bench = Bench::new().await;
    for (method, template) in contract.operations() {
        let path = template.replace("{id}", "4711");
        let body = json!({});
        let answer = bench.call_as("main", &method, &path, Some(&body)).await;
        let is_known =
            answer.code() != "method_not_allowed" && answer.body["error"]["message"] != "not found";
        assert!(is_known, "{method} {template}: {} {}", answer.status, answer.body);
    }
}
