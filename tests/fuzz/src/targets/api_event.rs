//! Events of the HTTP API, as the gateway sends them, through the whole API.

use http::Method;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::runtime;
use crate::{api::Api, corpus, target::Target};

pub(super) struct ApiEvent {
    runtime: Runtime,
    api: Api,
}

impl ApiEvent {
    pub(super) fn new() -> Self {
        let runtime = runtime();
        let api = runtime.block_on(Api::new());
        Self { runtime, api }
    }
}

impl Target for ApiEvent {
    fn name(&self) -> &'static str {
        "api-event"
    }

    /// The samples, and one with its body in base64.
    fn seeds(&self) -> Vec<Vec<u8>> {
        let mut seeds = corpus::events("api-");
        let post = seeds.iter().filter_map(|seed| serde_json::from_slice::<Value>(seed).ok());
        let post = post
            .into_iter()
            .find(|event| event["rawPath"] == "/nodes" && event["body"].is_string());
        if let Some(mut event) = post {
            (event["body"], event["isBase64Encoded"]) = (json!("eyJuYW1lIjoiYSJ9"), json!(true));
            seeds.push(event.to_string().into_bytes());
        }
        seeds
    }

    fn reset(&mut self) {
        self.api = self.runtime.block_on(Api::new());
    }

    fn run(&mut self, input: &[u8]) -> Result<String, String> {
        let Ok(event) = serde_json::from_slice::<Value>(input) else { return Ok("no JSON".into()) };
        // What is no event at all the gateway does not send.
        let Ok(request) = nodeyard_api::gateway::request(event) else {
            return Ok("no event".into());
        };
        let body = request.body().to_vec();
        let method = request.method().clone();
        let request = request.map(|_| body.clone());
        let kind = self.runtime.block_on(self.api.try_request(request, &body))?;
        Ok(if method == Method::GET { kind } else { format!("{method} {kind}") })
    }
}
