//! Bodies of our requests, built with the `hcloud` crate's models. The same inputs give the same
//! bytes: a create that is sent again must be the same create.

use std::collections::BTreeMap;

use hcloud::models::{
    CreatePlacementgroupRequest, CreateServerRequest, CreateSshKeyRequest, ReplaceSshKeyRequest,
    create_placementgroup_request,
};
use nodeyard_domain::{
    observation::{FailureClass, ProviderFailure},
    ownership::LABEL_DEPLOYMENT,
};
use nodeyard_engine::provider::CreateServer;
use serde::Serialize;

type Result<T> = std::result::Result<T, ProviderFailure>;

pub(super) fn create_server(body: &CreateServer) -> Result<Vec<u8>> {
    let mut request =
        CreateServerRequest::new(body.image.clone(), body.name.clone(), body.server_type.clone());
    request.location = Some(body.location.clone());
    request.labels = Some(body.labels.clone().into_iter().collect());
    // The crate takes keys as texts only; ids go as decimal texts.
    request.ssh_keys = Some(body.ssh_keys.iter().map(u64::to_string).collect());
    request.user_data = Some(body.user_data.clone());
    request.placement_group =
        body.placement_group.map(i64::try_from).transpose().map_err(|_| {
            ProviderFailure::new(
                FailureClass::Invalid,
                "invalid_group",
                "no id of a placement group",
            )
        })?;
    bytes(&request)
}

pub(super) fn create_group(name: &str, deployment: &str) -> Result<Vec<u8>> {
    let spread = create_placementgroup_request::Type::Spread;
    let mut request = CreatePlacementgroupRequest::new(name.to_owned(), spread);
    request.labels = Some([(LABEL_DEPLOYMENT.to_owned(), deployment.to_owned())].into());
    bytes(&request)
}

pub(super) fn create_key(name: &str, public_key: &str) -> Result<Vec<u8>> {
    bytes(&CreateSshKeyRequest::new(name.to_owned(), public_key.to_owned()))
}

/// Labels that are sent replace all labels, so absent ones are left out.
pub(super) fn replace_key(name: &str, labels: Option<BTreeMap<String, String>>) -> Result<Vec<u8>> {
    let labels = labels.map(|labels| labels.into_iter().collect());
    bytes(&ReplaceSshKeyRequest { labels, name: Some(name.to_owned()) })
}

/// The crate keeps labels in a hash map, whose order changes from run to run.
fn bytes(request: &impl Serialize) -> Result<Vec<u8>> {
    let sorted = serde_json::to_value(request).and_then(|mut value| {
        value.sort_all_objects();
        serde_json::to_vec(&value)
    });
    sorted.map_err(|_| {
        ProviderFailure::new(FailureClass::Invalid, "unwritable", "the request is no JSON")
    })
}
