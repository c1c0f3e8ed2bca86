//! The checked-in contract is the one the code serves, and what it shows is true.

use nodeyard_api::contract;
use nodeyard_domain::token::Scope;
use serde_json::Value;

use crate::support::{
    Memory, World,
    contract::{conforms, document},
};

const CHECKED_IN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");

/// With `UPDATE_OPENAPI=1` the file is written anew; look at the difference before you commit it.
#[test]
fn the_checked_in_contract_is_current() {
    let current = contract::<Memory>().to_pretty_json().unwrap() + "\n";
    if std::env::var_os("UPDATE_OPENAPI").is_some() {
        std::fs::write(CHECKED_IN, &current).unwrap();
    }
    let checked_in = std::fs::read_to_string(CHECKED_IN).unwrap_or_default();
    assert!(
        checked_in == current,
        "functions/api/openapi.json is not what the code says: run `cargo xtask openapi`"
    );
}

fn operations() -> Vec<(String, &'static Value)> {
    let paths = document()["paths"].as_object().unwrap();
    let items = paths.iter().flat_map(|(path, item)| {
        let methods = item.as_object().unwrap().iter();
        methods.map(move |(method, operation)| {
            (format!("{} {path}", method.to_uppercase()), operation)
        })
    });
    items.collect()
}

#[tokio::test]
async fn is_served_and_is_3_1_with_problems_for_every_operation() {
    let world = World::fresh();
    let answer = world.request("GET", "/openapi.json").anonymous().send().await;
    assert_eq!((answer.status, &answer.json), (200, document()));
    let version = answer.json["openapi"].as_str().unwrap();
    assert!(version.starts_with("3.1"), "{version}");
    let mut lines = Vec::new();
    for (operation, told) in operations() {
        assert!(told["security"].is_array(), "{operation}");
        let responses = told["responses"].as_object().unwrap();
        let statuses: Vec<&str> = responses.keys().map(String::as_str).collect();
        lines.push(format!("{operation}: {}", statuses.join(" ")));
        for (status, response) in responses {
            assert!(response["headers"]["x-request-id"].is_object(), "{operation} {status}");
            if status.as_str() >= "400" {
                let problem = &response["content"]["application/problem+json"];
                assert!(problem["schema"].is_object(), "{operation} {status}");
            }
        }
    }
    lines.sort();
    insta::assert_snapshot!(lines.join("\n"));
}

/// By its reference, where it is one.
fn resolved(value: &Value) -> &Value {
    let place = value.get("$ref").and_then(Value::as_str).and_then(|text| text.strip_prefix('#'));
    place.map_or(value, |place| document().pointer(place).unwrap())
}

fn held_examples(of: &str, content: &Value) -> usize {
    let examples = content["examples"].as_object().into_iter().flatten();
    let held = examples.map(|(name, example)| {
        let value = &resolved(example)["value"];
        conforms(&content["schema"], value).unwrap_or_else(|fault| panic!("{of} {name}: {fault}"));
    });
    held.count()
}

#[test]
fn every_example_is_what_its_schema_says() {
    let (mut requests, mut accepted, mut problems) = (0, 0, 0);
    for (operation, told) in operations() {
        let body = &told["requestBody"]["content"]["application/json"];
        let count = held_examples(&operation, body);
        assert_eq!(count > 0, told["requestBody"].is_object(), "{operation}");
        requests += count;
        for (status, response) in told["responses"].as_object().unwrap() {
            let of = format!("{operation} {status}");
            let count = held_examples(&of, &response["content"]["application/json"]);
            assert_eq!(count > 0, status == "202", "{of}");
            accepted += count;
            let count = held_examples(&of, &response["content"]["application/problem+json"]);
            assert_eq!(count > 0, status.as_str() >= "400", "{of}");
            problems += count;
        }
    }
    assert!(requests >= 8 && accepted >= 8 && problems >= 300, "{requests} {accepted} {problems}");
}

/// Every link names an operation and its parameter, and finds the value in the answer's example.
#[test]
fn every_202_leads_to_its_job_or_node() {
    let targets = operations();
    let mut followed = 0;
    for (operation, told) in &targets {
        for (status, response) in told["responses"].as_object().unwrap() {
            let links = response["links"].as_object();
            if status == "202" {
                let names: Vec<&String> = links.unwrap().keys().collect();
                assert!(names.iter().any(|name| ["job", "node"].contains(&name.as_str())));
            }
            for (name, link) in links.into_iter().flatten() {
                let (_, target) = targets
                    .iter()
                    .find(|(_, target)| target["operationId"] == link["operationId"])
                    .unwrap_or_else(|| panic!("{operation} {name} leads nowhere"));
                let (parameter, value) =
                    link["parameters"].as_object().unwrap().iter().next().unwrap();
                let known = target["parameters"].as_array().unwrap();
                let known = known.iter().find(|known| known["name"] == *parameter).unwrap();
                let pointer = value.as_str().unwrap().strip_prefix("$response.body#").unwrap();
                let example = &response["content"]["application/json"]["examples"]["accepted"];
                if let Some(body) = example.get("value") {
                    let value = body.pointer(pointer).unwrap();
                    conforms(&known["schema"], value).unwrap();
                    followed += 1;
                }
            }
        }
    }
    assert!(followed >= 15, "{followed}");
}

/// The requests shown in the contract are ones that the API takes.
#[tokio::test]
async fn every_example_of_a_request_is_accepted() {
    for (operation, told) in operations() {
        let content = &told["requestBody"]["content"]["application/json"];
        for (name, example) in content["examples"].as_object().into_iter().flatten() {
            let world = World::connected().await;
            world.put_token("ny_other", &[Scope::Admin], None).await;
            world.cloud.accept("the-read-write-api-token-of-the-project", "rw", "another");
            let node = world.ready_node(serde_json::json!({})).await;
            let path = operation.split(' ').nth(1).unwrap();
            let connection = if operation.starts_with("PUT") { "another" } else { "main" };
            let path = path.replace("{id}", node.id.as_str()).replace("{name}", connection);
            let method = operation.split(' ').next().unwrap();
            let answer = world.request(method, &path).json(example["value"].clone()).send().await;
            assert!(answer.status < 300, "{operation} {name}: {} {}", answer.status, answer.text);
        }
    }
}
