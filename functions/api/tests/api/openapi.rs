//! The checked-in contract is the one the code serves.

use nodeyard_api::contract;

use crate::support::{Memory, World};

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
        "functions/api/openapi.json is not what the code says: run this test with UPDATE_OPENAPI=1"
    );
}

#[tokio::test]
async fn is_served_and_is_3_1_with_a_problem_for_every_operation() {
    let world = World::fresh();
    let answer = world.request("GET", "/openapi.json").anonymous().send().await;
    assert_eq!(answer.status, 200);
    let version = answer.json["openapi"].as_str().unwrap();
    assert!(version.starts_with("3.1"), "{version}");
    let paths = answer.json["paths"].as_object().unwrap();
    let mut operations = Vec::new();
    for (path, item) in paths {
        for (method, operation) in item.as_object().unwrap() {
            operations.push(format!("{} {path}", method.to_uppercase()));
            let problem = &operation["responses"]["default"]["content"];
            assert!(problem.get("application/problem+json").is_some(), "{method} {path}");
            assert!(operation["security"].is_array(), "{method} {path}");
        }
    }
    operations.sort();
    insta::assert_snapshot!(operations.join("\n"));
}
