use nodeyard_domain::{host_key::HostPins, token::Scope};
use nodeyard_engine::store::RunStore;
use serde_json::json;

use crate::support::World;

#[tokio::test]
async fn shows_a_ready_node_and_how_to_log_in() {
    let world = World::connected().await;
    let node = world.ready_node(json!({"name": "web", "profile": "web"})).await;
    let path = format!("/nodes/{}", node.id);
    assert!(world.get(&path).await.json.get("ssh").is_none(), "no pins, no way in");
    let pins = HostPins::delivered(4_300_000_001, "ssh-ed25519 AAAA".into());
    assert!(world.store.put_pins(&node.id, None, &pins).await.unwrap());
    insta::assert_snapshot!(world.get(&path).await.shown());
}

#[tokio::test]
async fn pins_of_another_server_are_not_shown() {
    let world = World::connected().await;
    let node = world.ready_node(json!({})).await;
    let pins = HostPins::delivered(77, "ssh-ed25519 AAAA".into());
    assert!(world.store.put_pins(&node.id, None, &pins).await.unwrap());
    assert!(world.get(&format!("/nodes/{}", node.id)).await.json.get("ssh").is_none());
}

#[tokio::test]
async fn lists_are_filtered_and_paged() {
    let world = World::connected().await;
    world.connect("second", "rw:p2").await;
    let on = |name: &str, connection: &str, profile: &str, label: &str| json!({"name": name, "connection": connection, "profile": profile, "labels": {"team": label}});
    world.node(on("a", "main", "web", "shop")).await;
    world.node(on("b", "main", "base", "blog")).await;
    world.ready_node(on("c", "second", "base", "shop")).await;
    let names = async |path: &str| {
        let answer = world.get(path).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        let items = answer.json["items"].as_array().unwrap().clone();
        items.iter().map(|node| node["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names("/nodes").await, ["a", "b", "c"]);
    assert_eq!(names("/nodes?status=ready").await, ["c"]);
    assert_eq!(names("/nodes?profile=base").await, ["b", "c"]);
    assert_eq!(names("/nodes?connection=main").await, ["a", "b"]);
    assert_eq!(names("/nodes?connection=none").await, [""; 0]);
    assert_eq!(names("/nodes?label=team%3Dshop").await, ["a", "c"]);
    assert_eq!(names("/nodes?label=team").await.len(), 3);
    assert_eq!(names("/nodes?label=other").await.len(), 0);

    let first = world.get("/nodes?limit=2&label=team").await;
    let next = first.json["next"].as_str().unwrap();
    assert!(next.starts_with("/nodes?limit=2&label=team&cursor="), "{next}");
    let second = world.get(next).await;
    assert_eq!(second.json["items"].as_array().unwrap().len(), 1);
    assert!(second.json.get("next").is_none());

    world.put_token("ny_second", &[Scope::Read], Some(&["second"])).await;
    for (query, count) in [("", 1), ("?connection=second", 1), ("?connection=main", 0)] {
        let request = world.request("GET", &format!("/nodes{query}")).token("ny_second");
        assert_eq!(request.send().await.json["items"].as_array().unwrap().len(), count);
    }
}

#[tokio::test]
async fn bad_parameters_have_stable_codes() {
    let world = World::connected().await;
    for (query, code) in [
        ("limit=0", "invalid_query"),
        ("limit=101", "invalid_query"),
        ("limit=x", "invalid_query"),
        ("status=sleeping", "invalid_query"),
        ("profile=database", "invalid_query"),
        ("connection=Not%20A%20Name", "invalid_query"),
        ("colour=red", "invalid_query"),
        ("cursor=nonsense", "invalid_cursor"),
    ] {
        let answer = world.refused(world.request("GET", &format!("/nodes?{query}"))).await;
        assert_eq!((answer.status, answer.code()), (400, code), "{query}");
    }
}

#[tokio::test]
async fn unknown_and_invisible_nodes_are_the_same() {
    let world = World::connected().await;
    let (node, _) = world.node(json!({})).await;
    world.put_token("ny_other", &[Scope::Admin], Some(&["other"])).await;
    let unknown = format!("/nodes/node-{:032x}", 7);
    for (path, token) in [
        (unknown.as_str(), "ny_admin"),
        ("/nodes/nonsense", "ny_admin"),
        ("/nodes/%FF", "ny_admin"),
        (format!("/nodes/{}", node.id).as_str(), "ny_other"),
    ] {
        let answer = world.refused(world.request("GET", path).token(token)).await;
        let expected =
            if path.ends_with("%FF") { (400, "invalid_request") } else { (404, "not_found") };
        assert_eq!((answer.status, answer.code()), expected, "{path}");
    }
}
