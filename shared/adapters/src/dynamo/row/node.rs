//! The node's item.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;
use nodeyard_domain::{
    connection::keys::{first_key_version, is_first_key_version},
    id::{JobId, NodeId},
    node::{Node, NodeStatus, RunRef, Server},
    placement::Price,
    readiness::Finding,
    spec::NodeSpec,
};
use nodeyard_engine::store::StoreError;
use serde::{Deserialize, Serialize};

use super::{Item, Key, item};
use crate::dynamo::{
    change::text,
    keys::{NODE_DUE_SHARD, NODE_LIST, exact_seconds, list_place},
    text::Text,
};

/// An attribute for each part that changes on its own.
#[derive(Serialize, Deserialize)]
pub(in crate::dynamo) struct NodeRow {
    id: NodeId,
    status: NodeStatus,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    status_since: Option<Timestamp>,
    spec: Text<NodeSpec>,
    server_name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    server: Option<Text<Server>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    price: Option<Text<Price>>,
    readiness: Text<Vec<Finding>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    checked_at: Option<Timestamp>,
    labels: Text<BTreeMap<String, String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    open_job: Option<JobId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    queued_release: Option<JobId>,
    attempts: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    release_at: Option<Timestamp>,
    #[serde(default)]
    cleanup_tries: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_run: Option<Text<RunRef>>,
    #[serde(default = "first_key_version", skip_serializing_if = "is_first_key_version")]
    key_version: u32,
    created_at: Timestamp,
    updated_at: Timestamp,
    list_pk: String,
    list_sk: String,
}

impl NodeRow {
    pub(in crate::dynamo) fn item(node: &Node) -> Result<Item, StoreError> {
        let node = node.clone();
        let key = Key::node(&node.id);
        let due = due_place(&node);
        let row = Self {
            list_pk: NODE_LIST.to_owned(),
            list_sk: list_place(node.created_at, node.id.as_str()),
            id: node.id,
            status: node.status,
            status_since: node.status_since,
            spec: Text(node.spec),
            server_name: node.server_name,
            server: node.server.map(Text),
            price: node.price.map(Text),
            readiness: Text(node.readiness),
            checked_at: node.checked_at,
            labels: Text(node.labels),
            open_job: node.open_job,
            queued_release: node.queued_release,
            attempts: node.attempts,
            release_at: node.release_at,
            cleanup_tries: node.cleanup_tries,
            last_run: node.last_run.map(Text),
            key_version: node.key_version,
            created_at: node.created_at,
            updated_at: node.updated_at,
        };
        let mut item = item(&key, &row)?;
        if let Some((shard, at)) = due {
            item.extend([("due_shard".to_owned(), shard), ("due_at".to_owned(), at)]);
        }
        Ok(item)
    }

    pub(in crate::dynamo) fn into_node(self) -> Node {
        Node {
            id: self.id,
            status: self.status,
            status_since: self.status_since,
            spec: self.spec.0,
            server_name: self.server_name,
            server: self.server.map(|text| text.0),
            price: self.price.map(|text| text.0),
            readiness: self.readiness.0,
            checked_at: self.checked_at,
            labels: self.labels.0,
            open_job: self.open_job,
            queued_release: self.queued_release,
            attempts: self.attempts,
            release_at: self.release_at,
            cleanup_tries: self.cleanup_tries,
            last_run: self.last_run.map(|text| text.0),
            key_version: self.key_version,
            created_at: self.created_at,
            updated_at: self.updated_at,
        }
    }
}

/// Where the sweep's index has a node, shard and time: while something of it is left behind and no
/// job is at it.
pub(in crate::dynamo) fn due_place(node: &Node) -> Option<(AttributeValue, AttributeValue)> {
    let is_left = node.status == NodeStatus::CleanupPending && node.open_job.is_none();
    let at = node.release_at.filter(|_| is_left)?;
    Some((text(NODE_DUE_SHARD), exact_seconds(at)))
}

#[cfg(test)]
mod tests {
    use nodeyard_domain::{acceptance, placement::Rung, spec::Profile};
    use serde_json::json;

    use super::*;
    use crate::dynamo::row::read;

    fn spec() -> NodeSpec {
        NodeSpec {
            name: "web-1".into(),
            connection: "main".parse().unwrap(),
            profile: Profile::web(),
            // What a number attribute would refuse or rewrite.
            vars: json!({"big": 1e300, "whole": 1.0, "empty": "", "list": [null, {}]})
                .as_object()
                .unwrap()
                .clone(),
            placement: vec![Rung { server_type: "cx23".into(), location: "fsn1".into() }],
            image: "debian-13".into(),
            max_price: Some(4.49),
            authorized_keys: Vec::new(),
            allow_ssh_from: Vec::new(),
            labels: BTreeMap::from([("team".into(), String::new())]),
            keep_on_failure: true,
            spread: true,
            prices: vec![Some(Price { monthly_net: 3.79, currency: "EUR".into() }), None],
            deadline_secs: 1800,
        }
    }

    fn now() -> Timestamp {
        "2026-01-01T00:00:00.5Z".parse().unwrap()
    }

    fn node() -> Node {
        let ids = (JobId::from_bits(1), NodeId::from_bits(2));
        acceptance::provision(ids.0, ids.1, spec(), "ci", None, now()).1
    }

    #[test]
    fn a_node_comes_back_as_it_was_numbers_included() {
        let mut node = node();
        node.server = Some(Server {
            id: 1 << 60,
            name: "web-1-0".into(),
            attempt: 2,
            ipv4: Some("198.18.0.10".into()),
            ipv6: None,
            primary_ips: vec![u64::MAX],
            server_type: None,
            location: None,
        });
        node.key_version = 7;
        node.last_run = Some(RunRef { job_id: JobId::from_bits(1), number: 3, active: true });
        let back = read::<NodeRow>(NodeRow::item(&node).unwrap()).unwrap().into_node();
        assert_eq!(back, node);
    }

    #[test]
    fn only_a_node_that_was_left_behind_and_is_free_is_due() {
        let mut node = node();
        node.enter(NodeStatus::CleanupPending, now());
        let item = NodeRow::item(&node).unwrap();
        assert!(!item.contains_key("due_shard") && !item.contains_key("due_at"), "a job is at it");
        node.open_job = None;
        let item = NodeRow::item(&node).unwrap();
        assert_eq!(item["due_shard"], text(NODE_DUE_SHARD));
        assert_eq!(item["due_at"], exact_seconds(node.release_at.unwrap()));
        assert_eq!(read::<NodeRow>(item).unwrap().into_node(), node);
        node.enter(NodeStatus::Released, now());
        assert!(!NodeRow::item(&node).unwrap().contains_key("due_shard"));
    }

    #[test]
    fn a_node_of_an_earlier_release_loads() {
        let node = node();
        let mut item = NodeRow::item(&node).unwrap();
        item.remove("cleanup_tries").unwrap();
        assert_eq!(read::<NodeRow>(item).unwrap().into_node(), node);
    }
}
