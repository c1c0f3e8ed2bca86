//! An orphan, and how the check stands, as callers see them.

use jiff::Timestamp;
use nodeyard_domain::{
    id::NodeId,
    orphan::{Orphan, OrphanReason, OrphanState, ResourceKind},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::names;

/// A thing at the provider that no record accounts for.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Orphan)]
pub struct OrphanView {
    #[schema(example = "server-4300000001@main")]
    id: String,
    connection: String,
    #[schema(schema_with = names::resource_kind)]
    kind: ResourceKind,
    /// The provider's id.
    provider_id: u64,
    name: String,
    /// Stable; match on this.
    #[schema(schema_with = names::orphan_reason)]
    reason: OrphanReason,
    /// The reason, for people.
    #[schema(value_type = String)]
    detail: &'static str,
    /// Whether it is removed without being asked for, once it was seen for 15 minutes and unless
    /// the check only reports. Everything else waits for `DELETE /orphans/{id}`.
    removed_automatically: bool,
    /// The node that it names, whether or not there is one.
    node: Option<String>,
    /// Since when it is seen for this reason.
    #[schema(value_type = String, format = DateTime)]
    first_seen_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    last_seen_at: Timestamp,
}

impl OrphanView {
    pub fn of(orphan: &Orphan) -> Self {
        Self {
            id: orphan.id.to_string(),
            connection: orphan.connection.to_string(),
            kind: orphan.kind,
            provider_id: orphan.provider_id,
            name: orphan.name.clone(),
            reason: orphan.reason,
            detail: orphan.reason.sentence(),
            removed_automatically: orphan.reason.is_removed(),
            node: orphan.node.as_ref().map(ToString::to_string),
            first_seen_at: orphan.first_seen_at,
            last_seen_at: orphan.last_seen_at,
        }
    }
}

/// A connection as the check last listed it.
#[derive(Debug, Serialize, ToSchema)]
pub struct CheckedConnection {
    name: String,
    /// When it could last be listed.
    #[schema(value_type = String, format = DateTime)]
    listed_at: Timestamp,
    /// Servers in the project that are not ours: counted, never touched. `null` when the provider
    /// did not say.
    unlabelled_servers: Option<u64>,
}

/// The orphans, oldest first, and how the check stands.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Orphans)]
pub struct OrphansView {
    items: Vec<OrphanView>,
    /// While true, nothing is removed automatically: the table may be a restored one. Confirm that
    /// table and projects belong together: `POST /orphans/confirm`.
    report_only: bool,
    #[schema(value_type = Option<String>, format = DateTime)]
    report_only_since: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    last_run_at: Option<Timestamp>,
    connections: Vec<CheckedConnection>,
}

impl OrphansView {
    pub fn of(orphans: &[Orphan], state: &OrphanState) -> Self {
        Self {
            items: orphans.iter().map(OrphanView::of).collect(),
            report_only: state.report_only_since.is_some(),
            report_only_since: state.report_only_since,
            last_run_at: state.last_run_at,
            connections: state
                .connections
                .iter()
                .map(|(name, seen)| CheckedConnection {
                    name: name.to_string(),
                    listed_at: seen.at,
                    unlabelled_servers: seen.unlabelled_servers,
                })
                .collect(),
        }
    }
}

/// A server that was given back to its node.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OrphanRemoval)]
pub struct RemovalView {
    /// It is `cleanup_pending` now; a release by `system` removes the server.
    node: String,
    links: RemovalLinks,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct RemovalLinks {
    node: String,
}

impl RemovalView {
    pub fn through(node: &NodeId) -> Self {
        let links = RemovalLinks { node: format!("/nodes/{node}") };
        Self { node: node.to_string(), links }
    }
}
