//! Holding a placement ladder against what is for sale, and pricing its rungs.

use nodeyard_domain::placement::{Price, Rung};
use nodeyard_engine::provider::Catalogue;

use crate::{
    code::ApiCode,
    problem::{Faults, Problem},
};

/// A rung with what a node costs on it.
#[derive(Debug, Clone, PartialEq)]
pub struct PricedRung {
    pub rung: Rung,
    /// Primary IPv4 included; `None` when the catalogue names no price.
    pub price: Option<Price>,
    /// In stock as of the catalogue.
    pub available: bool,
}

/// The caller's own ladder: each rung has to exist.
///
/// # Errors
/// `unknown_server_type` and `unknown_location` with the rungs' pointers.
pub fn price_ladder(ladder: &[Rung], catalogue: &Catalogue) -> Result<Vec<PricedRung>, Problem> {
    let mut faults = Faults::default();
    let mut priced = Vec::new();
    for (index, rung) in ladder.iter().enumerate() {
        let pointer = |field: &str| format!("/placement/{index}/{field}");
        let sold = catalogue.offers.iter().any(|offer| offer.server_type == rung.server_type);
        if let Some(rung) = price_rung(rung, catalogue) {
            priced.push(rung);
        } else if !sold {
            faults.add(
                pointer("server_type"),
                ApiCode::UnknownServerType,
                "the provider has no such server type",
            );
        } else if catalogue.locations.contains(&rung.location) {
            faults.add(
                pointer("location"),
                ApiCode::UnknownLocation,
                "the server type is not sold in this location",
            );
        } else {
            faults.add(
                pointer("location"),
                ApiCode::UnknownLocation,
                "the provider has no such location",
            );
        }
    }
    faults.into_result().map(|()| priced)
}

/// Our own ladder: whatever of it the provider sells today.
///
/// # Errors
/// `placement_unavailable` when that is nothing.
pub fn price_default_ladder(
    ladder: &[Rung],
    catalogue: &Catalogue,
) -> Result<Vec<PricedRung>, Problem> {
    let priced: Vec<PricedRung> =
        ladder.iter().filter_map(|rung| price_rung(rung, catalogue)).collect();
    if priced.is_empty() {
        let detail = "None of the default server types is sold any more.";
        return Err(Problem::new(ApiCode::PlacementUnavailable, detail)
            .guided("Give `placement`; GET /providers/{name}/catalog shows what is for sale."));
    }
    Ok(priced)
}

fn price_rung(rung: &Rung, catalogue: &Catalogue) -> Option<PricedRung> {
    let offer = catalogue
        .offers
        .iter()
        .find(|offer| offer.server_type == rung.server_type && offer.location == rung.location)?;
    let address = catalogue.primary_ipv4_monthly_net.get(&rung.location);
    let price = offer.monthly_net.map(|server| Price {
        monthly_net: cents(server + address.copied().unwrap_or(0.0)),
        currency: catalogue.currency.clone(),
    });
    Some(PricedRung { rung: rung.clone(), price, available: offer.available })
}

/// Prices carry more digits than money has; four are kept, as the provider's own price list does.
fn cents(amount: f64) -> f64 {
    (amount * 10_000.0).round() / 10_000.0
}

/// Drops the rungs that cost more than the ceiling, or whose price nobody knows.
///
/// # Errors
/// `price_ceiling_exceeded` when none is left.
pub fn hold_ceiling(
    ladder: Vec<PricedRung>,
    ceiling: Option<f64>,
) -> Result<Vec<PricedRung>, Problem> {
    let Some(ceiling) = ceiling else { return Ok(ladder) };
    let cheapest = ladder
        .iter()
        .filter_map(|rung| rung.price.clone())
        .min_by(|a, b| a.monthly_net.total_cmp(&b.monthly_net));
    let kept: Vec<PricedRung> = ladder
        .into_iter()
        .filter(|rung| rung.price.as_ref().is_some_and(|price| price.monthly_net <= ceiling))
        .collect();
    if !kept.is_empty() {
        return Ok(kept);
    }
    let detail = cheapest.map_or_else(
        || "the provider names no price for any rung".to_owned(),
        |price| format!("the cheapest rung costs {} {} a month", price.monthly_net, price.currency),
    );
    Err(Problem::at("/max_price", ApiCode::PriceCeilingExceeded, &detail))
}

#[cfg(test)]
mod tests {
    use nodeyard_domain::spec::default_ladder;

    use super::*;

    #[test]
    fn a_default_ladder_of_which_nothing_is_sold_is_refused() {
        let catalogue = Catalogue {
            currency: "EUR".into(),
            offers: Vec::new(),
            locations: vec!["fsn1".into()],
            images: Vec::new(),
            primary_ipv4_monthly_net: [].into(),
        };
        let problem = price_default_ladder(&default_ladder(), &catalogue).unwrap_err();
        assert_eq!(problem.code, ApiCode::PlacementUnavailable);
        assert!(problem.guidance.is_some());
    }

    #[test]
    fn prices_keep_four_digits() {
        assert_eq!(cents(3.285_000_000_1 + 0.5), 3.785);
        assert_eq!(cents(0.1 + 0.2), 0.3);
    }
}
