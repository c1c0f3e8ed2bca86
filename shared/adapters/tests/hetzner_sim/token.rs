//! Tokens and what they may; the catalogue; the drift alarm.

use hetzner_sim::{Fault, journal::Filter, world::stock::Supply};
use nodeyard_adapters::hetzner::{
    drift::{Shape, difference},
    key,
};
use nodeyard_domain::{
    connection::Permission, observation::FailureClass, ownership::LABEL_DEPLOYMENT,
};
use nodeyard_engine::provider::{
    CreateServer, Lookup, Provider as _, ProviderCheck as _, Remains, Survey,
};
use secrecy::SecretString;
use serde_json::json;

use crate::stack::{NAME, bare, connected};

#[tokio::test]
async fn a_token_is_judged_by_a_write_that_succeeds() {
    let stack = bare().await;
    let report = stack.check("main-token", None).await.unwrap();
    assert_eq!(report.permission, Permission::ReadWrite);
    assert_eq!(report.rate_budget.unwrap().limit, 3600);
    let known = report.key.unwrap();
    assert_eq!(Some(&known.fingerprint), key::fingerprint(&stack.public_key).as_ref());
    let again = stack.check("main-token", Some(&known)).await.unwrap();
    assert!(again.sees_marker);
    assert_eq!((again.permission, again.key), (Permission::ReadWrite, Some(known.clone())));
    // The same key without knowing of it: found, not made twice.
    let found = stack.check("main-token", None).await.unwrap();
    assert_eq!(found.key, Some(known));
    let dead = stack.check("no-such-token", None).await.unwrap_err();
    assert_eq!(dead.class, FailureClass::Unauthorized);
}

/// Sources differ on how a read-only token is refused, and when.
#[tokio::test]
async fn a_read_only_token_is_told_however_it_is_refused() {
    for (status, code) in [(401, "token_readonly"), (403, "token_readonly"), (403, "forbidden")] {
        for order in ["first", "after_existence", "after_validation"] {
            let stack = bare().await;
            let settings =
                json!({"readonly": {"status": status, "code": code}, "permission_check": order});
            stack.simulator.change_settings(&settings).unwrap();
            let report = stack.check("reader-token", None).await.unwrap();
            assert_eq!((report.permission, report.key), (Permission::ReadOnly, None));
            let known = stack.check("main-token", None).await.unwrap().key;
            let report = stack.check("reader-token", known.as_ref()).await.unwrap();
            assert!(report.sees_marker);
            assert_eq!(report.permission, Permission::ReadOnly);
            stack.secrets.put("connection/main", "reader-token");
            assert_eq!(stack.create().await, Err(FailureClass::ReadOnly));
        }
    }
}

#[tokio::test]
async fn a_token_of_another_project_proves_nothing_gone_and_leaves_nothing_there() {
    let stack = connected().await;
    let created = stack.create().await.unwrap();
    let report = stack.check("other-token", Some(stack.key())).await.unwrap();
    assert!(!report.sees_marker);
    assert_eq!((report.permission, report.key), (Permission::Unknown, None));
    let writes =
        stack.simulator.journal(&Filter { project: Some("elsewhere".into()), ..Filter::default() });
    assert!(!writes.is_empty() && writes.iter().all(|entry| entry.method == "GET"));
    stack.secrets.put("connection/main", "other-token");
    assert_eq!(stack.gone(&created).await, Remains::MarkerMissing);
    let (provider, connection) = (&stack.provider, &stack.connection);
    assert_eq!(provider.sees_key(connection, stack.key()).await, Ok(false));
    assert_eq!(provider.find_server(connection, NAME).await, Ok(Lookup::MarkerMissing));
    let looked = provider.server(connection, created.server.id).await;
    assert_eq!(looked, Ok(Lookup::MarkerMissing));
    // A create with it is refused for the key, and so makes no second server elsewhere.
    assert_eq!(stack.create().await, Err(FailureClass::NotFound));
}

#[tokio::test]
async fn a_revoked_token_is_dead_for_reads_and_writes() {
    let stack = connected().await;
    stack.simulator.revoke_token("main");
    let failure = stack.provider.find_server(&stack.connection, NAME).await.unwrap_err();
    assert_eq!(failure.class, FailureClass::Unauthorized);
    assert_eq!(stack.create().await, Err(FailureClass::Unauthorized));
}

#[tokio::test]
async fn the_catalogue_tells_stock_and_prices() {
    let stack = bare().await;
    stack.simulator.set_stock("cx23", Some("nbg1"), Supply::Out);
    let token = SecretString::from("main-token");
    let catalogue = stack.provider.catalogue(&token).await.unwrap();
    let offer = |location: &str| {
        let mut offers = catalogue.offers.iter();
        offers.find(|offer| offer.server_type == "cx23" && offer.location == location).cloned()
    };
    let fsn1 = offer("fsn1").unwrap();
    assert!(fsn1.available && fsn1.monthly_net.unwrap() > 0.0);
    assert_eq!((fsn1.cores, fsn1.disk_gb, fsn1.architecture.as_str()), (2, 40, "x86"));
    assert!(!offer("nbg1").unwrap().available);
    assert_eq!(offer("ash"), None);
    assert_eq!(catalogue.currency, "EUR");
    assert!(catalogue.locations.iter().any(|name| name == "fsn1"));
    assert_eq!(catalogue.images.iter().filter(|name| *name == "debian-13").count(), 1);
    assert!(catalogue.primary_ipv4_monthly_net["fsn1"] > 0.0);
}

/// The strict models agree with what the simulator answers, and tell when it changes.
#[tokio::test]
async fn the_drift_alarm_is_silent_until_something_changes() {
    let stack = connected().await;
    let created = stack.create().await.unwrap();
    let key_id = stack.key().provider_id;
    let get = async |path: &str| {
        let url = format!("{}{path}", stack.simulator.endpoint());
        let answer = reqwest::Client::new().get(url).bearer_auth("main-token").send().await;
        answer.unwrap().bytes().await.unwrap()
    };
    for (shape, path) in [
        (Shape::Servers, "/servers".to_owned()),
        (Shape::Server, format!("/servers/{}", created.server.id)),
        (Shape::Actions, format!("/actions?id={}", created.action_id.unwrap())),
        (Shape::SshKeys, "/ssh_keys".to_owned()),
        (Shape::SshKey, format!("/ssh_keys/{key_id}")),
        (Shape::PrimaryIp, format!("/primary_ips/{}", created.server.primary_ips[0])),
        (Shape::ServerTypes, "/server_types?per_page=50".to_owned()),
        (Shape::Locations, "/locations".to_owned()),
        (Shape::Images, "/images?type=system".to_owned()),
        (Shape::Pricing, "/pricing".to_owned()),
    ] {
        assert_eq!(difference(shape, &get(&path).await), None, "{path}");
    }
    let pointers = vec!["/servers/*/image".to_owned()];
    stack.arm("GET", "/servers", Fault::RemoveFields { pointers });
    let told = difference(Shape::Servers, &get("/servers").await).unwrap();
    assert!(told.contains("servers[0]") && told.contains("image"), "{told}");
}

#[tokio::test]
async fn the_alarm_hears_the_answers_of_ordinary_calls_and_fails_none() {
    let stack = connected().await;
    let provider = stack.provider.with_drift_alarm();
    let connection = &stack.connection;
    let token = SecretString::from("main-token");
    provider.catalogue(&token).await.unwrap();
    provider.find_server(connection, NAME).await.unwrap();
    provider.check_token(&token, "nodeyard-main", &stack.public_key, None).await.unwrap();
    assert_eq!(provider.take_drift(), None, "all is as it is documented");

    let pointers = vec!["/locations/*/network_zone".to_owned()];
    let fault = Fault::RemoveFields { pointers };
    stack.simulator.arm(hetzner_sim::FaultSpec::next("GET", "/locations", fault));
    let catalogue = provider.catalogue(&token).await.unwrap();
    assert!(!catalogue.offers.is_empty(), "it stops nothing");
    let told = provider.take_drift().unwrap();
    assert!(told.starts_with("GET /locations: ") && told.contains("network_zone"), "{told}");
    assert_eq!(provider.take_drift(), None, "told once");
}

#[tokio::test]
async fn a_survey_counts_servers_and_names_another_deployment() {
    let stack = connected().await;
    let token = SecretString::from("main-token");
    let survey = async || stack.provider.survey(&token, "ours").await.unwrap();
    assert_eq!(survey().await, Survey { servers: Some(0), other_deployment: None });
    let labelled = async |name: &str, deployment: Option<&str>| {
        let labels = deployment.map(|name| (LABEL_DEPLOYMENT.to_owned(), name.to_owned()));
        let body = stack.body();
        let body =
            CreateServer { name: name.to_owned(), labels: labels.into_iter().collect(), ..body };
        stack.provider.create_server(&stack.connection, &body).await.unwrap().server.id
    };
    labelled("plain", None).await;
    let own = labelled("own", Some("ours")).await;
    assert_eq!(survey().await, Survey { servers: Some(2), other_deployment: None });
    labelled("foreign", Some("theirs")).await;
    let theirs = Survey { servers: Some(3), other_deployment: Some("theirs".to_owned()) };
    assert_eq!(survey().await, theirs);

    assert!(stack.provider.sees_server(&token, own).await.unwrap());
    let other = SecretString::from("other-token");
    assert!(!stack.provider.sees_server(&other, own).await.unwrap());
    let dead = stack.provider.sees_server(&SecretString::from("dead"), own).await;
    assert_eq!(dead.unwrap_err().class, FailureClass::Unauthorized);
}
