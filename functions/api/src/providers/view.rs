//! Connections and catalogues as callers see them. A token is never shown.

use std::collections::BTreeMap;

use jiff::Timestamp;
use nodeyard_domain::{
    connection::{Connection, ConnectionReason, ConnectionStatus, NOTHING_CONNECTED, Permission},
    spec::IMAGES,
};
use nodeyard_engine::provider::Offer;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{catalogue::ReadCatalogue, names};

/// What can be done with a provider's nodes.
const CAPABILITIES: &[&str] = &["servers", "catalog", "prices", "stock", "managed_ssh_key"];

#[derive(Debug, Serialize, ToSchema)]
pub struct ProvidersView {
    /// The kinds of providers that can be connected.
    catalogue: Vec<KindView>,
    /// The connections.
    items: Vec<ConnectionView>,
    /// How to go on while nothing is connected.
    #[schema(value_type = Option<String>)]
    guidance: Option<&'static str>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ProviderKind)]
pub struct KindView {
    #[schema(value_type = String, example = "hetzner")]
    provider: &'static str,
    #[schema(value_type = String)]
    title: &'static str,
    #[schema(value_type = Vec<String>)]
    capabilities: &'static [&'static str],
}

impl ProvidersView {
    pub fn of(connections: &[Connection]) -> Self {
        Self {
            catalogue: vec![KindView {
                provider: "hetzner",
                title: "Hetzner Cloud",
                capabilities: CAPABILITIES,
            }],
            items: connections.iter().map(ConnectionView::from).collect(),
            guidance: connections.is_empty().then_some(NOTHING_CONNECTED),
        }
    }
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Connection)]
pub struct ConnectionView {
    name: String,
    #[schema(value_type = String, example = "hetzner")]
    provider: nodeyard_domain::connection::ProviderKind,
    #[schema(schema_with = names::connection_status)]
    status: ConnectionStatus,
    /// Why it is not simply connected.
    #[schema(schema_with = names::connection_reason_or_null)]
    reason: Option<ConnectionReason>,
    #[schema(value_type = Option<String>)]
    guidance: Option<&'static str>,
    /// What live calls have shown the token may do.
    #[schema(schema_with = names::permission)]
    permission: Permission,
    #[schema(value_type = Vec<String>)]
    capabilities: &'static [&'static str],
    /// What the last check saw of the project's rate limit.
    rate_budget: Option<RateBudgetView>,
    /// The SSH key that Nodeyard manages in the project.
    ssh_key: Option<ManagedKeyView>,
    /// All servers in the project, whosever they are, when a token was stored last.
    servers_seen: Option<u64>,
    /// How an answer of the provider differs from what it documents, as the last scheduled check
    /// heard it. It stops nothing.
    api_drift: Option<String>,
    max_nodes: Option<u32>,
    /// Net, a month, in the project's currency.
    max_monthly: Option<f64>,
    #[schema(value_type = String, format = DateTime)]
    checked_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    links: ConnectionLinks,
    /// The open `key_rotation`.
    rotation: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RateBudget)]
pub struct RateBudgetView {
    /// Calls an hour.
    limit: u32,
    remaining: u32,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ManagedKey)]
pub struct ManagedKeyView {
    version: u32,
    /// MD5 in colon form, as the provider shows it.
    fingerprint: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct ConnectionLinks {
    #[serde(rename = "self")]
    this: String,
    catalog: String,
    nodes: String,
}

impl From<&Connection> for ConnectionView {
    fn from(connection: &Connection) -> Self {
        let this = format!("/providers/{}", connection.name);
        Self {
            name: connection.name.to_string(),
            provider: connection.provider,
            status: connection.status,
            reason: connection.reason,
            guidance: connection.reason.map(ConnectionReason::guidance),
            permission: connection.permission,
            capabilities: CAPABILITIES,
            rate_budget: connection
                .rate_budget
                .map(|budget| RateBudgetView { limit: budget.limit, remaining: budget.remaining }),
            ssh_key: connection.key.as_ref().map(|key| ManagedKeyView {
                version: key.version,
                fingerprint: key.fingerprint.clone(),
            }),
            servers_seen: connection.servers_seen,
            api_drift: connection.drift.clone(),
            max_nodes: connection.max_nodes,
            max_monthly: connection.max_monthly,
            checked_at: connection.checked_at,
            created_at: connection.created_at,
            links: ConnectionLinks {
                catalog: format!("{this}/catalog"),
                nodes: format!("/nodes?connection={}", connection.name),
                this,
            },
            rotation: connection.rotation.as_ref().map(ToString::to_string),
        }
    }
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Catalogue)]
pub struct CatalogueView {
    /// When it was read from the provider, and how many seconds ago.
    #[schema(value_type = String, format = DateTime)]
    read_at: Timestamp,
    age_secs: i64,
    /// ISO 4217.
    currency: String,
    offers: Vec<OfferView>,
    locations: Vec<String>,
    /// The images nodes can be made of: those the provider has and the profiles know.
    images: Vec<String>,
    /// Net, a month, per location: part of every node's price.
    primary_ipv4_monthly_net: BTreeMap<String, f64>,
}

/// One server type in one location.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Offer)]
pub struct OfferView {
    server_type: String,
    location: String,
    architecture: String,
    cores: u32,
    memory_gb: f64,
    disk_gb: u64,
    /// In stock now.
    available: bool,
    deprecated: bool,
    /// From when on a deprecated one cannot be bought any more, if the provider says.
    #[schema(value_type = Option<String>, format = DateTime)]
    unavailable_after: Option<Timestamp>,
    /// Net, without the Primary IPv4.
    monthly_net: Option<f64>,
}

impl From<&Offer> for OfferView {
    fn from(offer: &Offer) -> Self {
        Self {
            server_type: offer.server_type.clone(),
            location: offer.location.clone(),
            architecture: offer.architecture.clone(),
            cores: offer.cores,
            memory_gb: offer.memory_gb,
            disk_gb: offer.disk_gb,
            available: offer.available,
            deprecated: offer.deprecated,
            unavailable_after: offer.unavailable_after,
            monthly_net: offer.monthly_net,
        }
    }
}

impl CatalogueView {
    pub fn of(read: &ReadCatalogue, now: Timestamp) -> Self {
        let catalogue = &read.catalogue;
        let known = |image: &&String| IMAGES.contains(&image.as_str());
        Self {
            read_at: read.read_at,
            age_secs: now.duration_since(read.read_at).as_secs().max(0),
            currency: catalogue.currency.clone(),
            offers: catalogue.offers.iter().map(OfferView::from).collect(),
            locations: catalogue.locations.clone(),
            images: catalogue.images.iter().filter(known).cloned().collect(),
            primary_ipv4_monthly_net: catalogue.primary_ipv4_monthly_net.clone(),
        }
    }
}
