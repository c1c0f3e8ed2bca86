//! Every answer a test gets is held against the contract.

use std::sync::OnceLock;

use nodeyard_api::contract;
use serde_json::{Value, json};

use super::{Memory, answer::Answer};

fn document() -> &'static Value {
    static DOCUMENT: OnceLock<Value> = OnceLock::new();
    DOCUMENT.get_or_init(|| serde_json::to_value(contract::<Memory>()).unwrap())
}

/// The operation a request means; unknown routes and methods have none.
fn operation(method: &str, path: &str) -> Option<&'static Value> {
    let steps: Vec<&str> = path.split('?').next()?.split('/').collect();
    let fits = |template: &str| {
        let wanted: Vec<&str> = template.split('/').collect();
        let same = |(wanted, step): (&&str, &&str)| wanted.starts_with('{') || wanted == step;
        wanted.len() == steps.len() && wanted.iter().zip(&steps).all(same)
    };
    let paths = document()["paths"].as_object()?;
    let item = paths.iter().find(|(template, _)| fits(template))?.1;
    item.get(method.to_lowercase())
}

/// # Panics
/// When the contract does not allow the answer.
pub fn hold(method: &str, path: &str, answer: &Answer) {
    let Some(operation) = operation(method, path) else { return };
    let responses = &operation["responses"];
    let response = responses.get(answer.status.to_string()).unwrap_or(&responses["default"]);
    let Some(content) = response.get("content") else {
        assert_eq!(answer.text, "", "{method} {path}: the contract knows no body");
        return;
    };
    let kind = answer.header("content-type").unwrap_or_default();
    let schema = content.get(kind).unwrap_or_else(|| {
        panic!("{method} {path}: {} {kind} is not in the contract", answer.status)
    });
    let mut schema = schema["schema"].clone();
    schema["components"] = json!(document()["components"]);
    let validator = jsonschema::validator_for(&schema).unwrap();
    let faults: Vec<String> =
        validator.iter_errors(&answer.json).map(|fault| fault.to_string()).collect();
    assert!(faults.is_empty(), "{method} {path}: {} in {}", faults.join("; "), answer.text);
}

#[test]
#[should_panic(expected = "\"id\" is a required property")]
fn an_answer_outside_the_contract_is_found_out() {
    let headers = [("content-type".parse().unwrap(), "application/json".parse().unwrap())];
    let headers = http::HeaderMap::from_iter(headers);
    hold("GET", "/jobs/x", &Answer { status: 200, headers, text: "{}".into(), json: json!({}) });
}
