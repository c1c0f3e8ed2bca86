//! The body of `POST /nodes`: parsed into a draft that is valid by construction.

use std::{collections::BTreeMap, net::IpAddr};

use nodeyard_domain::{
    connection::ConnectionName,
    host_key::is_public_key,
    label::{is_host_name, is_label_key, is_label_value, is_reserved_key},
    placement::{MAX_RUNGS, Rung},
    spec::{
        DEADLINE_SECS, DEFAULT_DEADLINE_SECS, DEFAULT_IMAGE, IMAGES, MAX_ALLOW_SSH_FROM,
        MAX_AUTHORIZED_KEYS, MAX_LABELS, MAX_NAME_CHARS, MAX_VARS_BYTES, NodeSpec, Profile,
        reserved_var,
    },
};
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::{
    app::Settings,
    body::{escape, parse},
    code::ApiCode,
    placement::PricedRung,
    problem::{Faults, Problem},
    profiles::Profiles,
};

/// The longest line of public key: RSA with 8192 bits and a comment fits.
const MAX_KEY_CHARS: usize = 2_000;

/// What `POST /nodes` takes. Every field may be left out.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewNode {
    /// An RFC 1123 host name of up to 63 characters; made if absent.
    #[schema(
        min_length = 1,
        max_length = 63,
        pattern = "^[a-z0-9]([a-z0-9-]*[a-z0-9])?([.][a-z0-9]([a-z0-9-]*[a-z0-9])?)*$"
    )]
    name: Option<String>,
    /// The connection to acquire the node from; may be left out if there is one only.
    #[schema(min_length = 1, max_length = 40, pattern = "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$")]
    connection: Option<String>,
    /// `base` if absent.
    #[schema(value_type = Option<String>, max_length = 32, example = "web")]
    profile: Option<String>,
    /// Variables of the profile, held against its schema; up to 8 KB as JSON.
    #[serde(default)]
    vars: Map<String, Value>,
    /// Where to try, in this order; a default ladder if absent.
    #[schema(min_items = 1, max_items = 16)]
    placement: Option<Vec<NewRung>>,
    #[schema(value_type = Option<String>, example = "debian-13")]
    image: Option<String>,
    /// Net, a month, in the project's currency, Primary IPv4 included. Dearer rungs are dropped.
    #[schema(exclusive_minimum = 0.0)]
    max_price: Option<f64>,
    /// OpenSSH public keys for the admin user.
    #[serde(default)]
    #[schema(max_items = 16)]
    authorized_keys: Vec<String>,
    /// Addresses or CIDRs that may reach SSH; ours are always added. Everybody, if absent.
    #[serde(default)]
    #[schema(max_items = 32)]
    allow_ssh_from: Vec<String>,
    /// Up to 32.
    #[serde(default)]
    labels: BTreeMap<String, String>,
    /// Keep the server, and pay for it, when it cannot be made ready.
    #[serde(default)]
    keep_on_failure: bool,
    /// Put the server into a spread placement group, so that no two of a group share a host.
    #[serde(default)]
    spread: bool,
    /// 300 to 21600; 1800 if absent.
    #[schema(minimum = 300, maximum = 21_600, default = 1800)]
    deadline_secs: Option<i64>,
}

/// One entry of the placement ladder.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRung {
    #[schema(example = "cx23")]
    server_type: String,
    #[schema(example = "fsn1")]
    location: String,
}

/// A body that is right in itself; the connection and the catalogue have still to agree.
#[derive(Debug)]
pub struct Draft {
    pub connection: Option<ConnectionName>,
    /// `None`: the default ladder.
    pub placement: Option<Vec<Rung>>,
    pub max_price: Option<f64>,
    name: String,
    profile: Profile,
    vars: Map<String, Value>,
    image: String,
    authorized_keys: Vec<String>,
    allow_ssh_from: Vec<String>,
    labels: BTreeMap<String, String>,
    keep_on_failure: bool,
    spread: bool,
    deadline_secs: i64,
}

impl Draft {
    /// The node's inputs, on a ladder that was priced.
    pub fn into_spec(self, connection: ConnectionName, ladder: Vec<PricedRung>) -> NodeSpec {
        let (placement, prices) =
            ladder.into_iter().map(|priced| (priced.rung, priced.price)).unzip();
        NodeSpec {
            name: self.name,
            connection,
            profile: self.profile,
            vars: self.vars,
            placement,
            image: self.image,
            max_price: self.max_price,
            authorized_keys: self.authorized_keys,
            allow_ssh_from: self.allow_ssh_from,
            labels: self.labels,
            keep_on_failure: self.keep_on_failure,
            spread: self.spread,
            prices,
            deadline_secs: self.deadline_secs,
        }
    }
}

/// Fields of requests for nodes that are not acquired from a provider. There is no such thing
/// here, and a caller who wants one should read that and not "unknown field".
const FOREIGN_FIELDS: &[&str] = &[
    "acquisition",
    "acquisition_mode",
    "address",
    "host",
    "hostname",
    "ip",
    "ip_address",
    "ipv4",
    "ipv6",
    "is_local",
    "local",
    "manual",
    "mode",
    "password",
    "port",
    "private_key",
    "self",
    "server_id",
    "ssh_host",
    "ssh_key",
    "ssh_password",
    "ssh_port",
    "ssh_private_key",
    "ssh_user",
    "user",
    "username",
];
const ADDRESS_FIELDS: &[&str] =
    &["enable_ipv4", "enable_ipv6", "ipv6_only", "public_ipv4", "public_net"];

/// # Errors
/// All faults of the body, together; those of the JSON types one at a time.
pub fn draft(
    body: &Value,
    made_name: impl FnOnce() -> Result<String, Problem>,
    settings: &Settings,
) -> Result<Draft, Problem> {
    refuse_foreign(body)?;
    let mut faults = Faults::default();
    // Derived structs would also take an array, field by field.
    for (index, rung) in body["placement"].as_array().into_iter().flatten().enumerate() {
        if !rung.is_object() {
            faults.add(format!("/placement/{index}"), ApiCode::InvalidBody, "expected an object");
        }
    }
    let new: NewNode = parse(body)?;
    let connection = new.connection.and_then(|text| {
        let name = text.parse().ok();
        if name.is_none() {
            faults.add("/connection", ApiCode::InvalidBody, "no name of a connection");
        }
        name
    });
    let profile = profile(new.profile.as_deref(), &settings.profiles, &mut faults);
    let image = new.image.unwrap_or_else(|| DEFAULT_IMAGE.to_owned());
    if !IMAGES.contains(&image.as_str()) {
        faults.add("/image", ApiCode::UnknownImage, format!("one of: {}", IMAGES.join(", ")));
    }
    if new.name.as_deref().is_some_and(|name| name.len() > MAX_NAME_CHARS || !is_host_name(name)) {
        let detail =
            format!("has to be an RFC 1123 host name of up to {MAX_NAME_CHARS} characters");
        faults.add("/name", ApiCode::InvalidBody, detail);
    }
    if new.max_price.is_some_and(|price| !price.is_finite() || price <= 0.0) {
        faults.add("/max_price", ApiCode::InvalidBody, "has to be above 0");
    }
    let deadline_secs = new.deadline_secs.unwrap_or(DEFAULT_DEADLINE_SECS);
    if !DEADLINE_SECS.contains(&deadline_secs) {
        let detail = format!("has to be {} to {}", DEADLINE_SECS.start(), DEADLINE_SECS.end());
        faults.add("/deadline_secs", ApiCode::InvalidBody, detail);
    }
    if Value::Object(new.vars.clone()).to_string().len() > MAX_VARS_BYTES {
        let detail = format!("at most {MAX_VARS_BYTES} bytes of JSON");
        faults.add("/vars", ApiCode::InvalidBody, detail);
    } else if let Some(profile) = &profile {
        settings.profiles.check(profile, &new.vars, &mut faults);
    }
    if let Some(name) = reserved_var(&new.vars) {
        faults.add("/vars", ApiCode::InvalidBody, format!("the name {name} is Ansible's own"));
    }
    check_labels(&new.labels, &mut faults);
    check_keys(&new.authorized_keys, &mut faults);
    let allow_ssh_from = allowed(&new.allow_ssh_from, &settings.control_cidrs, &mut faults);
    let placement = new.placement.map(|rungs| ladder(rungs, &mut faults));
    faults.into_result()?;
    let name = match new.name {
        Some(name) => name,
        None => made_name()?,
    };
    Ok(Draft {
        connection,
        placement,
        max_price: new.max_price,
        name,
        profile: profile.unwrap_or_else(Profile::base),
        vars: new.vars,
        image,
        authorized_keys: new.authorized_keys,
        allow_ssh_from,
        labels: new.labels,
        keep_on_failure: new.keep_on_failure,
        spread: new.spread,
        deadline_secs,
    })
}

fn refuse_foreign(body: &Value) -> Result<(), Problem> {
    let Some(fields) = body.as_object() else { return Ok(()) };
    let mut foreign = Faults::default();
    let mut addresses = Faults::default();
    for name in fields.keys() {
        let known = name.to_ascii_lowercase().replace('-', "_");
        let pointer = format!("/{}", escape(name));
        if FOREIGN_FIELDS.contains(&known.as_str()) {
            let detail = "nodes come from a connected provider only";
            foreign.add(pointer, ApiCode::AcquisitionModeUnsupported, detail);
        } else if ADDRESS_FIELDS.contains(&known.as_str()) {
            let detail = "every node has a public IPv4 address";
            addresses.add(pointer, ApiCode::Ipv6OnlyUnsupported, detail);
        }
    }
    foreign.into_result().map_err(|problem| {
        problem.guided("Connect a provider with PUT /providers/{name} and ask for a node of it.")
    })?;
    addresses.into_result()
}

fn profile(text: Option<&str>, profiles: &Profiles, faults: &mut Faults) -> Option<Profile> {
    let Some(text) = text else { return Some(Profile::base()) };
    let found = profiles.find(text).cloned();
    if found.is_none() {
        let detail = format!("one of: {}", profiles.names());
        faults.add("/profile", ApiCode::UnknownProfile, detail);
    }
    found
}

fn ladder(rungs: Vec<NewRung>, faults: &mut Faults) -> Vec<Rung> {
    if rungs.is_empty() || rungs.len() > MAX_RUNGS {
        faults.add("/placement", ApiCode::InvalidBody, format!("1 to {MAX_RUNGS} rungs"));
    }
    let rungs: Vec<Rung> = rungs
        .into_iter()
        .map(|rung| Rung { server_type: rung.server_type, location: rung.location })
        .collect();
    for (index, rung) in rungs.iter().enumerate() {
        if rungs[..index].contains(rung) {
            faults.add(format!("/placement/{index}"), ApiCode::InvalidBody, "is there already");
        }
    }
    rungs
}

/// Adds a fault for each label that callers may not set.
pub fn check_labels(labels: &BTreeMap<String, String>, faults: &mut Faults) {
    if labels.len() > MAX_LABELS {
        faults.add("/labels", ApiCode::InvalidBody, format!("at most {MAX_LABELS} labels"));
    }
    for (key, value) in labels {
        let pointer = format!("/labels/{}", escape(key));
        if is_reserved_key(key) {
            faults.add(pointer, ApiCode::InvalidBody, "the prefix is reserved");
        } else if !is_label_key(key) {
            faults.add(pointer, ApiCode::InvalidBody, "the key is no label key");
        } else if !is_label_value(value) {
            let detail = "up to 63 letters, digits, `-`, `_` and `.`, alphanumeric at both ends";
            faults.add(pointer, ApiCode::InvalidBody, detail);
        }
    }
}

fn check_keys(keys: &[String], faults: &mut Faults) {
    if keys.len() > MAX_AUTHORIZED_KEYS {
        let detail = format!("at most {MAX_AUTHORIZED_KEYS} keys");
        faults.add("/authorized_keys", ApiCode::InvalidBody, detail);
    }
    for (index, key) in keys.iter().enumerate() {
        if key.len() > MAX_KEY_CHARS || !is_public_key(key) {
            let detail = "has to be one line of OpenSSH public key without options";
            faults.add(format!("/authorized_keys/{index}"), ApiCode::InvalidBody, detail);
        }
    }
}

/// The networks that may reach SSH, ours included. Without the tasks' own address on record, a
/// restriction would lock ourselves out.
fn allowed(given: &[String], control_cidrs: &[String], faults: &mut Faults) -> Vec<String> {
    if given.is_empty() {
        return Vec::new();
    }
    if control_cidrs.is_empty() {
        let detail = "this deployment does not know its own egress addresses";
        faults.add("/allow_ssh_from", ApiCode::ControlAddressUnknown, detail);
    }
    if given.len() > MAX_ALLOW_SSH_FROM {
        let detail = format!("at most {MAX_ALLOW_SSH_FROM} networks");
        faults.add("/allow_ssh_from", ApiCode::InvalidBody, detail);
    }
    let mut networks = control_cidrs.to_vec();
    for (index, text) in given.iter().enumerate() {
        match network(text) {
            Some(network) if networks.contains(&network) => {}
            Some(network) => networks.push(network),
            None => {
                let detail = "has to be an address or a CIDR without bits beyond its prefix";
                faults.add(format!("/allow_ssh_from/{index}"), ApiCode::InvalidBody, detail);
            }
        }
    }
    networks
}

/// A network in CIDR form; an address alone is a network of one.
fn network(text: &str) -> Option<String> {
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().ok()?;
    let (bits, width) = match address {
        IpAddr::V4(address) => (u128::from(u32::from(address)) << 96, 32),
        IpAddr::V6(address) => (u128::from(address), 128),
    };
    let prefix = match prefix {
        Some(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok()?,
        Some(_) => return None,
        None => width,
    };
    let beyond = bits.checked_shl(prefix).unwrap_or(0);
    (prefix <= width && beyond == 0).then(|| format!("{address}/{prefix}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_brought_into_one_form() {
        let read = |text| network(text).unwrap_or_default();
        assert_eq!(read("192.0.2.7"), "192.0.2.7/32");
        assert_eq!(read("192.0.2.0/24"), "192.0.2.0/24");
        assert_eq!(read("0.0.0.0/0"), "0.0.0.0/0");
        assert_eq!(read("2001:DB8:0::/48"), "2001:db8::/48");
        assert_eq!(read("::1"), "::1/128");
        for wrong in ["", "192.0.2.1/24", "192.0.2.0/33", "::/129", "10.0.0.0/+8", "10/8", "a/8"] {
            assert_eq!(network(wrong), None, "{wrong}");
        }
    }
}
