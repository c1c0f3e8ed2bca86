//! Callers with a JWT of the configured issuer.

use nodeyard_adapters::jwt::{JwtConfig, Verifier};
use nodeyard_api::issuer::Issuer;
use nodeyard_testkit::idp::{Idp, Signer};
use serde_json::{Value, json};

use crate::support::World;

fn issuer(idp: &Idp) -> Issuer {
    let config = json!({
        "issuer": idp.issuer(), "audience": "nodeyard",
        "claims": {
            "actor": "sub", "scopes": "groups", "connections": "projects",
            "read": ["staff"], "operate": ["ci"], "admin": ["ops"],
        },
    });
    Issuer::new(Verifier::new(JwtConfig::parse(&config.to_string()).unwrap()).unwrap())
}

async fn world(idp: &Idp) -> World {
    let world = World::with_issuer(&[], Some(0), Some(issuer(idp))).with_admin().await;
    world.connect("main", "rw:p1").await;
    world
}

fn token(idp: &Idp, signer: &Signer, groups: &str, projects: Value) -> String {
    let mut claims = idp.claims(60);
    claims["groups"] = json!([groups]);
    claims["projects"] = projects;
    signer.sign(&claims)
}

#[tokio::test]
async fn its_groups_are_scopes_and_its_projects_connections() {
    let signer = Signer::new("k1", 1);
    let idp = Idp::start(&[&signer]).await;
    let world = world(&idp).await;
    let ci = token(&idp, &signer, "ci", json!(["main"]));
    let made = world.request("POST", "/nodes").token(&ci).json(json!({})).send().await;
    assert_eq!(made.status, 202, "{}", made.text);
    let trail = world.get("/audit?actor=jwt:ada").await;
    assert_eq!(trail.json["items"][0]["action"], "node.create", "{}", trail.text);

    let reader = token(&idp, &signer, "staff", json!(["main"]));
    let node = made.json["node"]["id"].as_str().unwrap();
    let path = format!("/nodes/{node}");
    assert_eq!(world.request("GET", &path).token(&reader).send().await.status, 200);
    let refused = world.refused(world.request("DELETE", &path).token(&reader)).await;
    assert_eq!((refused.status, refused.code()), (403, "forbidden"));
    // Of another project, and of none: as if it were not there.
    for projects in [json!(["other"]), Value::Null] {
        let stranger = token(&idp, &signer, "ops", projects);
        let refused = world.refused(world.request("GET", &path).token(&stranger)).await;
        assert_eq!((refused.status, refused.code()), (404, "not_found"));
        let body = json!({"name": "x", "scopes": ["admin"]});
        let refused = world.refused(world.request("POST", "/tokens").token(&stranger).json(body));
        assert_eq!(refused.await.code(), "forbidden", "it would see more than its maker");
    }
    let nobody = token(&idp, &signer, "guests", json!(["main"]));
    assert_eq!(
        world.refused(world.request("GET", "/nodes").token(&nobody)).await.code(),
        "forbidden"
    );
}

#[tokio::test]
async fn what_is_not_the_issuers_is_unknown() {
    let (signer, other) = (Signer::new("k1", 1), Signer::new("k1", 2));
    let idp = Idp::start(&[&signer]).await;
    let world = world(&idp).await;
    let forged = token(&idp, &other, "ops", json!(["main"]));
    let expired = signer.sign(&idp.claims(-120));
    for (token, code) in [(&forged, "invalid_token"), (&expired, "token_expired")] {
        let refused = world.refused(world.request("GET", "/nodes").token(token)).await;
        assert_eq!((refused.status, refused.code()), (401, code));
        assert!(!refused.text.contains(token.as_str()));
    }
    // Without a configured issuer nobody asks anywhere.
    let plain = World::new().await;
    let good = token(&idp, &signer, "ops", json!(["main"]));
    assert_eq!(
        plain.refused(plain.request("GET", "/nodes").token(&good)).await.code(),
        "invalid_token"
    );

    idp.publish(None);
    let fresh = World::with_issuer(&[], Some(0), Some(issuer(&idp))).with_admin().await;
    let refused = fresh.refused(fresh.request("GET", "/nodes").token(&good)).await;
    assert_eq!((refused.status, refused.code()), (503, "issuer_unavailable"));
    assert_eq!(fresh.get("/nodes").await.status, 200, "API tokens do not need it");
}
