use std::time::Duration;

use jiff::SignedDuration;
use nodeyard_domain::{
    code::Code,
    job::{JobError, JobState, ParkReason, Phase, Step},
    run::Recap,
    token::Scope,
};
use serde_json::json;
use tokio::time::Instant;

use crate::support::{World, start};

#[tokio::test]
async fn shows_a_job_that_waits() {
    let world = World::connected().await;
    let (_, job) = world.node(json!({})).await;
    world
        .commit(&job.id, |job, _| {
            (job.state, job.step, job.attempt) = (JobState::Running, Step::CreateServer, 2);
            job.waiting_on = Some(ParkReason::Capacity);
        })
        .await;
    insta::assert_snapshot!(world.get(&format!("/jobs/{}", job.id)).await.shown());
}

#[tokio::test]
async fn shows_a_job_that_failed_with_what_can_be_done() {
    let world = World::connected().await;
    let (_, job) = world.node(json!({})).await;
    let now = start() + SignedDuration::from_secs(90);
    world
        .commit(&job.id, |job, change| {
            (job.state, job.step, job.phase) = (JobState::Failed, Step::Done, Phase::Undo);
            job.error = Some(JobError {
                code: Code::AnsibleHostFailed,
                detail: "task nginx : start".into(),
            });
            job.recap = Some(Recap { ok: 12, changed: 3, failed: 1, unreachable: 0, skipped: 2 });
            (job.finished_at, job.due_at) = (Some(now), None);
            change.close_job = true;
        })
        .await;
    let answer = world.get(&format!("/jobs/{}", job.id)).await;
    insta::assert_snapshot!(answer.shown());
    assert_eq!(answer.header("retry-after"), None, "it will not change any more");
}

#[tokio::test]
async fn the_tag_is_the_version_and_saves_the_body() {
    let world = World::connected().await;
    let (_, job) = world.node(json!({})).await;
    let path = format!("/jobs/{}", job.id);
    let first = world.get(&path).await;
    assert_eq!(first.header("etag"), Some("\"1\""));
    let send = |tag: &str| world.request("GET", &path).header("If-None-Match", tag);
    let same = send("W/\"1\"").send().await;
    assert_eq!((same.status, same.text.as_str(), same.header("etag")), (304, "", Some("\"1\"")));
    world.commit(&job.id, |job, _| job.state = JobState::Running).await;
    let changed = send("\"1\"").send().await;
    assert_eq!((changed.status, changed.header("etag")), (200, Some("\"2\"")));
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_held_until_the_job_changes() {
    let world = World::connected().await;
    let (_, job) = world.node(json!({})).await;
    let path = format!("/jobs/{}", job.id);
    let started = Instant::now();
    let (answer, ()) =
        tokio::join!(world.request("GET", &path).header("Prefer", "wait=8").send(), async {
            tokio::time::sleep(Duration::from_millis(2_700)).await;
            world.commit(&job.id, |job, _| job.state = JobState::Running).await;
        });
    assert_eq!((answer.status, &answer.json["state"]), (200, &json!("running")));
    assert_eq!(answer.header("preference-applied"), Some("wait=8"));
    assert_eq!(started.elapsed(), Duration::from_secs(3));
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_held_ten_seconds_at_most() {
    let world = World::connected().await;
    let (_, job) = world.node(json!({})).await;
    let path = format!("/jobs/{}", job.id);
    let send = |wait: &str, tag: &str| {
        world.request("GET", &path).header("Prefer", wait).header("If-None-Match", tag).send()
    };
    let started = Instant::now();
    let answer = send("wait=60", "\"1\"").await;
    assert_eq!((answer.status, answer.header("preference-applied")), (304, Some("wait=10")));
    assert!((10..11).contains(&started.elapsed().as_secs()));

    // What the caller does not have yet is answered at once, and so is what has ended.
    let started = Instant::now();
    assert_eq!(send("wait=5", "\"0\"").await.status, 200);
    world.commit(&job.id, |job, _| job.state = JobState::Cancelled).await;
    assert_eq!(send("wait=5", "\"2\"").await.status, 304);
    assert_eq!(started.elapsed(), Duration::ZERO);
}

#[tokio::test]
async fn unknown_and_invisible_jobs_are_the_same() {
    let world = World::connected().await;
    let (_, job) = world.node(json!({})).await;
    world.put_token("ny_other", &[Scope::Admin], Some(&["other"])).await;
    let unknown = format!("/jobs/job-{:032x}", 7);
    let seen = format!("/jobs/{}", job.id);
    for (path, token) in
        [(unknown.as_str(), "ny_admin"), ("/jobs/7", "ny_admin"), (seen.as_str(), "ny_other")]
    {
        for tail in ["", "/timeline", "/log"] {
            let request = world.request("GET", &format!("{path}{tail}")).token(token);
            let answer = world.refused(request).await;
            assert_eq!((answer.status, answer.code()), (404, "not_found"), "{path}{tail}");
        }
    }
}
