//! Events of an HTTP API (payload format 2.0) reach the same router.

use nodeyard_domain::{audit::Action, token::Scope};
use serde_json::Value;
use tower::ServiceExt as _;

use crate::support::{World, answer::Answer};

async fn invoke(world: &World, event: Value) -> Answer {
    let request = nodeyard_api::gateway::request(event).unwrap();
    Answer::read(world.router().oneshot(request).await.unwrap()).await
}

/// A sample event of the repository's `events` folder.
fn sample(name: &str) -> Value {
    let path = format!("{}/../../events/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// The gateway has the one route `$default`: path parameters and route key say nothing.
#[tokio::test]
async fn the_sample_events_reach_their_routes() {
    let world = World::connected().await;
    // The samples' token, which is none anywhere else.
    world.put_token("not-a-token", &[Scope::Admin], None).await;
    for (name, status, code) in [
        ("api-get-health", 200, ""),
        ("api-list-nodes", 200, ""),
        ("api-get-audit", 200, ""),
        ("api-post-node", 202, ""),
        ("api-post-node-local", 400, "acquisition_mode_unsupported"),
        ("api-put-provider", 422, "provider_token_rejected"),
        ("api-get-job", 404, "not_found"),
        ("api-delete-node", 404, "not_found"),
        ("api-unknown-path", 404, "not_found"),
    ] {
        let answer = invoke(&world, sample(name)).await;
        assert_eq!((answer.status, answer.code()), (status, code), "{name}: {}", answer.text);
    }
    let nodes = world.store.all_nodes();
    assert_eq!(nodes.len(), 1);
    assert_eq!(nodes[0].labels["team"], "shop");
    assert_eq!(world.store.all_jobs()[0].ladder.len(), 2);
}

#[tokio::test]
async fn the_gateway_names_the_request() {
    let world = World::connected().await;
    let id = sample("api-unknown-path")["requestContext"]["requestId"].clone();
    let answer = invoke(&world, sample("api-unknown-path")).await;
    assert_eq!(answer.json["request_id"], id);
    assert_eq!(answer.header("x-request-id"), id.as_str());
    world.put_token("not-a-token", &[Scope::Operate], None).await;
    invoke(&world, sample("api-post-node")).await;
    let audit = world.store.audit();
    let entry = audit.last().unwrap();
    assert_eq!(entry.action, Action::NodeCreate);
    assert_eq!(Some(entry.request_id.as_str()), id.as_str());
    let address = &sample("api-post-node")["requestContext"]["http"]["sourceIp"];
    assert_eq!(entry.source_address.as_deref(), address.as_str());
}
