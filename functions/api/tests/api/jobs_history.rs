//! `GET /jobs/{id}/timeline` and `/log`.

use nodeyard_domain::timeline::{Source, TimelineEntry};
use nodeyard_engine::store::RunStore;
use serde_json::json;

use crate::support::{World, start};

#[tokio::test]
async fn the_timeline_is_paged_in_order() {
    let world = World::connected().await;
    let (_, job) = world.node(json!({})).await;
    let entry = |source, text: &str| TimelineEntry::new(start(), source, text);
    let entries = [
        entry(Source::Worker, "server created").with("server_id", 42),
        entry(Source::Run, "nginx : install"),
    ];
    world.store.append_timeline(&job.id, &entries).await.unwrap();
    let path = format!("/jobs/{}/timeline", job.id);
    insta::assert_snapshot!(world.get(&path).await.shown());
    let page = world.get(&format!("{path}?limit=1")).await;
    let next = world.get(page.json["next"].as_str().unwrap()).await;
    assert_eq!(next.json["items"][0]["message"], "nginx : install");
    assert_eq!(world.refused(world.request("GET", &format!("{path}?from=1"))).await.status, 400);
}

#[tokio::test]
async fn the_log_comes_in_pieces() {
    let world = World::connected().await;
    let (_, job) = world.node(json!({})).await;
    for (sequence, text) in [(2, "second\n"), (1, "first\n")] {
        world.store.append_log(&job.id, 1, sequence, text).await.unwrap();
    }
    let answer = world.get(&format!("/jobs/{}/log", job.id)).await;
    assert_eq!(answer.json, json!({"items": [{"text": "first\n"}, {"text": "second\n"}]}));
}

#[tokio::test]
async fn a_page_of_the_log_fits_into_a_functions_answer_whatever_it_holds() {
    let world = World::connected().await;
    let (_, job) = world.node(json!({})).await;
    let piece = "\u{1}".repeat(64 * 1024);
    for sequence in 0..30 {
        world.store.append_log(&job.id, 1, sequence, &piece).await.unwrap();
    }
    let mut next = Some(format!("/jobs/{}/log?limit=100", job.id));
    let mut pieces = 0;
    while let Some(path) = next {
        let page = world.get(&path).await.json;
        assert!(page.to_string().len() < 6_000_000, "{}", page.to_string().len());
        pieces += page["items"].as_array().unwrap().len();
        next = page["next"].as_str().map(str::to_owned);
    }
    assert_eq!(pieces, 30);
}
