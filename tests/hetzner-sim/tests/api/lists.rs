//! Lists: filters, order and pages.

use serde_json::{Value, json};

use crate::bench::{Bench, draft};

async fn fleet(bench: &Bench) {
    for (name, labels) in [
        ("a", json!({"env": "prod", "example.com/role": "web"})),
        ("b", json!({"env": "test"})),
        ("c", json!({"env": "prod", "flag": ""})),
        ("d", json!({})),
    ] {
        let mut body = draft(name);
        body["labels"] = labels;
        assert_eq!(bench.post("/servers", &body).await.status, 201);
        bench.pass(1);
    }
}

#[tokio::test]
async fn every_form_of_label_selector_works() {
    let bench = Bench::new().await;
    fleet(&bench).await;
    for (selector, names) in [
        ("env%3Dprod", vec!["a", "c"]),
        ("env%3D%3Dprod", vec!["a", "c"]),
        ("env!%3Dprod", vec!["b", "d"]),
        ("env%20in%20(prod%2Ctest)", vec!["a", "b", "c"]),
        ("env+notin+(test)", vec!["a", "c", "d"]),
        ("flag", vec!["c"]),
        ("!env", vec!["d"]),
        ("env%3Dprod%2C!flag", vec!["a"]),
        ("example.com%2Frole%3Dweb", vec!["a"]),
        ("", vec!["a", "b", "c", "d"]),
    ] {
        let answer = bench.get(&format!("/servers?label_selector={selector}")).await;
        assert_eq!(answer.names("servers"), names, "{selector}");
    }
    let wrong = bench.get("/servers?label_selector=a%20within%20b").await;
    assert_eq!((wrong.status, wrong.code()), (422, "invalid_input"));
}

#[tokio::test]
async fn names_states_and_orders_are_honoured() {
    let bench = Bench::new().await;
    fleet(&bench).await;
    assert_eq!(bench.get("/servers?name=b").await.names("servers"), ["b"]);
    assert!(bench.get("/servers?name=B").await.names("servers").is_empty());
    assert_eq!(bench.get("/servers?status=running").await.names("servers"), ["a"]);
    let early = bench.get("/servers?status=initializing&status=off&sort=name:desc").await;
    assert_eq!(early.names("servers"), ["d", "c", "b"]);
    let newest = bench.get("/servers?sort=created:desc").await;
    assert_eq!(newest.names("servers"), ["d", "c", "b", "a"]);
    for wrong in ["sort=size", "sort=name:up", "status=dancing", "page=0", "per_page=x"] {
        assert_eq!(bench.get(&format!("/servers?{wrong}")).await.code(), "invalid_input");
    }
    assert_eq!(bench.get("/servers?moon=full").await.status, 200);
}

#[tokio::test]
async fn pages_are_cut_and_told() {
    let bench = Bench::new().await;
    for number in 0..7 {
        bench.create(&format!("web-{number}")).await;
    }
    let page = |answer: &Value| answer["meta"]["pagination"].clone();
    let first = bench.get("/servers?per_page=3").await;
    assert_eq!(first.names("servers").len(), 3);
    assert_eq!(
        page(&first.body),
        json!({
            "page": 1, "per_page": 3, "previous_page": null, "next_page": 2,
            "last_page": 3, "total_entries": 7,
        })
    );
    let last = bench.get("/servers?per_page=3&page=3").await;
    assert_eq!(last.names("servers"), ["web-6"]);
    assert_eq!(page(&last.body)["next_page"], Value::Null);
    assert_eq!(page(&last.body)["previous_page"], 2);
    let beyond = bench.get("/servers?per_page=3&page=9").await;
    assert!(beyond.names("servers").is_empty());
    assert_eq!(page(&bench.get("/servers").await.body)["per_page"], 25);
    assert_eq!(page(&bench.get("/servers?per_page=500").await.body)["per_page"], 50);
}
