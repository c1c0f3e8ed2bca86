//! Looking servers up, by name, id and label, and what it takes to say that one is absent.

use nodeyard_domain::observation::{FailureClass, ServerStatus};

use super::*;

const FIND: &str = "GET /servers?name=web-000000000001";

async fn find(script: Vec<(&'static str, Reply)>) -> Result<Lookup> {
    let world = calls(script).await;
    let found = world.provider.find_server(&world.connection, "web-000000000001").await;
    world.listener.requests();
    found
}

fn other_server() -> Value {
    let mut other = server_json(1);
    other["name"] = "web".into();
    other
}

#[tokio::test]
async fn a_server_is_found_by_its_exact_name() {
    let servers = json!([other_server(), server_json(5_000_000_001)]);
    let found = found(find(vec![(FIND, page("servers", servers))]).await);
    assert_eq!(found.server.id, 5_000_000_001);
    assert_eq!(found.server.ipv4.as_deref(), Some("198.51.100.7"));
    assert_eq!(found.server.ipv6.as_deref(), Some("2001:db8:1::1"));
    assert_eq!(found.server.primary_ips, [11, 12]);
    assert_eq!(found.server.server_type.as_deref(), Some("cx23"));
    assert_eq!(found.server.location.as_deref(), Some("fsn1"));
    assert_eq!(found.status, ServerStatus::Running);
    assert_eq!(found.labels["nodeyard/nonce"], "abc");
}

#[tokio::test]
async fn a_name_is_absent_only_when_no_page_has_it() {
    let first = json!({"servers": [other_server()], "meta": {"pagination": {"next_page": 2}}});
    let second = "GET /servers?name=web-000000000001&page=2";
    let script = vec![
        (FIND, Reply::Json(200, first.clone())),
        (second, page("servers", json!([server_json(9)]))),
    ];
    assert_eq!(found(find(script).await).server.id, 9);
    let script = vec![
        (FIND, Reply::Json(200, first)),
        (second, page("servers", json!([]))),
        (MARKER, marker()),
    ];
    assert_eq!(find(script).await, Ok(Lookup::Absent));
}

/// A valid token of another project sees no server of ours: a create would be a second one.
#[tokio::test]
async fn a_name_that_is_not_seen_is_absent_only_with_the_marker_in_sight() {
    let nothing = || (FIND, page("servers", json!([])));
    assert_eq!(find(vec![nothing(), (MARKER, gone())]).await, Ok(Lookup::MarkerMissing));
    let failure = find(vec![nothing(), (MARKER, error(503, "unavailable"))]).await.unwrap_err();
    assert_eq!(failure.class, FailureClass::Unknown);
    let mut world = calls(vec![nothing()]).await;
    world.connection.key = None;
    let looked = world.provider.find_server(&world.connection, "web-000000000001").await;
    assert_eq!(looked, Ok(Lookup::MarkerMissing), "nothing to prove it by");
    world.listener.requests();
}

/// What one token did not see, another one's marker does not prove.
#[tokio::test]
async fn a_token_replaced_between_look_and_marker_proves_nothing() {
    for (first, reply) in [(FIND, page("servers", json!([]))), ("GET /servers/9", gone())] {
        let script = vec![(first, reply), (MARKER, error(401, "unauthorized")), (MARKER, marker())];
        let world = world_with(Scenario::Calls(script), Vault::with(OLD, NEW)).await;
        let looked = if first == FIND {
            world.provider.find_server(&world.connection, "web-000000000001").await
        } else {
            world.provider.server(&world.connection, 9).await
        };
        let failure = looked.unwrap_err();
        assert_eq!((failure.class, failure.code.as_str()), (FailureClass::Busy, "token_replaced"));
        world.listener.requests();
    }
}

#[tokio::test]
async fn an_entry_that_cannot_be_read_is_not_an_absent_server() {
    let found = find(vec![(FIND, page("servers", json!([{"id": 4}])))]).await;
    assert_eq!(found.unwrap_err().class, FailureClass::Drift);
    let found = find(vec![(FIND, Reply::Json(200, json!({"items": []})))]).await;
    assert_eq!(found.unwrap_err().class, FailureClass::Drift);
    let found = find(vec![(FIND, Reply::Text(200, "<html>"))]).await;
    let failure = found.unwrap_err();
    assert_eq!((failure.class, failure.code.as_str()), (FailureClass::Unknown, "unreadable"));
}

#[tokio::test]
async fn a_provider_that_cannot_be_reached_is_unknown() {
    let World { listener, provider, connection, .. } = world(Scenario::NoCall).await;
    drop(listener);
    tokio::task::yield_now().await;
    let failure = provider.find_server(&connection, "x").await.unwrap_err();
    assert_eq!((failure.class, failure.code.as_str()), (FailureClass::Unknown, "connection"));
}

#[tokio::test]
async fn a_server_is_fetched_and_words_we_do_not_know_stay_themselves() {
    let mut server = server_json(9);
    server["status"] = "hibernating".into();
    server["public_net"]["ipv4"] = Value::Null;
    let world = calls(vec![("GET /servers/9", Reply::Json(200, json!({"server": server})))]).await;
    let found = found(world.provider.server(&world.connection, 9).await);
    assert_eq!(found.status, ServerStatus::Other("hibernating".into()));
    assert_eq!((found.server.ipv4, found.server.primary_ips), (None, vec![12]));
}

#[tokio::test]
async fn a_server_that_answers_404_is_absent_only_with_the_marker_in_sight() {
    for (reply, expected) in [(marker(), Lookup::Absent), (gone(), Lookup::MarkerMissing)] {
        let world = calls(vec![("GET /servers/9", gone()), (MARKER, reply)]).await;
        assert_eq!(world.provider.server(&world.connection, 9).await, Ok(expected));
        world.listener.requests();
    }
}

#[tokio::test]
async fn the_key_is_seen_under_its_id_and_nothing_is_made() {
    for (reply, expected) in [
        (marker(), Ok(true)),
        (gone(), Ok(false)),
        (Reply::Text(404, "<html>"), Err(FailureClass::Unknown)),
        (error(503, "unavailable"), Err(FailureClass::Unknown)),
    ] {
        let world = calls(vec![(MARKER, reply)]).await;
        let seen = world.provider.sees_key(&world.connection, &managed_key()).await;
        assert_eq!(seen.map_err(|failure| failure.class), expected);
        world.listener.requests();
    }
}

fn node(bits: usize) -> NodeId {
    NodeId::from_bits(u128::try_from(bits).unwrap())
}

fn labelled(id: u64, deployment: &str, node: &NodeId) -> Value {
    let mut server = server_json(id);
    server["labels"] = json!({"nodeyard/deployment": deployment, "nodeyard/node": node});
    server
}

#[tokio::test]
async fn fifty_nodes_are_one_listing_by_label() {
    let nodes: Vec<NodeId> = (0..51).map(node).collect();
    let line = |nodes: &[NodeId]| -> &'static str {
        let names: Vec<&str> = nodes.iter().map(NodeId::as_str).collect();
        let names = names.join("%2C");
        let selector = format!("nodeyard%2Fdeployment%3Dmain%2Cnodeyard%2Fnode+in+%28{names}%29");
        Box::leak(format!("GET /servers?label_selector={selector}").into_boxed_str())
    };
    let servers = json!([
        labelled(1, "main", &nodes[0]),
        // A selector that was not heeded shows what is not asked for.
        labelled(2, "other", &nodes[1]),
        labelled(3, "main", &node(99)),
        {"id": 4, "labels": {"nodeyard/deployment": "main"}},
        labelled(5, "main", &nodes[49]),
    ]);
    let world = calls(vec![
        (line(&nodes[..50]), page("servers", servers)),
        (line(&nodes[50..]), page("servers", json!([labelled(6, "main", &nodes[50])]))),
    ])
    .await;
    let found = world.provider.servers(&world.connection, "main", &nodes).await.unwrap();
    let ids: Vec<u64> = found.iter().map(|found| found.server.id).collect();
    assert_eq!(ids, [1, 5, 6]);
    world.listener.requests();
}

#[tokio::test]
async fn no_nodes_are_no_call() {
    let world = world(Scenario::NoCall).await;
    assert_eq!(world.provider.servers(&world.connection, "main", &[]).await, Ok(Vec::new()));
    world.listener.requests();
}
