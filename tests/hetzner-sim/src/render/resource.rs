//! Actions, keys, groups, firewalls and Primary IPs.

use serde_json::{Value, json};

use super::catalogue;
use super::server::reverse_name;
use crate::clock::rfc3339_secs;
use crate::world::World;
use crate::world::action::{Action, Outcome};
use crate::world::firewall::Firewall;
use crate::world::operation::Family;
use crate::world::placement_group::PlacementGroup;
use crate::world::primary_ip::PrimaryIp;
use crate::world::ssh_key::SshKey;

pub(super) fn action(world: &World, action: &Action) -> Value {
    let resources: Vec<Value> = action
        .resources
        .iter()
        .map(|(kind, id)| json!({"id": id, "type": kind.singular()}))
        .collect();
    let error = match &action.outcome {
        Outcome::Error(failure) => json!({"code": failure.code, "message": failure.message}),
        Outcome::Running | Outcome::Success => Value::Null,
    };
    json!({
        "id": action.id,
        "command": action.command,
        "status": action.status(),
        "started": rfc3339_secs(action.started),
        "finished": action.finished.map(rfc3339_secs),
        "progress": action.progress(world.now()),
        "resources": resources,
        "error": error,
    })
}

pub(super) fn ssh_key(key: &SshKey) -> Value {
    json!({
        "id": key.id,
        "name": key.name,
        "fingerprint": key.fingerprint,
        "public_key": key.public_key,
        "labels": key.labels,
        "created": rfc3339_secs(key.created),
    })
}

pub(super) fn placement_group(world: &World, group: &PlacementGroup) -> Value {
    json!({
        "id": group.id,
        "name": group.name,
        "labels": group.labels,
        "type": "spread",
        "created": rfc3339_secs(group.created),
        "servers": world.members(group.id),
    })
}

pub(super) fn firewall(world: &World, firewall: &Firewall) -> Value {
    let rules: Vec<Value> = firewall
        .rules
        .iter()
        .map(|rule| {
            json!({
                "description": rule.description,
                "direction": rule.direction,
                "protocol": rule.protocol,
                "port": rule.port,
                "source_ips": rule.source_ips,
                "destination_ips": rule.destination_ips,
            })
        })
        .collect();
    let on_servers =
        firewall.servers.iter().map(|id| json!({"type": "server", "server": {"id": id}}));
    let on_selectors = firewall.selectors.iter().map(|(text, selector)| {
        let picked: Vec<Value> = world
            .servers_picked(firewall.project, selector)
            .into_iter()
            .map(|id| json!({"type": "server", "server": {"id": id}}))
            .collect();
        json!({
            "type": "label_selector",
            "label_selector": {"selector": text},
            "applied_to_resources": picked,
        })
    });
    let applied_to: Vec<Value> = on_servers.chain(on_selectors).collect();
    json!({
        "id": firewall.id,
        "name": firewall.name,
        "labels": firewall.labels,
        "created": rfc3339_secs(firewall.created),
        "rules": rules,
        "applied_to": applied_to,
    })
}

pub(super) fn primary_ip(ip: &PrimaryIp) -> Value {
    let dns_ptr = match ip.family {
        Family::V4 => json!([{"ip": ip.address, "dns_ptr": reverse_name(&ip.address)}]),
        Family::V6 => json!([]),
    };
    // [documented] since 2026-08-01 a spare one says `unassigned`
    let assignee_type = if ip.assignee.is_some() { "server" } else { "unassigned" };
    json!({
        "id": ip.id,
        "name": ip.name,
        "labels": ip.labels,
        "created": rfc3339_secs(ip.created),
        "blocked": false,
        "location": catalogue::location(ip.location),
        "ip": ip.address,
        "dns_ptr": dns_ptr,
        "protection": {"delete": false},
        "type": ip.family.name(),
        "auto_delete": ip.auto_delete,
        "assignee_type": assignee_type,
        "assignee_id": ip.assignee,
    })
}
