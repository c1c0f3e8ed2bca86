//! Secrets in Secrets Manager, with a short cache in the process, and the key that signs evidence
//! in the key service.
//!
//! A secret's name may be told; nothing read here ever is.

mod cache;
mod signing;

use aws_config::SdkConfig;
use aws_sdk_secretsmanager::{
    Client,
    error::{ProvideErrorMetadata, SdkError},
    operation::get_secret_value::GetSecretValueError,
};
use jiff::Timestamp;
use nodeyard_domain::{
    connection::{Connection, ConnectionName, KeySecret, StoredToken},
    evidence::{Hash, Signature},
    ownership::DeploymentKey,
};
use nodeyard_engine::secrets::{Secrets, SecretsError};
use secrecy::{ExposeSecret, SecretString};

use cache::Cache;
use signing::SigningKey;

use crate::{aws::sent, hetzner::key::new_key_pair};

type Result<T> = std::result::Result<T, SecretsError>;

pub struct SecretsManager {
    client: Client,
    prefix: String,
    cache: Cache,
    /// Of those who sign.
    signing: Option<SigningKey>,
}

impl SecretsManager {
    /// `prefix` as in `nodeyard/main`.
    pub fn new(config: &SdkConfig, prefix: impl Into<String>) -> Self {
        let (client, cache) = (Client::new(config), Cache::default());
        Self { client, prefix: prefix.into(), cache, signing: None }
    }

    /// Will sign evidence with a key of the key service: an id, an ARN or an alias.
    #[must_use]
    pub fn signing_with(self, config: &SdkConfig, key: impl Into<String>) -> Self {
        Self { signing: Some(SigningKey::new(config, key.into())), ..self }
    }

    /// `secret`: the last part.
    fn token_name(&self, secret: &str) -> String {
        format!("{}/connection/{secret}", self.prefix)
    }

    fn key_name(&self, key: &KeySecret) -> String {
        format!("{}/{key}", self.prefix)
    }

    async fn read(&self, name: &str, fresh: bool) -> Result<SecretString> {
        if !fresh && let Some(known) = self.cache.get(name) {
            return Ok(known);
        }
        self.read_version(name, None, name).await
    }

    /// Reads one version of a secret, the newest if none is named, and keeps it as `known_as`.
    async fn read_version(
        &self,
        name: &str,
        version: Option<&str>,
        known_as: &str,
    ) -> Result<SecretString> {
        let call = self.client.get_secret_value().secret_id(name);
        let answer = sent(call.set_version_id(version.map(str::to_owned)).send()).await;
        let secret = match answer {
            Ok(answer) => match answer.secret_string {
                Some(text) => SecretString::from(text),
                None => return Err(SecretsError::Missing(name.to_owned())),
            },
            Err(error) if is_absent(&error) => {
                self.cache.forget(known_as);
                return Err(SecretsError::Missing(name.to_owned()));
            }
            Err(error) => return Err(unavailable(&error)),
        };
        #[cfg(debug_assertions)]
        crate::planted::secret_read(name, &secret);
        self.cache.put(known_as, &secret);
        Ok(secret)
    }

    /// Writes by creating the secret, which the service refuses where there is one: what was stored
    /// is never replaced. A repeat by the SDK carries the same token and is the same write.
    async fn create(&self, name: &str, secret: &SecretString) -> Result<bool> {
        let create = self.client.create_secret().name(name);
        match sent(create.secret_string(secret.expose_secret()).send()).await {
            Ok(_) => Ok(true),
            // The latter: it is marked for deletion, and its name is still taken.
            Err(error)
                if matches!(
                    error.code(),
                    Some("ResourceExistsException" | "InvalidRequestException")
                ) =>
            {
                Ok(false)
            }
            Err(error) => Err(unavailable(&error)),
        }
    }
}

impl SecretsManager {
    /// Without recovery; what is not there is as good as destroyed.
    async fn destroy(&self, name: &str) -> Result<()> {
        self.cache.forget(name);
        let call = self.client.delete_secret().secret_id(name);
        match sent(call.force_delete_without_recovery(true).send()).await {
            Ok(_) => Ok(()),
            Err(error) if error.code() == Some("ResourceNotFoundException") => Ok(()),
            Err(error) => Err(unavailable(&error)),
        }
    }
}

impl Secrets for SecretsManager {
    async fn deployment_key(&self) -> Result<DeploymentKey> {
        let secret = self.read(&format!("{}/deployment-key", self.prefix), false).await?;
        Ok(DeploymentKey::new(secret.expose_secret().as_bytes()))
    }

    async fn provider_token(&self, connection: &Connection, fresh: bool) -> Result<SecretString> {
        let Some(StoredToken { secret, version }) = &connection.token else {
            return self.read(&self.token_name(connection.name.as_str()), fresh).await;
        };
        let name = self.token_name(secret);
        if fresh {
            return self.read(&name, true).await;
        }
        let known_as = format!("{name} {version}");
        match self.cache.get(&known_as) {
            Some(known) => Ok(known),
            None => self.read_version(&name, Some(version), &known_as).await,
        }
    }

    /// Another version of the secret that is known, and a secret of its own without one.
    async fn put_provider_token(
        &self,
        connection: &ConnectionName,
        known: Option<&StoredToken>,
        token: &SecretString,
    ) -> Result<StoredToken> {
        if let Some(StoredToken { secret, .. }) = known {
            let name = self.token_name(secret);
            self.cache.forget(&name);
            let put = self.client.put_secret_value().secret_id(&name);
            match sent(put.secret_string(token.expose_secret()).send()).await {
                Ok(put) => return stored(secret.clone(), put.version_id),
                // Deleted by somebody else: the name stays taken for a while.
                Err(error)
                    if matches!(
                        error.code(),
                        Some("ResourceNotFoundException" | "InvalidRequestException")
                    ) => {}
                Err(error) => return Err(unavailable(&error)),
            }
        }
        let secret = format!("{connection}-{}", suffix()?);
        let create = self.client.create_secret().name(self.token_name(&secret));
        match sent(create.secret_string(token.expose_secret()).send()).await {
            Ok(made) => stored(secret, made.version_id),
            Err(error) => Err(unavailable(&error)),
        }
    }

    /// Deletes at once: whoever disconnects a project wants its token gone. A token that is not
    /// there is as good as deleted.
    async fn delete_provider_token(&self, connection: &Connection) -> Result<()> {
        let name = connection.token.as_ref().map(|token| token.secret.as_str());
        self.destroy(&self.token_name(name.unwrap_or(connection.name.as_str()))).await
    }

    async fn ssh_key(&self, key: &KeySecret) -> Result<SecretString> {
        self.read(&self.key_name(key), false).await
    }

    async fn put_ssh_key(&self, key: &KeySecret, private: &SecretString) -> Result<bool> {
        self.create(&self.key_name(key), private).await
    }

    async fn make_ssh_key(&self, key: &KeySecret, comment: &str) -> Result<Option<String>> {
        let (private, public) = new_key_pair(comment)
            .map_err(|_| SecretsError::Unavailable("no key pair could be made".to_owned()))?;
        let is_new = self.create(&self.key_name(key), &private).await?;
        Ok(is_new.then_some(public))
    }

    /// At once: a key that opens nothing any more is of no use to anybody.
    async fn destroy_ssh_key(&self, key: &KeySecret) -> Result<()> {
        self.destroy(&self.key_name(key)).await
    }

    async fn sign_evidence(&self, head: &Hash, now: Timestamp) -> Result<Signature> {
        let Some(key) = &self.signing else {
            return Err(SecretsError::Missing("the key that signs evidence".to_owned()));
        };
        key.sign(head, now).await
    }

    /// Never from the cache: it is read rarely, and a replaced one must not be good for longer.
    async fn bootstrap(&self) -> Result<SecretString> {
        self.read(&format!("{}/bootstrap", self.prefix), true).await
    }
}

/// Eight characters that nothing else has.
fn suffix() -> Result<String> {
    let bits = getrandom::u32().map_err(|_| no_answer("no random number could be made"))?;
    Ok(format!("{bits:08x}"))
}

fn stored(secret: String, version: Option<String>) -> Result<StoredToken> {
    let version = version.ok_or_else(|| no_answer("its answer has no version"))?;
    Ok(StoredToken { secret, version })
}

fn no_answer(what: &str) -> SecretsError {
    SecretsError::Unavailable(what.to_owned())
}

fn is_absent(error: &SdkError<GetSecretValueError>) -> bool {
    // InvalidRequestException: the secret is marked for deletion.
    matches!(error.code(), Some("ResourceNotFoundException" | "InvalidRequestException"))
}

/// Only the error's kind and code: a message may repeat the request.
fn unavailable<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> SecretsError {
    let what = match error {
        SdkError::TimeoutError(_) => "it did not answer in time".to_owned(),
        SdkError::DispatchFailure(_) => "it could not be reached".to_owned(),
        SdkError::ServiceError(_) => error.code().unwrap_or("an error without a code").to_owned(),
        _ => "its answer could not be read".to_owned(),
    };
    SecretsError::Unavailable(what)
}
