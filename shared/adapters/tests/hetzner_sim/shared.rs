//! What jobs share: one listing for many servers, groups, the rate budget; and what is left of
//! them: Primary IPs.

use std::time::Duration;

use hetzner_sim::{Fault, actor::Deed, journal::Filter};
use nodeyard_domain::{
    id::NodeId,
    observation::FailureClass,
    ownership::{self, LABEL_NODE},
};
use nodeyard_engine::provider::{CreateServer, CreatedServer, Provider as _, Remains};
use serde_json::{Value, json};

use crate::stack::{NAME, Stack, connected};

fn node(bits: u128) -> NodeId {
    NodeId::from_bits(bits)
}

impl Stack {
    async fn create_of(&self, deployment: &str, bits: u128) -> CreatedServer {
        let body = CreateServer {
            name: format!("web-{bits}-of-{deployment}"),
            labels: ownership::labels(deployment, &node(bits), "abc"),
            ..self.body()
        };
        self.provider.create_server(&self.connection, &body).await.unwrap()
    }

    /// A call that the adapter has no part in.
    async fn call(&self, method: reqwest::Method, path: &str, body: Value) -> Value {
        let url = format!("{}{path}", self.simulator.endpoint());
        let call = reqwest::Client::new().request(method, url).bearer_auth("main-token");
        let answer = call.json(&body).send().await.unwrap().error_for_status().unwrap();
        answer.json().await.unwrap()
    }

    async fn remains_of(&self, created: &CreatedServer) -> Remains {
        let server = &created.server;
        let call = self.provider.remains(&self.connection, server.id, &server.primary_ips);
        call.await.unwrap()
    }
}

#[tokio::test]
async fn servers_of_many_nodes_are_one_listing() {
    let stack = connected().await;
    for bits in 0..52 {
        stack.create_of("main", bits).await;
    }
    stack.create_of("other", 3).await;
    stack.create().await.unwrap();
    let before = stack.simulator.journal(&Filter::default()).len();
    // The last ones have no server.
    let nodes: Vec<NodeId> = (0..60).map(node).collect();
    let found = stack.provider.servers(&stack.connection, "main", &nodes).await.unwrap();
    let calls = stack.simulator.journal(&Filter::default()).len() - before;
    assert_eq!(calls, 2, "fifty nodes a listing");
    let mut seen: Vec<&str> = found.iter().map(|it| it.labels[LABEL_NODE].as_str()).collect();
    seen.sort_unstable();
    let expected: Vec<&str> = nodes[..52].iter().map(NodeId::as_str).collect();
    assert_eq!(seen, expected);
    assert!(found.iter().all(|it| it.server.ipv4.is_some() && it.server.name.ends_with("of-main")));
}

#[tokio::test]
async fn a_group_is_made_once_and_others_groups_are_left_alone() {
    let stack = connected().await;
    let (provider, connection) = (&stack.provider, &stack.connection);
    stack.arm("POST", "/placement_groups", Fault::AnswerLost);
    let lost = provider.create_group(connection, "nodeyard-1", "main").await.unwrap_err();
    assert_eq!(lost.class, FailureClass::Unknown);
    let id = provider.create_group(connection, "nodeyard-1", "main").await.unwrap();
    assert_eq!(provider.create_group(connection, "nodeyard-1", "main").await, Ok(id));
    let foreign = provider.create_group(connection, "nodeyard-1", "other").await.unwrap_err();
    assert_eq!(foreign.class, FailureClass::NameTaken);
    let groups = stack.call(reqwest::Method::GET, "/placement_groups", json!({})).await;
    assert_eq!(groups["placement_groups"].as_array().unwrap().len(), 1);

    let in_group = |bits: u32| CreateServer {
        name: format!("web-{bits}"),
        placement_group: Some(id),
        ..stack.body()
    };
    for bits in 0..10 {
        provider.create_server(connection, &in_group(bits)).await.unwrap();
    }
    let full = provider.create_server(connection, &in_group(10)).await.unwrap_err();
    let expected = (FailureClass::NoCapacity, "placement_group_member_limit_reached");
    assert_eq!((full.class, full.code.as_str()), expected);
}

#[tokio::test]
async fn addresses_that_outlive_their_server_are_ours_until_another_has_them() {
    let stack = connected().await;
    let (provider, connection) = (&stack.provider, &stack.connection);
    let created = stack.create().await.unwrap();
    let [ipv4, ipv6] = created.server.primary_ips[..] else { panic!("two addresses") };
    stack.running(created.server.id).await;
    for id in [ipv4, ipv6] {
        let path = format!("/primary_ips/{id}");
        stack.call(reqwest::Method::PUT, &path, json!({"auto_delete": false})).await;
    }
    assert_eq!(stack.remains_of(&created).await, Remains::StillThere);
    provider.delete_server(connection, created.server.id).await.unwrap();
    assert_eq!(stack.gone(&created).await, Remains::PrimaryIps(vec![ipv4, ipv6]));

    // Somebody gives one of them to a server of their own.
    let theirs = json!({
        "name": "theirs", "server_type": "cx23", "location": "fsn1", "image": "debian-13",
        "public_net": {"enable_ipv4": true, "enable_ipv6": false, "ipv4": ipv4},
    });
    stack.call(reqwest::Method::POST, "/servers", theirs).await;
    assert_eq!(stack.remains_of(&created).await, Remains::PrimaryIps(vec![ipv6]));
    provider.delete_primary_ip(connection, ipv6).await.unwrap();
    provider.delete_primary_ip(connection, ipv6).await.unwrap();
    assert_eq!(stack.remains_of(&created).await, Remains::Nothing);
    assert!(stack.simulator.counts(&Filter::default()).live_primary_ips > 0, "theirs is untouched");
}

#[tokio::test]
async fn the_rate_is_that_of_the_last_answer_a_refusal_included() {
    let stack = connected().await;
    let (provider, connection) = (&stack.provider, &stack.connection);
    assert_eq!(provider.seen_rate(&connection.name), None, "a check is no job's call");
    provider.find_server(connection, NAME).await.unwrap();
    let seen = provider.seen_rate(&connection.name).unwrap();
    assert!(seen.limit == 3600 && seen.remaining < 3600, "{seen:?}");
    provider.sees_key(connection, stack.key()).await.unwrap();
    let next = provider.seen_rate(&connection.name).unwrap();
    assert_eq!(next.remaining, seen.remaining - 1);
    stack.simulator.act(Deed::EatBudget { project: "shop".into(), requests: None }).unwrap();
    let refused = provider.sees_key(connection, stack.key()).await.unwrap_err();
    assert_eq!(refused.class, FailureClass::RateLimited);
    assert_eq!(provider.seen_rate(&connection.name).unwrap().remaining, 0);
    stack.simulator.advance(Duration::from_secs(10));
    provider.sees_key(connection, stack.key()).await.unwrap();
    let after = provider.seen_rate(&connection.name).unwrap();
    assert!((8..=10).contains(&after.remaining), "{after:?}");
}
