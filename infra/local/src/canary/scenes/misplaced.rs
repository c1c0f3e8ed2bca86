//! Callers who put secrets where none belong: into wrong fields, names of fields, headers, paths,
//! queries, bodies that are no JSON, and messages. Each is refused, and nothing of it may stay.

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use super::Stage;
use crate::error::{Result, XtaskError};
use crate::function::{self, HEALTH};

/// A token that has no place in a path or header: of letters and digits, as real ones are.
const PLAIN_TOKEN_BYTES: usize = 32;

/// # Errors
/// The API does not answer, or takes what it must not.
pub async fn play(stage: &Stage<'_>) -> Result<()> {
    let odd = stage.new_token("misplaced")?;
    let plain = crate::random::hex(PLAIN_TOKEN_BYTES)?;
    stage.plant("provider token, misplaced, of letters and digits", &plain);
    let mut sent = 0;
    for token in [&odd, &plain] {
        for (what, request) in bodies(stage, token)
            .into_iter()
            .chain(addresses(stage, token))
            .chain(headers(stage, token))
        {
            let (status, _) = stage.bench.api.send(request, &what).await?;
            if !status.is_client_error() {
                return Err(XtaskError::Check(format!("{what}: {status}")));
            }
            sent += 1;
        }
    }
    unreadable_messages(stage, &odd).await?;
    stage.tell(format!("{sent} requests with misplaced secrets were refused"));
    Ok(())
}

fn bodies(stage: &Stage<'_>, token: &str) -> Vec<(String, RequestBuilder)> {
    let put = |body: Value| (Method::PUT, "/providers/misplaced", body.to_string());
    let post = |path: &'static str, body: Value| (Method::POST, path, body.to_string());
    let requests = [
        // Nobody's token: the provider refuses it.
        ("a token that nobody knows", put(json!({ "provider": "hetzner", "token": token }))),
        ("a token as the provider", put(json!({ "provider": token, "token": token }))),
        ("a token in a list", put(json!({ "provider": "hetzner", "token": [token] }))),
        ("a token as an object", put(json!({ "provider": "hetzner", "token": { "is": token } }))),
        (
            "a token with a line end",
            put(json!({ "provider": "hetzner", "token": format!("{token}\r\nx: y") })),
        ),
        ("a token in an unknown field", put(json!({ "provider": "hetzner", "tokn": token }))),
        ("a token as the name of a field", put(json!({ "provider": "hetzner", token: 1 }))),
        (
            "a token as a number of nodes",
            put(json!({ "provider": "hetzner", "token": "x", "max_nodes": token })),
        ),
        ("a token as the body", put(json!(token))),
        ("a token in a list as the body", put(json!([token]))),
        ("half a body", (Method::PUT, "/providers/misplaced", format!("{{\"token\": \"{token}"))),
        ("a body that is a token", (Method::PUT, "/providers/misplaced", token.to_owned())),
        ("a token as a profile", post("/nodes", json!({ "profile": token }))),
        ("a token as an image", post("/nodes", json!({ "image": token }))),
        ("a token as a connection", post("/nodes", json!({ "connection": token }))),
        ("a token as a key", post("/nodes", json!({ "authorized_keys": [token] }))),
        ("a token as a host", post("/nodes", json!({ "host": token }))),
        (
            "a token as a rung",
            post("/nodes", json!({ "placement": [{ "server_type": token, "location": token }] })),
        ),
        ("a token as a deadline", post("/nodes", json!({ "deadline_secs": token }))),
        ("a token as an address", post("/nodes", json!({ "allow_ssh_from": [token] }))),
        ("a token as a scope", post("/tokens", json!({ "name": "a", "scopes": [token] }))),
        (
            "a token as a connection of a token",
            post("/tokens", json!({ "name": "a", "scopes": ["read"], "connections": [token] })),
        ),
    ];
    let build = |(what, (method, path, body)): (&str, (Method, &str, String))| {
        let request = authorized(stage, method, path).header("content-type", "application/json");
        (what.to_owned(), request.body(body))
    };
    requests.into_iter().map(build).collect()
}

fn addresses(stage: &Stage<'_>, token: &str) -> Vec<(String, RequestBuilder)> {
    let escaped: String = token
        .bytes()
        .map(|byte| match byte.is_ascii_alphanumeric() {
            true => char::from(byte).to_string(),
            false => format!("%{byte:02X}"),
        })
        .collect();
    let wanted = [
        (Method::GET, format!("/{escaped}")),
        (Method::GET, format!("/providers/{escaped}")),
        (Method::DELETE, format!("/providers/{escaped}")),
        (Method::POST, format!("/providers/{escaped}/check")),
        (Method::GET, format!("/nodes/{escaped}")),
        (Method::DELETE, format!("/nodes/{escaped}")),
        (Method::GET, format!("/jobs/{escaped}/timeline")),
        (Method::POST, format!("/jobs/{escaped}/cancel")),
        (Method::DELETE, format!("/orphans/{escaped}")),
        (Method::DELETE, format!("/tokens/{escaped}")),
        (Method::GET, format!("/nodes?cursor={escaped}")),
        (Method::GET, format!("/nodes?limit={escaped}")),
        (Method::GET, format!("/nodes?status={escaped}")),
        (Method::GET, format!("/nodes?{escaped}=1")),
        (Method::GET, format!("/jobs?state={escaped}")),
    ];
    wanted
        .into_iter()
        .map(|(method, path)| {
            // The route, without what was put into it.
            let route = path.replace(&escaped, "…");
            (format!("{method} {route} with a token"), authorized(stage, method, &path))
        })
        .collect()
}

fn headers(stage: &Stage<'_>, token: &str) -> Vec<(String, RequestBuilder)> {
    let body = json!({ "profile": "no such" });
    let mut requests = Vec::new();
    for name in [
        "idempotency-key",
        "x-request-id",
        "traceparent",
        "user-agent",
        "referer",
        "cookie",
        "x-api-key",
    ] {
        let request = authorized(stage, Method::POST, "/nodes").header(name, token).json(&body);
        requests.push((format!("a token as {name}"), request));
    }
    for value in [format!("Bearer {token}"), format!("Basic {token}"), token.to_owned()] {
        let bare = stage.bench.api.request(Method::GET, "/nodes").header("authorization", value);
        requests.push(("a provider token as authorization".to_owned(), bare));
    }
    let kind = authorized(stage, Method::POST, "/nodes").header("content-type", token);
    requests.push(("a token as content-type".to_owned(), kind.body("{}")));
    requests
}

fn authorized(stage: &Stage<'_>, method: Method, path: &str) -> RequestBuilder {
    let token = stage.bench.state.token.as_deref().unwrap_or_default();
    stage.bench.api.request(method, path).bearer_auth(token)
}

/// Messages that are no wakes. What lies on the queue is the sender's own; what the worker says of
/// it is ours.
async fn unreadable_messages(stage: &Stage<'_>, token: &str) -> Result<()> {
    let job = "job-00000000000000000000000000000001";
    let messages = [
        json!({ "job_id": job, "reason": token }).to_string(),
        json!({ "job_id": token, "reason": "due" }).to_string(),
        json!({ "job_id": job, "reason": "due", token: 1 }).to_string(),
        format!("{token} is no JSON"),
    ];
    for message in messages {
        stage.send(message).await?;
    }
    // A schedule's input is a message as well.
    let input = json!({ "task": token });
    let _ = function::invoke(&stage.bench.state, HEALTH, &input).await;
    Ok(())
}
