//! What of a new document breaks a caller who was written for an old one.
//!
//! New operations, optional parameters and properties break nobody. Nor do new codes and statuses
//! of problems: the registry of codes grows, and callers have been told so.

use serde_json::{Map, Value};

use super::schema::{Documents, Findings, Side};

const METHODS: [&str; 5] = ["get", "put", "post", "patch", "delete"];

/// Every breaking change, with its place.
pub fn breaking(old: &Value, new: &Value) -> Vec<String> {
    let documents = Documents { old, new };
    let mut found = Findings::default();
    for (path, item) in entries(&old["paths"]) {
        for method in METHODS {
            let Some(was) = item.get(method) else { continue };
            let at = format!("{} {path}", method.to_uppercase());
            match new["paths"].get(path).and_then(|item| item.get(method)) {
                None => found.add(&at, "the operation is gone"),
                Some(is) => operation(documents, &at, was, is, &mut found),
            }
        }
    }
    found.into_lines()
}

fn entries(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter)
}

fn operation(documents: Documents<'_>, at: &str, was: &Value, is: &Value, found: &mut Findings) {
    if was["operationId"] != is["operationId"] {
        found.add(at, "the operationId, which generated clients have as a name, is another");
    }
    let takes_no_token = |operation: &Value| operation["security"] == serde_json::json!([{}]);
    if takes_no_token(was) && !takes_no_token(is) {
        found.add(at, "a token is needed");
    }
    parameters(documents, at, was, is, found);
    body(documents, at, &was["requestBody"], &is["requestBody"], found);
    responses(documents, at, &was["responses"], &is["responses"], found);
}

fn parameters(documents: Documents<'_>, at: &str, was: &Value, is: &Value, found: &mut Findings) {
    let list = |operation: &Value| -> Vec<Value> {
        operation["parameters"].as_array().cloned().unwrap_or_default()
    };
    let (was, is) = (list(was), list(is));
    let same =
        |one: &Value, other: &Value| one["in"] == other["in"] && one["name"] == other["name"];
    let place = |parameter: &Value| {
        let name = parameter["name"].as_str().unwrap_or_default();
        format!("{at} {} {name}", parameter["in"].as_str().unwrap_or_default())
    };
    for before in &was {
        match is.iter().find(|now| same(before, now)) {
            None => found.add(&place(before), "the parameter is gone"),
            Some(now) => {
                documents.held(
                    Side::Asked,
                    &place(before),
                    &before["schema"],
                    &now["schema"],
                    found,
                );
            }
        }
    }
    for now in is.iter().filter(|now| now["required"] == true) {
        let was_required = was.iter().any(|before| same(before, now) && before["required"] == true);
        if !was_required {
            found.add(&place(now), "the parameter is required now");
        }
    }
}

fn body(documents: Documents<'_>, at: &str, was: &Value, is: &Value, found: &mut Findings) {
    let at = format!("{at} body");
    if is["required"] == true && was["required"] != true {
        found.add(&at, "a body is required now");
    }
    for (kind, before) in entries(&was["content"]) {
        match is["content"].get(kind) {
            None => found.add(&at, format!("{kind} is not taken any more")),
            Some(now) => {
                documents.held(Side::Asked, &at, &before["schema"], &now["schema"], found);
            }
        }
    }
}

fn responses(documents: Documents<'_>, at: &str, was: &Value, is: &Value, found: &mut Findings) {
    for (status, before) in entries(was) {
        let at = format!("{at} {status}");
        match is.get(status) {
            None => found.add(&at, "the status is gone"),
            Some(now) => response(documents, &at, before, now, is_problem(status), found),
        }
    }
    for (status, _) in entries(is).filter(|(status, _)| !is_problem(status)) {
        if was.get(status).is_none() {
            found.add(&format!("{at} {status}"), "another answer when all goes well");
        }
    }
}

fn is_problem(status: &str) -> bool {
    status.starts_with(['4', '5'])
}

fn response(
    documents: Documents<'_>,
    at: &str,
    was: &Value,
    is: &Value,
    is_problem: bool,
    found: &mut Findings,
) {
    for (name, before) in entries(&was["headers"]) {
        let at = format!("{at} header {name}");
        match is["headers"].get(name) {
            None => found.add(&at, "the header is gone"),
            Some(now) if before["required"] == true && now["required"] != true => {
                found.add(&at, "the header may be missing now");
            }
            Some(now) => {
                documents.held(Side::Answered, &at, &before["schema"], &now["schema"], found);
            }
        }
    }
    for (name, _) in entries(&was["links"]) {
        if is["links"].get(name).is_none() {
            found.add(&format!("{at} link {name}"), "the link is gone");
        }
    }
    for (kind, before) in entries(&was["content"]) {
        let side = if is_problem { Side::Refused } else { Side::Answered };
        match is["content"].get(kind) {
            None => found.add(at, format!("{kind} is not answered any more")),
            Some(now) => documents.held(side, at, &before["schema"], &now["schema"], found),
        }
    }
    if was.get("content").is_some() != is.get("content").is_some() {
        found.add(at, "there was a body, or there is one now");
    }
}
