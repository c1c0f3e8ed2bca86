//! Secrets in memory.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use nodeyard_domain::{connection::ConnectionName, ownership::DeploymentKey};
use nodeyard_engine::secrets::{Secrets, SecretsError};
use secrecy::{ExposeSecret, SecretString};

use crate::held;

#[derive(Clone, Default)]
pub struct MemorySecrets {
    values: Arc<Mutex<HashMap<String, String>>>,
}

impl MemorySecrets {
    /// With a deployment key and a bootstrap secret, as a deployment has them.
    pub fn deployed() -> Self {
        let secrets = Self::default();
        secrets.put("deployment-key", "a deployment key for tests");
        secrets.put("bootstrap", "a bootstrap secret for tests");
        secrets
    }

    pub fn put(&self, name: &str, value: &str) {
        held(&self.values).insert(name.to_owned(), value.to_owned());
    }

    pub fn contains(&self, name: &str) -> bool {
        held(&self.values).contains_key(name)
    }

    fn get(&self, name: &str) -> Result<SecretString, SecretsError> {
        held(&self.values)
            .get(name)
            .map(|value| SecretString::from(value.clone()))
            .ok_or_else(|| SecretsError::Missing(name.to_owned()))
    }
}

fn token_name(connection: &ConnectionName) -> String {
    format!("connection/{connection}")
}

fn key_name(connection: &ConnectionName, version: u32) -> String {
    format!("ssh-key/{connection}/{version}")
}

impl Secrets for MemorySecrets {
    async fn deployment_key(&self) -> Result<DeploymentKey, SecretsError> {
        Ok(DeploymentKey::new(self.get("deployment-key")?.expose_secret().as_bytes()))
    }

    async fn provider_token(
        &self,
        connection: &ConnectionName,
        _fresh: bool,
    ) -> Result<SecretString, SecretsError> {
        self.get(&token_name(connection))
    }

    async fn put_provider_token(
        &self,
        connection: &ConnectionName,
        token: &SecretString,
    ) -> Result<(), SecretsError> {
        self.put(&token_name(connection), token.expose_secret());
        Ok(())
    }

    async fn delete_provider_token(&self, connection: &ConnectionName) -> Result<(), SecretsError> {
        held(&self.values).remove(&token_name(connection));
        Ok(())
    }

    async fn ssh_key(
        &self,
        connection: &ConnectionName,
        version: u32,
    ) -> Result<SecretString, SecretsError> {
        self.get(&key_name(connection, version))
    }

    async fn put_ssh_key(
        &self,
        connection: &ConnectionName,
        version: u32,
        private: &SecretString,
    ) -> Result<(), SecretsError> {
        self.put(&key_name(connection, version), private.expose_secret());
        Ok(())
    }

    async fn bootstrap(&self) -> Result<SecretString, SecretsError> {
        self.get("bootstrap")
    }
}
