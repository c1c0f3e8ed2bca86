//! The drift alarm: an answer held against the `hcloud` crate's strict models. It tells what has
//! changed and never fails a call.

use hcloud::models;
use serde::de::DeserializeOwned;

/// Which answer a body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    CreateServer,
    Server,
    Servers,
    Actions,
    CreateSshKey,
    SshKey,
    SshKeys,
    ServerTypes,
    Locations,
    Images,
    Pricing,
    PrimaryIp,
}

/// Most characters of the place, and of what is wrong there: names of fields are the provider's.
const MAX_CHARS: usize = 300;

/// Says where and how a body differs from the strict model, or `None` when it fits. Only the
/// first difference is found. Texts of the body are left out of what is said, which is bounded.
pub fn difference(shape: Shape, body: &[u8]) -> Option<String> {
    match shape {
        Shape::CreateServer => strict::<models::CreateServerResponse>(body),
        Shape::Server => strict::<models::GetServerResponse>(body),
        Shape::Servers => strict::<models::ListServersResponse>(body),
        Shape::Actions => strict::<models::GetMultipleActionsResponse>(body),
        Shape::CreateSshKey => strict::<models::CreateSshKeyResponse>(body),
        Shape::SshKey => strict::<models::GetSshKeyResponse>(body),
        Shape::SshKeys => strict::<models::ListSshKeysResponse>(body),
        Shape::ServerTypes => strict::<models::ListServerTypesResponse>(body),
        Shape::Locations => strict::<models::ListLocationsResponse>(body),
        Shape::Images => strict::<models::ListImagesResponse>(body),
        Shape::Pricing => strict::<models::ListPricesResponse>(body),
        Shape::PrimaryIp => strict::<models::GetPrimaryIpResponse>(body),
    }
}

fn strict<T: DeserializeOwned>(body: &[u8]) -> Option<String> {
    let deserializer = &mut serde_json::Deserializer::from_slice(body);
    let error = serde_path_to_error::deserialize::<_, T>(deserializer).err()?;
    let cut = |text: String| text.chars().take(MAX_CHARS).collect::<String>();
    let place = cut(error.path().to_string());
    Some(format!("at {place}: {}", cut(without_texts(&error.inner().to_string()))))
}

/// An error quotes a text of the body in double quotes; it could be a password.
fn without_texts(message: &str) -> String {
    match (message.find('"'), message.rfind('"')) {
        (Some(first), Some(last)) if first < last => {
            format!("{}\"…\"{}", &message[..first], &message[last + 1..])
        }
        _ => message.to_owned(),
    }
}
