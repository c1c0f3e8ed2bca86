//! Events of the gateway as requests. `lambda_http` panics on an event whose host, path or query
//! make no URI or whose body is no base64, and refuses one with an illegal header; what callers
//! write there must not cost them our own answer.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::{HeaderName, HeaderValue};
use lambda_http::{
    Adapter, Error, LambdaEvent, Request, Service as _, lambda_runtime, request::LambdaRequest,
    service_fn,
};
use serde_json::{Map, Value};

use crate::{
    app::{Ports, Shared},
    router,
};

/// Longer ones are of no route here; `http::Uri` ends at 64 KB.
const MAX_TARGET_BYTES: usize = 16 * 1024;

/// Answers the function's events until its environment ends.
///
/// # Errors
/// When the runtime fails.
pub async fn serve<P: Ports>(app: Shared<P>) -> Result<(), Error> {
    let adapter = Adapter::from(router(app));
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Value>| {
        let mut adapter = adapter.clone();
        async move {
            let readable = LambdaEvent::new(readable(event.payload)?, event.context);
            match adapter.call(readable).await {
                Ok(answer) => Ok::<_, Error>(answer),
                Err(never) => match never {},
            }
        }
    }))
    .await
}

/// An event as the request it stands for.
///
/// # Errors
/// When it is none of an HTTP API (payload format 2.0).
pub fn request(event: Value) -> Result<Request, serde_json::Error> {
    readable(event).map(Request::from)
}

fn readable(mut event: Value) -> Result<LambdaRequest, serde_json::Error> {
    if let Some(headers) = event.get_mut("headers").and_then(Value::as_object_mut) {
        headers.retain(|name, value| is_header(name, value) && !is_of_origin(name));
    }
    if let Some(Value::Object(context)) = event.get_mut("requestContext") {
        context.remove("domainName");
        // The one stage there is; another name would be put before the path.
        context.insert("stage".to_owned(), "$default".into());
    }
    if let Some(members) = event.as_object_mut() {
        make_target(members);
        make_body(members);
    }
    serde_json::from_value(event)
}

/// What is no legal header is as good as not sent: a token in it is a missing one.
fn is_header(name: &str, value: &Value) -> bool {
    let is_legal = |value: &str| HeaderValue::from_str(value).is_ok();
    HeaderName::from_bytes(name.as_bytes()).is_ok() && value.as_str().is_some_and(is_legal)
}

/// Where a request was sent to says nothing here: our links are relative, and without these the
/// request's URI is path and query alone.
fn is_of_origin(name: &str) -> bool {
    ["host", "x-forwarded-proto"].iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// A body that is not what it is said to be is taken as it stands there.
fn make_body(event: &mut Map<String, Value>) {
    let is_encoded = event.get("isBase64Encoded") == Some(&Value::Bool(true));
    let body = event.get("body").and_then(Value::as_str).unwrap_or_default();
    if is_encoded && BASE64_STANDARD.decode(body).is_err() {
        event.insert("isBase64Encoded".to_owned(), false.into());
    }
}

fn make_target(event: &mut Map<String, Value>) {
    let text = |event: &Map<String, Value>, name: &str| {
        event.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let (path, query) = (text(event, "rawPath"), text(event, "rawQueryString"));
    let path = if path.starts_with('/') { path } else { format!("/{path}") };
    let query = legal_query(&query);
    let fits = path.len() + query.len() <= MAX_TARGET_BYTES;
    let (path, query) = if fits { (path, query) } else { ("/".to_owned(), String::new()) };
    event.insert("rawPath".to_owned(), path.into());
    event.insert("rawQueryString".to_owned(), query.into());
}

/// A query with nothing in it that a URI (RFC 3986) may not hold.
fn legal_query(query: &str) -> String {
    let is_legal =
        |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/?%".contains(&byte);
    let mut legal = String::with_capacity(query.len());
    for byte in query.bytes() {
        if is_legal(byte) {
            legal.push(char::from(byte));
        } else {
            legal.push_str(&format!("%{byte:02X}"));
        }
    }
    legal
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(path: &str, query: &str, headers: Value) -> Value {
        json!({
            "version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": query,
            "headers": headers, "isBase64Encoded": false,
            "requestContext": {"http": {"method": "GET", "path": path}, "stage": "$default",
                "domainName": "xn--a"},
        })
    }

    #[test]
    fn whatever_a_caller_writes_there_is_a_request() {
        for host in ["a^b", "xn--a", "[", "a b", "a:99999", ""] {
            let headers =
                json!({"host": host, "x-forwarded-proto": "ht tp", "X-Forwarded-Proto": "::"});
            let request = request(event("/nodes", "a=1", headers)).unwrap();
            assert_eq!(request.uri(), "/nodes?a=1", "{host}");
        }
        for (path, query, expected) in [
            (
                "/nodes",
                "label=<ä>|\"\\^`{} #x",
                "/nodes?label=%3C%C3%A4%3E%7C%22%5C%5E%60%7B%7D%20%23x",
            ),
            ("@evil:99999", "", "/@evil:99999"),
            ("/nodes/ü", "", "/nodes/%C3%BC"),
            ("", "x=%zz", "/?x=%zz"),
        ] {
            assert_eq!(request(event(path, query, json!({}))).unwrap().uri(), expected);
        }
        let long = "a".repeat(70_000);
        assert_eq!(request(event("/nodes", &long, json!({}))).unwrap().uri(), "/");
        let mut staged = event("/nodes", "", json!({}));
        staged["requestContext"]["stage"] = long.into();
        assert_eq!(request(staged).unwrap().uri(), "/nodes");
    }

    #[test]
    fn a_body_that_is_no_base64_is_taken_as_it_is() {
        for (encoded, body, expected) in
            [(true, "e30=", "{}"), (true, "}{", "}{"), (false, "e30=", "e30="), (true, "", "")]
        {
            let mut event = event("/nodes", "", json!({}));
            (event["isBase64Encoded"], event["body"]) = (json!(encoded), json!(body));
            assert_eq!(request(event).unwrap().body().as_ref(), expected.as_bytes(), "{body}");
        }
    }

    #[test]
    fn headers_that_are_none_are_left_out_and_the_others_stay() {
        let headers =
            json!({"authorization": "Bearer a\r\nx: y", "a b": "x", "n": 7, "x-good": "y, z"});
        let request = request(event("/nodes", "", headers)).unwrap();
        assert_eq!(request.headers().len(), 1);
        assert_eq!(request.headers()["x-good"], "y, z");
    }

    #[test]
    fn what_is_no_event_is_refused() {
        for wrong in [json!(null), json!([]), json!({}), json!({"requestContext": 1})] {
            assert!(request(wrong.clone()).is_err(), "{wrong}");
        }
    }
}
