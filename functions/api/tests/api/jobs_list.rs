use nodeyard_domain::{job::JobState, token::Scope};
use serde_json::json;

use crate::support::World;

#[tokio::test]
async fn lists_are_filtered_and_paged() {
    let world = World::connected().await;
    let (first, job) = world.node(json!({})).await;
    let (_, _) = world.node(json!({})).await;
    world.commit(&job.id, |job, _| job.state = JobState::Running).await;
    let count = async |path: String| {
        let answer = world.get(&path).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json["items"].as_array().unwrap().len()
    };
    assert_eq!(count("/jobs".into()).await, 2);
    assert_eq!(count("/jobs?state=running".into()).await, 1);
    assert_eq!(count(format!("/jobs?node={}", first.id)).await, 1);
    assert_eq!(count("/jobs?connection=main&state=failed".into()).await, 0);
    let page = world.get("/jobs?limit=1").await;
    let next = page.json["next"].as_str().unwrap().to_owned();
    assert_eq!(count(next).await, 1);
    world.put_token("ny_other", &[Scope::Read], Some(&["other"])).await;
    let answer = world.request("GET", "/jobs").token("ny_other").send().await;
    assert_eq!(answer.json["items"], json!([]));
}

#[tokio::test]
async fn rotations_are_listed_among_them() {
    let world = World::connected().await;
    let (node, job) = world.node(json!({})).await;
    let rotation = world.request("POST", "/providers/main/rotate-key").send().await;
    let rotation = rotation.json["job"]["id"].as_str().unwrap().to_owned();
    let ids = async |path: &str| -> Vec<String> {
        let answer = world.get(path).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        let items = answer.json["items"].as_array().unwrap().iter();
        items.map(|item| item["id"].as_str().unwrap().to_owned()).collect()
    };
    // Both of one time: the larger id goes first.
    assert_eq!(ids("/jobs").await, [rotation.clone(), job.id.to_string()]);
    assert_eq!(ids("/jobs?state=queued&connection=main").await.len(), 2);
    assert_eq!(ids(&format!("/jobs?node={}", node.id)).await, [job.id.to_string()]);
    assert_eq!(ids("/jobs?connection=other").await, [""; 0]);
    let first = world.get("/jobs?limit=1").await;
    assert_eq!(first.json["items"][0], world.get(&format!("/jobs/{rotation}")).await.json);
    let next = first.json["next"].as_str().unwrap().to_owned();
    assert_eq!(ids(&next).await, [job.id.to_string()]);
    world.put_token("ny_other", &[Scope::Read], Some(&["other"])).await;
    for path in ["/jobs".to_owned(), format!("/jobs/{rotation}/evidence")] {
        let answer = world.request("GET", &path).token("ny_other").send().await;
        assert!(answer.status == 404 || answer.json["items"] == json!([]), "{path}");
    }
}

#[tokio::test]
async fn bad_parameters_have_stable_codes() {
    let world = World::connected().await;
    for (query, code) in [
        ("state=sleeping", "invalid_query"),
        ("node=7", "invalid_query"),
        ("limit=1000", "invalid_query"),
        ("page=2", "invalid_query"),
        ("cursor=%7B%7D", "invalid_cursor"),
    ] {
        let answer = world.refused(world.request("GET", &format!("/jobs?{query}"))).await;
        assert_eq!((answer.status, answer.code()), (400, code), "{query}");
    }
}
