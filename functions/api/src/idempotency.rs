//! The `Idempotency-Key` header: what a key means depends on who sent it and where to.

use axum::extract::FromRequestParts;
use http::{HeaderMap, request::Parts};
use nodeyard_domain::id::TokenId;
use nodeyard_engine::store::IdempotencyKey;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::{
    code::ApiCode,
    problem::{Fault, Place, Problem},
};

const HEADER: &str = "idempotency-key";
const MAX_KEY_CHARS: usize = 255;

/// The key a caller sent, bare or as a structured-field string.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentKey(pub Option<String>);

impl<S: Sync> FromRequestParts<S> for SentKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        sent_key(&parts.headers).map(Self)
    }
}

fn sent_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut values = headers.get_all(HEADER).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let key = value.to_str().ok().and_then(|text| unquote(text.trim()));
    let valid = key.filter(|key| {
        (1..=MAX_KEY_CHARS).contains(&key.len())
            && key.bytes().all(|byte| matches!(byte, b' '..=b'~'))
    });
    match (valid, values.next()) {
        (Some(key), None) => Ok(Some(key)),
        _ => {
            let detail = format!("1 to {MAX_KEY_CHARS} visible characters, once");
            let fault = Fault {
                place: Place::Header("Idempotency-Key".into()),
                code: ApiCode::InvalidIdempotencyKey,
                detail: detail.clone(),
            };
            Err(Problem {
                faults: vec![fault],
                ..Problem::new(ApiCode::InvalidIdempotencyKey, detail)
            })
        }
    }
}

/// A bare key as it is, a structured-field string (RFC 9651) without quotes and escapes.
fn unquote(text: &str) -> Option<String> {
    let Some(rest) = text.strip_prefix('"') else {
        return (!text.contains('"')).then(|| text.to_owned());
    };
    let mut key = String::new();
    let mut chars = rest.chars();
    loop {
        match chars.next()? {
            '\\' => match chars.next()? {
                escaped @ ('"' | '\\') => key.push(escaped),
                _ => return None,
            },
            '"' => return chars.next().is_none().then_some(key),
            other => key.push(other),
        }
    }
}

impl SentKey {
    /// The record's key: another caller or another route makes another one.
    pub fn record(&self, caller: &TokenId, route: &str, body: &Value) -> Option<IdempotencyKey> {
        let key = self.0.as_ref()?;
        Some(IdempotencyKey {
            key: digest(&[caller.as_str(), route, key]),
            body: digest(&[&canonical(body)]),
        })
    }
}

fn digest(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        // Lengths in front, so that no two lists of parts hash alike.
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hex::encode(hash.finalize())
}

/// JSON with sorted keys and without white space, whatever the map's own order.
fn canonical(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let mut keys: Vec<&String> = map.keys().collect();
            keys.sort();
            let pairs: Vec<String> = keys
                .into_iter()
                .map(|key| format!("{}:{}", Value::from(key.as_str()), canonical(&map[key])))
                .collect();
            format!("{{{}}}", pairs.join(","))
        }
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(canonical).collect();
            format!("[{}]", items.join(","))
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    fn key(text: &str) -> Result<Option<String>, ApiCode> {
        let mut headers = HeaderMap::new();
        headers.insert(HEADER, text.parse().unwrap());
        sent_key(&headers).map_err(|problem| problem.code)
    }

    #[test]
    fn quoted_and_bare_are_the_same_key() {
        assert_eq!(key("abc"), Ok(Some("abc".into())));
        assert_eq!(key("\"abc\""), Ok(Some("abc".into())));
        assert_eq!(key(r#""a\"b\\c""#), Ok(Some(r#"a"b\c"#.into())));
        assert_eq!(key(&"a".repeat(255)), Ok(Some("a".repeat(255))));
        let wrong = ["", "\"\"", "\"abc", "ab\"c", "\"a\"b", r#""a\b""#, &"a".repeat(256)];
        for wrong in wrong {
            assert_eq!(key(wrong), Err(ApiCode::InvalidIdempotencyKey), "{wrong}");
        }
        assert_eq!(sent_key(&HeaderMap::new()).unwrap(), None);
    }

    #[test]
    fn caller_route_and_key_make_the_record_and_the_order_of_fields_does_not() {
        let sent = SentKey(Some("k".into()));
        let (one, two) = (TokenId::from_bits(1), TokenId::from_bits(2));
        let body = json!({"a": 1, "b": {"c": [1, 2], "d": null}});
        let first = sent.record(&one, "POST /nodes", &body).unwrap();
        let again = serde_json::from_str(r#"{"b":{"d":null,"c":[1,2]},"a":1}"#).unwrap();
        assert_eq!(sent.record(&one, "POST /nodes", &again).unwrap(), first);
        assert_ne!(sent.record(&two, "POST /nodes", &body).unwrap().key, first.key);
        assert_ne!(sent.record(&one, "POST /node", &body).unwrap().key, first.key);
        assert_ne!(sent.record(&one, "POST /nodes", &json!({"a": 2})).unwrap().body, first.body);
        assert_eq!(SentKey(None).record(&one, "POST /nodes", &body), None);
    }
}
