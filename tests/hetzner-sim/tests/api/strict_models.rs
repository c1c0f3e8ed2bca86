//! The `hcloud` crate's models: a second author's strict reading of the
//! contract.

use hcloud::apis::configuration::Configuration;
use hcloud::apis::{
    actions_api, firewalls_api, images_api, locations_api, placement_groups_api, pricing_api,
    primary_ips_api, server_types_api, servers_api, ssh_keys_api,
};
use hcloud::models::{CreatePlacementgroupRequest, CreateServerRequest, CreateSshKeyRequest};

use crate::bench::{Bench, KEYS};

fn configuration(bench: &Bench) -> Configuration {
    let mut configuration = Configuration::new();
    for address in configuration.base_path_mapping.values_mut() {
        *address = bench.sim.endpoint();
    }
    configuration.bearer_access_token = Some("main-secret".to_owned());
    configuration
}

#[tokio::test]
async fn they_read_every_answer_of_a_servers_life() {
    let bench = Bench::new().await;
    let to = configuration(&bench);
    let key = ssh_keys_api::create_ssh_key(
        &to,
        ssh_keys_api::CreateSshKeyParams {
            create_ssh_key_request: CreateSshKeyRequest::new("k".to_owned(), KEYS[0].to_owned()),
        },
    )
    .await
    .unwrap();
    let mut request =
        CreateServerRequest::new("debian-13".to_owned(), "web-1".to_owned(), "cpx22".to_owned());
    request.ssh_keys = Some(vec![key.ssh_key.id.to_string()]);
    request.labels = Some([("role".to_owned(), "web".to_owned())].into());
    let created = servers_api::create_server(
        &to,
        servers_api::CreateServerParams { create_server_request: request },
    )
    .await
    .unwrap();
    let id = created.server.id;
    assert_eq!(created.root_password, None);
    assert_eq!(created.next_actions.len(), 1);
    bench.pass(60);

    let ids = vec![created.action.id, created.next_actions[0].id];
    let params = actions_api::GetMultipleActionsParams { id: ids };
    let actions = actions_api::get_multiple_actions(&to, params).await.unwrap();
    assert_eq!(actions.actions.len(), 2);
    let got = servers_api::get_server(&to, servers_api::GetServerParams { id }).await.unwrap();
    assert_eq!(got.server.unwrap().name, "web-1");
    let params = servers_api::ListServersParams {
        label_selector: Some("role=web".to_owned()),
        ..Default::default()
    };
    assert_eq!(servers_api::list_servers(&to, params).await.unwrap().servers.len(), 1);
    primary_ips_api::list_primary_ips(&to, Default::default()).await.unwrap();
    let params = servers_api::DeleteServerParams { id };
    servers_api::delete_server(&to, params).await.unwrap();
}

#[tokio::test]
async fn they_read_the_catalogue_and_the_rest() {
    let bench = Bench::new().await;
    let to = configuration(&bench);
    let types = server_types_api::list_server_types(&to, Default::default()).await.unwrap();
    assert!(types.server_types.len() > 10);
    let places = locations_api::list_locations(&to, Default::default()).await.unwrap();
    assert_eq!(places.locations.len(), 6);
    let images = images_api::list_images(&to, Default::default()).await.unwrap();
    assert!(images.images.len() > 5);
    assert_eq!(pricing_api::list_prices(&to).await.unwrap().pricing.currency, "EUR");
    let group = placement_groups_api::create_placementgroup(
        &to,
        placement_groups_api::CreatePlacementgroupParams {
            create_placementgroup_request: CreatePlacementgroupRequest::new(
                "apart".to_owned(),
                hcloud::models::create_placementgroup_request::Type::Spread,
            ),
        },
    )
    .await
    .unwrap();
    assert_eq!(group.placement_group.name, "apart");
    firewalls_api::list_firewalls(&to, Default::default()).await.unwrap();
}
