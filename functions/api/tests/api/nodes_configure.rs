use nodeyard_domain::{
    job::{JobKind, JobState},
    node::NodeStatus,
};
use serde_json::json;

use crate::support::World;

#[tokio::test]
async fn accepts_a_run_on_a_node_with_a_server() {
    let world = World::connected().await;
    let node = world.ready_node(json!({})).await;
    let path = format!("/nodes/{}/configure", node.id);
    for body in [None, Some(json!({}))] {
        let mut request = world.request("POST", &path);
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await;
        assert_eq!(answer.status, 202, "{}", answer.text);
        let loaded = world.load(answer.json["job"]["id"].as_str().unwrap()).await;
        assert_eq!((loaded.job.kind, &loaded.job.server), (JobKind::NodeConfigure, &node.server));
        world
            .commit(&loaded.job.id, |job, change| {
                job.state = JobState::Succeeded;
                change.close_job = true;
            })
            .await;
    }
}

#[tokio::test]
async fn a_busy_node_takes_no_other_work() {
    let world = World::connected().await;
    let (node, job) = world.node(json!({})).await;
    let request = world.request("POST", &format!("/nodes/{}/configure", node.id));
    let answer = world.refused(request).await;
    assert_eq!((answer.status, answer.code()), (409, "node_busy"));
    assert!(answer.json["guidance"].as_str().unwrap().contains(job.id.as_str()));
}

#[tokio::test]
async fn a_node_without_a_server_cannot_be_configured() {
    let world = World::connected().await;
    for (status, code) in [
        (NodeStatus::Failed, "node_gone"),
        (NodeStatus::Released, "node_gone"),
        (NodeStatus::CleanupPending, "node_not_configurable"),
        (NodeStatus::NotReady, "node_not_configurable"),
    ] {
        let (node, job) = world.node(json!({})).await;
        world
            .commit(&job.id, |job, change| {
                job.state = JobState::Failed;
                (change.status, change.close_job) = (Some(status), true);
            })
            .await;
        let request = world.request("POST", &format!("/nodes/{}/configure", node.id));
        let answer = world.refused(request).await;
        assert_eq!((answer.status, answer.code()), (409, code));
    }
}

#[tokio::test]
async fn keys_and_fields_are_checked() {
    let world = World::connected().await;
    let node = world.ready_node(json!({})).await;
    let path = format!("/nodes/{}/configure", node.id);
    let request = world.request("POST", &path).json(json!({"profile": "web"}));
    assert_eq!(world.refused(request).await.code(), "unknown_field");
    let send = || world.request("POST", &path).header("Idempotency-Key", "k");
    let first = send().send().await;
    let again = send().send().await;
    assert_eq!((again.status, &again.json["job"]["id"]), (202, &first.json["job"]["id"]));
    // The key is the caller's for this node only.
    let other = world.ready_node(json!({})).await;
    let request = world.request("POST", &format!("/nodes/{}/configure", other.id));
    let answer = request.header("Idempotency-Key", "k").send().await;
    assert_ne!(answer.json["job"]["id"], first.json["job"]["id"]);
}
