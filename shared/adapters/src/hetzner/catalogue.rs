//! What is for sale: types, locations, images, prices and live stock.

use std::collections::BTreeSet;

use nodeyard_domain::observation::ProviderFailure;
use nodeyard_engine::provider::{Catalogue, Offer};
use serde_json::Value;

use super::{
    projection::{ImageView, Named, PricingView, TypeView, view},
    session::{Line, list},
    transport::Call,
};

type Result<T> = std::result::Result<T, ProviderFailure>;

/// One page each, and one more of types and images.
pub(super) const CALLS: i64 = 6;

pub(super) async fn read(line: &mut Line<'_>) -> Result<Catalogue> {
    let types = list(line, &Call::get("/server_types"), "server_types").await?;
    let locations = list(line, &Call::get("/locations"), "locations").await?;
    let images = list(line, &Call::get("/images").query("type", "system"), "images").await?;
    let mut pricing = line.send(&Call::get("/pricing")).await?.json()?;
    let pricing = pricing.get_mut("pricing").map(Value::take).unwrap_or_default();
    let pricing: PricingView = view(pricing, "the pricing")?;
    let ipv4 = pricing.primary_ips.iter().filter(|prices| prices.kind == "ipv4");
    Ok(Catalogue {
        currency: pricing.currency.clone(),
        offers: readable::<TypeView>(types).flat_map(offers).collect(),
        locations: readable::<Named>(locations).map(|location| location.name).collect(),
        images: image_names(images),
        primary_ipv4_monthly_net: ipv4
            .flat_map(|prices| &prices.prices)
            .filter_map(|price| Some((price.location.clone(), price.monthly_net()?)))
            .collect(),
    })
}

/// An entry that cannot be read is not for sale here; the rest is.
fn readable<T: serde::de::DeserializeOwned>(entries: Vec<Value>) -> impl Iterator<Item = T> {
    entries.into_iter().filter_map(|entry| serde_json::from_value(entry).ok())
}

/// Stock is what the type's locations say; a price alone is no offer.
fn offers(server_type: TypeView) -> Vec<Offer> {
    let price_in = |location: &str| {
        server_type.prices.iter().find(|price| price.location == location)?.monthly_net()
    };
    server_type
        .locations
        .iter()
        .map(|location| Offer {
            server_type: server_type.name.clone(),
            monthly_net: price_in(&location.name),
            location: location.name.clone(),
            architecture: server_type.architecture.clone().unwrap_or_default(),
            cores: server_type.cores.unwrap_or_default() as u32,
            memory_gb: server_type.memory.unwrap_or_default(),
            disk_gb: server_type.disk.unwrap_or_default() as u64,
            available: location.available.unwrap_or(false),
            unavailable_after: location.unavailable_after(),
            deprecated: location.deprecation.as_ref().is_some_and(|value| !value.is_null()),
        })
        .collect()
}

/// x86 and Arm images share their names.
fn image_names(images: Vec<Value>) -> Vec<String> {
    let names: BTreeSet<String> = readable::<ImageView>(images)
        .filter(|image| image.status.as_deref().is_none_or(|status| status == "available"))
        .filter_map(|image| image.name)
        .collect();
    names.into_iter().collect()
}
