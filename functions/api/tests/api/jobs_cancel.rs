use nodeyard_domain::{
    audit::Action,
    job::{JobState, Phase},
    token::Scope,
    wake::WakeReason,
};
use serde_json::json;

use crate::support::World;

#[tokio::test]
async fn sets_the_flag_and_wakes() {
    let world = World::connected().await;
    let (_, job) = world.node(json!({})).await;
    let path = format!("/jobs/{}/cancel", job.id);
    let answer = world.request("POST", &path).send().await;
    assert_eq!((answer.status, answer.json["job"]["id"].as_str()), (202, Some(job.id.as_str())));
    assert_eq!(answer.header("location").unwrap(), format!("/jobs/{}", job.id));
    let reasons: Vec<_> =
        world.queue.messages().into_iter().map(|queued| queued.wake.reason).collect();
    assert_eq!(reasons, [WakeReason::Due, WakeReason::Cancel]);
    let loaded = world.load(job.id.as_str()).await;
    assert!(loaded.job.cancel_requested_at.is_some() && loaded.job.news_at.is_some());
    assert_eq!(world.store.audit().last().unwrap().action, Action::JobCancel);
    // Once is enough.
    let before = world.state().await;
    assert_eq!(world.request("POST", &path).send().await.status, 202);
    assert_eq!(world.state().await, before);
}

#[tokio::test]
async fn if_match_is_honoured() {
    let world = World::connected().await;
    let (_, job) = world.node(json!({})).await;
    let path = format!("/jobs/{}/cancel", job.id);
    let send = |tag: &str| world.request("POST", &path).header("If-Match", tag);
    let answer = world.refused(send("\"7\"")).await;
    assert_eq!((answer.status, answer.code()), (412, "version_mismatch"));
    assert_eq!(send("\"1\"").send().await.status, 202);
}

#[tokio::test]
async fn what_cannot_be_cancelled_says_why() {
    let world = World::connected().await;
    let (_, ended) = world.node(json!({})).await;
    world.commit(&ended.id, |job, _| job.state = JobState::Succeeded).await;
    let (_, undone) = world.node(json!({})).await;
    world
        .commit(&undone.id, |job, _| (job.state, job.phase) = (JobState::Running, Phase::Undo))
        .await;
    let node = world.ready_node(json!({})).await;
    let release = world.delete(&format!("/nodes/{}", node.id)).await;
    let release = release.json["job"]["id"].as_str().unwrap().to_owned();
    let mut details = Vec::new();
    for job in [ended.id.as_str(), undone.id.as_str(), &release] {
        let answer = world.refused(world.request("POST", &format!("/jobs/{job}/cancel"))).await;
        assert_eq!((answer.status, answer.code()), (409, "not_cancellable"));
        details.push(answer.json["detail"].as_str().unwrap().to_owned());
    }
    assert_eq!(
        details,
        [
            "The job has ended.",
            "The job is being undone already.",
            "A release cannot be cancelled."
        ]
    );
}

#[tokio::test]
async fn scope_and_fields_are_checked() {
    let world = World::connected().await;
    let (_, job) = world.node(json!({})).await;
    let path = format!("/jobs/{}/cancel", job.id);
    world.put_token("ny_reader", &[Scope::Read], None).await;
    let request = world.request("POST", &path).token("ny_reader");
    assert_eq!(world.refused(request).await.code(), "forbidden");
    let request = world.request("POST", &path).json(json!({"force": true}));
    assert_eq!(world.refused(request).await.code(), "unknown_field");
}
