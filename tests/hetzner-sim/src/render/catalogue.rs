//! Types, locations, images and prices.

use serde_json::{Value, json};

use crate::clock::rfc3339_secs;
use crate::world::World;
use crate::world::catalogue::{
    self, Deprecation, IMAGES_CREATED, LOCATIONS, SERVER_TYPES, ServerType,
};

/// Prices of other things, in ten-thousandths of a euro. [assumed]
const IPV4_MONTHLY: u64 = 5_000;
const FLOATING_IPV4_MONTHLY: u64 = 30_000;
const FLOATING_IPV6_MONTHLY: u64 = 10_000;
const IMAGE_PER_GB: u64 = 110;
const VOLUME_PER_GB: u64 = 440;
const TRAFFIC_PER_TB: u64 = 10_000;
const LB11_MONTHLY: u64 = 53_900;

pub(super) fn location(id: u64) -> Option<Value> {
    let place = catalogue::location_by_id(id)?;
    Some(json!({
        "id": place.id,
        "name": place.name,
        "description": place.description,
        "country": place.country,
        "city": place.city,
        "latitude": place.latitude,
        "longitude": place.longitude,
        "network_zone": place.network_zone,
    }))
}

pub(super) fn image(id: u64) -> Option<Value> {
    let image = catalogue::image_by_id(id)?;
    Some(json!({
        "id": image.id,
        "type": image.kind,
        "status": "available",
        "name": image.name,
        "description": image.description,
        "image_size": null,
        "disk_size": 5,
        "created": rfc3339_secs(IMAGES_CREATED),
        "created_from": null,
        "bound_to": null,
        "os_flavor": image.flavor,
        "os_version": image.version,
        "rapid_deploy": true,
        "protection": {"delete": false},
        "deprecated": image.deprecated.map(rfc3339_secs),
        "deleted": null,
        "labels": {},
        "architecture": image.architecture,
    }))
}

pub(super) fn server_type(world: &World, id: u64) -> Option<Value> {
    let size = catalogue::server_type_by_id(id)?;
    let locations: Vec<Value> = size
        .locations
        .iter()
        .filter_map(|name| catalogue::location(name))
        .map(|place| {
            let available = world.stock().is_listed(size, place);
            json!({
                "id": place.id,
                "name": place.name,
                "deprecation": size.deprecation.map(deprecation),
                "recommended": available,
                "available": available,
            })
        })
        .collect();
    Some(json!({
        "id": size.id,
        "name": size.name,
        "description": size.name.to_uppercase(),
        "cores": size.cores,
        "memory": size.memory_gb,
        "disk": size.disk_gb,
        "deprecated": size.deprecation.is_some(),
        "prices": prices(size),
        "storage_type": "local",
        "cpu_type": if size.dedicated { "dedicated" } else { "shared" },
        "category": size.category,
        "architecture": size.architecture,
        "deprecation": size.deprecation.map(deprecation),
        "locations": locations,
    }))
}

fn deprecation(plan: Deprecation) -> Value {
    json!({
        "announced": rfc3339_secs(plan.announced),
        "unavailable_after": rfc3339_secs(plan.unavailable_after),
    })
}

/// [observed] there are prices also where there is no stock.
fn prices(size: &ServerType) -> Vec<Value> {
    size.locations
        .iter()
        .map(|name| {
            let monthly = size.monthly_at(name);
            json!({
                "location": name,
                "price_hourly": hourly(monthly),
                "price_monthly": price(monthly),
                "included_traffic": size.included_traffic_at(name),
                "price_per_tb_traffic": price(TRAFFIC_PER_TB),
            })
        })
        .collect()
}

pub(super) fn pricing() -> Value {
    let everywhere = |monthly: u64| -> Vec<Value> {
        LOCATIONS
            .iter()
            .map(|place| {
                json!({
                    "location": place.name,
                    "price_hourly": hourly(monthly),
                    "price_monthly": price(monthly),
                })
            })
            .collect()
    };
    let floating = |monthly: u64| -> Vec<Value> {
        LOCATIONS
            .iter()
            .map(|place| json!({"location": place.name, "price_monthly": price(monthly)}))
            .collect()
    };
    let balancers: Vec<Value> = LOCATIONS
        .iter()
        .map(|place| {
            json!({
                "location": place.name,
                "price_hourly": hourly(LB11_MONTHLY),
                "price_monthly": price(LB11_MONTHLY),
                "included_traffic": 21_990_232_555_520_u64,
                "price_per_tb_traffic": price(TRAFFIC_PER_TB),
            })
        })
        .collect();
    let types: Vec<Value> = SERVER_TYPES
        .iter()
        .map(|size| json!({"id": size.id, "name": size.name, "prices": prices(size)}))
        .collect();
    json!({
        "currency": "EUR",
        "vat_rate": "19.00",
        "primary_ips": [
            {"type": "ipv4", "prices": everywhere(IPV4_MONTHLY)},
            {"type": "ipv6", "prices": everywhere(0)},
        ],
        "floating_ips": [
            {"type": "ipv4", "prices": floating(FLOATING_IPV4_MONTHLY)},
            {"type": "ipv6", "prices": floating(FLOATING_IPV6_MONTHLY)},
        ],
        "image": {"price_per_gb_month": price(IMAGE_PER_GB)},
        "volume": {"price_per_gb_month": price(VOLUME_PER_GB)},
        "server_backup": {"percentage": "20.00"},
        "server_types": types,
        "load_balancer_types": [{"id": 1, "name": "lb11", "prices": balancers}],
        "floating_ip": {"price_monthly": price(FLOATING_IPV4_MONTHLY)},
    })
}

/// Net and gross as decimal text; real answers carry many more digits than
/// cents have. [assumed]
fn price(net: u64) -> Value {
    amount(u128::from(net) * 1_000_000)
}

/// [documented] a month is capped; [assumed] it has 624 paid hours
fn hourly(monthly: u64) -> Value {
    amount(u128::from(monthly) * 1_000_000 / 624)
}

/// `net` in ten-thousand-millionths of a euro.
fn amount(net: u128) -> Value {
    let gross = net * 119 / 100;
    json!({"net": decimal(net), "gross": decimal(gross)})
}

fn decimal(value: u128) -> String {
    let unit = 10_000_000_000;
    format!("{}.{:010}", value / unit, value % unit)
}

#[cfg(test)]
mod tests {
    use super::{hourly, price};

    #[test]
    fn prices_are_exact_decimals() {
        assert_eq!(price(59_900)["net"], "5.9900000000");
        assert_eq!(price(59_900)["gross"], "7.1281000000");
        assert_eq!(price(0)["net"], "0.0000000000");
        assert_eq!(hourly(62_400)["net"], "0.0100000000");
    }
}
