//! The error envelope's content, and which status each code comes with.

use serde_json::{Value, json};

use super::operation::Kind;

/// A refusal: what the envelope says and the status it is sent with.
#[derive(Debug, Clone, PartialEq)]
pub struct ApiError {
    /// HTTP status.
    pub status: u16,
    /// Stable code.
    pub code: String,
    /// For people.
    pub message: String,
    /// Depends on the code; `null` for most.
    pub details: Value,
}

impl ApiError {
    /// A refusal with the status its code is documented with.
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        Self {
            status: usual_status(code),
            code: code.to_owned(),
            message: message.into(),
            details: Value::Null,
        }
    }

    /// `not_found` for a thing named by id.
    pub fn not_found(kind: Kind, id: u64) -> Self {
        Self::new("not_found", format!("{} with ID '{id}' not found", kind.singular()))
    }

    /// `invalid_input` about one field.
    pub fn invalid(field: &str, message: impl Into<String>) -> Self {
        Self::invalid_fields(vec![(field.to_owned(), message.into())])
    }

    /// `invalid_input` about several fields.
    // [documented] details.fields lists names and messages.
    pub fn invalid_fields(faults: Vec<(String, String)>) -> Self {
        let names: Vec<&str> = faults.iter().map(|(name, _)| name.as_str()).collect();
        let message = format!("invalid input in field '{}'", names.join("', '"));
        let fields: Vec<Value> = faults
            .iter()
            .map(|(name, message)| json!({"name": name, "messages": [message]}))
            .collect();
        Self { details: json!({ "fields": fields }), ..Self::new("invalid_input", message) }
    }

    /// `uniqueness_error` about one field.
    // [documented] details.fields names the field, without messages.
    pub fn not_unique(field: &str, message: impl Into<String>) -> Self {
        Self {
            details: json!({"fields": [{"name": field}]}),
            ..Self::new("uniqueness_error", message)
        }
    }

    /// `resource_limit_exceeded` for one limit.
    // [documented] details.limits names the limit.
    pub fn over_limit(limit: &str) -> Self {
        Self {
            details: json!({"limits": [{"name": limit}]}),
            ..Self::new("resource_limit_exceeded", format!("{} exceeded", limit.replace('_', " ")))
        }
    }

    /// The same refusal under another status.
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// The body it is sent as.
    pub fn body(&self) -> Value {
        json!({"error": {
            "code": self.code,
            "message": self.message,
            "details": self.details,
        }})
    }
}

/// The status a code is documented with; 422 for codes of single operations
/// whose status is not known. [documented, the last arm assumed]
pub fn usual_status(code: &str) -> u16 {
    match code {
        "json_error" => 400,
        "unauthorized" | "token_readonly" => 401,
        "forbidden" | "maintenance" | "resource_limit_exceeded" => 403,
        "not_found" => 404,
        "method_not_allowed" => 405,
        "uniqueness_error" | "conflict" => 409,
        "deprecated_api_endpoint" => 410,
        "resource_unavailable" => 412,
        "locked" | "protected" => 423,
        "rate_limit_exceeded" => 429,
        "server_error" => 500,
        "bad_gateway" => 502,
        "unavailable" => 503,
        "timeout" => 504,
        _ => 422,
    }
}
