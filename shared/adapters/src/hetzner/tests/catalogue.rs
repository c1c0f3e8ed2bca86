//! What is for sale.

use nodeyard_domain::observation::FailureClass;
use nodeyard_engine::provider::Offer;

use super::*;

fn price(location: &str, net: &str) -> Value {
    json!({"location": location, "price_monthly": {"net": net, "gross": "9.99"}})
}

fn types() -> Value {
    json!([{
        "name": "cx23", "architecture": "x86", "cores": 2.0, "memory": 4, "disk": 40,
        // A price is no offer: ash has one and the type is not there.
        "prices": [price("fsn1", "2.9900"), price("nbg1", "not a number"), price("ash", "5.0")],
        "locations": [
            {"name": "fsn1", "available": true, "deprecation": null},
            {"name": "nbg1", "available": false, "deprecation": {
                "announced": "2026-01-01T00:00:00Z", "unavailable_after": "2026-04-01T00:00:00Z",
            }},
            {"name": "hel1"},
        ],
    }])
}

fn script(pricing: Value) -> Vec<(&'static str, Reply)> {
    let first = json!({"server_types": types(), "meta": {"pagination": {"next_page": 2}}});
    let second = json!([{"name": "cax11", "locations": [{"name": "fsn1", "available": true}]}, {}]);
    let images = json!([
        {"name": "debian-13", "status": "available"}, {"name": "debian-13", "status": "available"},
        {"name": "alma-9", "status": "available"}, {"name": "soon", "status": "creating"},
        {"name": null, "status": "available"},
    ]);
    vec![
        ("GET /server_types", Reply::Json(200, first)),
        ("GET /server_types?page=2", page("server_types", second)),
        ("GET /locations", page("locations", json!([{"name": "fsn1"}, {"name": "nbg1"}]))),
        ("GET /images?type=system", page("images", images)),
        ("GET /pricing", Reply::Json(200, json!({"pricing": pricing}))),
    ]
}

#[tokio::test]
async fn offers_are_what_the_types_locations_say() {
    let pricing = json!({"currency": "EUR", "primary_ips": [
        {"type": "ipv4", "prices": [price("fsn1", "0.5000")]},
        {"type": "ipv6", "prices": [price("fsn1", "0.0000")]},
        {"type": "a_new_type"},
    ]});
    let world = calls(script(pricing)).await;
    let catalogue = world.provider.catalogue(&SecretString::from(OLD)).await.unwrap();
    world.listener.requests();
    let offer = |location: &str| Offer {
        server_type: "cx23".into(),
        location: location.into(),
        architecture: "x86".into(),
        cores: 2,
        memory_gb: 4.0,
        disk_gb: 40,
        available: false,
        deprecated: false,
        unavailable_after: None,
        monthly_net: None,
    };
    let arm = Offer {
        server_type: "cax11".into(),
        architecture: String::new(),
        cores: 0,
        memory_gb: 0.0,
        disk_gb: 0,
        available: true,
        ..offer("fsn1")
    };
    let expected = Catalogue {
        currency: "EUR".into(),
        offers: vec![
            Offer { available: true, monthly_net: Some(2.99), ..offer("fsn1") },
            Offer {
                deprecated: true,
                unavailable_after: Some("2026-04-01T00:00:00Z".parse().unwrap()),
                ..offer("nbg1")
            },
            offer("hel1"),
            arm,
        ],
        locations: vec!["fsn1".into(), "nbg1".into()],
        images: vec!["alma-9".into(), "debian-13".into()],
        primary_ipv4_monthly_net: [("fsn1".to_owned(), 0.5)].into(),
    };
    assert_eq!(catalogue, expected);
}

#[tokio::test]
async fn prices_without_a_currency_are_drift() {
    let world = calls(script(json!({"primary_ips": []}))).await;
    let failure = world.provider.catalogue(&SecretString::from(OLD)).await.unwrap_err();
    assert_eq!(failure.class, FailureClass::Drift);
    world.listener.requests();
}

/// A list whose pages point at each other ends.
#[tokio::test]
async fn a_list_that_turns_back_ends() {
    let body = json!({"server_types": [], "meta": {"pagination": {"next_page": 1}}});
    let mut script = script(json!({"currency": "EUR"}));
    script[0].1 = Reply::Json(200, body);
    script.remove(1);
    let world = calls(script).await;
    assert!(world.provider.catalogue(&SecretString::from(OLD)).await.unwrap().offers.is_empty());
    world.listener.requests();
}
