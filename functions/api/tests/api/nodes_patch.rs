use nodeyard_domain::token::Scope;
use serde_json::json;

use crate::support::World;

#[tokio::test]
async fn sets_and_removes_labels() {
    let world = World::connected().await;
    let (node, job) = world.node(json!({"labels": {"team": "shop", "old": "1"}})).await;
    let path = format!("/nodes/{}", node.id);
    let patch = json!({"labels": {"old": null, "tier": "gold", "absent": null}});
    let answer = world.request("PATCH", &path).json(patch).send().await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(answer.json["labels"], json!({"team": "shop", "tier": "gold"}));
    assert_eq!(world.get(&path).await.json["labels"], answer.json["labels"]);
    // Labels are not work: the job is as it was.
    assert_eq!(world.load(job.id.as_str()).await.job, job);
}

#[tokio::test]
async fn bad_patches_have_stable_codes() {
    let world = World::connected().await;
    let (node, _) = world.node(json!({"labels": {"team": "shop"}})).await;
    let path = format!("/nodes/{}", node.id);
    let many: serde_json::Map<_, _> = (0..33).map(|n| (format!("l{n}"), json!("x"))).collect();
    for (body, code) in [
        (json!({}), "invalid_body"),
        (json!({"labels": {"hetzner.cloud/x": "y"}}), "invalid_body"),
        (json!({"labels": {"team": 7}}), "invalid_body"),
        (json!({"labels": many}), "invalid_body"),
        (json!({"name": "new"}), "unknown_field"),
    ] {
        let answer = world.refused(world.request("PATCH", &path).json(body)).await;
        assert_eq!((answer.status, answer.code()), (400, code), "{}", answer.text);
    }
    world.put_token("ny_reader", &[Scope::Read], None).await;
    let request = world.request("PATCH", &path).json(json!({"labels": {}})).token("ny_reader");
    assert_eq!(world.refused(request).await.code(), "forbidden");
}
