//! Requests of every route, in any bytes that can be a request at all.

use http::{HeaderName, HeaderValue, Method, Request, Uri};
use nodeyard_drills::random::Random;
use tokio::runtime::Runtime;

use super::runtime;
use crate::{
    api::{ADMIN, Api},
    message::Message,
    mutation::mutate_message,
    target::Target,
};

/// Every operation, with a body that it takes. `{job}` and `{node}` stand for ids that exist.
const OPERATIONS: &[(&str, &str)] = &[
    ("GET /health", ""),
    ("GET /openapi.json", ""),
    ("GET /providers", ""),
    ("GET /providers/main", ""),
    ("GET /providers/main/catalog", ""),
    ("POST /providers/main/check", ""),
    ("DELETE /providers/main", ""),
    (
        "PUT /providers/new",
        r#"{"provider":"hetzner","token":"a-token-that-opens-nothing","max_nodes":3,"max_monthly":9.5}"#,
    ),
    ("PUT /providers/main", r#"{"provider":"hetzner","token":"token-of-main"}"#),
    (
        "POST /nodes",
        r#"{"name":"shop-1","connection":"main","profile":"web","vars":{"timezone":"Europe/Berlin"},"placement":[{"server_type":"cx23","location":"fsn1"}],"image":"debian-13","max_price":9.5,"authorized_keys":["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAvN4IGJdMXsQvpgYVgosqYBUvvdDJsCdsC30SLL6gCG me"],"labels":{"team":"shop"},"keep_on_failure":true,"spread":true,"deadline_secs":600}"#,
    ),
    ("POST /nodes?dry_run=true", "{}"),
    ("GET /nodes?limit=2&status=ready&connection=main&profile=web&label=team=shop", ""),
    ("GET /nodes?cursor=MQ", ""),
    ("GET /nodes/{node}", ""),
    ("PATCH /nodes/{node}", r#"{"labels":{"team":"shop","b":null}}"#),
    ("POST /nodes/{node}/configure", r#"{"profile":"base","vars":{"a":1}}"#),
    ("DELETE /nodes/{node}", ""),
    ("GET /jobs?limit=2&state=queued&node={node}&connection=main&cursor=MQ", ""),
    ("GET /jobs/{job}", ""),
    ("GET /jobs/{job}/timeline?limit=3&cursor=MQ", ""),
    ("GET /jobs/{job}/log?limit=3", ""),
    ("POST /jobs/{job}/cancel", "{}"),
    ("GET /orphans", ""),
    ("POST /orphans/confirm", ""),
    ("DELETE /orphans/main:server:1", ""),
    ("GET /tokens", ""),
    ("POST /tokens", r#"{"name":"ci","scopes":["operate"],"connections":["main"]}"#),
    ("DELETE /tokens/token-00000000000000000000000000000002", ""),
    ("GET /audit?limit=5&actor=ci&action=node.create&resource={node}&cursor=MQ", ""),
];

/// Headers that a parser of ours reads.
const HEADERS: &str = "content-type: application/json; charset=utf-8\n\
    idempotency-key: \"order-4711\"\nif-match: W/\"1\", \"2\"\nif-none-match: \"1\"\n\
    prefer: respond-async, wait=\"7\"\n\
    traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\n\
    accept: application/json\nx-forwarded-for: 192.0.2.1";

pub(super) struct ApiRequest {
    runtime: Runtime,
    api: Api,
}

impl ApiRequest {
    pub(super) fn new() -> Self {
        let runtime = runtime();
        let api = runtime.block_on(Api::new());
        Self { runtime, api }
    }
}

/// `None` for bytes that no HTTP server would take for a request.
fn request(message: Message<'_>) -> Option<Request<Vec<u8>>> {
    let (method, target) = std::str::from_utf8(message.first).ok()?.split_once(' ')?;
    let mut request = Request::new(message.body.to_vec());
    *request.method_mut() = method.parse::<Method>().ok()?;
    *request.uri_mut() = target.parse::<Uri>().ok()?;
    for (name, value) in message.headers() {
        let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value))
        else {
            continue;
        };
        // As hyper does: more than so many headers are refused.
        request.headers_mut().try_append(name, value).ok()?;
    }
    Some(request)
}

impl Target for ApiRequest {
    fn name(&self) -> &'static str {
        "api-request"
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        let (job, node) = &self.api.ids;
        let seed = |(line, body): &(&str, &str)| {
            let line = line.replace("{job}", job).replace("{node}", node);
            format!("{line}\nauthorization: Bearer {ADMIN}\n{HEADERS}\n\n{body}").into_bytes()
        };
        let mut seeds: Vec<Vec<u8>> = OPERATIONS.iter().map(seed).collect();
        for token in ["ny_reader", "ny_elsewhere", "a bootstrap secret for tests"] {
            let line = format!("POST /tokens\nauthorization: bearer {token}\n{HEADERS}\n\n");
            seeds.push((line + r#"{"name":"x","scopes":["admin"]}"#).into_bytes());
        }
        seeds
    }

    fn reset(&mut self) {
        self.api = self.runtime.block_on(Api::new());
    }

    fn mutate(&self, random: &mut Random, input: &[u8], other: &[u8]) -> Vec<u8> {
        mutate_message(random, input, other)
    }

    fn run(&mut self, input: &[u8]) -> Result<String, String> {
        let message = Message::of(input);
        let Some(request) = request(message) else { return Ok("no request".into()) };
        let route = request.uri().path().split('/').nth(1).unwrap_or_default().to_owned();
        let method = request.method().clone();
        let kind = self.runtime.block_on(self.api.try_request(request, message.body))?;
        // Routes that there are; others are all alike.
        let known = OPERATIONS.iter().any(|(line, _)| line.contains(&format!("/{route}")));
        Ok(if known { format!("{method} /{route} {kind}") } else { kind })
    }
}
