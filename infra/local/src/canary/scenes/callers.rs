//! API tokens: made, used, used beyond their scopes, deleted and used again.

use reqwest::Method;
use serde_json::{Value, json};

use super::Stage;
use crate::api::text;
use crate::error::{Result, XtaskError};

/// # Errors
/// The API does not answer, or takes a token that it must not.
pub async fn play(stage: &Stage<'_>) -> Result<()> {
    let api = &stage.bench.api;
    let body = json!({ "name": "reader", "scopes": ["read"], "connections": ["main"] });
    let made = api.call(Method::POST, "/tokens", Some(&body)).await?;
    let (id, secret) = (text(&made, "/id")?, text(&made, "/secret")?);
    stage.plant("API token of a reader", &secret);
    let reader = api.with_token(&secret);
    reader.get("/nodes").await?;
    let refused = [
        (Method::GET, "/tokens", Value::Null),
        (Method::POST, "/nodes", json!({ "profile": "base" })),
        (Method::PUT, "/providers/other", json!({ "provider": "hetzner", "token": secret })),
    ];
    for (method, path, body) in refused {
        let context = format!("{method} {path} of a reader");
        let request = reader.request(method, path).bearer_auth(&secret).json(&body);
        let (status, _) = reader.send(request, &context).await?;
        if !status.is_client_error() {
            return Err(XtaskError::Check(format!("{context}: {status}")));
        }
    }
    api.call(Method::DELETE, &format!("/tokens/{id}"), None).await?;
    let request = api.request(Method::GET, "/nodes").bearer_auth(&secret);
    let (status, _) = api.send(request, "GET /nodes with a deleted token").await?;
    if status.as_u16() != 401 {
        return Err(XtaskError::Check(format!("a deleted token: {status}")));
    }
    stage.tell("API tokens were made, used, refused and deleted");
    Ok(())
}
