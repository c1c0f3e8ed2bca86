use nodeyard_domain::{audit::Action, token::Scope, wake::WakeReason};
use nodeyard_testkit::figures::measured;
use serde_json::{Value, json};

use crate::support::World;

/// A public key that OpenSSH made.
const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJeMB9QlPK1a5QyCkW2Jb1hVnN4tQG3o1bJm0pXo0Q0n user@desk";

#[tokio::test]
async fn accepts_a_node_with_everything_said() {
    let world = World::with(&["203.0.113.4/32"], Some(0)).with_admin().await;
    world.connect("main", "rw:p1").await;
    let answer = world
        .request("POST", "/nodes")
        .header("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
        .json(json!({
            "name": "web-1.example.com",
            "connection": "main",
            "profile": "web",
            "vars": {"php_memory_limit": "384M"},
            "placement": [
                {"server_type": "cpx22", "location": "fsn1"},
                {"server_type": "cx23", "location": "nbg1"}
            ],
            "image": "debian-13",
            "max_price": 7.0,
            "authorized_keys": [KEY],
            "allow_ssh_from": ["192.0.2.7", "198.51.100.0/24"],
            "labels": {"team": "shop"},
            "keep_on_failure": true,
            "deadline_secs": 900
        }))
        .send()
        .await;
    insta::assert_snapshot!(answer.shown());
    let loaded = world.load(answer.json["job"]["id"].as_str().unwrap()).await;
    assert!(loaded.job.traceparent.as_ref().is_some_and(|text| text.starts_with("00-0af7")));
    assert_eq!(world.queue.messages()[0].wake.traceparent, loaded.job.traceparent);
    assert_eq!(loaded.node.spec.authorized_keys, [KEY]);
    assert_eq!(loaded.node.spec.vars["php_memory_limit"], "384M");
    assert_eq!(
        loaded.node.spec.allow_ssh_from,
        ["203.0.113.4/32", "192.0.2.7/32", "198.51.100.0/24"]
    );
    let audit = world.store.audit();
    let entry = audit.last().unwrap();
    assert_eq!((entry.actor.as_str(), entry.action), ("admin", Action::NodeCreate));
    assert_eq!(entry.resource, (&loaded.node.id).into());
}

#[tokio::test]
async fn accepts_an_empty_body_and_wakes_a_worker() {
    let world = World::connected().await;
    let (answer, figures) = measured(world.post("/nodes", json!({}))).await;
    assert_eq!(answer.status, 202);
    assert!(figures.iter().any(|figure| figure.is("AcceptTime", &[])), "{figures:?}");
    let (_, figures) = measured(world.get("/nodes")).await;
    assert_eq!(figures, []);
    let job = answer.json["job"]["id"].as_str().unwrap();
    assert_eq!(answer.header("location").unwrap(), format!("/jobs/{job}"));
    assert_eq!(answer.header("retry-after"), Some("5"));
    let node = &answer.json["node"];
    assert!(node["name"].as_str().unwrap().starts_with("node-"));
    assert_eq!(node["price"], json!({"monthly_net": 3.49, "currency": "EUR"}));
    // Of the default ladder, what is for sale.
    assert_eq!(node["placement"].as_array().unwrap().len(), 3);
    let wakes = world.queue.messages();
    assert_eq!(wakes.len(), 1);
    assert_eq!((wakes[0].wake.job_id.as_str(), wakes[0].wake.reason), (job, WakeReason::Due));
    assert_eq!(world.get(&format!("/jobs/{job}")).await.json["state"], "queued");
}

#[tokio::test]
async fn the_same_key_and_body_give_the_same_job() {
    let world = World::connected().await;
    let send = |key: &str, token: &str, body: Value| {
        world.request("POST", "/nodes").header("Idempotency-Key", key).token(token).json(body)
    };
    let first = send("k1", "ny_admin", json!({"name": "a"})).send().await;
    assert_eq!(first.status, 202);
    let before = world.state().await;
    let again = send("\"k1\"", "ny_admin", json!({"name": "a"})).send().await;
    assert_eq!((again.status, &again.json), (202, &first.json));
    assert_eq!(again.header("location"), first.header("location"));
    assert_eq!(world.state().await, before);

    let other = world.refused(send("k1", "ny_admin", json!({"name": "b"}))).await;
    assert_eq!((other.status, other.code()), (422, "idempotency_key_reused"));

    world.put_token("ny_second", &[Scope::Operate], None).await;
    let second = send("k1", "ny_second", json!({"name": "a"})).send().await;
    assert_eq!(second.status, 202);
    assert_ne!(second.json["job"]["id"], first.json["job"]["id"]);
    assert_eq!(send("k2", "ny_admin", json!({"name": "a"})).send().await.status, 202);
    assert_eq!(world.store.all_jobs().len(), 3);
}

#[tokio::test]
async fn a_replay_does_not_depend_on_the_state_of_the_connection() {
    let world = World::connected().await;
    let send = || world.request("POST", "/nodes").header("Idempotency-Key", "k").json(json!({}));
    let first = send().send().await;
    world.cloud.revoke("rw:p1");
    world.request("POST", "/providers/main/check").send().await;
    assert_eq!(send().send().await.json["job"]["id"], first.json["job"]["id"]);
    let new = world.refused(world.request("POST", "/nodes").json(json!({}))).await;
    assert_eq!(new.code(), "provider_not_connected");
}

#[tokio::test]
async fn malformed_keys_are_refused() {
    let world = World::connected().await;
    let long = "k".repeat(256);
    for key in ["", "\"", "\"a\"b", long.as_str()] {
        let request =
            world.request("POST", "/nodes").header("Idempotency-Key", key).json(json!({}));
        let answer = world.refused(request).await;
        assert_eq!((answer.status, answer.code()), (400, "invalid_idempotency_key"), "{key}");
    }
}

#[tokio::test]
async fn a_dry_run_says_who_would_win_and_stores_nothing() {
    let world = World::connected().await;
    let before = world.state().await;
    let answer = world.post("/nodes?dry_run=true", json!({"max_price": 4})).await;
    insta::assert_snapshot!(answer.shown());
    assert_eq!(world.state().await, before);
    let sold_out = json!({"placement": [{"server_type": "cx23", "location": "fsn1"}]});
    let answer = world.post("/nodes?dry_run=true", sold_out).await;
    assert_eq!((answer.status, &answer.json["winner"]), (200, &Value::Null));
}

#[tokio::test]
async fn rungs_above_the_ceiling_are_dropped() {
    let world = World::connected().await;
    let ladder = json!([
        {"server_type": "cpx22", "location": "fsn1"},
        {"server_type": "cx23", "location": "nbg1"},
        {"server_type": "cax11", "location": "hel1"}
    ]);
    let (node, job) = world.node(json!({"placement": ladder, "max_price": 3.49})).await;
    // The unpriced rung may cost anything.
    assert_eq!(job.ladder.len(), 1);
    assert_eq!(job.ladder[0].server_type, "cx23");
    assert_eq!(node.price.unwrap().monthly_net, 3.49);
    let request =
        world.request("POST", "/nodes").json(json!({"placement": ladder, "max_price": 3.48}));
    insta::assert_snapshot!(world.refused(request).await.shown());
}

#[tokio::test]
async fn caps_of_the_connection_are_held() {
    let world = World::connected().await;
    let caps = |nodes: Value, monthly: Value| {
        json!({
            "provider": "hetzner", "token": "rw:p1", "max_nodes": nodes, "max_monthly": monthly
        })
    };
    world.node(json!({})).await;
    for body in [caps(json!(1), Value::Null), caps(Value::Null, json!(9.0))] {
        assert_eq!(world.put("/providers/main", body).await.status, 200);
        let answer = world.refused(world.request("POST", "/nodes").json(json!({}))).await;
        assert_eq!((answer.status, answer.code()), (409, "spend_cap_exceeded"));
    }
    world.put("/providers/main", caps(json!(2), json!(20))).await;
    world.node(json!({})).await;
}

#[tokio::test]
async fn the_connection_may_be_left_out_only_when_it_is_clear() {
    let world = World::new().await;
    let post = |body: Value| world.request("POST", "/nodes").json(body);
    let answer = world.refused(post(json!({}))).await;
    assert_eq!((answer.status, answer.code()), (409, "provider_not_connected"));
    assert!(answer.json["guidance"].is_string());
    world.connect("main", "rw:p1").await;
    world.connect("spare", "ro:p2").await;
    let answer = world.refused(post(json!({}))).await;
    assert_eq!((answer.status, answer.code()), (400, "connection_required"));
    for name in ["spare", "none"] {
        let answer = world.refused(post(json!({"connection": name}))).await;
        assert_eq!((answer.status, answer.code()), (409, "provider_not_connected"), "{name}");
    }
    world.put_token("ny_main", &[Scope::Operate], Some(&["main"])).await;
    let answer = post(json!({})).token("ny_main").send().await;
    assert_eq!((answer.status, &answer.json["node"]["connection"]), (202, &json!("main")));
    let answer = world.refused(post(json!({"connection": "spare"})).token("ny_main")).await;
    assert_eq!(answer.json["detail"], "There is no connection spare.");
}

#[tokio::test]
async fn local_and_manual_nodes_are_refused_before_anything_else() {
    let world = World::connected().await;
    for field in [
        "host",
        "ssh_host",
        "ssh_user",
        "ssh_port",
        "ip",
        "address",
        "is_local",
        "local",
        "manual",
        "self",
        "mode",
        "SSH-Host",
        "private_key",
        "acquisition_mode",
    ] {
        let body = json!({field: "127.0.0.1", "unknown": 1, "name": "UPPER"});
        let answer = world.refused(world.request("POST", "/nodes").json(body)).await;
        assert_eq!((answer.status, answer.code()), (400, "acquisition_mode_unsupported"));
        assert_eq!(answer.json["errors"][0]["pointer"], format!("/{field}"));
        assert!(!answer.text.contains("127.0.0.1"));
    }
    let answer =
        world.refused(world.request("POST", "/nodes").json(json!({"ipv6_only": true}))).await;
    assert_eq!((answer.status, answer.code()), (400, "ipv6_only_unsupported"));
}

/// Every field that can be wrong, wrong: the answer names each.
#[tokio::test]
async fn all_faults_are_reported_together() {
    let world = World::connected().await;
    let body = json!({
        "name": "Not_A_Host",
        "connection": "Not A Name",
        "profile": "database",
        "vars": {"big": "x".repeat(9000)},
        "placement": [],
        "image": "windows",
        "max_price": -1,
        "authorized_keys": ["ssh-rsa nonsense", "command=\"x\" ssh-ed25519 AAAA"],
        "allow_ssh_from": ["10.0.0.1/8", "everywhere"],
        "labels": {"nodeyard/node": "x", "a b": "x", "ok": "-x"},
        "deadline_secs": 10
    });
    insta::assert_snapshot!(
        world.refused(world.request("POST", "/nodes").json(body)).await.shown()
    );
}

#[tokio::test]
async fn bad_bodies_have_stable_codes() {
    let world = World::connected().await;
    let mut shown = Vec::new();
    for body in [
        json!({"name": "a".repeat(64)}),
        json!({"name": "-a"}),
        json!({"name": 7}),
        json!({"names": "a"}),
        json!({"profile": "database"}),
        json!({"profile": null, "image": "debian-12"}),
        json!({"placement": [{"server_type": "cx99", "location": "fsn1"}]}),
        json!({"placement": [{"server_type": "cx23", "location": "moon"}]}),
        json!({"placement": [{"server_type": "cx23", "location": "ash"}]}),
        json!({"placement": [{"server_type": "cx23"}]}),
        json!({"placement": [{"server_type": "cx23", "location": "fsn1", "zone": 1}]}),
        json!({"placement": [["cx23", "fsn1"]]}),
        json!({"max_price": "4 EUR", "deadline_secs": 300}),
        json!({"deadline_secs": 300.5}),
        json!({"labels": null}),
        json!({"placement": [
            {"server_type": "cx23", "location": "fsn1"},
            {"server_type": "cx23", "location": "fsn1"}
        ]}),
        json!({"allow_ssh_from": ["192.0.2.1"]}),
        json!({"deadline_secs": 299}),
        json!({"deadline_secs": 21_601}),
        json!({"labels": {"team": 1}}),
        json!({"keep_on_failure": "yes"}),
        json!({"vars": {"a": [{"__ansible_unsafe": "x"}]}}),
        json!([]),
        json!(null),
    ] {
        let answer = world.refused(world.request("POST", "/nodes").json(body)).await;
        shown.push(format!("{} {} {}", answer.status, answer.code(), answer.json["errors"]));
    }
    insta::assert_snapshot!(shown.join("\n"));
}

/// Before anything is made, and each at its place; what was sent is not repeated.
#[tokio::test]
async fn variables_are_held_against_the_schema_of_the_profile() {
    let world = World::connected().await;
    let before = world.state().await;
    let mut shown = Vec::new();
    for (profile, vars) in [
        ("base", json!({"php_memory_limit": "256M", "timezone": 7})),
        ("base", json!({"a/b~c": 1, "x".repeat(64): 2})),
        ("web", json!({"php_memory_limit": "hunter2", "php_upload_max": "0M"})),
        ("shop", json!({"shelves": [{"rows": 1}, {"rows": 0, "hunter2": true}]})),
        ("shop", json!({"greeting": "Hello", "shelves": [1, 2, 3, 4]})),
    ] {
        let request =
            world.request("POST", "/nodes").json(json!({"profile": profile, "vars": vars}));
        let answer = world.refused(request).await;
        assert!(!answer.text.contains("hunter2") || profile == "shop", "{}", answer.text);
        let mut faults = answer.json["errors"].as_array().unwrap().clone();
        faults.sort_by_key(ToString::to_string);
        shown.push(format!("{} {} {}", answer.status, answer.code(), json!(faults)));
    }
    assert_eq!(world.state().await, before);
    insta::assert_snapshot!(shown.join("\n"));
}

/// A playbook and its schema in the folder are all that it takes.
#[tokio::test]
async fn an_own_profile_is_accepted_by_name() {
    let world = World::connected().await;
    let vars = json!({"greeting": "Hello", "shelves": [{"rows": 2}]});
    let (node, _) = world.node(json!({"profile": "shop", "vars": vars})).await;
    assert_eq!((node.spec.profile.as_str(), &json!(node.spec.vars)), ("shop", &vars));
    let found = world.get("/nodes?profile=shop").await;
    assert_eq!(found.json["items"][0]["profile"], "shop");
}

#[tokio::test]
async fn query_and_scope_are_checked() {
    let world = World::connected().await;
    for query in ["dry_run=maybe", "dryrun=true"] {
        let request = world.request("POST", &format!("/nodes?{query}")).json(json!({}));
        let answer = world.refused(request).await;
        assert_eq!((answer.status, answer.code()), (400, "invalid_query"), "{query}");
    }
    world.put_token("ny_reader", &[Scope::Read], None).await;
    let request = world.request("POST", "/nodes").json(json!({})).token("ny_reader");
    let answer = world.refused(request).await;
    assert_eq!((answer.status, answer.code()), (403, "forbidden"));
}

/// The work is on record, and the sweep finds it.
#[tokio::test]
async fn a_wake_that_cannot_be_sent_does_not_refuse_the_work() {
    let world = World::connected().await;
    world.queue.set_broken(true);
    let (_, job) = world.node(json!({})).await;
    assert!(world.queue.messages().is_empty());
    assert_eq!(job.look_at(), Some(crate::support::start()));
}
