//! What an answer that is no success means.

use nodeyard_domain::observation::{FailureClass, ProviderFailure};
use serde_json::Value;

use super::transport::Answer;

/// Messages end up in job records, which are small.
const MAX_MESSAGE_CHARS: usize = 300;

/// How a type that is not sold in a location is refused.
const UNSUPPORTED_LOCATION: &str = "unsupported location for server type";

/// An answer that cannot be read: it tells neither success nor failure.
pub(super) fn unreadable(message: &str) -> ProviderFailure {
    ProviderFailure::new(FailureClass::Unknown, "unreadable", message)
}

/// A readable answer without something we need.
pub(super) fn drift(message: &str) -> ProviderFailure {
    ProviderFailure::new(FailureClass::Drift, "missing_field", message)
}

/// Not now, for a reason that will pass soon.
pub(super) fn busy(code: &str, message: &str) -> ProviderFailure {
    ProviderFailure::new(FailureClass::Busy, code, message)
}

impl Answer {
    /// The answer if it is a success, else what it means. `calls` is how many calls the caller
    /// needs: the budget refills by one a second.
    pub fn accepted(self, calls: i64) -> Result<Self, ProviderFailure> {
        if (200..300).contains(&self.status) {
            return Ok(self);
        }
        let mut failure = self.refusal();
        if failure.class == FailureClass::RateLimited {
            // RateLimit-Reset is the time of the full refill: up to an hour too long.
            failure.pause_secs = Some(calls.max(1) + 1);
        }
        failure.correlation_id = self.correlation_id;
        Err(failure)
    }

    /// The body as JSON.
    pub fn json(&self) -> Result<Value, ProviderFailure> {
        serde_json::from_slice(&self.body).map_err(|error| {
            let mut failure = unreadable(&format!(
                "status {} with a body that is not JSON (line {}, column {})",
                self.status,
                error.line(),
                error.column()
            ));
            failure.correlation_id.clone_from(&self.correlation_id);
            failure
        })
    }

    /// Code first, status second. Without the API's own envelope something in between has
    /// answered, and that is no verdict on a token, a name or a server.
    fn refusal(&self) -> ProviderFailure {
        let body: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        let text = |pointer: &str| body.pointer(pointer).and_then(Value::as_str);
        let Some(code) = text("/error/code") else {
            return match self.status {
                429 => ProviderFailure::new(
                    FailureClass::RateLimited,
                    "rate_limit_exceeded",
                    "status 429 without an error body",
                ),
                status => unreadable(&format!("status {status} without the API's error body")),
            };
        };
        let mut fields = names(&body, "fields");
        // Seen without details: only the message names the field (Karpenter provider, `errors.go`).
        if text("/error/message").is_some_and(|words| words.contains(UNSUPPORTED_LOCATION)) {
            fields.push("location".to_owned());
        }
        let class = FailureClass::of(self.status, code, &fields);
        let mut message: String =
            text("/error/message").unwrap_or_default().chars().take(MAX_MESSAGE_CHARS).collect();
        let limits = names(&body, "limits");
        if !limits.is_empty() {
            let limits: String = limits.join(", ").chars().take(MAX_MESSAGE_CHARS).collect();
            message.push_str(&format!(" (limits: {limits})"));
        }
        let code: String = code.chars().take(64).collect();
        ProviderFailure::new(class, &code, message)
    }
}

/// The `name`s in one list of `error.details`.
fn names(body: &Value, list: &str) -> Vec<String> {
    body.pointer(&format!("/error/details/{list}"))
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.get("name")?.as_str().map(str::to_owned))
        .collect()
}
