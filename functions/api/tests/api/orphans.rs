use jiff::{SignedDuration, Timestamp};
use nodeyard_domain::{
    audit::Action,
    id::NodeId,
    job::JobState,
    node::{Node, NodeStatus},
    orphan::{ConnectionSeen, Orphan, OrphanId, OrphanReason, OrphanState, Resource, ResourceKind},
    ownership,
    token::Scope,
};
use nodeyard_engine::{
    Clock as _,
    orphan::OrphanStore as _,
    store::{ApiStore as _, JobStore as _},
};
use serde_json::json;

use crate::support::{World, server, start};

/// The deployment that the API under test is of.
const DEPLOYMENT: &str = "test";
const ID: u64 = 4_300_000_001;

fn later(secs: i64) -> Timestamp {
    start() + SignedDuration::from_secs(secs)
}

fn orphan(kind: ResourceKind, reason: OrphanReason, node: Option<&NodeId>) -> Orphan {
    let connection = "main".parse().unwrap();
    Orphan {
        id: OrphanId::new(kind, ID, &connection),
        connection,
        kind,
        provider_id: ID,
        name: "web-000000000000".into(),
        reason,
        node: node.cloned(),
        attempt: (reason == OrphanReason::LeftBehind).then_some(1),
        primary_ips: Vec::new(),
        first_seen_at: start(),
        last_seen_at: later(300),
    }
}

/// The thing that is reported, as it is at the provider.
fn thing(orphan: &Orphan) -> Resource {
    let node = orphan.node.clone().unwrap_or(NodeId::from_bits(0xdead));
    let is_server = orphan.kind == ResourceKind::Server;
    let mut labels = ownership::labels(DEPLOYMENT, &node, "nonce");
    if orphan.node.is_none() {
        labels.remove(ownership::LABEL_NODE);
    }
    Resource {
        kind: orphan.kind,
        id: ID,
        name: orphan.name.clone(),
        labels,
        servers: 0,
        server: is_server.then(|| server("web-000000000000")),
    }
}

impl World {
    async fn report(&self, orphan: &Orphan) -> String {
        self.store.put_orphan(orphan).await.unwrap();
        self.cloud.put(thing(orphan));
        format!("/orphans/{}", orphan.id)
    }

    /// A node of which nothing is left.
    async fn failed_node(&self) -> Node {
        let (node, job) = self.node(json!({})).await;
        self.commit(&job.id, |job, change| {
            (job.state, job.intent, job.due_at) = (JobState::Failed, None, None);
            (change.status, change.close_job) = (Some(NodeStatus::Failed), true);
        })
        .await;
        self.store.node(&node.id).await.unwrap().unwrap()
    }

    async fn checked(&self, change: impl FnOnce(&mut OrphanState)) {
        let mut state = self.store.orphan_state().await.unwrap();
        change(&mut state);
        assert!(self.store.swap_orphan_state(&state).await.unwrap());
    }
}

#[tokio::test]
async fn shows_what_is_found_and_how_the_check_stands() {
    let world = World::connected().await;
    let answer = world.get("/orphans").await;
    assert_eq!((answer.status, &answer.json["items"]), (200, &json!([])));
    assert_eq!(answer.json["report_only"], false);
    let left = orphan(ResourceKind::Server, OrphanReason::LeftBehind, Some(&NodeId::from_bits(7)));
    world.report(&left).await;
    let group = orphan(ResourceKind::PlacementGroup, OrphanReason::EmptyGroup, None);
    world.report(&Orphan { first_seen_at: later(-60), ..group }).await;
    world
        .checked(|state| {
            state.ran(true, later(300));
            let seen = |count| ConnectionSeen {
                at: later(300),
                unlabelled_servers: count,
                groups: Vec::new(),
            };
            state.connections.insert("main".parse().unwrap(), seen(Some(3)));
            state.connections.insert("second".parse().unwrap(), seen(None));
        })
        .await;
    insta::assert_snapshot!(world.get("/orphans").await.shown());
}

#[tokio::test]
async fn a_caller_sees_its_own_connections_orphans_only() {
    let world = World::connected().await;
    let path = world.report(&orphan(ResourceKind::SshKey, OrphanReason::UnusedKey, None)).await;
    world
        .checked(|state| {
            let seen = ConnectionSeen { at: start(), unlabelled_servers: None, groups: Vec::new() };
            state.connections.insert("main".parse().unwrap(), seen);
        })
        .await;
    world.put_token("ny_reader", &[Scope::Read], Some(&["main"])).await;
    world.put_token("ny_other", &[Scope::Admin], Some(&["other"])).await;
    let seen = world.request("GET", "/orphans").token("ny_reader").send().await;
    assert_eq!(seen.json["items"].as_array().unwrap().len(), 1);
    let other = world.request("GET", "/orphans").token("ny_other").send().await;
    assert_eq!((&other.json["items"], &other.json["connections"]), (&json!([]), &json!([])));
    let refused = world.refused(world.request("DELETE", &path).token("ny_other")).await;
    assert_eq!(refused.code(), "not_found");
    let refused = world.refused(world.request("DELETE", &path).token("ny_reader")).await;
    assert_eq!(refused.code(), "forbidden");
    let anonymous = world.refused(world.request("GET", "/orphans").anonymous()).await;
    assert_eq!(anonymous.code(), "missing_token");
}

#[tokio::test]
async fn a_server_that_is_proved_ours_goes_through_its_node() {
    let world = World::connected().await;
    let node = world.failed_node().await;
    let left = orphan(ResourceKind::Server, OrphanReason::LeftBehind, Some(&node.id));
    let path = world.report(&left).await;
    let answer = world.delete(&path).await;
    assert_eq!((answer.status, &answer.json["node"]), (202, &json!(node.id.as_str())));
    let given = world.store.node(&node.id).await.unwrap().unwrap();
    assert_eq!(given.status, NodeStatus::CleanupPending);
    assert_eq!(given.server.map(|server| (server.id, server.attempt)), Some((ID, 1)));
    assert_eq!(world.cloud.things(), [ID], "nothing was deleted");
    let audit = world.store.audit();
    let entry = audit.last().unwrap();
    assert_eq!((entry.action, entry.actor.as_str()), (Action::OrphanRemove, "admin"));
    assert_eq!(entry.resource, (&left.id).into());
    assert_eq!(world.delete(&path).await.status, 202, "it is on its way");
}

#[tokio::test]
async fn what_is_not_proved_is_deleted_at_the_provider() {
    for (kind, reason) in [
        (ResourceKind::Server, OrphanReason::UnknownNode),
        (ResourceKind::PlacementGroup, OrphanReason::EmptyGroup),
        (ResourceKind::SshKey, OrphanReason::UnusedKey),
        (ResourceKind::PrimaryIp, OrphanReason::UnprovenAddress),
    ] {
        let world = World::connected().await;
        let path = world.report(&orphan(kind, reason, None)).await;
        let answer = world.delete(&path).await;
        assert_eq!((answer.status, answer.text.as_str()), (204, ""), "{kind:?}");
        assert!(world.cloud.things().is_empty());
        assert_eq!(world.store.audit().last().unwrap().action, Action::OrphanRemove);
        // Whether it is gone is for the next check to tell.
        assert_eq!(world.store.orphans().await.unwrap().len(), 1);
        let again = world.refused(world.request("DELETE", &path)).await;
        assert_eq!((again.status, again.code()), (404, "not_found"));
    }
}

#[tokio::test]
async fn what_is_not_as_it_was_reported_stays() {
    let world = World::connected().await;
    let reported = orphan(ResourceKind::Server, OrphanReason::UnknownNode, None);
    let path = world.report(&reported).await;
    let bare = Resource { labels: Default::default(), ..thing(&reported) };
    world.cloud.put(bare);
    let answer = world.refused(world.request("DELETE", &path)).await;
    assert_eq!((answer.status, answer.code()), (409, "orphan_changed"));

    let group = orphan(ResourceKind::PlacementGroup, OrphanReason::EmptyGroup, None);
    let path = world.report(&group).await;
    world.cloud.put(Resource { servers: 1, ..thing(&group) });
    let answer = world.refused(world.request("DELETE", &path)).await;
    assert_eq!((answer.status, answer.code()), (409, "orphan_changed"));

    // The managed key, reported by mistake.
    let key = world.store.connection(&"main".parse().unwrap()).await.unwrap().unwrap().key.unwrap();
    let mut managed = orphan(ResourceKind::SshKey, OrphanReason::UnusedKey, None);
    managed.provider_id = key.provider_id;
    managed.id = OrphanId::new(ResourceKind::SshKey, key.provider_id, &managed.connection);
    let path = world.report(&managed).await;
    world.cloud.put(Resource { id: key.provider_id, ..thing(&managed) });
    let answer = world.refused(world.request("DELETE", &path)).await;
    assert_eq!((answer.status, answer.code()), (409, "orphan_changed"));
    assert_eq!(world.cloud.things().len(), 2);
}

#[tokio::test]
async fn while_a_job_is_open_on_its_node_it_is_waited_for() {
    let world = World::connected().await;
    let (node, job) = world.node(json!({})).await;
    let path =
        world.report(&orphan(ResourceKind::Server, OrphanReason::NotProven, Some(&node.id))).await;
    let answer = world.refused(world.request("DELETE", &path)).await;
    assert_eq!((answer.status, answer.code()), (409, "node_busy"));
    assert!(answer.text.contains(job.id.as_str()), "{}", answer.text);
    assert_eq!(world.cloud.things(), [ID]);
}

#[tokio::test]
async fn unknown_names_are_not_found() {
    let world = World::connected().await;
    for id in ["server-1@main", "server-1@second", "server-01@main", "volume-1@main", "x", "%2e%2e"]
    {
        let answer = world.refused(world.request("DELETE", &format!("/orphans/{id}"))).await;
        assert_eq!((answer.status, answer.code()), (404, "not_found"), "{id}");
    }
    let wrong = world.refused(world.request("POST", "/orphans/server-1@main")).await;
    assert_eq!(wrong.code(), "method_not_allowed");
}

#[tokio::test]
async fn what_the_provider_refuses_is_told() {
    let world = World::connected().await;
    let path = world.report(&orphan(ResourceKind::Server, OrphanReason::UnknownNode, None)).await;
    world.cloud.protect(ID);
    let answer = world.delete(&path).await;
    assert!(answer.is_problem() && answer.text.contains("protection"), "{}", answer.text);
    assert_eq!((answer.status, answer.code()), (409, "provider_refused"));
    world.cloud.set_down(true);
    let answer = world.refused(world.request("DELETE", &path)).await;
    assert_eq!((answer.status, answer.code()), (503, "provider_unavailable"));
    // Without a call left in the budget none is made.
    world.cloud.set_down(false);
    let (name, now) = ("main".parse().unwrap(), world.clock.now());
    let mut pace = world.store.pace(&name, now).await.unwrap();
    pace.exhausted(now);
    assert!(world.store.swap_pace(&name, &pace).await.unwrap());
    let answer = world.refused(world.request("DELETE", &path)).await;
    assert_eq!((answer.status, answer.code()), (503, "provider_unavailable"));
    assert_eq!(world.cloud.things(), [ID]);
}

#[tokio::test]
async fn an_admin_confirms_a_restored_table() {
    let world = World::connected().await;
    world.checked(|state| state.ran(true, later(-300))).await;
    assert_eq!(world.get("/orphans").await.json["report_only"], true);
    world.put_token("ny_operator", &[Scope::Operate], None).await;
    world.put_token("ny_partial", &[Scope::Admin], Some(&["main"])).await;
    for token in ["ny_operator", "ny_partial"] {
        let request = world.request("POST", "/orphans/confirm").token(token);
        assert_eq!(world.refused(request).await.code(), "forbidden", "{token}");
    }
    let answer = world.request("POST", "/orphans/confirm").send().await;
    assert_eq!((answer.status, &answer.json["report_only"]), (200, &json!(false)));
    assert_eq!(answer.json["report_only_since"], json!(null));
    let state = world.store.orphan_state().await.unwrap();
    assert!(state.confirmed_at.is_some() && !state.must_only_report(false, later(60)));
    let audit = world.store.audit();
    assert_eq!(audit.last().unwrap().action, Action::OrphanConfirm);
}
