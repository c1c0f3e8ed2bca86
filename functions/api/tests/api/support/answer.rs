//! An answer, read whole.

use axum::response::Response;
use http::HeaderMap;
use serde_json::Value;

/// The headers that belong to the contract.
const SHOWN: &[&str] = &[
    "content-type",
    "location",
    "retry-after",
    "etag",
    "preference-applied",
    "www-authenticate",
    "allow",
];

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
    /// `Null` when there is no body.
    pub json: Value,
}

impl Answer {
    pub async fn read(response: Response) -> Self {
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let json = serde_json::from_str(&text).unwrap_or_default();
        Self { status: parts.status.as_u16(), headers: parts.headers, text, json }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub fn code(&self) -> &str {
        self.json["code"].as_str().unwrap_or_default()
    }

    /// A complete problem answer, by RFC 9457 and our own additions.
    pub fn is_problem(&self) -> bool {
        let text = |name: &str| self.json[name].as_str().is_some_and(|text| !text.is_empty());
        self.header("content-type") == Some("application/problem+json")
            && ["type", "title", "detail", "code"].into_iter().all(text)
            && self.json["status"] == self.status
            && self.json["request_id"].as_str() == self.header("x-request-id")
    }

    /// Status, the headers of the contract and the body, for a snapshot.
    pub fn shown(&self) -> String {
        let mut lines = vec![self.status.to_string()];
        lines.extend(
            SHOWN.iter().filter_map(|name| Some(format!("{name}: {}", self.header(name)?))),
        );
        if !self.json.is_null() {
            lines.push(String::new());
            lines.push(serde_json::to_string_pretty(&self.json).unwrap());
        }
        lines.join("\n")
    }
}
