//! What the orphan check sees of the project, and takes away.

use std::time::Duration;

use hetzner_sim::{Fault, actor::Deed, journal::Filter};
use nodeyard_domain::{
    id::NodeId,
    observation::FailureClass,
    orphan::{Resource, ResourceKind},
    ownership::{self, LABEL_DEPLOYMENT},
};
use nodeyard_engine::{
    orphan::{Inventory as _, ListedPage},
    provider::{CreateServer, CreatedServer, Provider as _},
};
use serde_json::json;

use crate::stack::{Stack, connected};

impl Stack {
    async fn create_labelled(&self, deployment: &str, number: u128) -> CreatedServer {
        let body = CreateServer {
            name: format!("web-{number}-of-{deployment}"),
            labels: ownership::labels(deployment, &NodeId::from_bits(number), "abc"),
            ..self.body()
        };
        self.provider.create_server(&self.connection, &body).await.unwrap()
    }

    async fn page(&self, kind: ResourceKind, page: u64) -> ListedPage {
        self.provider.labelled(&self.connection, kind, "main", page).await.unwrap()
    }

    async fn look(&self, kind: ResourceKind, id: u64) -> Option<Resource> {
        self.provider.look(&self.connection, kind, id).await.unwrap()
    }
}

#[tokio::test]
async fn servers_come_page_by_page_and_others_are_only_counted() {
    let stack = connected().await;
    for number in 0..53 {
        stack.create_labelled("main", number).await;
    }
    stack.create_labelled("other", 3).await;
    stack.create().await.unwrap();
    let first = stack.page(ResourceKind::Server, 1).await;
    assert_eq!((first.things.len(), first.next), (50, Some(2)));
    let second = stack.page(ResourceKind::Server, 2).await;
    assert_eq!((second.things.len(), second.next), (3, None));
    let ids: Vec<u64> = first.things.iter().chain(&second.things).map(|it| it.id).collect();
    assert!(ids.is_sorted() && ids.len() == 53, "in an order that nothing new disturbs");
    let one = &first.things[0];
    assert_eq!(one.named_node(), Some(NodeId::from_bits(0)));
    let server = one.server.as_ref().unwrap();
    assert_eq!((server.id, server.attempt, server.primary_ips.len()), (one.id, 0, 2));
    assert_eq!(stack.provider.count_servers(&stack.connection).await, Ok(Some(55)));
}

#[tokio::test]
async fn groups_tell_who_is_in_them() {
    let stack = connected().await;
    let (provider, connection) = (&stack.provider, &stack.connection);
    let id = provider.create_group(connection, "nodeyard-1", "main").await.unwrap();
    provider.create_group(connection, "theirs", "other").await.unwrap();
    let listed = stack.page(ResourceKind::PlacementGroup, 1).await.things;
    assert_eq!(listed.iter().map(|it| (it.id, it.servers)).collect::<Vec<_>>(), [(id, 0)]);
    let body = CreateServer { placement_group: Some(id), ..stack.body() };
    provider.create_server(connection, &body).await.unwrap();
    let group = stack.look(ResourceKind::PlacementGroup, id).await.unwrap();
    assert_eq!((group.servers, group.labels[LABEL_DEPLOYMENT].as_str()), (1, "main"));
    provider.discard(connection, ResourceKind::PlacementGroup, id).await.unwrap();
    assert_eq!(stack.look(ResourceKind::PlacementGroup, id).await, None);
    provider.discard(connection, ResourceKind::PlacementGroup, id).await.unwrap();
}

#[tokio::test]
async fn addresses_tell_whether_somebody_has_them() {
    let stack = connected().await;
    let (provider, connection) = (&stack.provider, &stack.connection);
    let created = stack.create_labelled("main", 1).await;
    let address = created.server.primary_ips[0];
    let held = stack.look(ResourceKind::PrimaryIp, address).await.unwrap();
    assert_eq!((held.servers, held.labels.len()), (1, 0));
    assert_eq!(stack.page(ResourceKind::PrimaryIp, 1).await.things, []);
    // In use, it cannot be deleted.
    let refused = provider.discard(connection, ResourceKind::PrimaryIp, address).await;
    assert!(refused.is_err());

    let url = format!("{}/primary_ips/{address}", stack.simulator.endpoint());
    let keep = reqwest::Client::new().put(url).bearer_auth("main-token");
    keep.json(&json!({"auto_delete": false})).send().await.unwrap().error_for_status().unwrap();
    stack.end_of(created.action_id.unwrap()).await;
    stack.running(created.server.id).await;
    provider.discard(connection, ResourceKind::Server, created.server.id).await.unwrap();
    stack.simulator.advance(Duration::from_secs(60));
    assert_eq!(stack.look(ResourceKind::Server, created.server.id).await, None);
    assert_eq!(stack.look(ResourceKind::PrimaryIp, address).await.unwrap().servers, 0);
    provider.discard(connection, ResourceKind::PrimaryIp, address).await.unwrap();
    assert_eq!(stack.look(ResourceKind::PrimaryIp, address).await, None);
}

#[tokio::test]
async fn keys_are_listed_by_label_only() {
    let stack = connected().await;
    assert_eq!(stack.page(ResourceKind::SshKey, 1).await.things, [], "the managed one has none");
    let managed = stack.look(ResourceKind::SshKey, stack.key().provider_id).await.unwrap();
    assert_eq!(managed.labels.len(), 0);
    let url = format!("{}/ssh_keys/{}", stack.simulator.endpoint(), managed.id);
    let label = reqwest::Client::new().put(url).bearer_auth("main-token");
    let body = json!({"labels": {LABEL_DEPLOYMENT: "main"}});
    label.json(&body).send().await.unwrap().error_for_status().unwrap();
    let listed = stack.page(ResourceKind::SshKey, 1).await.things;
    assert_eq!(listed.iter().map(|it| it.id).collect::<Vec<_>>(), [managed.id]);
    stack.provider.discard(&stack.connection, ResourceKind::SshKey, managed.id).await.unwrap();
    assert_eq!(stack.look(ResourceKind::SshKey, managed.id).await, None);
}

#[tokio::test]
async fn what_cannot_be_read_is_never_taken_for_absent_or_unused() {
    let stack = connected().await;
    let (provider, connection) = (&stack.provider, &stack.connection);
    let id = provider.create_group(connection, "nodeyard-1", "main").await.unwrap();
    let created = stack.create_labelled("main", 1).await;
    let address = created.server.primary_ips[0];
    let without = |path: &str| Fault::RemoveFields { pointers: vec![path.to_owned()] };
    let listing = |kind| provider.labelled(connection, kind, "main", 1);

    stack.arm("GET", "/placement_groups", without("/placement_groups/0/servers"));
    let drifted = listing(ResourceKind::PlacementGroup).await.unwrap_err();
    assert_eq!(drifted.class, FailureClass::Drift);
    stack.arm("GET", "/servers", without("/servers/0/labels"));
    let drifted = listing(ResourceKind::Server).await.unwrap_err();
    assert_eq!(drifted.class, FailureClass::Drift);
    stack.arm("GET", "/primary_ips/*", without("/primary_ip/assignee_id"));
    let drifted = provider.look(connection, ResourceKind::PrimaryIp, address).await.unwrap_err();
    assert_eq!(drifted.class, FailureClass::Drift);
    stack.arm("GET", "/servers", without("/meta"));
    assert_eq!(provider.count_servers(connection).await, Ok(None));
    assert_eq!(stack.page(ResourceKind::PlacementGroup, 1).await.things[0].id, id);
}

#[tokio::test]
async fn a_look_is_one_call_and_a_token_of_another_project_sees_nothing() {
    let stack = connected().await;
    let created = stack.create_labelled("main", 1).await;
    let calls = || stack.simulator.journal(&Filter::default()).len();
    let before = calls();
    stack.page(ResourceKind::Server, 1).await;
    stack.provider.count_servers(&stack.connection).await.unwrap();
    stack.look(ResourceKind::Server, created.server.id).await.unwrap();
    assert_eq!(calls() - before, 3);
    stack.secrets.put("connection/main", "other-token");
    assert_eq!(stack.page(ResourceKind::Server, 1).await.things, []);
    assert_eq!(stack.look(ResourceKind::Server, created.server.id).await, None);
}

#[tokio::test]
async fn protection_is_told() {
    let stack = connected().await;
    let created = stack.create_labelled("main", 1).await;
    stack.running(created.server.id).await;
    let (project, server) = ("shop".to_owned(), created.server.id.to_string());
    stack.simulator.act(Deed::Protect { project, server, on: true }).unwrap();
    let refused =
        stack.provider.discard(&stack.connection, ResourceKind::Server, created.server.id).await;
    assert_eq!(refused.unwrap_err().class, FailureClass::Protected);
}
