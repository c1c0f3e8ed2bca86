//! Examples of requests, of accepted work and of problems. Answers are made by the code that makes
//! the real ones.

use std::collections::BTreeMap;

use jiff::Timestamp;
use nodeyard_domain::{
    acceptance,
    connection::ConnectionName,
    id::{JobId, NodeId},
    job::{Job, JobKind},
    node::Node,
    placement::{Price, Rung},
    spec::{DEFAULT_DEADLINE_SECS, DEFAULT_IMAGE, NodeSpec, Profile},
};
use serde_json::{Map, Value, json};
use utoipa::openapi::{Content, Ref, RefOr, example::Example, path::Operation};

use super::name;
use crate::{
    code::ApiCode,
    jobs::view::JobView,
    nodes::view::{Accepted, NodeView},
    problem::Problem,
};

const BITS: u128 = 0x0123_4567_89ab_cdef_0123_4567_89ab_cdef;
const ACCEPTED: &str = "202";

/// Adds the examples of an operation's body and of its 202.
pub fn add(operation: &mut Operation) {
    let of = name(operation).to_owned();
    if let Some(RefOr::T(body)) = &mut operation.request_body
        && let Some(RefOr::T(content)) = body.content.get_mut("application/json")
    {
        put(content, requests(&of));
    }
    if let Some(RefOr::T(response)) = operation.responses.responses.get_mut(ACCEPTED)
        && let Some(RefOr::T(content)) = response.content.get_mut("application/json")
    {
        put(content, accepted(&of).map(|value| ("accepted", value)).into_iter().collect());
    }
}

fn put(content: &mut Content, examples: Vec<(&str, Value)>) {
    for (name, value) in examples {
        let example = Example::builder().value(Some(value)).build();
        content.examples.insert(name.to_owned(), RefOr::T(example));
    }
}

fn requests(of: &str) -> Vec<(&'static str, Value)> {
    match of {
        "create_node" => vec![
            ("least", json!({})),
            (
                "more",
                json!({
                    "name": "web-1",
                    "profile": "web",
                    "placement": [
                        { "server_type": "cx23", "location": "fsn1" },
                        { "server_type": "cx23", "location": "nbg1" },
                    ],
                    "max_price": 10.0,
                    "labels": { "team": "shop" },
                    "deadline_secs": 1800,
                }),
            ),
        ],
        "patch_node" => vec![("labels", json!({ "labels": { "team": "shop", "stage": null } }))],
        "smoke_node" => vec![("keep", json!({ "keep": true }))],
        "check_provider" => vec![("look", json!({ "confirm_project": false }))],
        "put_provider" => vec![(
            "project",
            json!({
                "provider": "hetzner",
                "token": "the-read-write-api-token-of-the-project",
                "max_nodes": 20,
                "max_monthly": 200.0,
            }),
        )],
        "create_token" => vec![
            ("everywhere", json!({ "name": "ci", "scopes": ["operate"] })),
            ("one", json!({ "name": "ci", "scopes": ["read"], "connections": ["main"] })),
        ],
        _ => Vec::new(),
    }
}

fn accepted(of: &str) -> Option<Value> {
    let now = Timestamp::from_second(1_795_428_000).ok()?;
    let (provision, node) = provision(now)?;
    let on_node = |kind| acceptance::on_node(JobId::from_bits(BITS), kind, &node, "ci", None, now);
    let job = match of {
        "create_node" => provision,
        "release_node" => on_node(JobKind::NodeRelease),
        "configure_node" => on_node(JobKind::NodeConfigure),
        "check_node" => on_node(JobKind::NodeCheck),
        "smoke_node" => on_node(JobKind::NodeSmoke),
        "cancel_job" => {
            return serde_json::to_value(json!({ "job": JobView::from(&provision) })).ok();
        }
        "rotate_key" => return rotation(&provision),
        "remove_orphan" => {
            return Some(json!({
                "node": node.id.as_str(),
                "links": { "node": format!("/nodes/{}", node.id) },
            }));
        }
        _ => return None,
    };
    let body = Accepted { job: JobView::from(&job), node: NodeView::of(&node, None) };
    serde_json::to_value(body).ok()
}

fn provision(now: Timestamp) -> Option<(Job, Node)> {
    let rung = Rung { server_type: "cx23".into(), location: "fsn1".into() };
    let price = Price { monthly_net: 3.79, currency: "EUR".into() };
    let spec = NodeSpec {
        name: "web-1".into(),
        connection: "main".parse::<ConnectionName>().ok()?,
        profile: "web".parse::<Profile>().ok()?,
        vars: Map::new(),
        placement: vec![rung],
        image: DEFAULT_IMAGE.into(),
        max_price: Some(10.0),
        authorized_keys: Vec::new(),
        allow_ssh_from: Vec::new(),
        labels: BTreeMap::from([("team".into(), "shop".into())]),
        keep_on_failure: false,
        spread: false,
        prices: vec![Some(price.clone())],
        deadline_secs: DEFAULT_DEADLINE_SECS,
    };
    let (job, node) = (JobId::from_bits(BITS), NodeId::from_bits(BITS));
    let (job, mut node) = acceptance::provision(job, node, spec, "ci", None, now);
    node.price = Some(price);
    Some((job, node))
}

/// As a job that is on a connection differs from one that is on a node.
fn rotation(job: &Job) -> Option<Value> {
    let mut job = serde_json::to_value(JobView::from(job)).ok()?;
    let fields = job.as_object_mut()?;
    let count = json!({
        "key_version": 2, "done": 0, "open": 0, "listed_total": 0, "listed": [],
    });
    for (name, value) in [
        ("kind", json!(crate::names::KEY_ROTATION)),
        ("step", json!("make_key")),
        ("node_id", Value::Null),
        ("rotation", count),
    ] {
        fields.insert(name.to_owned(), value);
    }
    if let Some(links) = fields.get_mut("links").and_then(Value::as_object_mut) {
        links.insert("node".to_owned(), Value::Null);
    }
    Some(json!({ "job": job }))
}

/// The example of a code, by its name among the components.
pub fn reference(code: ApiCode) -> (String, RefOr<Example>) {
    let place = format!("#/components/examples/{}", code.as_str());
    (code.as_str().to_owned(), RefOr::Ref(Ref::new(place)))
}

/// A problem for each code.
pub fn problems() -> BTreeMap<String, RefOr<Example>> {
    let example = |code: &ApiCode| {
        let problem = match code {
            ApiCode::InvalidBody => Problem::at("/name", *code, "has to be a host name"),
            ApiCode::UnknownField => {
                Problem::at("/colour", *code, "this route does not know the field")
            }
            _ => Problem::new(*code, code.title()),
        };
        let value = serde_json::to_value(problem.view("0123456789abcdef")).ok();
        let example = Example::builder().summary(code.title()).value(value).build();
        (code.as_str().to_owned(), RefOr::T(example))
    };
    ApiCode::ALL.iter().map(example).collect()
}
