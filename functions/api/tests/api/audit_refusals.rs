//! Every refusal leaves its entry: who, what, on what, from where, why; and never what was sent.

use jiff::SignedDuration;
use nodeyard_api::contract;
use nodeyard_domain::{
    audit::{Action, AuditEntry, Outcome},
    token::Scope,
};
use nodeyard_testkit::faults::Fault;
use serde_json::{Value, json};

use crate::support::{BOOTSTRAP, Memory, World, request::Request};

/// A request that must be refused, and the one entry that it leaves.
async fn entry(world: &World, request: Request<'_>) -> AuditEntry {
    let before = world.store.audit().len();
    let answer = world.refused(request).await;
    let mut added = world.store.audit().split_off(before);
    assert_eq!(added.len(), 1, "{}: {added:#?}", answer.text);
    let entry = added.remove(0);
    assert_eq!(entry.outcome, Outcome::Refused { code: answer.code().to_owned() });
    assert_eq!(Some(entry.request_id.as_str()), answer.header("x-request-id"));
    assert_eq!(
        entry.token_id.is_none(),
        ["anonymous", "bootstrap"].contains(&entry.actor.as_str())
    );
    entry
}

/// A route that is new and not known to the trail is found out here.
#[tokio::test]
async fn a_stranger_is_in_the_trail_whatever_the_route() {
    let document = serde_json::to_value(contract::<Memory>()).unwrap();
    let mut routes = 0;
    for (template, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            if operation["security"] == json!([{}]) {
                continue;
            }
            let world = World::connected().await;
            let path = template.replace("{id}", "7").replace("{name}", "main");
            for token in [None, Some("wrong")] {
                let request = world.request(&method.to_uppercase(), &path);
                let request = match token {
                    Some(token) => request.token(token),
                    None => request.anonymous(),
                };
                let entry = entry(&world, request).await;
                assert_eq!(entry.actor, "anonymous", "{method} {path}");
                let named = template.contains("{name}").then_some("main");
                assert_eq!(entry.resource.id.as_deref(), named, "{method} {path}");
                let is_read = entry.action.as_str().ends_with(".read");
                assert_eq!(is_read, method == "get", "{method} {path}: {}", entry.action);
            }
            routes += 1;
        }
    }
    assert!(routes >= 24, "{routes}");
}

/// Token, method, path and body; status and code, action and resource id.
type Row<'a> = (&'a str, &'a str, &'a str, Value, (u16, &'a str), Action, Option<&'a str>);

#[tokio::test]
async fn each_kind_of_refusal_of_each_change() {
    let world = World::connected().await;
    world.put_token("ny_reader", &[Scope::Read], None).await;
    world.put_token("ny_other", &[Scope::Admin], Some(&["other"])).await;
    let (busy, job) = world.node(json!({"name": "busy"})).await;
    let ended = world.ready_node(json!({"name": "ended"})).await;
    let done = world.store.all_jobs().into_iter().find(|one| one.node_id == ended.id).unwrap();
    let (busy, job, done) = (busy.id.as_str(), job.id.as_str(), done.id.as_str());
    let own = world.token_id("admin").await;
    let (node, own_token) = (format!("/nodes/{busy}"), format!("/tokens/{own}"));
    let (configure, cancel) = (format!("{node}/configure"), format!("/jobs/{job}/cancel"));
    let over = format!("/jobs/{done}/cancel");
    let (node, own_token, own) = (node.as_str(), own_token.as_str(), own.as_str());
    let (configure, cancel, over) = (configure.as_str(), cancel.as_str(), over.as_str());
    let none = json!({});
    let token = |text: &str| json!({"provider": "hetzner", "token": text});
    let ci = json!({"name": "ci", "scopes": ["read"]});
    let (a, r, o) = ("ny_admin", "ny_reader", "ny_other");
    #[rustfmt::skip]
    let table: Vec<Row<'_>> = vec![
        (r, "POST", "/nodes", none.clone(), (403, "forbidden"), Action::NodeCreate, None),
        (a, "POST", "/nodes", json!({"host": "x"}), (400, "acquisition_mode_unsupported"), Action::NodeCreate, None),
        (a, "POST", "/nodes?x=1", none.clone(), (400, "invalid_query"), Action::NodeCreate, None),
        (o, "POST", "/nodes", none.clone(), (409, "provider_not_connected"), Action::NodeCreate, None),
        (a, "POST", "/nodes", json!({"max_price": 0.01}), (422, "price_ceiling_exceeded"), Action::NodeCreate, None),
        (r, "PATCH", node, none.clone(), (403, "forbidden"), Action::NodeLabels, Some(busy)),
        (o, "PATCH", node, json!({"labels": {}}), (404, "not_found"), Action::NodeLabels, Some(busy)),
        (a, "PATCH", node, none.clone(), (400, "invalid_body"), Action::NodeLabels, Some(busy)),
        (r, "POST", configure, none.clone(), (403, "forbidden"), Action::NodeConfigure, Some(busy)),
        (o, "POST", configure, none.clone(), (404, "not_found"), Action::NodeConfigure, Some(busy)),
        (a, "POST", configure, none.clone(), (409, "node_busy"), Action::NodeConfigure, Some(busy)),
        (r, "DELETE", node, none.clone(), (403, "forbidden"), Action::NodeRelease, Some(busy)),
        (o, "DELETE", node, none.clone(), (404, "not_found"), Action::NodeRelease, Some(busy)),
        (a, "DELETE", "/nodes/x", none.clone(), (404, "not_found"), Action::NodeRelease, None),
        (r, "POST", cancel, none.clone(), (403, "forbidden"), Action::JobCancel, Some(job)),
        (o, "POST", cancel, none.clone(), (404, "not_found"), Action::JobCancel, Some(job)),
        (a, "POST", over, none.clone(), (409, "not_cancellable"), Action::JobCancel, Some(done)),
        (a, "POST", cancel, json!({"force": 1}), (400, "unknown_field"), Action::JobCancel, Some(job)),
        (r, "PUT", "/providers/new", token("rw:p2"), (403, "forbidden"), Action::ProviderConnect, Some("new")),
        (o, "PUT", "/providers/new", token("rw:p2"), (404, "provider_not_found"), Action::ProviderConnect, Some("new")),
        (a, "PUT", "/providers/NEW", token("rw:p2"), (400, "invalid_request"), Action::ProviderConnect, None),
        (a, "PUT", "/providers/new", token("rw:p1"), (409, "project_already_connected"), Action::ProviderConnect, Some("new")),
        (a, "PUT", "/providers/new", token("dead"), (422, "provider_token_rejected"), Action::ProviderConnect, Some("new")),
        (a, "PUT", "/providers/main", token("dead"), (422, "provider_token_rejected"), Action::ProviderRotate, Some("main")),
        (a, "PUT", "/providers/main", token("rw:p2"), (422, "different_project"), Action::ProviderRotate, Some("main")),
        (a, "PUT", "/providers/main", token("ro:p1"), (422, "token_readonly"), Action::ProviderRotate, Some("main")),
        (r, "POST", "/providers/main/check", none.clone(), (403, "forbidden"), Action::ProviderCheck, Some("main")),
        (o, "POST", "/providers/main/check", none.clone(), (404, "provider_not_found"), Action::ProviderCheck, Some("main")),
        (r, "POST", "/providers/main/rotate-key", none.clone(), (403, "forbidden"), Action::ProviderRotateKey, Some("main")),
        (a, "DELETE", "/providers/main", none.clone(), (409, "connection_in_use"), Action::ProviderDisconnect, Some("main")),
        (r, "POST", "/tokens", ci.clone(), (403, "forbidden"), Action::TokenCreate, None),
        (o, "POST", "/tokens", ci.clone(), (403, "forbidden"), Action::TokenCreate, None),
        (a, "POST", "/tokens", none.clone(), (400, "invalid_body"), Action::TokenCreate, None),
        (BOOTSTRAP, "POST", "/tokens", ci.clone(), (400, "invalid_body"), Action::BootstrapUse, None),
        (r, "DELETE", own_token, none.clone(), (403, "forbidden"), Action::TokenDelete, Some(own)),
        (a, "DELETE", own_token, none.clone(), (409, "last_admin_token"), Action::TokenDelete, Some(own)),
        (a, "DELETE", "/tokens/7", none.clone(), (404, "not_found"), Action::TokenDelete, None),
        (r, "DELETE", "/orphans/server-1@main", none.clone(), (403, "forbidden"), Action::OrphanRemove, Some("server-1@main")),
        (a, "DELETE", "/orphans/server-1%40main", none.clone(), (404, "not_found"), Action::OrphanRemove, Some("server-1@main")),
        (r, "POST", "/orphans/confirm", none.clone(), (403, "forbidden"), Action::OrphanConfirm, None),
        (o, "POST", "/orphans/confirm", none.clone(), (403, "forbidden"), Action::OrphanConfirm, None),
    ];
    for (secret, method, path, body, expected, action, id) in table {
        let what = format!("{secret} {method} {path} {body}");
        let request = || world.request(method, path).token(secret).json(body.clone());
        let entry = entry(&world, request()).await;
        assert_eq!((entry.action, entry.resource.id.as_deref()), (action, id), "{what}");
        let actor = if secret == BOOTSTRAP { "bootstrap" } else { &secret[3..] };
        assert_eq!(entry.actor, actor, "{what}");
        let answer = request().send().await;
        assert_eq!((answer.status, answer.code()), expected, "{what}");
    }
    let stale = world.request("POST", cancel).header("If-Match", "\"7\"");
    let refused = Outcome::Refused { code: "version_mismatch".into() };
    assert_eq!(entry(&world, stale).await.outcome, refused);
    let keyed = |body| world.request("POST", "/nodes").header("Idempotency-Key", "k").json(body);
    assert_eq!(keyed(json!({"name": "once"})).send().await.status, 202);
    let refused = Outcome::Refused { code: "idempotency_key_reused".into() };
    assert_eq!(entry(&world, keyed(json!({"name": "twice"}))).await.outcome, refused);
    for (kind, body) in [("text/plain", "{}".to_owned()), ("application/json", "x".repeat(70_000))]
    {
        let request = world.request("POST", "/nodes").raw(kind, body);
        assert_eq!(entry(&world, request).await.action, Action::NodeCreate);
    }
}

/// Of reads: who may not, and who looks for what is another's; not who merely mistypes.
#[tokio::test]
async fn refused_looks() {
    let world = World::connected().await;
    world.put_token("ny_other", &[Scope::Operate], Some(&["other"])).await;
    let (node, job) = world.node(json!({})).await;
    let tokens = entry(&world, world.request("GET", "/tokens").token("ny_other")).await;
    assert_eq!(tokens.action, Action::TokenRead);
    for (path, action) in [
        (format!("/nodes/{}", node.id), Action::NodeRead),
        (format!("/jobs/{}", job.id), Action::JobRead),
        (format!("/jobs/{}/log", job.id), Action::JobRead),
        ("/providers/main".to_owned(), Action::ProviderRead),
        ("/providers/main/catalog".to_owned(), Action::ProviderRead),
    ] {
        let unseen = entry(&world, world.request("GET", &path).token("ny_other")).await;
        assert_eq!((unseen.action, unseen.actor.as_str()), (action, "other"), "{path}");
        assert!(unseen.resource.id.is_some());
        let head = world.request("HEAD", &path).token("wrong");
        let before = world.store.audit().len();
        head.send().await;
        assert_eq!(world.store.audit()[before..].len(), 1, "HEAD {path}");
    }
    let before = world.store.audit();
    let absent = format!("/nodes/node-{:032x}", 99);
    for path in [absent.as_str(), "/nodes/x", "/nodes?x=1", "/jobs?cursor=x", "/nope"] {
        world.refused(world.request("GET", path)).await;
    }
    world.refused(world.request("PUT", "/nodes")).await;
    assert_eq!(world.store.audit(), before);
}

#[tokio::test]
async fn nothing_that_was_sent_gets_in() {
    let world = World::connected().await;
    let secret = "hunter2hunter2";
    let body = json!({"provider": "hetzner", "token": secret, "name": secret, secret: secret});
    for (method, path) in [
        ("PUT", format!("/providers/{}", secret.to_uppercase())),
        ("POST", format!("/nodes?{secret}={secret}")),
        ("DELETE", format!("/nodes/{secret}")),
        ("DELETE", format!("/tokens/{secret}")),
        ("DELETE", format!("/orphans/{secret}")),
        ("POST", format!("/jobs/{secret}/cancel")),
        ("PUT", "/providers/main".to_owned()),
        ("POST", "/tokens".to_owned()),
    ] {
        for token in ["ny_admin", secret, BOOTSTRAP] {
            let request = world.request(method, &path).token(token).json(body.clone());
            let request = request.header("Idempotency-Key", secret).header("user-agent", secret);
            let request = request.header("x-forwarded-for", secret);
            entry(&world, request).await;
        }
    }
    let trail = serde_json::to_string(&world.store.audit()).unwrap().to_lowercase();
    for never in [secret, BOOTSTRAP, "ny_admin", "rw:p1"] {
        assert!(!trail.contains(never), "{never} in {trail}");
    }
}

#[tokio::test]
async fn a_flood_is_bounded_and_counted() {
    let world = World::connected().await;
    let before = world.store.audit().len();
    let knock = || world.request("GET", "/nodes").token("wrong");
    for _ in 0..100 {
        assert_eq!(knock().send().await.status, 401);
    }
    let flood = world.store.audit().split_off(before);
    assert_eq!(flood.len(), 21, "20 entries, and one that says that there is more");
    assert_eq!(
        (&flood[20].outcome, flood[20].action),
        (&Outcome::LeftOut { count: 1 }, Action::AuditLeftOut)
    );
    // Those whose token is known are not in the flood.
    world.put_token("ny_reader", &[Scope::Read], None).await;
    let known = world.request("POST", "/nodes").json(json!({})).token("ny_reader");
    assert_eq!(entry(&world, known).await.actor, "reader");

    world.clock.advance(SignedDuration::from_secs(60));
    let before = world.store.audit().len();
    assert_eq!(world.get("/health").await.status, 200);
    let told = world.store.audit().split_off(before);
    assert_eq!(told.len(), 1);
    assert_eq!(
        (told[0].actor.as_str(), &told[0].outcome),
        ("anonymous", &Outcome::LeftOut { count: 79 })
    );
    assert_eq!(entry(&world, knock()).await.actor, "anonymous", "another minute");
    let shown = world.get("/audit?action=audit.left_out").await;
    let counts: Vec<_> =
        shown.json["items"].as_array().unwrap().iter().map(|one| one["left_out"].clone()).collect();
    assert_eq!(counts, [json!(79), json!(1)]);
}

#[tokio::test]
async fn a_store_that_fails_does_not_keep_the_answer_back() {
    let world = World::connected().await;
    let before = world.store.audit();
    world.faults.set(Fault::WriteUnavailable, 1000);
    let answer = world.request("GET", "/tokens").token("wrong").send().await;
    assert_eq!((answer.status, answer.code()), (401, "invalid_token"));
    let answer = world.request("POST", "/nodes").json(json!({"host": "x"})).send().await;
    assert_eq!((answer.status, answer.code()), (400, "acquisition_mode_unsupported"));
    assert_eq!(world.store.audit(), before);
}
