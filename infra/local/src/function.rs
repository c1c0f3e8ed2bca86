//! Invokes a deployed function, as a schedule would.

use std::time::Duration;

use serde_json::Value;

use crate::api::{http_client, read};
use crate::error::{Result, XtaskError};
use crate::queue::signed;
use crate::state::StackState;

/// The function that sweeps and checks.
pub const HEALTH: &str = "nodeyard-local-health";
/// The function that takes wakes.
pub const WORKER: &str = "nodeyard-local-worker";

/// Invokes a function and waits for its answer.
///
/// # Errors
/// It could not be invoked, or failed.
pub async fn invoke(state: &StackState, name: &str, payload: &Value) -> Result<Value> {
    let url = format!("{}/2015-03-31/functions/{name}/invocations", state.aws_url);
    let request = signed(http_client()?.post(url), "lambda")
        .timeout(Duration::from_secs(90))
        .body(payload.to_string());
    let (status, text) = read(request, name).await?;
    let answer: Value = serde_json::from_str(&text).unwrap_or_default();
    if !status.is_success() || answer.get("errorType").is_some() {
        let detail = format!("{status}\n{text}");
        return Err(XtaskError::Answer { context: name.to_owned(), detail });
    }
    Ok(answer)
}
