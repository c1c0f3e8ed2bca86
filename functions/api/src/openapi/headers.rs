//! What stands in the headers of answers, and which of them are always there.

use std::collections::BTreeMap;

use http::StatusCode;
use serde_json::{Value, json};
use utoipa::openapi::{
    Header, HeaderBuilder, ObjectBuilder, RefOr, Response, Type, extensions::Extensions,
    path::Operation,
};

use super::name;
use crate::code::ApiCode;

const REQUEST_ID: &str = "x-request-id";
/// Only while the job is open, and only where the preference was followed.
const SOMETIMES: &[(&str, &str)] = &[("get_job", "Retry-After"), ("get_job", "Preference-Applied")];

/// Completes the headers that the handlers name, and adds those of every answer.
pub fn complete(operation: &mut Operation) {
    let operation_name = name(operation).to_owned();
    for response in operation.responses.responses.values_mut() {
        let RefOr::T(response) = response else { continue };
        for (header, known) in &mut response.headers {
            let RefOr::T(known) = known else { continue };
            let is_always_there = !SOMETIMES.contains(&(operation_name.as_str(), header.as_str()));
            *known = described(header, known.description.take(), is_always_there);
        }
        add(response, REQUEST_ID);
    }
}

/// The headers that a problem with one of the codes has.
pub fn of_problem(codes: &[ApiCode]) -> BTreeMap<String, RefOr<Header>> {
    let name = match codes.first().map(|code| code.status()) {
        Some(StatusCode::UNAUTHORIZED) => "WWW-Authenticate",
        Some(StatusCode::SERVICE_UNAVAILABLE) => "Retry-After",
        _ => return BTreeMap::new(),
    };
    [(name.to_owned(), RefOr::T(described(name, None, true)))].into()
}

fn add(response: &mut Response, name: &str) {
    response.headers.insert(name.to_owned(), RefOr::T(described(name, None, true)));
}

fn described(name: &str, told: Option<String>, is_always_there: bool) -> Header {
    let text = || ObjectBuilder::new().schema_type(Type::String);
    let (schema, description, example) = match name {
        "Location" => (
            text().pattern(Some("^/")),
            "The path of it.",
            json!("/jobs/job-0123456789abcdef0123456789abcdef"),
        ),
        "ETag" => (
            text().pattern(Some("^\"[0-9]+\"$")),
            "The version of what is answered.",
            json!("\"7\""),
        ),
        "Retry-After" => (
            ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1)).maximum(Some(60)),
            "Seconds until another request is worth it.",
            json!(5),
        ),
        "Preference-Applied" => (
            text().pattern(Some("^wait=[0-9]+$")),
            "What of `Prefer` was followed.",
            json!("wait=10"),
        ),
        "WWW-Authenticate" => (text(), "How to authenticate.", json!("Bearer")),
        _ => (text(), "The request's id; name it when you ask for help.", Value::Null),
    };
    HeaderBuilder::new()
        .schema(Some(schema))
        .description(Some(told.unwrap_or_else(|| description.to_owned())))
        .example(Some(example).filter(|example| !example.is_null()))
        // The crate has no field for it, and writes what it is given here beside the others.
        .extensions(is_always_there.then(|| Extensions::from_iter([("required", true)])))
        .build()
}
