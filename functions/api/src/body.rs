//! Bodies: bounded, JSON, and parsed with the place of each fault.

use axum::extract::{FromRequest, Request};
use http::{HeaderMap, header};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{code::ApiCode, problem::Problem};

/// The largest body any route takes.
pub const MAX_BODY_BYTES: usize = 64 * 1024;
/// Longer than the name of any field or parameter we know.
const MAX_REPEATED_BYTES: usize = 32;

/// A JSON body, not yet looked into.
#[derive(Debug)]
pub struct JsonBody(pub Value);

/// A JSON body that may be left out, which means `{}`.
#[derive(Debug)]
pub struct OptionalJsonBody(pub Value);

impl<S: Send + Sync> FromRequest<S> for JsonBody {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        match read(request).await? {
            Some(value) => Ok(Self(value)),
            None => Err(Problem::new(ApiCode::InvalidJson, "The body is empty.")),
        }
    }
}

impl<S: Send + Sync> FromRequest<S> for OptionalJsonBody {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        Ok(Self(read(request).await?.unwrap_or_else(|| Value::Object(serde_json::Map::new()))))
    }
}

async fn read(request: Request) -> Result<Option<Value>, Problem> {
    let (parts, body) = request.into_parts();
    let too_large = || {
        Problem::new(ApiCode::BodyTooLarge, format!("At most {MAX_BODY_BYTES} bytes are taken."))
    };
    if content_length(&parts.headers).is_some_and(|length| length > MAX_BODY_BYTES) {
        return Err(too_large());
    }
    // Anything but the limit is a body that broke off.
    let bytes = axum::body::to_bytes(body, MAX_BODY_BYTES).await.map_err(|_| too_large())?;
    if bytes.is_empty() {
        return Ok(None);
    }
    if !is_json(&parts.headers) {
        return Err(Problem::new(
            ApiCode::UnsupportedMediaType,
            "Send `Content-Type: application/json`.",
        ));
    }
    serde_json::from_slice(&bytes).map(Some).map_err(|error| {
        let place = format!("Line {}, column {}.", error.line(), error.column());
        Problem::new(ApiCode::InvalidJson, place)
    })
}

fn content_length(headers: &HeaderMap) -> Option<usize> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn is_json(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.split(';').next())
        .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

/// Reads a value as a `T`.
///
/// # Errors
/// One fault: an unknown field, a missing one or a wrong type, with its JSON pointer. What the
/// caller sent is not repeated.
pub fn parse<T: DeserializeOwned>(value: &Value) -> Result<T, Problem> {
    // Derived structs would also take an array, field by field.
    if !value.is_object() {
        return Err(Problem::at("", ApiCode::InvalidBody, "expected an object"));
    }
    serde_path_to_error::deserialize(value).map_err(|error| {
        let mut pointer = pointer_of(error.path());
        let message = error.inner().to_string();
        let named = |prefix: &str| {
            message.strip_prefix(prefix).and_then(|rest| rest.split('`').next()).map(str::to_owned)
        };
        if let Some((field, _)) = unknown_field(&message) {
            // The path already ends in the field where the deserializer knew of it.
            let step = format!("/{}", escape(repeatable(field)));
            if !pointer.ends_with(&step) {
                pointer.push_str(&step);
            }
            Problem::at(&pointer, ApiCode::UnknownField, "this route does not know the field")
        } else if let Some(field) = named("missing field `") {
            pointer.push_str(&format!("/{}", escape(&field)));
            Problem::at(&pointer, ApiCode::InvalidBody, "the field is required")
        } else {
            let expected = message.split_once("expected ").map(|(_, what)| in_json_words(what));
            let detail =
                expected.map_or("cannot be read".into(), |what| format!("expected {what}"));
            Problem::at(&pointer, ApiCode::InvalidBody, &detail)
        }
    })
}

/// The name in serde's words on an unknown field, and what stands after it. The name may hold
/// anything.
pub fn unknown_field(words: &str) -> Option<(&str, &str)> {
    let (_, rest) = words.split_once("unknown field `")?;
    let end = ["`, expected ", "`, there are no fields"].iter().find_map(|end| rest.rfind(end))?;
    Some((rest.get(..end)?, rest.get(end + 3..)?))
}

/// A name that the caller made up, to be repeated to them; a long one may be a secret that got
/// into the wrong place, and is not.
pub fn repeatable(name: &str) -> &str {
    if name.len() <= MAX_REPEATED_BYTES { name } else { "…" }
}

/// What the deserializer expected, in the words of JSON and not in Rust's.
fn in_json_words(what: &str) -> &str {
    match what {
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number, 0 or more",
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number",
        "f32" | "f64" => "a number",
        "a map" => "an object",
        "a sequence" => "an array",
        _ if what.starts_with("struct ") => "an object",
        _ => what,
    }
}

fn pointer_of(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    path.iter()
        .map(|segment| match segment {
            Segment::Seq { index } => format!("/{index}"),
            Segment::Map { key } => format!("/{}", escape(repeatable(key))),
            Segment::Enum { variant } => format!("/{}", escape(variant)),
            Segment::Unknown => "/?".to_owned(),
        })
        .collect()
}

/// One step of a JSON pointer (RFC 6901).
pub fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;
    use crate::problem::Place;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        #[allow(dead_code)]
        count: u32,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        #[allow(dead_code)]
        list: Vec<Inner>,
    }

    fn fault(value: Value) -> (String, ApiCode, String) {
        let problem = parse::<Outer>(&value).unwrap_err();
        let fault = problem.faults[0].clone();
        let Place::Pointer(pointer) = fault.place else { panic!("a body's fault has a pointer") };
        (pointer, fault.code, fault.detail)
    }

    #[test]
    fn faults_name_their_place_and_never_the_value() {
        let (pointer, code, _) = fault(json!({"list": [], "a/b": 1}));
        assert_eq!((pointer.as_str(), code), ("/a~1b", ApiCode::UnknownField));
        let (pointer, code, _) = fault(json!({"list": [{"count": 1}, {"count": 1, "x": 2}]}));
        assert_eq!((pointer.as_str(), code), ("/list/1/x", ApiCode::UnknownField));
        let (pointer, code, _) = fault(json!({"list": [{}]}));
        assert_eq!((pointer.as_str(), code), ("/list/0/count", ApiCode::InvalidBody));
        let (pointer, _, detail) = fault(json!({"list": [{"count": "hunter2"}]}));
        assert_eq!(pointer, "/list/0/count");
        assert_eq!(detail, "expected a whole number, 0 or more");
        let (pointer, code, _) = fault(json!({"list": [], "x".repeat(64): 1}));
        assert_eq!((pointer.as_str(), code), ("/…", ApiCode::UnknownField));
        let (pointer, ..) = fault(json!({"list": [], format!("a`b{}", "x".repeat(64)): 1}));
        assert_eq!(pointer, "/…");
        let (pointer, _, detail) = fault(json!([1]));
        assert_eq!((pointer.as_str(), detail.as_str()), ("", "expected an object"));
    }
}
