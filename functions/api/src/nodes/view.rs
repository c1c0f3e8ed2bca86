//! A node as callers see it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use nodeyard_domain::{
    host_key::HostPins,
    node::{Node, NodeStatus, Server},
    placement::{Price, Rung},
    readiness::{Finding, ReadinessCode, is_ready},
    user_data::ADMIN_USER,
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{jobs::view::JobView, names};

/// Nodes listen where the image does.
const SSH_PORT: u16 = 22;

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Node)]
pub struct NodeView {
    #[schema(example = "node-0123456789abcdef0123456789abcdef")]
    id: String,
    name: String,
    #[schema(schema_with = names::node_status)]
    status: NodeStatus,
    connection: String,
    #[schema(value_type = String, example = "base")]
    profile: String,
    image: String,
    placement: Vec<RungView>,
    /// What the provider told of the node's server.
    server: Option<ServerView>,
    /// Net, a month, Primary IPv4 included: of the rung the server is on, until then of the first.
    price: Option<PriceView>,
    max_price: Option<f64>,
    allow_ssh_from: Vec<String>,
    labels: BTreeMap<String, String>,
    keep_on_failure: bool,
    spread: bool,
    readiness: ReadinessView,
    /// How to log in; only in the answer for one node, once the server's host key is pinned.
    #[serde(skip_serializing_if = "Option::is_none")]
    ssh: Option<SshView>,
    /// The oldest version of the managed SSH key that the node may still let in.
    ssh_key_version: u32,
    open_job: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
    links: NodeLinks,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Rung)]
pub struct RungView {
    pub server_type: String,
    pub location: String,
}

impl From<&Rung> for RungView {
    fn from(rung: &Rung) -> Self {
        Self { server_type: rung.server_type.clone(), location: rung.location.clone() }
    }
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Server)]
pub struct ServerView {
    /// The provider's id.
    id: u64,
    name: String,
    server_type: Option<String>,
    location: Option<String>,
    ipv4: Option<String>,
    ipv6: Option<String>,
}

impl From<&Server> for ServerView {
    fn from(server: &Server) -> Self {
        Self {
            id: server.id,
            name: server.name.clone(),
            server_type: server.server_type.clone(),
            location: server.location.clone(),
            ipv4: server.ipv4.clone(),
            ipv6: server.ipv6.clone(),
        }
    }
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Price)]
pub struct PriceView {
    monthly_net: f64,
    /// ISO 4217.
    currency: String,
}

impl From<&Price> for PriceView {
    fn from(price: &Price) -> Self {
        Self { monthly_net: price.monthly_net, currency: price.currency.clone() }
    }
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Readiness)]
pub struct ReadinessView {
    ready: bool,
    /// Since when the node has the status it has.
    #[schema(value_type = Option<String>, format = DateTime)]
    since: Option<Timestamp>,
    /// When the probes last ran.
    #[schema(value_type = Option<String>, format = DateTime)]
    checked_at: Option<Timestamp>,
    findings: Vec<FindingView>,
}

/// The verdict of one probe.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Finding)]
pub struct FindingView {
    /// Stable; match on this.
    #[schema(value_type = String, example = "service_down")]
    code: ReadinessCode,
    ok: bool,
    /// A failed warning does not make the node unready.
    warning: bool,
    detail: String,
    /// What you can do about it.
    #[schema(value_type = Option<String>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    guidance: Option<&'static str>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Ssh)]
pub struct SshView {
    #[schema(value_type = String)]
    user: &'static str,
    address: String,
    port: u16,
    /// Lines for a `known_hosts` file.
    known_hosts: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct NodeLinks {
    #[serde(rename = "self")]
    this: String,
    open_job: Option<String>,
    jobs: String,
}

/// Accepted work: the job and the node it is on.
#[derive(Debug, Serialize, ToSchema)]
pub struct Accepted {
    pub job: JobView,
    pub node: NodeView,
}

impl NodeView {
    pub fn of(node: &Node, pins: Option<&HostPins>) -> Self {
        let spec = &node.spec;
        let this = format!("/nodes/{}", node.id);
        let open_job = node.open_job.as_ref();
        Self {
            id: node.id.to_string(),
            name: spec.name.clone(),
            status: node.status,
            connection: spec.connection.to_string(),
            profile: spec.profile.as_str().to_owned(),
            image: spec.image.clone(),
            placement: spec.placement.iter().map(RungView::from).collect(),
            server: node.server.as_ref().map(ServerView::from),
            price: node.price.as_ref().map(PriceView::from),
            max_price: spec.max_price,
            allow_ssh_from: spec.allow_ssh_from.clone(),
            labels: node.labels.clone(),
            keep_on_failure: spec.keep_on_failure,
            spread: spec.spread,
            readiness: readiness(node),
            ssh: pins.and_then(|pins| ssh(node, pins)),
            ssh_key_version: node.key_version,
            open_job: open_job.map(ToString::to_string),
            created_at: node.created_at,
            updated_at: node.updated_at,
            links: NodeLinks {
                open_job: open_job.map(|job| format!("/jobs/{job}")),
                jobs: format!("/jobs?node={}", node.id),
                this,
            },
        }
    }
}

fn readiness(node: &Node) -> ReadinessView {
    let mut findings: Vec<FindingView> = node.readiness.iter().map(finding).collect();
    if matches!(node.status, NodeStatus::Acquiring | NodeStatus::Configuring) {
        let detail = String::from("The node is still being made or changed.");
        let code = ReadinessCode::AcquisitionInProgress;
        findings = vec![finding(&Finding { code, ok: false, warning: false, detail })];
    }
    ReadinessView {
        ready: node.status == NodeStatus::Ready && is_ready(&node.readiness),
        since: node.status_since,
        checked_at: node.checked_at,
        findings,
    }
}

fn finding(finding: &Finding) -> FindingView {
    FindingView {
        code: finding.code,
        ok: finding.ok,
        warning: finding.warning,
        detail: finding.detail.clone(),
        guidance: (!finding.ok).then(|| finding.code.guidance()),
    }
}

/// Pins of another server mean nothing.
fn ssh(node: &Node, pins: &HostPins) -> Option<SshView> {
    let server = node.server.as_ref().filter(|server| server.id == pins.server_id)?;
    let address = server.ipv4.clone()?;
    let known_hosts = pins.known_hosts(&address);
    (!node.status.is_gone()).then_some(SshView {
        user: ADMIN_USER,
        address,
        port: SSH_PORT,
        known_hosts,
    })
}
