//! Holds answers against the provider's contract: nothing missing, nothing of
//! another type, and nothing that the contract does not know.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Mutex, OnceLock};

use jsonschema::Validator;
use serde_json::{Value, json};

pub struct Contract {
    document: Value,
    compiled: Mutex<HashMap<String, &'static Validator>>,
}

/// The contract, or a line that says it was left out.
pub fn contract() -> Option<&'static Contract> {
    static CONTRACT: OnceLock<Option<Contract>> = OnceLock::new();
    CONTRACT
        .get_or_init(|| {
            let beside =
                concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/hetzner/openapi.json");
            let path = std::env::var_os("NODEYARD_HETZNER_OPENAPI")
                .map_or_else(|| PathBuf::from(beside), PathBuf::from);
            let Ok(text) = std::fs::read_to_string(&path) else {
                println!("left out: validation of answers, no contract at {}", path.display());
                return None;
            };
            Some(Contract {
                document: serde_json::from_str(&text).expect("the contract is JSON"),
                compiled: Mutex::default(),
            })
        })
        .as_ref()
}

impl Contract {
    /// Fails the test if the contract does not allow this answer.
    pub fn check(&self, method: &str, path: &str, status: u16, body: &Value) {
        // Nothing is said about paths that are unknown or methods they lack.
        let Some(operation) = self.operation(method, path) else {
            assert!(status >= 400, "{method} {path} is not in the contract, yet answers {status}");
            return;
        };
        let responses = &operation["responses"];
        let class = format!("{}xx", status / 100);
        let key = [status.to_string(), class]
            .into_iter()
            .find(|key| responses.get(key).is_some())
            .unwrap_or_else(|| panic!("{method} {path} does not answer {status}"));
        let Some(schema) = responses[&key].pointer("/content/application~1json/schema") else {
            assert!(body.is_null(), "{method} {path} {status} has no body, yet sent {body}");
            return;
        };
        let validator = self.validator(format!("{method} {path} {key}"), schema);
        let faults: Vec<String> = validator
            .iter_errors(body)
            .map(|fault| format!("{}: {fault}", fault.instance_path()))
            .collect();
        assert!(faults.is_empty(), "{method} {path} {status}: {faults:#?}\n{body:#}");
    }

    /// All paths with the methods they have.
    pub fn operations(&self) -> Vec<(String, String)> {
        let paths = self.document["paths"].as_object().unwrap();
        let methods = ["get", "post", "put", "delete"];
        paths
            .iter()
            .flat_map(|(path, item)| {
                methods
                    .iter()
                    .filter(|method| item.get(**method).is_some())
                    .map(|method| (method.to_uppercase(), path.clone()))
            })
            .collect()
    }

    fn operation(&self, method: &str, path: &str) -> Option<&Value> {
        let path = path.split('?').next().unwrap();
        // Left out of the pruned contract; they answer like their sibling.
        let path = ["reset", "change_protection"]
            .iter()
            .find_map(|name| path.strip_suffix(&format!("/actions/{name}")))
            .map_or(path.to_owned(), |server| format!("{server}/actions/poweron"));
        let paths = self.document["paths"].as_object().unwrap();
        let exact = paths.get(&path);
        let item = exact.or_else(|| {
            paths.iter().find(|(template, _)| same_shape(template, &path)).map(|(_, item)| item)
        })?;
        item.get(method.to_lowercase())
    }

    fn validator(&self, key: String, schema: &Value) -> &'static Validator {
        let mut compiled = self.compiled.lock().unwrap();
        compiled.entry(key).or_insert_with(|| {
            let mut strict = schema.clone();
            make_strict(&mut strict);
            let validator = jsonschema::options()
                .with_draft(jsonschema::Draft::Draft202012)
                .should_validate_formats(true)
                .build(&strict)
                .expect("the contract's schemas are schemas");
            Box::leak(Box::new(validator))
        })
    }
}

fn same_shape(template: &str, path: &str) -> bool {
    let (template, path): (Vec<&str>, Vec<&str>) =
        (template.split('/').collect(), path.split('/').collect());
    template.len() == path.len()
        && template.iter().zip(&path).all(|(wanted, given)| {
            wanted == given || (wanted.starts_with('{') && given.parse::<u64>().is_ok())
        })
}

/// From OpenAPI 3.0 to JSON Schema, and closed: a field that is not listed is
/// a fault.
fn make_strict(schema: &mut Value) {
    let Value::Object(object) = schema else {
        if let Value::Array(list) = schema {
            list.iter_mut().for_each(make_strict);
        }
        return;
    };
    if object.remove("nullable") == Some(json!(true)) {
        if let Some(kind) = object.get_mut("type") {
            *kind = json!([kind.clone(), "null"]);
        }
        if let Some(Value::Array(values)) = object.get_mut("enum") {
            values.push(Value::Null);
        }
    }
    object.remove("example");
    if let Some(Value::Object(fields)) = object.get_mut("properties") {
        fields.values_mut().for_each(make_strict);
        object.entry("additionalProperties").or_insert(json!(false));
    }
    for key in ["items", "additionalProperties", "oneOf", "anyOf", "allOf"] {
        if let Some(inner) = object.get_mut(key) {
            make_strict(inner);
        }
    }
}

#[test]
fn what_the_contract_does_not_allow_is_noticed() {
    let Some(contract) = contract() else { return };
    let refused = |body: Value| {
        std::panic::catch_unwind(|| contract.check("GET", "/locations", 200, &body)).is_err()
    };
    let location = json!({
        "id": 1, "name": "fsn1", "description": "", "country": "DE", "city": "",
        "latitude": 1.5, "longitude": 1.5, "network_zone": "eu-central",
    });
    let pages = json!({
        "page": 1, "per_page": 25, "previous_page": null, "next_page": null,
        "last_page": 1, "total_entries": 1,
    });
    let right = json!({"locations": [location], "meta": {"pagination": pages}});
    assert!(!refused(right.clone()));
    let mut unknown = right.clone();
    unknown["locations"][0]["moon"] = json!(1);
    assert!(refused(unknown), "an unknown field");
    let mut missing = right.clone();
    missing["meta"]["pagination"].as_object_mut().unwrap().remove("last_page");
    assert!(refused(missing), "a missing field");
    let mut wrong = right;
    wrong["locations"][0]["latitude"] = json!("1.5");
    assert!(refused(wrong), "a wrong type");
}
