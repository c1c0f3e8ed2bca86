//! The life of a server.

use std::time::Duration;

use serde_json::{Value, json};

use crate::bench::{Bench, draft};

#[tokio::test]
async fn a_server_goes_from_initializing_to_running() {
    let bench = Bench::new().await;
    let created = bench.post("/servers", &draft("web-1")).await;
    assert_eq!(created.status, 201);
    let server = &created.body["server"];
    let id = server["id"].as_u64().unwrap();
    assert!(id > u64::from(u32::MAX), "ids outgrow 32 bits");
    assert_eq!(server["status"], "initializing");
    assert_eq!(server["locked"], true);
    assert_eq!(server["public_net"]["ipv4"]["ip"], "198.18.0.10");
    assert_eq!(server["location"]["name"], "fsn1");
    assert_eq!(created.body["action"]["command"], "create_server");
    assert_eq!(created.body["action"]["status"], "running");
    assert_eq!(created.body["next_actions"][0]["command"], "start_server");
    assert_eq!(created.body["root_password"].as_str().unwrap().len(), 20);

    bench.pass(2);
    assert_eq!(bench.status(id).await, "initializing");
    let action = created.body["action"]["id"].as_u64().unwrap();
    let half = bench.get(&format!("/actions/{action}")).await;
    assert_eq!(half.body["action"]["progress"], 66);
    bench.pass(1);
    assert_eq!(bench.status(id).await, "off", "on the way to `starting`");
    bench.sim.advance(Duration::from_millis(500));
    assert_eq!(bench.status(id).await, "starting");
    bench.sim.advance(Duration::from_millis(500));
    let running = bench.get(&format!("/servers/{id}")).await;
    assert_eq!(running.body["server"]["status"], "running");
    assert_eq!(running.body["server"]["locked"], false);
    let ended = bench.get(&format!("/actions/{action}")).await;
    assert_eq!(ended.body["action"]["status"], "success");
    assert_eq!(ended.body["action"]["progress"], 100);
}

#[tokio::test]
async fn a_server_that_is_not_to_start_stays_off() {
    let bench = Bench::new().await;
    let mut body = draft("web-1");
    body["start_after_create"] = json!(false);
    let created = bench.post("/servers", &body).await;
    assert_eq!(created.body["next_actions"], json!([]));
    bench.pass(60);
    assert_eq!(bench.status(created.body["server"]["id"].as_u64().unwrap()).await, "off");
}

#[tokio::test]
async fn it_is_locked_while_an_action_runs() {
    let bench = Bench::new().await;
    let id = bench.create("web-1").await;
    let early = bench.delete(&format!("/servers/{id}")).await;
    assert_eq!((early.status, early.code()), (423, "locked"));
    let early = bench.post(&format!("/servers/{id}/actions/poweroff"), &json!({})).await;
    assert_eq!((early.status, early.code()), (423, "locked"));
    bench.pass(60);
    assert_eq!(bench.delete(&format!("/servers/{id}")).await.status, 200);
    let twice = bench.delete(&format!("/servers/{id}")).await;
    assert_eq!((twice.status, twice.code()), (423, "locked"));
}

#[tokio::test]
async fn name_and_address_are_free_only_when_the_deletion_has_ended() {
    let bench = Bench::new().await;
    let id = bench.running("web-1").await;
    let deleted = bench.delete(&format!("/servers/{id}")).await;
    let action = deleted.body["action"]["id"].as_u64().unwrap();
    bench.pass(1);
    assert_eq!(bench.status(id).await, "deleting");
    let early = bench.post("/servers", &draft("web-1")).await;
    assert_eq!((early.status, early.code()), (409, "uniqueness_error"));
    assert_eq!(early.body["error"]["details"]["fields"][0]["name"], "name");
    let meanwhile = bench.post("/servers", &draft("web-2")).await;
    assert_eq!(meanwhile.body["server"]["public_net"]["ipv4"]["ip"], "198.18.0.11");

    bench.pass(1);
    assert_eq!(bench.get(&format!("/servers/{id}")).await.code(), "not_found");
    let ended = bench.get(&format!("/actions/{action}")).await;
    assert_eq!(ended.body["action"]["status"], "success");
    assert_eq!(bench.delete(&format!("/servers/{id}")).await.status, 404);
    let again = bench.post("/servers", &draft("web-1")).await;
    assert_eq!(again.status, 201);
    assert_eq!(
        again.body["server"]["public_net"]["ipv4"]["ip"], "198.18.0.10",
        "the next server gets the freed address at once"
    );
}

#[tokio::test]
async fn a_freed_address_rests_if_so_set() {
    let bench = Bench::new().await;
    bench.set(json!({"addresses": "rotating"}));
    let id = bench.running("web-1").await;
    bench.delete(&format!("/servers/{id}")).await;
    bench.pass(60);
    let next = bench.post("/servers", &draft("web-2")).await;
    assert_eq!(next.body["server"]["public_net"]["ipv4"]["ip"], "198.18.0.11");
}

#[tokio::test]
async fn power_commands_take_their_time() {
    let bench = Bench::new().await;
    let id = bench.running("web-1").await;
    for (command, name, meanwhile, secs, then) in [
        ("poweroff", "stop_server", "stopping", 1, "off"),
        ("poweron", "start_server", "starting", 1, "running"),
        ("reboot", "reboot_server", "running", 2, "running"),
        ("reset", "reset_server", "running", 2, "running"),
        ("shutdown", "shutdown_server", "stopping", 2, "off"),
    ] {
        let begun = bench.post(&format!("/servers/{id}/actions/{command}"), &Value::Null).await;
        assert_eq!(begun.status, 201);
        assert_eq!(begun.body["action"]["command"], name);
        assert_eq!(begun.body["action"]["resources"], json!([{"id": id, "type": "server"}]));
        let server = bench.get(&format!("/servers/{id}")).await;
        assert_eq!(server.body["server"]["status"], meanwhile, "{command}");
        assert_eq!(server.body["server"]["locked"], true);
        bench.pass(secs);
        assert_eq!(bench.status(id).await, then, "{command}");
    }
    let already = bench.post(&format!("/servers/{id}/actions/poweroff"), &json!({})).await;
    assert_eq!(already.body["action"]["status"], "success");
    let not_running = bench.post(&format!("/servers/{id}/actions/reboot"), &json!({})).await;
    assert_eq!(not_running.code(), "conflict");
}

#[tokio::test]
async fn protection_forbids_deletion_until_it_is_lifted() {
    let bench = Bench::new().await;
    let id = bench.running("web-1").await;
    let path = format!("/servers/{id}/actions/change_protection");
    let half = bench.post(&path, &json!({"delete": true, "rebuild": false})).await;
    assert_eq!(half.code(), "invalid_input");
    let on = bench.post(&path, &json!({"delete": true, "rebuild": true})).await;
    assert_eq!((on.status, &on.body["action"]["status"]), (201, &json!("success")));
    let server = bench.get(&format!("/servers/{id}")).await;
    assert_eq!(server.body["server"]["protection"], json!({"delete": true, "rebuild": true}));
    let refused = bench.delete(&format!("/servers/{id}")).await;
    assert_eq!((refused.status, refused.code()), (423, "protected"));
    bench.post(&path, &json!({"delete": false, "rebuild": false})).await;
    assert_eq!(bench.delete(&format!("/servers/{id}")).await.status, 200);
}

#[tokio::test]
async fn name_and_labels_can_be_replaced() {
    let bench = Bench::new().await;
    let id = bench.running("web-1").await;
    bench.create("web-2").await;
    let path = format!("/servers/{id}");
    let changed = bench.put(&path, &json!({"name": "db-1", "labels": {"role": "db"}})).await;
    assert_eq!(changed.status, 200);
    assert_eq!(changed.body["server"]["name"], "db-1");
    let changed = bench.put(&path, &json!({"labels": {"only": ""}})).await;
    assert_eq!(changed.body["server"]["labels"], json!({"only": ""}));
    assert_eq!(changed.body["server"]["name"], "db-1");
    let taken = bench.put(&path, &json!({"name": "web-2"})).await;
    assert_eq!((taken.status, taken.code()), (409, "uniqueness_error"));
    assert_eq!(bench.put(&path, &json!({"name": "db-1"})).await.status, 200, "its own name");
}

#[tokio::test]
async fn actions_are_asked_for_by_id_and_by_server() {
    let bench = Bench::new().await;
    let one = bench.post("/servers", &draft("web-1")).await;
    let two = bench.post("/servers", &draft("web-2")).await;
    let ids: Vec<u64> =
        [&one, &two].iter().map(|created| created.body["action"]["id"].as_u64().unwrap()).collect();
    let both = bench.get(&format!("/actions?id={}&id={}&id=77", ids[0], ids[1])).await;
    assert_eq!(both.body["actions"].as_array().unwrap().len(), 2, "missing ids are left out");
    assert!(both.body.get("meta").is_none());
    assert_eq!(bench.get("/actions").await.code(), "invalid_input");
    assert_eq!(bench.get("/actions?id=x").await.code(), "invalid_input");

    bench.pass(3);
    let server = one.body["server"]["id"].as_u64().unwrap();
    let path = format!("/servers/{server}/actions");
    let of_server = bench.get(&path).await;
    assert_eq!(of_server.body["meta"]["pagination"]["total_entries"], 2);
    let running = bench.get(&format!("{path}?status=running")).await;
    assert_eq!(running.body["actions"][0]["command"], "start_server");
    assert_eq!(running.body["actions"].as_array().unwrap().len(), 1);
    let sorted = bench.get(&format!("{path}?sort=command:desc")).await;
    assert_eq!(sorted.body["actions"][0]["command"], "start_server");
    let all = bench.get("/servers/actions").await;
    assert_eq!(all.body["meta"]["pagination"]["total_entries"], 4);
    let single = bench.get(&format!("/servers/actions/{}", ids[0])).await;
    assert_eq!(single.body["action"]["id"], ids[0]);
}

#[tokio::test]
async fn no_more_than_25_actions_are_answered_at_once() {
    let bench = Bench::new().await;
    let mut ids = Vec::new();
    for number in 0..26 {
        let created = bench.post("/servers", &draft(&format!("web-{number}"))).await;
        ids.push(format!("id={}", created.body["action"]["id"]));
    }
    let answer = bench.get(&format!("/actions?{}", ids.join("&"))).await;
    assert_eq!(answer.body["actions"].as_array().unwrap().len(), 25);
}
