//! The second actor in a project.

use hetzner_sim::Simulator;
use hetzner_sim::actor::{AutoActor, Habit};
use serde_json::{Value, json};

use crate::bench::{Bench, config, draft};

async fn act(bench: &Bench, deed: Value) -> (u16, Value) {
    bench.control("POST", "/actor", Some(deed)).await
}

#[tokio::test]
async fn it_does_what_it_is_told() {
    let bench = Bench::new().await;
    let id = bench.running("web-1").await;
    let path = format!("/servers/{id}");
    let deeds = [
        json!({"do": "relabel", "project": "shop", "server": "web-1", "labels": {"x": "y"}}),
        json!({"do": "protect", "project": "shop", "server": id.to_string()}),
        json!({"do": "take_name", "project": "shop", "name": "web-2"}),
        json!({"do": "power_off", "project": "shop", "server": "web-1"}),
        json!({"do": "eat_budget", "project": "shop", "requests": 3000}),
    ];
    for deed in &deeds {
        let (status, body) = act(&bench, deed.clone()).await;
        assert_eq!(status, 200, "{deed} {body}");
    }
    let server = bench.get(&path).await;
    assert!(server.number("ratelimit-remaining") < 600);
    let server = &server.body["server"];
    assert_eq!(server["labels"], json!({"x": "y"}));
    assert_eq!(server["protection"]["delete"], true);
    assert_eq!(server["status"], "stopping");
    bench.pass(60);
    assert_eq!(bench.delete(&path).await.code(), "protected");
    assert_eq!(bench.post("/servers", &draft("web-2")).await.code(), "uniqueness_error");

    act(&bench, json!({"do": "protect", "project": "shop", "server": "web-1", "on": false})).await;
    act(&bench, json!({"do": "delete", "project": "shop", "server": "web-1"})).await;
    bench.pass(60);
    assert_eq!(bench.get(&path).await.status, 404);
    let (_, told) = bench.control("GET", "/actor", None).await;
    assert_eq!(told["deeds"].as_array().unwrap().len(), 7);
    assert_eq!(bench.counts().deleted_servers, 0, "its deeds are not ours");
    assert_eq!(bench.counts().actor_deeds, 7);
}

#[tokio::test]
async fn a_rebuild_keeps_what_the_server_is_and_can_be_forbidden() {
    let bench = Bench::new().await;
    let id = bench.running("web-1").await;
    let rebuild =
        |image| json!({"do": "rebuild", "project": "shop", "server": "web-1", "image": image});
    let before = bench.get(&format!("/servers/{id}")).await.body["server"].clone();
    assert_eq!(act(&bench, rebuild("debian-1")).await.0, 409);
    assert_eq!(act(&bench, rebuild("ubuntu-24.04")).await.0, 200);
    assert_eq!(bench.status(id).await, "rebuilding");
    assert_eq!(bench.delete(&format!("/servers/{id}")).await.code(), "locked");
    bench.pass(3);
    let mut after = bench.get(&format!("/servers/{id}")).await.body["server"].clone();
    assert_eq!(after["status"], "running");
    assert_eq!(after["image"]["name"], "ubuntu-24.04");
    after["image"] = before["image"].clone();
    assert_eq!(after, before, "id, addresses, labels and all else");

    act(&bench, json!({"do": "protect", "project": "shop", "server": "web-1"})).await;
    assert_eq!(act(&bench, rebuild("debian-13")).await.0, 409);
}

#[tokio::test]
async fn it_can_take_a_key_away() {
    let bench = Bench::new().await;
    let key = json!({"name": "k", "public_key": crate::bench::KEYS[0]});
    bench.post("/ssh_keys", &key).await;
    let deed = json!({"do": "delete_ssh_key", "project": "shop", "ssh_key": "k"});
    assert_eq!(act(&bench, deed.clone()).await.0, 200);
    assert_eq!(bench.get("/ssh_keys").await.body["ssh_keys"], json!([]));
    assert_eq!(act(&bench, deed).await.0, 409);
}

#[tokio::test]
async fn it_is_bound_by_the_same_rules() {
    let bench = Bench::new().await;
    bench.create("web-1").await;
    let locked = json!({"do": "delete", "project": "shop", "server": "web-1"});
    let (status, body) = act(&bench, locked).await;
    assert_eq!((status, &body["error"]["code"]), (409, &json!("locked")));
    let elsewhere = json!({"do": "delete", "project": "blog", "server": "web-1"});
    assert_eq!(act(&bench, elsewhere).await.0, 409);
    assert_eq!(act(&bench, json!({"do": "dance", "project": "shop"})).await.0, 400);
}

#[tokio::test]
async fn left_to_itself_it_stirs_and_a_seed_repeats_it() {
    let history = async |seed: u64| {
        let mut config = config();
        config.seed = seed;
        let sim = Simulator::start(config).await.unwrap();
        sim.set_auto_actor(Some(AutoActor {
            project: "shop".to_owned(),
            every_secs: 5.0,
            habits: vec![Habit::TakeName, Habit::Delete, Habit::PowerOff, Habit::Relabel],
        }));
        sim.advance(std::time::Duration::from_secs(300));
        let servers = sim.world(|world| {
            let all = world.servers();
            all.map(|it| (it.id, it.name.clone(), it.status.name())).collect::<Vec<_>>()
        });
        (servers, sim.counts(&Default::default()).actor_deeds)
    };
    let (servers, deeds) = history(7).await;
    assert!(deeds > 10, "{deeds}");
    assert_eq!(history(7).await, (servers.clone(), deeds));
    assert_ne!(history(8).await.0, servers);
}
