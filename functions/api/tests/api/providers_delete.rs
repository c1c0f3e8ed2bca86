use nodeyard_domain::{job::JobState, node::NodeStatus};
use serde_json::json;

use crate::support::World;

#[tokio::test]
async fn forgets_record_and_token() {
    let world = World::connected().await;
    let answer = world.delete("/providers/main").await;
    assert_eq!((answer.status, answer.text.as_str()), (204, ""));
    assert_eq!(world.provider_token("main").await, None);
    assert_eq!(world.get("/providers/main").await.status, 404);
    // The project is free again.
    assert_eq!(world.connect("main", "rw:p1").await.status, 201);
}

#[tokio::test]
async fn is_refused_while_nodes_live_on_it() {
    let world = World::connected().await;
    let (node, job) = world.node(json!({})).await;
    let answer = world.refused(world.request("DELETE", "/providers/main")).await;
    assert_eq!((answer.status, answer.code()), (409, "connection_in_use"));
    world
        .commit(&job.id, |job, change| {
            job.state = JobState::Failed;
            (change.status, change.close_job) = (Some(NodeStatus::Failed), true);
        })
        .await;
    assert_eq!(world.get(&format!("/nodes/{}", node.id)).await.json["status"], "failed");
    assert_eq!(world.delete("/providers/main").await.status, 204);
}
