use nodeyard_domain::{
    id::JobId,
    job::{JobKind, JobState, Phase},
    node::NodeStatus,
    token::Scope,
    wake::WakeReason,
};
use serde_json::json;

use crate::support::World;

/// The reasons of the wakes sent for a job.
fn wakes(world: &World, job: &JobId) -> Vec<WakeReason> {
    let of_job = |queued: &nodeyard_testkit::queue::Queued| queued.wake.job_id == *job;
    world.queue.messages().into_iter().filter(of_job).map(|queued| queued.wake.reason).collect()
}

#[tokio::test]
async fn an_idle_node_gets_a_release() {
    let world = World::connected().await;
    let node = world.ready_node(json!({"name": "web"})).await;
    let answer = world.delete(&format!("/nodes/{}", node.id)).await;
    insta::assert_snapshot!(answer.shown());
    let loaded = world.load(answer.json["job"]["id"].as_str().unwrap()).await;
    assert_eq!(loaded.job.kind, JobKind::NodeRelease);
    assert_eq!(loaded.job.server, node.server);
    assert_eq!(loaded.node.open_job.as_ref(), Some(&loaded.job.id));
    assert_eq!(wakes(&world, &loaded.job.id), [WakeReason::Due]);
    // Again: the same release.
    let again = world.delete(&format!("/nodes/{}", node.id)).await;
    assert_eq!((again.status, &again.json["job"]["id"]), (202, &answer.json["job"]["id"]));
    assert_eq!(world.store.all_jobs().len(), 2);
}

#[tokio::test]
async fn while_provisioning_that_job_is_cancelled() {
    let world = World::connected().await;
    let (node, job) = world.node(json!({})).await;
    let answer = world.delete(&format!("/nodes/{}", node.id)).await;
    assert_eq!((answer.status, answer.json["job"]["id"].as_str()), (202, Some(job.id.as_str())));
    let loaded = world.load(job.id.as_str()).await;
    assert!(loaded.job.cancel_requested_at.is_some());
    assert_eq!(loaded.job.version, job.version, "the flag is not a step");
    assert_eq!(wakes(&world, &job.id), [WakeReason::Due, WakeReason::Cancel]);
    assert_eq!(world.store.all_jobs().len(), 1);
    assert_eq!(world.delete(&format!("/nodes/{}", node.id)).await.status, 202);
}

#[tokio::test]
async fn while_configuring_a_release_is_queued_behind_the_cancelled_job() {
    let world = World::connected().await;
    let node = world.ready_node(json!({})).await;
    let path = format!("/nodes/{}", node.id);
    let configure = world.request("POST", &format!("{path}/configure")).send().await;
    let configure: JobId = configure.json["job"]["id"].as_str().unwrap().parse().unwrap();
    let answer = world.delete(&path).await;
    assert_eq!((answer.status, &answer.json["job"]["kind"]), (202, &json!("node_release")));
    let release: JobId = answer.json["job"]["id"].as_str().unwrap().parse().unwrap();
    let loaded = world.load(configure.as_str()).await;
    assert!(loaded.job.cancel_requested_at.is_some());
    assert_eq!(loaded.node.open_job, Some(configure.clone()));
    assert_eq!(loaded.node.queued_release, Some(release.clone()));
    assert_eq!(wakes(&world, &configure), [WakeReason::Due, WakeReason::Cancel]);
    assert_eq!(wakes(&world, &release), [WakeReason::Due]);
    let again = world.delete(&path).await;
    assert_eq!(again.json["job"]["id"], release.as_str());
    assert_eq!(world.store.all_jobs().len(), 3);
}

#[tokio::test]
async fn what_is_gone_cannot_be_released() {
    let world = World::connected().await;
    for status in [NodeStatus::Released, NodeStatus::Failed] {
        let (node, job) = world.node(json!({})).await;
        world
            .commit(&job.id, |job, change| {
                (job.state, job.phase) = (JobState::Failed, Phase::Undo);
                (change.status, change.close_job) = (Some(status), true);
            })
            .await;
        let answer = world.refused(world.request("DELETE", &format!("/nodes/{}", node.id))).await;
        assert_eq!((answer.status, answer.code()), (409, "node_gone"));
    }
}

#[tokio::test]
async fn what_could_not_be_removed_can_be_released_again() {
    let world = World::connected().await;
    let (node, job) = world.node(json!({})).await;
    world
        .commit(&job.id, |job, change| {
            (job.state, job.phase) = (JobState::Failed, Phase::Undo);
            (change.status, change.close_job) = (Some(NodeStatus::CleanupPending), true);
        })
        .await;
    let answer = world.delete(&format!("/nodes/{}", node.id)).await;
    assert_eq!((answer.status, &answer.json["job"]["kind"]), (202, &json!("node_release")));
}

#[tokio::test]
async fn a_key_gives_the_same_release() {
    let world = World::connected().await;
    let node = world.ready_node(json!({})).await;
    let path = format!("/nodes/{}", node.id);
    let send = || world.request("DELETE", &path).header("Idempotency-Key", "k");
    let first = send().send().await;
    let job: JobId = first.json["job"]["id"].as_str().unwrap().parse().unwrap();
    world
        .commit(&job, |job, change| {
            job.state = JobState::Succeeded;
            (change.status, change.close_job) = (Some(NodeStatus::Released), true);
        })
        .await;
    let again = send().send().await;
    assert_eq!((again.status, again.json["job"]["id"].as_str()), (202, Some(job.as_str())));
    assert_eq!(world.refused(world.request("DELETE", &path)).await.code(), "node_gone");
}

#[tokio::test]
async fn scope_and_visibility_are_checked() {
    let world = World::connected().await;
    let node = world.ready_node(json!({})).await;
    let path = format!("/nodes/{}", node.id);
    world.put_token("ny_reader", &[Scope::Read], None).await;
    world.put_token("ny_other", &[Scope::Operate], Some(&["other"])).await;
    let request = world.request("DELETE", &path).token("ny_reader");
    assert_eq!(world.refused(request).await.code(), "forbidden");
    let request = world.request("DELETE", &path).token("ny_other");
    assert_eq!(world.refused(request).await.code(), "not_found");
}
