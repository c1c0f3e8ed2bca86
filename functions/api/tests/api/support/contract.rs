//! Every answer a test gets is held against the contract: status, headers, kind and body. The body
//! of a problem has to have one of the operation's codes.

use std::sync::OnceLock;

use nodeyard_api::contract;
use serde_json::{Value, json};

use super::{Memory, answer::Answer};

/// What callers act on; none of them may be there without being documented.
const HEADERS: &[&str] =
    &["location", "retry-after", "etag", "preference-applied", "www-authenticate", "x-request-id"];

pub fn document() -> &'static Value {
    static DOCUMENT: OnceLock<Value> = OnceLock::new();
    DOCUMENT.get_or_init(|| serde_json::to_value(contract::<Memory>()).unwrap())
}

/// The operation a request means; unknown routes and methods have none.
fn operation(method: &str, path: &str) -> Option<&'static Value> {
    let steps: Vec<&str> = path.split('?').next()?.split('/').collect();
    let fits = |template: &str| {
        let wanted: Vec<&str> = template.split('/').collect();
        let same = |(wanted, step): (&&str, &&str)| {
            (wanted.starts_with('{') && !step.is_empty()) || wanted == step
        };
        wanted.len() == steps.len() && wanted.iter().zip(&steps).all(same)
    };
    let paths = document()["paths"].as_object()?;
    let item = paths.iter().find(|(template, _)| fits(template))?.1;
    item.get(method.to_lowercase())
}

/// # Panics
/// When the contract does not allow the answer.
pub fn hold(method: &str, path: &str, answer: &Answer) {
    if let Err(fault) = judge(method, path, answer) {
        panic!("{method} {path}: {fault}: {} {}", answer.status, answer.text);
    }
}

fn judge(method: &str, path: &str, answer: &Answer) -> Result<(), String> {
    if method == "HEAD" {
        return Ok(());
    }
    let Some(operation) = operation(method, path) else {
        // The document says in words what all other routes and methods answer.
        let known = matches!(
            (answer.status, answer.code()),
            (404, "not_found") | (405, "method_not_allowed")
        );
        return if known { Ok(()) } else { Err("there is no such operation".to_owned()) };
    };
    let response = operation["responses"]
        .get(answer.status.to_string())
        .ok_or("the status is not documented")?;
    headers(response, answer)?;
    let Some(content) = response.get("content") else {
        return if answer.text.is_empty() {
            Ok(())
        } else {
            Err("a body is not documented".to_owned())
        };
    };
    let kind = answer.header("content-type").unwrap_or_default();
    let content = content.get(kind).ok_or("its content type is not documented")?;
    if kind == "application/problem+json" && answer.json["status"] != answer.status {
        return Err("the body tells another status".to_owned());
    }
    conforms(&content["schema"], &answer.json)
}

/// Whether a value is what a schema of the document says.
pub fn conforms(schema: &Value, value: &Value) -> Result<(), String> {
    let mut schema = schema.clone();
    schema["components"] = json!({ "schemas": document()["components"]["schemas"] });
    let validator = jsonschema::validator_for(&schema).map_err(|error| error.to_string())?;
    let faults: Vec<String> = validator.iter_errors(value).map(|fault| fault.to_string()).collect();
    if faults.is_empty() { Ok(()) } else { Err(faults.join("; ")) }
}

fn headers(response: &Value, answer: &Answer) -> Result<(), String> {
    let documented = response["headers"].as_object().ok_or("no headers are documented")?;
    for (name, header) in documented {
        match answer.header(name) {
            Some(text) => {
                let value = match header["schema"]["type"].as_str() {
                    Some("integer") => text.parse::<i64>().map_or(json!(text), Value::from),
                    _ => json!(text),
                };
                conforms(&header["schema"], &value).map_err(|fault| format!("{name}: {fault}"))?;
            }
            None if header["required"] == true => return Err(format!("{name} is missing")),
            None => {}
        }
    }
    let is_known = |name: &str| documented.keys().any(|known| known.eq_ignore_ascii_case(name));
    match HEADERS.iter().find(|name| answer.header(name).is_some() && !is_known(name)) {
        Some(name) => Err(format!("{name} is not documented")),
        None => Ok(()),
    }
}

/// An answer with a request id and whatever else is named.
fn answer(status: u16, headers: &[(&str, &str)], json: Value) -> Answer {
    let kind = if status < 400 { "application/json" } else { "application/problem+json" };
    let all = [("content-type", kind), ("x-request-id", "7")];
    let pairs = all.iter().chain(headers);
    let headers = pairs.map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
    let headers = http::HeaderMap::from_iter(headers);
    Answer { status, headers, text: json.to_string(), json }
}

fn problem(status: u16, code: &str) -> Value {
    json!({
        "type": "urn:x", "title": "t", "status": status, "detail": "d", "code": code,
        "request_id": "7",
    })
}

#[test]
fn an_answer_outside_the_contract_is_found_out() {
    let job = format!("/jobs/job-{:032x}", 7);
    let not_found = problem(404, "not_found");
    assert_eq!(judge("GET", &job, &answer(404, &[], not_found.clone())), Ok(()));
    assert_eq!(judge("GET", "/nowhere", &answer(404, &[], not_found.clone())), Ok(()));
    let etag = ("etag", "\"7\"");
    let denied = [("www-authenticate", "Bearer")];
    for (told, path, wrong) in [
        ("\"id\" is a required property", job.as_str(), answer(200, &[etag], json!({}))),
        ("ETag is missing", &job, answer(200, &[], json!({}))),
        ("ETag: \"7\" does not match", &job, answer(200, &[("etag", "7")], json!({}))),
        ("status is not documented", &job, answer(418, &[], problem(418, "not_found"))),
        ("is not one of", &job, answer(404, &[], problem(404, "node_gone"))),
        ("is not one of", &job, answer(401, &denied, problem(401, "forbidden"))),
        ("WWW-Authenticate is missing", &job, answer(401, &[], problem(401, "invalid_token"))),
        ("location is not documented", &job, answer(404, &[("location", "/")], not_found.clone())),
        ("another status", &job, answer(404, &[], problem(400, "not_found"))),
        ("no such operation", "/nowhere", answer(200, &[], json!({}))),
    ] {
        let found = judge("GET", path, &wrong).unwrap_err();
        assert!(found.contains(told), "{told}: {found}");
    }
    let mut text = answer(404, &[], not_found);
    text.headers.insert("content-type", "text/plain".parse().unwrap());
    assert!(judge("GET", &job, &text).unwrap_err().contains("content type"));
}
