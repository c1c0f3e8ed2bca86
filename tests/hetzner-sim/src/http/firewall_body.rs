//! Body of `POST /firewalls`: rules, and what they apply to.

use serde_json::{Map, Value};

use super::fields::Fields;
use crate::world::error::ApiError;
use crate::world::label::Selector;
use crate::world::operation::{FirewallDraft, Rule};

/// Reads it.
///
/// # Errors
/// `invalid_input`
pub fn firewall(object: &Map<String, Value>) -> Result<FirewallDraft, ApiError> {
    let mut fields = Fields::new(object, "");
    let mut draft = FirewallDraft {
        name: fields.required_text("name"),
        labels: fields.labels().unwrap_or_default(),
        rules: Vec::new(),
        servers: Vec::new(),
        selectors: Vec::new(),
    };
    for entry in fields.list("rules") {
        match entry.as_object().map(rule) {
            Some(Ok(rule)) => draft.rules.push(rule),
            Some(Err(refusal)) => return Err(refusal),
            None => fields.fault("rules", "must be objects"),
        }
    }
    for entry in fields.list("apply_to") {
        let server = entry["server"]["id"].as_u64();
        let selector = entry["label_selector"]["selector"].as_str();
        match (entry["type"].as_str(), server, selector) {
            (Some("server"), Some(id), _) => draft.servers.push(id),
            (Some("label_selector"), _, Some(text)) => {
                draft.selectors.push((text.to_owned(), Selector::parse(text)?));
            }
            _ => fields.fault("apply_to", "must name a server or a label selector"),
        }
    }
    fields.finish(draft)
}

fn rule(object: &Map<String, Value>) -> Result<Rule, ApiError> {
    let mut fields = Fields::new(object, "rules.");
    let rule = Rule {
        description: fields.text("description"),
        direction: fields.required_text("direction"),
        protocol: fields.required_text("protocol"),
        port: fields.text("port"),
        source_ips: fields.texts("source_ips"),
        destination_ips: fields.texts("destination_ips"),
    };
    if !["in", "out"].contains(&rule.direction.as_str()) {
        fields.fault("direction", "must be in or out");
    }
    if !["tcp", "udp", "icmp", "esp", "gre"].contains(&rule.protocol.as_str()) {
        fields.fault("protocol", "is not known");
    }
    // [documented] ports belong to tcp and udp, and there they are required.
    let has_ports = ["tcp", "udp"].contains(&rule.protocol.as_str());
    if has_ports != rule.port.is_some() {
        fields.fault("port", "is for tcp and udp, which need it");
    }
    // [documented] incoming rules name sources, outgoing ones destinations.
    let peers = match rule.direction.as_str() {
        "in" => ("source_ips", &rule.source_ips),
        _ => ("destination_ips", &rule.destination_ips),
    };
    if peers.1.is_empty() || !peers.1.iter().all(|network| is_network(network)) {
        fields.fault(peers.0, "must be networks in CIDR notation");
    }
    fields.finish(rule)
}

fn is_network(text: &str) -> bool {
    let Some((address, bits)) = text.split_once('/') else {
        return false;
    };
    let most = match address.parse() {
        Ok(std::net::IpAddr::V4(_)) => 32,
        Ok(std::net::IpAddr::V6(_)) => 128,
        Err(_) => return false,
    };
    bits.parse::<u8>().is_ok_and(|bits| bits <= most)
}
