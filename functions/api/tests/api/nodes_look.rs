//! Checks and smokes are accepted on nodes they make sense on.

use nodeyard_domain::{
    job::{JobKind, JobState},
    node::NodeStatus,
    readiness::{Finding, ReadinessCode},
};
use serde_json::json;

use crate::support::World;

#[tokio::test]
async fn a_ready_node_is_checked_and_smoked() {
    let world = World::connected().await;
    let node = world.ready_node(json!({})).await;
    for (word, body, kind, keep) in [
        ("check", json!({}), JobKind::NodeCheck, false),
        ("smokes", json!({}), JobKind::NodeSmoke, false),
        ("smokes", json!({"keep": true}), JobKind::NodeSmoke, true),
    ] {
        let request = world.request("POST", &format!("/nodes/{}/{word}", node.id)).json(body);
        let answer = request.send().await;
        assert_eq!(answer.status, 202, "{}", answer.text);
        assert_eq!(answer.json["node"]["status"], "ready");
        let job = world.load(answer.json["job"]["id"].as_str().unwrap()).await.job;
        assert_eq!((job.kind, job.keep_sites), (kind, keep));
        let busy = world.request("POST", &format!("/nodes/{}/{word}", node.id));
        assert_eq!(world.refused(busy).await.code(), "node_busy");
        world
            .commit(&job.id, |job, change| {
                job.state = JobState::Succeeded;
                change.close_job = true;
            })
            .await;
    }
}

#[tokio::test]
async fn a_node_that_is_not_ready_is_not_smoked_and_told_why() {
    let world = World::connected().await;
    let node = world.ready_node(json!({})).await;
    let check = world.request("POST", &format!("/nodes/{}/check", node.id)).send().await;
    let check = check.json["job"]["id"].as_str().unwrap().parse().unwrap();
    let finding =
        |code, ok, warning, detail: &str| Finding { code, ok, warning, detail: detail.to_owned() };
    let found = vec![
        finding(ReadinessCode::DiskLow, true, false, "plenty"),
        finding(ReadinessCode::ServiceDown, false, false, "nginx is failed"),
        finding(ReadinessCode::RebootRequired, false, true, "a kernel"),
    ];
    world
        .commit(&check, move |job, change| {
            job.state = JobState::Succeeded;
            change.readiness = Some((found, job.updated_at));
            (change.status, change.close_job) = (Some(NodeStatus::NotReady), true);
        })
        .await;
    let answer = world.refused(world.request("POST", &format!("/nodes/{}/smokes", node.id))).await;
    assert_eq!((answer.status, answer.code()), (409, "node_not_ready"));
    assert_eq!(answer.json["detail"], "The node is not_ready: service_down: nginx is failed.");
    let shown = world.request("GET", &format!("/nodes/{}", node.id)).send().await;
    let readiness = &shown.json["readiness"];
    assert_eq!(readiness["ready"], false);
    assert!(readiness["since"].is_string() && readiness["findings"][1]["guidance"].is_string());
    let again = world.request("POST", &format!("/nodes/{}/check", node.id)).send().await;
    assert_eq!(again.status, 202, "it may have recovered");
}

#[tokio::test]
async fn there_is_nothing_to_probe_on_other_nodes() {
    let world = World::connected().await;
    for (status, check, smokes) in [
        (NodeStatus::Kept, "node_not_checkable", "node_not_ready"),
        (NodeStatus::CleanupPending, "node_not_checkable", "node_not_ready"),
        (NodeStatus::Failed, "node_gone", "node_gone"),
    ] {
        let (node, job) = world.node(json!({})).await;
        world
            .commit(&job.id, |job, change| {
                job.state = JobState::Failed;
                (change.status, change.close_job) = (Some(status), true);
            })
            .await;
        for (word, code) in [("check", check), ("smokes", smokes)] {
            let request = world.request("POST", &format!("/nodes/{}/{word}", node.id));
            let answer = world.refused(request).await;
            assert_eq!((answer.status, answer.code()), (409, code), "{word} {status:?}");
        }
    }
}

#[tokio::test]
async fn bodies_are_held_to_their_fields() {
    let world = World::connected().await;
    let node = world.ready_node(json!({})).await;
    for (word, body, code) in [
        ("check", json!({"keep": true}), "unknown_field"),
        ("smokes", json!({"keep": "yes"}), "invalid_body"),
        ("smokes", json!({"suite": "site"}), "unknown_field"),
    ] {
        let request = world.request("POST", &format!("/nodes/{}/{word}", node.id)).json(body);
        assert_eq!(world.refused(request).await.code(), code);
    }
}
