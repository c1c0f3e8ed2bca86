//! Tolerant views of the answers: only what is needed is required, words we do not know stay
//! themselves, and a field of another shape than expected counts as absent.

use std::{collections::BTreeMap, net::Ipv6Addr};

use jiff::Timestamp;
use nodeyard_domain::{
    node::Server,
    observation::{ProviderFailure, ServerStatus},
};
use nodeyard_engine::provider::{ActionState, FoundServer};
use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::{Map, Value};

use super::failure::drift;

/// Reads a field as its type, or as absent when it has another shape.
fn lenient<'de, D: Deserializer<'de>, T: DeserializeOwned>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    let value = Value::deserialize(deserializer)?;
    Ok(serde_json::from_value(value).ok())
}

/// Reads a list without the entries that cannot be read.
fn lenient_list<'de, D: Deserializer<'de>, T: DeserializeOwned>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    let entries: Option<Vec<Value>> = lenient(deserializer)?;
    let entries = entries.unwrap_or_default();
    Ok(entries.into_iter().filter_map(|entry| serde_json::from_value(entry).ok()).collect())
}

/// Reads a view; what it needs and does not find is drift.
pub(super) fn view<T: DeserializeOwned>(value: Value, what: &str) -> Result<T, ProviderFailure> {
    serde_json::from_value(value).map_err(|_| drift(&format!("{what} without what is needed")))
}

/// An id, also when it is written as a fraction or a text.
pub(super) fn loose_id(value: Option<&Value>) -> Option<u64> {
    let value = value?;
    let fraction = || value.as_f64().filter(|id| id.fract() == 0.0 && *id > 0.0 && *id < 2e15);
    value
        .as_u64()
        .or_else(|| fraction().map(|id| id as u64))
        .or_else(|| value.as_str()?.parse().ok())
}

#[derive(Deserialize)]
pub(super) struct ServerView {
    pub id: u64,
    pub name: String,
    #[serde(flatten)]
    rest: ServerRest,
}

/// What of a server may be missing.
#[derive(Default, Deserialize)]
pub(super) struct ServerRest {
    #[serde(default, deserialize_with = "lenient")]
    status: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    labels: Option<Map<String, Value>>,
    #[serde(default, deserialize_with = "lenient")]
    public_net: Option<PublicNet>,
    #[serde(default, deserialize_with = "lenient")]
    server_type: Option<Named>,
    #[serde(default, deserialize_with = "lenient")]
    location: Option<Named>,
}

#[derive(Default, Deserialize)]
struct PublicNet {
    #[serde(default, deserialize_with = "lenient")]
    ipv4: Option<Address>,
    #[serde(default, deserialize_with = "lenient")]
    ipv6: Option<Address>,
}

#[derive(Default, Deserialize)]
struct Address {
    #[serde(default, deserialize_with = "lenient")]
    id: Option<u64>,
    #[serde(default, deserialize_with = "lenient")]
    ip: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Named {
    pub name: String,
}

impl ServerRest {
    /// Reads what can be read, which may be nothing.
    pub fn of(value: &Value) -> Self {
        Self::deserialize(value).unwrap_or_default()
    }

    pub fn server(self, id: u64, name: String, attempt: u32) -> Server {
        let net = self.public_net.unwrap_or_default();
        let addresses = [net.ipv4.as_ref(), net.ipv6.as_ref()];
        let primary_ips = addresses.into_iter().flatten().filter_map(|address| address.id);
        Server {
            id,
            name,
            attempt,
            primary_ips: primary_ips.collect(),
            ipv4: net.ipv4.and_then(|address| address.ip),
            ipv6: net.ipv6.and_then(|address| address.ip).map(|ip| host_address(&ip)),
            server_type: self.server_type.map(|named| named.name),
            location: self.location.map(|named| named.name),
        }
    }
}

impl ServerView {
    pub fn found(self) -> FoundServer {
        let status = match self.rest.status.as_deref() {
            Some("running") => ServerStatus::Running,
            Some("deleting") => ServerStatus::Deleting,
            other => ServerStatus::Other(other.unwrap_or("missing").to_owned()),
        };
        let mut labels = BTreeMap::new();
        for (key, value) in self.rest.labels.iter().flatten() {
            if let Value::String(value) = value {
                labels.insert(key.clone(), value.clone());
            }
        }
        FoundServer { status, labels, server: self.rest.server(self.id, self.name, 0) }
    }
}

/// A server is given a /64 and answers at its first address, `…::1`.
fn host_address(ip: &str) -> String {
    match ip.split_once('/').map(|(network, _)| network.parse::<Ipv6Addr>()) {
        Some(Ok(network)) => Ipv6Addr::from_bits(network.to_bits() | 1).to_string(),
        _ => ip.to_owned(),
    }
}

#[derive(Deserialize)]
pub(super) struct ActionView {
    pub id: u64,
    status: String,
    #[serde(default, deserialize_with = "lenient")]
    started: Option<Timestamp>,
    #[serde(default, deserialize_with = "lenient")]
    finished: Option<Timestamp>,
    #[serde(default, deserialize_with = "lenient")]
    error: Option<ActionError>,
}

#[derive(Default, Deserialize)]
struct ActionError {
    #[serde(default, deserialize_with = "lenient")]
    code: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    message: Option<String>,
}

impl ActionView {
    /// A word we do not know is no end: the job's own deadline bounds the wait.
    pub fn state(self) -> ActionState {
        match self.status.as_str() {
            "success" => ActionState::Succeeded { took_secs: self.took_secs() },
            "error" => {
                let error = self.error.unwrap_or_default();
                ActionState::Failed {
                    code: error.code.unwrap_or_else(|| "unknown_error".to_owned()),
                    message: error.message.unwrap_or_default(),
                }
            }
            _ => ActionState::Running,
        }
    }

    /// Rounded up: to look a little late costs less than to look twice.
    fn took_secs(&self) -> Option<u32> {
        let millis = self.finished?.as_millisecond() - self.started?.as_millisecond();
        u32::try_from(millis).ok().map(|millis| millis.div_ceil(1000))
    }
}

#[derive(Deserialize)]
pub(super) struct GroupView {
    pub id: u64,
    pub name: String,
    #[serde(default, deserialize_with = "lenient")]
    pub labels: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
pub(super) struct KeyView {
    pub id: u64,
    pub name: String,
    #[serde(default, deserialize_with = "lenient")]
    pub fingerprint: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub labels: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
pub(super) struct TypeView {
    pub name: String,
    #[serde(default, deserialize_with = "lenient")]
    pub architecture: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub cores: Option<f64>,
    /// GB.
    #[serde(default, deserialize_with = "lenient")]
    pub memory: Option<f64>,
    /// GB.
    #[serde(default, deserialize_with = "lenient")]
    pub disk: Option<f64>,
    #[serde(default, deserialize_with = "lenient_list")]
    pub prices: Vec<PriceView>,
    #[serde(default, deserialize_with = "lenient_list")]
    pub locations: Vec<TypeLocation>,
}

/// A server type in one location: here, and only here, stock is told.
#[derive(Deserialize)]
pub(super) struct TypeLocation {
    pub name: String,
    #[serde(default, deserialize_with = "lenient")]
    pub available: Option<bool>,
    #[serde(default, deserialize_with = "lenient")]
    pub deprecation: Option<Value>,
}

impl TypeLocation {
    pub fn unavailable_after(&self) -> Option<Timestamp> {
        self.deprecation.as_ref()?.get("unavailable_after")?.as_str()?.parse().ok()
    }
}

#[derive(Deserialize)]
pub(super) struct PriceView {
    pub location: String,
    price_monthly: Money,
}

#[derive(Deserialize)]
struct Money {
    net: String,
}

impl PriceView {
    /// Net, a month. Prices are decimal strings.
    pub fn monthly_net(&self) -> Option<f64> {
        self.price_monthly.net.parse().ok().filter(|price: &f64| price.is_finite())
    }
}

#[derive(Deserialize)]
pub(super) struct PricingView {
    pub currency: String,
    #[serde(default, deserialize_with = "lenient_list")]
    pub primary_ips: Vec<AddressPrices>,
}

#[derive(Deserialize)]
pub(super) struct AddressPrices {
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(default, deserialize_with = "lenient_list")]
    pub prices: Vec<PriceView>,
}

#[derive(Deserialize)]
pub(super) struct ImageView {
    #[serde(default, deserialize_with = "lenient")]
    pub name: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub status: Option<String>,
}
