//! Every kind of breaking change, planted into the real document, and changes that break nobody.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use serde_json::{Value, json};

use super::{CURRENT, compare::breaking, read, released};
use crate::workspace::Workspace;

/// A change of a document.
type Planted = Box<dyn FnOnce(&mut Value)>;

fn current() -> Value {
    read(&Workspace::find().unwrap().path(CURRENT)).unwrap()
}

#[test]
fn nothing_breaks_who_was_written_for_the_last_release() {
    let workspace = Workspace::find().unwrap();
    let released = read(&released(&workspace).unwrap()).unwrap();
    assert!(released["paths"].as_object().unwrap().len() > 15);
    assert_eq!(breaking(&released, &current()), Vec::<String>::new());
}

fn set(document: &mut Value, pointer: &str, value: Value) {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let parent = document.pointer_mut(parent).unwrap_or_else(|| panic!("no {parent}"));
    let name = name.replace("~1", "/");
    if let Some(list) = parent.as_array_mut() {
        list[name.parse::<usize>().unwrap()] = value;
        return;
    }
    parent.as_object_mut().unwrap().insert(name, value);
}

fn remove(document: &mut Value, pointer: &str) {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let parent = document.pointer_mut(parent).unwrap_or_else(|| panic!("no {parent}"));
    let gone = match parent {
        Value::Array(list) => Some(list.remove(name.parse().unwrap())),
        other => other.as_object_mut().unwrap().remove(&name.replace("~1", "/")),
    };
    assert!(gone.is_some(), "{pointer} is not there");
}

fn push(document: &mut Value, pointer: &str, value: Value) {
    let list = document.pointer_mut(pointer).unwrap_or_else(|| panic!("no {pointer}"));
    list.as_array_mut().unwrap().push(value);
}

/// A change, and what is said of it; nothing, if it breaks nobody.
fn planted(change: impl FnOnce(&mut Value)) -> String {
    let old = current();
    let mut new = old.clone();
    change(&mut new);
    assert_ne!(old, new, "nothing was changed");
    breaking(&old, &new).join("\n")
}

const NODES: &str = "/paths/~1nodes";
const NEW_NODE: &str = "/components/schemas/NewNode";
const JOB: &str = "/components/schemas/Job";

#[test]
fn what_is_gone_is_found() {
    for (gone, told) in [
        ("/paths/~1audit", "GET /audit: the operation is gone"),
        ("/paths/~1nodes~1{id}/patch", "PATCH /nodes/{id}: the operation is gone"),
        ("/paths/~1nodes/post/responses/202", "POST /nodes 202: the status is gone"),
        ("/paths/~1nodes/post/responses/409", "POST /nodes 409: the status is gone"),
        ("/paths/~1nodes/get/parameters/0", "GET /nodes query limit: the parameter is gone"),
        (
            "/paths/~1nodes/post/responses/202/headers/Location",
            "header Location: the header is gone",
        ),
        ("/paths/~1nodes/post/responses/202/links/job", "link job: the link is gone"),
        ("/components/schemas/NewNode/properties/labels", "body/labels: the property is gone"),
        ("/components/schemas/Job/properties/step", "/step: the property is gone"),
        (
            "/paths/~1nodes/post/requestBody/content/application~1json",
            "application/json is not taken any more",
        ),
    ] {
        let found = planted(|document| remove(document, gone));
        assert!(found.contains(told), "{gone}: {found}");
    }
}

#[test]
fn what_takes_less_than_it_did_is_found() {
    let at = |name: &str| format!("{NEW_NODE}/properties/{name}");
    for (told, place, value) in [
        ("body/name: by its maxLength", format!("{}/maxLength", at("name")), json!(10)),
        ("body/name: by its pattern", format!("{}/pattern", at("name")), json!("^a$")),
        ("body/name: by its types", format!("{}/type", at("name")), json!("integer")),
        ("body/name: by its enumeration", format!("{}/enum", at("name")), json!(["a"])),
        (
            "body/deadline_secs: by its minimum",
            format!("{}/minimum", at("deadline_secs")),
            json!(301),
        ),
        ("body/placement: by its maxItems", format!("{}/maxItems", at("placement")), json!(3)),
        (
            "body/vars: other properties",
            format!("{}/additionalProperties", at("vars")),
            json!(false),
        ),
        ("body/profile: is required now", format!("{NEW_NODE}/required"), json!(["profile"])),
    ] {
        let found = planted(|document| set(document, &place, value));
        assert!(found.contains(told), "{place}: {found}");
    }
    let required = json!({"name": "region", "in": "query", "required": true, "schema": {}});
    let found = planted(|document| push(document, &format!("{NODES}/get/parameters"), required));
    assert!(found.contains("query region: the parameter is required now"), "{found}");
    let states = "/paths/~1jobs/get/parameters/2/schema/enum";
    let found = planted(|document| remove(document, &format!("{states}/0")));
    assert!(found.contains("query state: by its enumeration it takes less"), "{found}");
    let scopes = "/components/schemas/NewToken/properties/scopes/items/enum/0";
    let found = planted(|document| remove(document, scopes));
    assert!(found.contains("body/scopes[]: by its enumeration it takes less"), "{found}");
    let found = planted(|document| {
        let smokes = "/paths/~1nodes~1{id}~1smokes/post/requestBody/required";
        set(document, smokes, json!(true));
    });
    assert!(found.contains("a body is required now"), "{found}");
    let found = planted(|document| {
        let token = json!([{ "token": [] }]);
        set(document, "/paths/~1health/get/security", token);
    });
    assert!(found.contains("GET /health: a token is needed"), "{found}");
}

#[test]
fn what_answers_what_it_did_not_is_found() {
    let at = |name: &str| format!("{JOB}/properties/{name}");
    for (told, place, value) in [
        ("/state: by its types", format!("{}/type", at("state")), json!(["string", "null"])),
        ("/progress: by its types", format!("{}/type", at("progress")), json!("number")),
        ("/created_at: by its format", format!("{}/format", at("created_at")), json!("date")),
        ("/id: may be missing now", format!("{JOB}/required"), json!(["state"])),
        ("operationId", format!("{NODES}/post/operationId"), json!("make_node")),
        ("201: another answer", format!("{NODES}/post/responses/201"), json!({})),
        (
            "header Location: the header may be missing",
            format!("{NODES}/post/responses/202/headers/Location/required"),
            json!(false),
        ),
    ] {
        let found = planted(|document| set(document, &place, value));
        assert!(found.contains(told), "{place}: {found}");
    }
    let states = format!("{}/enum", at("state"));
    let found = planted(|document| push(document, &states, json!("paused")));
    assert!(found.contains("/state: by its enumeration it answers what it did not"), "{found}");
    let error = format!("{}/oneOf", at("error"));
    let found = planted(|document| push(document, &error, json!({"type": "string"})));
    assert!(found.contains("/error: it has a form that it had not"), "{found}");
}

#[test]
fn what_breaks_nobody_is_let_through() {
    let optional = json!({"name": "region", "in": "query", "required": false, "schema": {}});
    let post = current()["paths"]["/nodes"]["post"].clone();
    let codes =
        "/paths/~1nodes/post/responses/409/content/application~1problem+json/schema/allOf/1";
    let changes: [(&str, Planted); 8] = [
        ("operation", Box::new(move |it| set(it, "/paths/~1robots", json!({ "post": post })))),
        ("parameter", Box::new(|it| push(it, &format!("{NODES}/get/parameters"), optional))),
        ("answer", Box::new(|it| set(it, &format!("{JOB}/properties/mood"), json!({})))),
        ("request", Box::new(|it| set(it, &format!("{NEW_NODE}/properties/mood"), json!({})))),
        (
            "code",
            Box::new(move |it| push(it, &format!("{codes}/properties/code/enum"), json!("moody"))),
        ),
        ("status", Box::new(|it| set(it, &format!("{NODES}/get/responses/429"), json!({})))),
        (
            "wider limit",
            Box::new(|it| set(it, &format!("{NEW_NODE}/properties/name/maxLength"), json!(64))),
        ),
        ("fewer states", Box::new(|it| remove(it, &format!("{JOB}/properties/state/enum/0")))),
    ];
    for (name, change) in changes {
        let found = planted(change);
        assert_eq!(found, "", "{name}");
    }
}
