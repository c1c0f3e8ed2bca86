//! The simulator's own routes.

use serde_json::json;

use crate::bench::{Bench, draft};

#[tokio::test]
async fn the_journal_tells_every_request() {
    let bench = Bench::new().await;
    let mut body = draft("web-1");
    body["user_data"] = json!("host key inside");
    let created = bench.post("/servers", &body).await;
    bench.call_as("reader", "GET", "/servers?name=web-1", None).await;
    bench.raw(None, "GET", "/moons", None).await.unwrap();
    let (_, journal) = bench.control("GET", "/journal", None).await;
    let entries = journal["entries"].as_array().unwrap();
    assert_eq!(entries.len(), 3);
    let first = &entries[0];
    assert_eq!(first["method"], "POST");
    assert_eq!(first["path"], "/servers");
    assert_eq!(first["status"], 201);
    assert_eq!(first["token"], "main");
    assert_eq!(first["project"], "shop");
    assert_eq!(first["name"], "web-1");
    assert_eq!(first["effect"], true);
    assert_eq!(first["created_id"], created.body["server"]["id"]);
    assert_eq!(first["correlation_id"], created.headers["x-correlation-id"].to_str().unwrap());
    assert_eq!(first["at"], "2026-11-02T08:00:00.000Z");
    assert!(first.get("body").is_none());
    assert_eq!(entries[1]["query"], "name=web-1");
    assert_eq!(entries[1]["effect"], false);
    assert_eq!(entries[2]["token"], json!(null));
    assert_eq!(entries[2]["code"], "not_found");

    let (_, with_bodies) = bench.control("GET", "/journal?bodies=true&token=main", None).await;
    let body = &with_bodies["entries"][0]["body"];
    assert_eq!(body["server_type"], "cpx22");
    assert!(!body.to_string().contains("host key inside"), "user data is left out");
    let (_, later) = bench.control("GET", "/journal?after=1&project=shop", None).await;
    assert_eq!(later["entries"].as_array().unwrap().len(), 1);
    assert_eq!(bench.control("GET", "/journal?moon=1", None).await.0, 400);
    bench.control("DELETE", "/journal", None).await;
    let (_, cleared) = bench.control("GET", "/journal", None).await;
    assert_eq!(cleared["entries"], json!([]));
}

#[tokio::test]
async fn counts_sum_up_what_was_asked_and_what_lives() {
    let bench = Bench::new().await;
    let id = bench.running("web-1").await;
    bench.post("/servers", &draft("web-1")).await;
    bench.create("web-2").await;
    bench.delete(&format!("/servers/{id}")).await;
    bench.pass(60);
    bench.call_as("other", "POST", "/servers", Some(&draft("web-9"))).await;
    let (_, counts) = bench.control("GET", "/journal/counts?project=shop", None).await;
    assert_eq!(counts["create_posts"], json!({"web-1": 2, "web-2": 1}));
    assert_eq!(counts["created_servers"], 2);
    assert_eq!(counts["created_by_name"], json!({"web-1": 1, "web-2": 1}));
    assert_eq!(counts["deleted_servers"], 1);
    assert_eq!(counts["live_servers"], 1);
    assert_eq!(counts["live_names"], json!(["web-2"]));
    assert_eq!(counts["live_primary_ips"], 2);
    assert_eq!(counts["by_route"]["GET /servers/{id}"], 1);
    assert_eq!(counts["by_status"]["201"], 2);
    assert_eq!(counts["by_status"]["409"], 1);
    let (_, all) = bench.control("GET", "/journal/counts", None).await;
    assert_eq!(all["live_servers"], 2);
    assert_eq!(all["by_token"]["other"], 1);
}

#[tokio::test]
async fn settings_stock_tokens_and_clock_are_changed_while_it_runs() {
    let bench = Bench::new().await;
    let change = json!({"times": {"create_secs": 100}});
    let (status, settings) = bench.control("PATCH", "/settings", Some(change)).await;
    assert_eq!((status, &settings["times"]["create_secs"]), (200, &json!(100.0)));
    let wrong = json!({"times": {"creat_secs": 1}});
    assert_eq!(bench.control("PATCH", "/settings", Some(wrong)).await.0, 400);
    assert_eq!(bench.control("GET", "/settings", None).await.1, settings);

    let offer = json!({"server_type": "cpx22", "location": "fsn1", "supply": {"left": 0}});
    assert_eq!(bench.control("PUT", "/stock", Some(offer)).await.1["set"], 1);
    let offer = json!({"server_type": "cax11", "supply": "out"});
    assert_eq!(bench.control("PUT", "/stock", Some(offer)).await.1["set"], 3);
    let offer = json!({"server_type": "cax11", "location": "hil", "supply": "out"});
    assert_eq!(bench.control("PUT", "/stock", Some(offer)).await.0, 404);
    assert_eq!(bench.control("GET", "/stock", None).await.1["stock"].as_array().unwrap().len(), 4);
    assert_eq!(bench.post("/servers", &draft("web-1")).await.code(), "resource_unavailable");

    let token = json!({"name": "n", "secret": "n-secret", "access": "ro", "project": "shop"});
    assert_eq!(bench.control("POST", "/tokens", Some(token)).await.0, 200);
    assert_eq!(bench.call_as("n", "GET", "/servers", None).await.status, 200);
    let (_, tokens) = bench.control("GET", "/tokens", None).await;
    assert!(!tokens.to_string().contains("n-secret"));
    assert_eq!(bench.control("DELETE", "/tokens/n", None).await.0, 200);
    assert_eq!(bench.control("DELETE", "/tokens/n", None).await.0, 404);

    let (_, before) = bench.control("GET", "/clock", None).await;
    assert_eq!(before["standing"], true);
    let (_, after) = bench.control("POST", "/clock/advance", Some(json!({"secs": 90}))).await;
    assert_eq!(after["now"], "2026-11-02T08:01:30.000Z");
    let back = json!({"secs": -1});
    assert_eq!(bench.control("POST", "/clock/advance", Some(back)).await.0, 400);
}

#[tokio::test]
async fn faults_are_armed_watched_and_removed() {
    let bench = Bench::new().await;
    let fault = json!({"match": {"path": "/locations"}, "fault": {"kind": "timeout"}});
    let (_, armed) = bench.control("POST", "/faults", Some(fault)).await;
    assert_eq!(armed["id"], 1);
    assert_eq!(bench.get("/locations").await.status, 504);
    assert_eq!(bench.get("/locations").await.status, 200);
    let (_, faults) = bench.control("GET", "/faults", None).await;
    assert_eq!((&faults[0]["seen"], &faults[0]["hit"]), (&json!(2), &json!(1)));
    assert_eq!(bench.control("DELETE", "/faults/1", None).await.0, 200);
    assert_eq!(bench.control("DELETE", "/faults/1", None).await.0, 404);
    assert_eq!(bench.control("DELETE", "/faults", None).await.1["removed"], 0);
    let wrong = json!({"fault": {"kind": "gremlin"}});
    assert_eq!(bench.control("POST", "/faults", Some(wrong)).await.0, 400);
}

#[tokio::test]
async fn the_automatic_actor_is_switched_on_and_off() {
    let bench = Bench::new().await;
    let auto = json!({"project": "shop", "every_secs": 1, "habits": ["take_name"]});
    assert_eq!(bench.control("POST", "/actor/auto", Some(auto)).await.0, 200);
    bench.pass(3);
    assert_eq!(bench.counts().live_servers, 3);
    assert_eq!(bench.control("DELETE", "/actor/auto", None).await.0, 200);
    bench.pass(30);
    assert_eq!(bench.counts().live_servers, 3);
    let idle = json!({"project": "shop", "every_secs": 1, "habits": []});
    assert_eq!(bench.control("POST", "/actor/auto", Some(idle)).await.0, 400);
}

#[tokio::test]
async fn it_tells_what_it_is_and_what_there_is() {
    let bench = Bench::new().await;
    bench.running("web-1").await;
    let (_, index) = bench.control("GET", "/", None).await;
    assert_eq!((&index["program"], &index["seed"]), (&json!("hetzner-sim"), &json!(1)));
    let (_, backing) = bench.control("GET", "/backing", None).await;
    assert_eq!(backing["backing"], "none");
    assert_eq!((&backing["real"], &backing["netns"]), (&json!(false), &json!(null)));
    let (_, world) = bench.control("GET", "/world", None).await;
    let server = &world["servers"][0];
    assert_eq!(server["project"], "shop");
    assert_eq!(server["ipv4"], "198.18.0.10");
    assert_eq!(server["status"], "running");
}

#[tokio::test]
async fn a_seed_repeats_ids_and_passwords() {
    let first = async || {
        let bench = Bench::new().await;
        let answer = bench.post("/servers", &draft("web-1")).await;
        (answer.body, answer.headers["x-correlation-id"].clone())
    };
    assert_eq!(first().await, first().await);
}

#[tokio::test]
async fn it_ends_when_told_and_lets_go_of_its_port() {
    let bench = Bench::new().await;
    let url = bench.sim.url();
    bench.get("/servers").await;
    bench.sim.shut_down().await.unwrap();
    assert!(reqwest::get(format!("{url}/_sim/")).await.is_err());
}
