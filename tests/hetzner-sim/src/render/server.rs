//! Servers, the longest body there is.

use serde_json::{Value, json};

use super::catalogue;
use super::resource::placement_group;
use crate::clock::rfc3339_secs;
use crate::world::World;
use crate::world::server::Server;

pub(super) fn server(world: &World, server: &Server) -> Value {
    let size = crate::world::catalogue::server_type_by_id(server.server_type);
    let place = crate::world::catalogue::location_by_id(server.location);
    let disk_gb = size.map(|size| size.disk_gb);
    let traffic = size.zip(place).map(|(size, place)| size.included_traffic_at(place.name));
    let group = server
        .placement_group
        .and_then(|id| world.placement_group(id))
        .map(|group| placement_group(world, group));
    json!({
        "id": server.id,
        "name": server.name,
        "status": server.status.name(),
        "created": rfc3339_secs(server.created),
        "public_net": public_net(world, server),
        "private_net": [],
        "server_type": catalogue::server_type(world, server.server_type),
        "location": catalogue::location(server.location),
        "image": catalogue::image(server.image),
        "iso": null,
        "rescue_enabled": false,
        "locked": server.held_by.is_some(),
        "backup_window": null,
        "outgoing_traffic": 0,
        "ingoing_traffic": 0,
        "included_traffic": traffic,
        "protection": {"delete": server.protected, "rebuild": server.protected},
        "labels": server.labels,
        "volumes": [],
        "load_balancers": [],
        "primary_disk_size": disk_gb,
        "placement_group": group,
    })
}

fn public_net(world: &World, server: &Server) -> Value {
    let ipv4 = server.ipv4.and_then(|id| world.primary_ip(id)).map(|ip| {
        json!({
            "id": ip.id,
            "ip": ip.address,
            "blocked": false,
            "dns_ptr": reverse_name(&ip.address),
        })
    });
    let ipv6 = server
        .ipv6
        .and_then(|id| world.primary_ip(id))
        .map(|ip| json!({"id": ip.id, "ip": ip.address, "blocked": false, "dns_ptr": []}));
    let firewalls: Vec<Value> = world
        .firewalls_of(server.id)
        .into_iter()
        .map(|id| json!({"id": id, "status": "applied"}))
        .collect();
    json!({
        "ipv4": ipv4,
        "ipv6": ipv6,
        "floating_ips": [],
        "firewalls": firewalls,
    })
}

/// A name in the zone set aside for examples.
pub(super) fn reverse_name(address: &str) -> String {
    format!("static.{}.example.com", address.replace('.', "-"))
}
