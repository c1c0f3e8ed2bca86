//! Requests of somebody who means harm, on every route that could be the way in.

use std::fmt::Write as _;

use nodeyard_domain::token::Scope;
use serde_json::{Value, json};

use crate::support::World;

const BODIES: &[(&str, &str)] = &[
    ("POST", "/nodes"),
    ("PATCH", "/nodes/{node}"),
    ("POST", "/nodes/{node}/configure"),
    ("POST", "/nodes/{node}/check"),
    ("POST", "/nodes/{node}/smokes"),
    ("POST", "/jobs/{job}/cancel"),
    ("PUT", "/providers/main"),
    ("PUT", "/providers/new"),
    ("POST", "/tokens"),
];

/// A world with a node, and paths with its ids in them.
async fn with_node() -> (World, impl Fn(&str) -> String) {
    let world = World::connected().await;
    let (node, job) = world.node(json!({"name": "web"})).await;
    let path = move |path: &str| {
        path.replace("{node}", node.id.as_str()).replace("{job}", job.id.as_str())
    };
    (world, path)
}

#[tokio::test]
async fn every_body_is_bounded_in_length_and_depth() {
    let (world, path) = with_node().await;
    for (method, route) in BODIES {
        let send = |body: String| world.request(method, &path(route)).raw("application/json", body);
        let large = format!("{{\"a\": \"{}\"}}", "x".repeat(64 * 1024));
        let answer = world.refused(send(large)).await;
        assert_eq!((answer.status, answer.code()), (413, "body_too_large"), "{route}");
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            for depth in [129, 10_000] {
                let deep = format!("{}1{}", open.repeat(depth), close.repeat(depth));
                let answer = world.refused(send(deep)).await;
                assert_eq!((answer.status, answer.code()), (400, "invalid_json"), "{route}");
            }
            // As deep as the parser goes: refused for what it is.
            let deep = format!("{}1{}", open.repeat(126), close.repeat(126));
            let answer = world.refused(send(deep)).await;
            assert_eq!(answer.status, 400, "{route}: {}", answer.text);
        }
    }
}

/// Half-way to the parser's limit, where only variables may go.
#[tokio::test]
async fn deep_variables_are_kept_as_they_are_or_refused() {
    let world = World::connected().await;
    let mut vars = json!("{{ lookup('pipe', 'id') }}<script>\u{1b}[2J");
    for _ in 0..100 {
        vars = json!({ "a": [vars] });
        let vars_of_shop = json!({ "greeting": "Hello", "notes": vars });
        let body = json!({ "profile": "shop", "vars": vars_of_shop });
        let answer = world.post("/nodes", body).await;
        assert!([202, 400].contains(&answer.status), "{}", answer.text);
        if answer.status == 202 {
            let loaded = world.load(answer.json["job"]["id"].as_str().unwrap()).await;
            assert_eq!(loaded.node.spec.vars["notes"], vars);
        }
    }
}

/// A token goes into a header of ours: nothing may end that header.
#[tokio::test]
async fn no_token_carries_a_header_of_its_own() {
    let world = World::connected().await;
    for token in [
        "rw:p9\r\nx-injected: yes",
        "rw:p9\nx",
        "rw:p9\r",
        "rw:p9\0",
        "rw:p9\t",
        "rw:p 9",
        " rw:p9",
        "rw:p9\u{7f}",
        "rw:p9\u{a0}",
        "rw:pä",
        "rw:p𝕏",
        "rw:p9\u{2028}",
        "",
        &format!("rw:{}", "p".repeat(510)),
    ] {
        for name in ["main", "new"] {
            let body = json!({"provider": "hetzner", "token": token});
            let request = world.request("PUT", &format!("/providers/{name}")).json(body);
            let answer = world.refused(request).await;
            assert_eq!((answer.status, answer.code()), (400, "invalid_body"), "{token:?}");
            assert_eq!(answer.json["errors"][0]["pointer"], "/token");
            assert!(!answer.text.contains("rw:"), "{}", answer.text);
        }
    }
    assert_eq!(world.cloud.tokens_seen(), ["rw:p1"], "none of them was tried");
}

/// Whatever a legal token looks like, it is the provider who says what it is.
#[tokio::test]
async fn tokens_of_any_shape_are_judged_by_live_calls_alone() {
    let longest = "x".repeat(512);
    let every: String = (b'!'..=b'~').map(char::from).collect();
    let shapes = ["x", "7", "=", "Bearer", "null", "{{x}}", "\"", "\\", "../..", &every, &longest];
    for (number, token) in shapes.into_iter().enumerate() {
        let world = World::new().await;
        let refused = json!({"provider": "hetzner", "token": token});
        let answer = world.refused(world.request("PUT", "/providers/new").json(refused)).await;
        assert_eq!((answer.status, answer.code()), (422, "provider_token_rejected"), "{token}");
        world.cloud.accept(token, "ro", &format!("project-{number}"));
        let answer = world.connect("new", token).await;
        assert_eq!((answer.status, &answer.json["permission"]), (201, &json!("read_only")));
        world.cloud.accept(token, "rw", &format!("project-{number}"));
        let answer = world.connect("new", token).await;
        assert_eq!((answer.status, &answer.json["status"]), (200, &json!("connected")), "{token}");
        assert_eq!(world.provider_token("new").await.as_deref(), Some(token));
        assert!(world.cloud.tokens_seen().iter().all(|seen| seen == token));
    }
}

#[tokio::test]
async fn what_a_caller_may_not_see_is_not_there() {
    let (world, path) = with_node().await;
    world.put_token("ny_elsewhere", &[Scope::Admin], Some(&["elsewhere"])).await;
    for (method, route) in [
        ("GET", "/nodes/{node}"),
        ("PATCH", "/nodes/{node}"),
        ("POST", "/nodes/{node}/configure"),
        ("POST", "/nodes/{node}/check"),
        ("POST", "/nodes/{node}/smokes"),
        ("DELETE", "/nodes/{node}"),
        ("GET", "/jobs/{job}"),
        ("GET", "/jobs/{job}/timeline"),
        ("GET", "/jobs/{job}/log"),
        ("POST", "/jobs/{job}/cancel"),
        ("GET", "/providers/main"),
        ("GET", "/providers/main/catalog"),
        ("POST", "/providers/main/check"),
        ("DELETE", "/providers/main"),
        ("PUT", "/providers/main"),
    ] {
        let body = match method {
            "PATCH" => json!({"labels": {"a": "b"}}),
            "PUT" => json!({"provider": "hetzner", "token": "rw:p1"}),
            _ => json!({}),
        };
        let ask = |token: &str, path: &str| {
            let request = world.request(method, path).token(token);
            if method == "GET" { request } else { request.json(body.clone()) }
        };
        let unseen = world.refused(ask("ny_elsewhere", &path(route))).await;
        assert_eq!(unseen.status, 404, "{method} {route}: {}", unseen.text);
        if method == "PUT" {
            continue;
        }
        // Word for word what is said of something that does not exist.
        let absent = route
            .replace("{node}", &format!("node-{:032x}", 7))
            .replace("{job}", &format!("job-{:032x}", 7))
            .replace("/main", "/absent");
        let absent = world.refused(ask("ny_admin", &absent)).await;
        let told = |answer: &Value| {
            let mut told = answer.clone();
            told["request_id"] = Value::Null;
            told
        };
        assert_eq!(told(&unseen.json), told(&absent.json), "{method} {route}");
    }
    for list in ["/nodes", "/jobs", "/orphans"] {
        let answer = world.request("GET", list).token("ny_elsewhere").send().await;
        assert_eq!(answer.json["items"], json!([]), "{list}");
    }
}

/// A key is the caller's own: it neither gives another's job away nor stands in the way.
#[tokio::test]
async fn another_callers_key_means_nothing() {
    let world = World::connected().await;
    world.put_token("ny_one", &[Scope::Operate], None).await;
    world.put_token("ny_two", &[Scope::Operate], None).await;
    let send = |token: &str, body: Value| {
        let request = world.request("POST", "/nodes").token(token);
        request.header("idempotency-key", "\"order-1\"").json(body)
    };
    let one = send("ny_one", json!({"name": "a"})).send().await;
    let two = send("ny_two", json!({"name": "b"})).send().await;
    assert_eq!((one.status, two.status), (202, 202), "{}", two.text);
    assert_ne!(one.json["job"]["id"], two.json["job"]["id"]);
    let again = send("ny_one", json!({"name": "a"})).send().await;
    assert_eq!(again.json["job"]["id"], one.json["job"]["id"]);
}

const MARKUP: &[&str] = &[
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "{{ lookup('pipe', 'id') }}",
    "\u{1b}]0;title\u{7}\u{1b}[2J",
    "a\r\nset-cookie: x=1",
    "\u{202e}gpj.exe",
];

/// Nothing that a caller may name holds markup; what it was is not repeated, or as JSON only.
#[tokio::test]
async fn names_and_labels_hold_no_markup() {
    let (world, path) = with_node().await;
    for text in MARKUP {
        let label = json!({"labels": {*text: "x", "ok": text}});
        let place = json!({"placement": [{"server_type": text, "location": text}]});
        for (method, route, body) in [
            ("POST", "/nodes", json!({"name": text})),
            ("POST", "/nodes", json!({"connection": text})),
            ("POST", "/nodes", json!({"profile": text})),
            ("POST", "/nodes", json!({"image": text})),
            ("POST", "/nodes", json!({"authorized_keys": [text]})),
            ("POST", "/nodes", json!({"allow_ssh_from": [text]})),
            ("POST", "/nodes", json!({*text: 1})),
            ("POST", "/nodes", place),
            ("POST", "/nodes", label.clone()),
            ("PATCH", "/nodes/{node}", label),
            ("POST", "/tokens", json!({"name": text, "scopes": ["read"]})),
            ("POST", "/tokens", json!({"name": "x", "scopes": ["read"], "connections": [text]})),
            ("PUT", "/providers/new", json!({"provider": text, "token": "rw:p9"})),
        ] {
            let answer = world.refused(world.request(method, &path(route)).json(body)).await;
            assert!([400, 422].contains(&answer.status), "{route} {text:?}: {}", answer.text);
            holds_nothing_of(text, &answer.json);
        }
    }
}

#[tokio::test]
async fn queries_and_paths_are_not_repeated_as_they_are() {
    let world = World::connected().await;
    for text in MARKUP {
        let mut encoded = String::new();
        for byte in text.bytes() {
            write!(encoded, "%{byte:02X}").unwrap();
        }
        for path in [
            format!("/nodes?{encoded}=1"),
            format!("/nodes?status={encoded}"),
            format!("/nodes?limit={encoded}"),
            format!("/nodes?cursor={encoded}"),
            format!("/nodes?connection={encoded}"),
            format!("/jobs?state={encoded}"),
            format!("/jobs?node={encoded}"),
            format!("/audit?action={encoded}"),
            format!("/nodes/{encoded}"),
            format!("/providers/{encoded}"),
            format!("/tokens/{encoded}"),
            format!("/{encoded}"),
        ] {
            let method = if path.starts_with("/tokens/") { "DELETE" } else { "GET" };
            let answer = world.request(method, &path).send().await;
            // A filter that matches nothing is no fault.
            if answer.status != 200 {
                assert!(answer.is_problem() && answer.status < 500, "{path}: {}", answer.text);
                holds_nothing_of(text, &answer.json);
            }
        }
    }
}

/// No sentence of a problem holds a control character, or what the caller wrote; pointers and
/// names of parameters may, for they are data.
fn holds_nothing_of(text: &str, problem: &Value) {
    let faults = problem["errors"].as_array().into_iter().flatten();
    let sentences = ["title", "detail", "guidance"].map(|name| &problem[name]);
    for sentence in sentences.into_iter().chain(faults.map(|fault| &fault["detail"])) {
        let sentence = sentence.as_str().unwrap_or_default();
        assert!(!sentence.contains(text), "{sentence}");
        assert!(!sentence.chars().any(char::is_control), "{sentence:?}");
    }
}

/// Headers that are no text, twice there, or too long.
#[tokio::test]
async fn odd_credentials_are_refused_and_never_repeated() {
    let world = World::connected().await;
    let long = format!("Bearer {}", "x".repeat(513));
    for value in ["Bearer", "Bearer ", "Basic bnlfYWRtaW4=", "ny_admin", "Bearer\tny_admin", &long]
    {
        let request = world.request("GET", "/nodes").anonymous().header("authorization", value);
        let answer = world.refused(request).await;
        assert_eq!((answer.status, answer.code()), (401, "invalid_token"), "{value}");
        assert!(!answer.text.contains("xxxx") && !answer.text.contains("bnlf"));
    }
    // The first one counts, whatever comes after it.
    let request = world.request("GET", "/nodes").header("authorization", "Bearer wrong");
    assert_eq!(world.refused(request.token("ny_admin")).await.status, 401);
}
