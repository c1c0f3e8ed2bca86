use nodeyard_domain::token::Scope;
use nodeyard_engine::{Clock as _, store::ApiStore};
use serde_json::{Value, json};

use crate::support::{BOOTSTRAP, World, request::Request};

fn post<'a>(world: &'a World, token: &str, body: Value) -> Request<'a> {
    world.request("POST", "/tokens").token(token).json(body)
}

#[tokio::test]
async fn the_bootstrap_secret_makes_the_first_admin_and_nothing_else() {
    let world = World::fresh();
    for path in ["/nodes", "/providers", "/tokens", "/jobs"] {
        let answer = world.refused(world.request("GET", path).token(BOOTSTRAP)).await;
        assert_eq!((answer.status, answer.code()), (401, "invalid_token"), "{path}");
    }
    for body in [
        json!({"name": "first", "scopes": ["read", "operate"]}),
        json!({"name": "first", "scopes": ["admin"], "connections": ["main"]}),
        json!({"name": "first", "scopes": ["admin"], "expires_at": "2099-01-01T00:00:00Z"}),
    ] {
        let answer = world.refused(post(&world, BOOTSTRAP, body)).await;
        assert_eq!((answer.status, answer.code()), (400, "invalid_body"));
    }
    let first = json!({"name": "first", "scopes": ["admin"]});
    let answer = post(&world, BOOTSTRAP, first.clone()).send().await;
    insta::assert_snapshot!(answer.shown());
    let secret = answer.json["secret"].as_str().unwrap();
    assert_eq!(secret.len(), "ny_".len() + 64);
    assert_eq!(world.request("GET", "/nodes").token(secret).send().await.status, 200);

    let answer = world.refused(post(&world, BOOTSTRAP, first)).await;
    assert_eq!((answer.status, answer.code()), (403, "bootstrap_spent"));
}

#[tokio::test]
async fn an_admin_makes_lists_and_deletes_tokens() {
    let world = World::new().await;
    let body = json!({"name": "ci@fleet", "scopes": ["operate"], "connections": ["main"]});
    let made = world.post("/tokens", body).await;
    assert_eq!(made.status, 201);
    let secret = made.json["secret"].as_str().unwrap();
    let path = made.header("location").unwrap();
    let list = world.get("/tokens").await;
    insta::assert_snapshot!(list.shown());
    assert!(!list.text.contains(secret) && !list.text.contains("hash"));
    assert_eq!(world.request("GET", "/jobs").token(secret).send().await.status, 200);
    assert_eq!(world.delete(path).await.status, 204);
    let answer = world.request("GET", "/jobs").token(secret).send().await;
    assert_eq!((answer.status, answer.code()), (401, "invalid_token"));
    assert_eq!(world.refused(world.request("DELETE", path)).await.code(), "not_found");
    assert_eq!(world.refused(world.request("DELETE", "/tokens/7")).await.code(), "not_found");
}

#[tokio::test]
async fn a_token_is_refused_from_the_second_it_expires() {
    let world = World::new().await;
    let expires = world.clock.now() + jiff::SignedDuration::from_secs(60);
    let body = json!({"name": "ci", "scopes": ["admin"], "expires_at": expires.to_string()});
    let made = world.post("/tokens", body).await;
    assert_eq!((made.status, &made.json["expires_at"]), (201, &json!(expires.to_string())));
    let secret = made.json["secret"].as_str().unwrap();
    let asked = async || world.request("GET", "/jobs").token(secret).send().await.status;
    world.clock.advance(jiff::SignedDuration::from_secs(59));
    assert_eq!(asked().await, 200);
    world.clock.advance(jiff::SignedDuration::from_secs(1));
    let answer = world.refused(world.request("GET", "/jobs").token(secret)).await;
    assert_eq!((answer.status, answer.code()), (401, "token_expired"));
    let answer =
        world.refused(post(&world, secret, json!({"name": "x", "scopes": ["read"]}))).await;
    assert_eq!((answer.status, answer.code()), (401, "token_expired"));

    for bad in [json!(expires.to_string()), json!("tomorrow"), json!(7)] {
        let body = json!({"name": "ci", "scopes": ["read"], "expires_at": bad});
        let answer = world.refused(post(&world, "ny_admin", body)).await;
        assert_eq!((answer.status, answer.code()), (400, "invalid_body"), "{bad}");
    }
}

#[tokio::test]
async fn a_token_that_expires_does_not_keep_the_door_open() {
    let world = World::new().await;
    let expires = world.clock.now() + jiff::SignedDuration::from_secs(3600);
    let body = json!({"name": "b", "scopes": ["admin"], "expires_at": expires.to_string()});
    assert_eq!(world.post("/tokens", body).await.status, 201);
    let lasting = world.token_id("admin").await;
    let request = world.request("DELETE", &format!("/tokens/{lasting}"));
    assert_eq!(world.refused(request).await.code(), "last_admin_token");
}

#[tokio::test]
async fn the_last_unrestricted_admin_token_stays() {
    let world = World::new().await;
    world.put_token("ny_some", &[Scope::Admin], Some(&["main"])).await;
    let tokens = world.store.tokens().await.unwrap();
    let admin = format!("/tokens/{}", tokens[0].id);
    let answer = world.refused(world.request("DELETE", &admin)).await;
    assert_eq!((answer.status, answer.code()), (409, "last_admin_token"));
    world.put_token("ny_second", &[Scope::Admin], None).await;
    assert_eq!(world.delete(&admin).await.status, 204);
}

#[tokio::test]
async fn only_unrestricted_admins_touch_tokens() {
    let world = World::new().await;
    world.put_token("ny_operator", &[Scope::Operate], None).await;
    world.put_token("ny_some", &[Scope::Admin], Some(&["main"])).await;
    let body = json!({"name": "x", "scopes": ["read"]});
    for token in ["ny_operator", "ny_some"] {
        for request in [
            world.request("GET", "/tokens").token(token),
            world.request("DELETE", &format!("/tokens/token-{:032x}", 1)).token(token),
            post(&world, token, body.clone()),
        ] {
            let answer = world.refused(request).await;
            assert_eq!((answer.status, answer.code()), (403, "forbidden"));
        }
    }
    let answer = world.refused(post(&world, "wrong", body)).await;
    assert_eq!((answer.status, answer.code()), (401, "invalid_token"));
}

#[tokio::test]
async fn bodies_are_checked() {
    let world = World::new().await;
    let mut shown = Vec::new();
    for body in [
        json!({}),
        json!({"name": "x", "scopes": []}),
        json!({"name": "", "scopes": ["read"]}),
        json!({"name": "two words", "scopes": ["read"]}),
        json!({"name": "x", "scopes": ["root"]}),
        json!({"name": "system", "scopes": ["read"]}),
        json!({"name": "x", "scopes": ["read"], "connections": []}),
        json!({"name": "x", "scopes": ["read"], "connections": ["Not A Name"]}),
        json!({"name": "x", "scopes": ["read"], "secret": "mine"}),
    ] {
        let answer = world.refused(post(&world, "ny_admin", body)).await;
        shown.push(format!("{} {} {}", answer.status, answer.code(), answer.json["errors"]));
    }
    insta::assert_snapshot!(shown.join("\n"));
}
