//! The key that signs evidence: its private half never leaves the key service.

use aws_config::SdkConfig;
use aws_sdk_kms::{
    Client,
    primitives::Blob,
    types::{MessageType, SigningAlgorithmSpec},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use nodeyard_domain::evidence::{ALGORITHM, Hash, Signature};
use nodeyard_engine::secrets::SecretsError;
use tokio::sync::OnceCell;

use super::{Result, unavailable};
use crate::aws::sent;

pub(super) struct SigningKey {
    client: Client,
    key: String,
    /// DER, as base64; a key never changes.
    public: OnceCell<String>,
}

impl SigningKey {
    pub(super) fn new(config: &SdkConfig, key: String) -> Self {
        Self { client: Client::new(config), key, public: OnceCell::new() }
    }

    /// Signs the head's hash as the digest that it is.
    pub(super) async fn sign(&self, head: &Hash, at: Timestamp) -> Result<Signature> {
        let public_key = self.public.get_or_try_init(|| self.public_key()).await?.clone();
        let call = self.client.sign().key_id(&self.key);
        let call = call.message(Blob::new(head.to_bytes())).message_type(MessageType::Digest);
        let call = call.signing_algorithm(SigningAlgorithmSpec::EcdsaSha256);
        let answer = sent(call.send()).await.map_err(|error| unavailable(&error))?;
        let (Some(signature), Some(key_id)) = (answer.signature, answer.key_id) else {
            return Err(unreadable());
        };
        let signature = STANDARD.encode(signature.as_ref());
        Ok(Signature { algorithm: ALGORITHM.to_owned(), key_id, public_key, signature, at })
    }

    async fn public_key(&self) -> Result<String> {
        let call = self.client.get_public_key().key_id(&self.key);
        let answer = sent(call.send()).await.map_err(|error| unavailable(&error))?;
        let der = answer.public_key.ok_or_else(unreadable)?;
        Ok(STANDARD.encode(der.as_ref()))
    }
}

fn unreadable() -> SecretsError {
    SecretsError::Unavailable("its answer could not be read".to_owned())
}
