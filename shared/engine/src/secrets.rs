//! Secrets: provider tokens, SSH keys, the deployment's own key. Nothing read here may reach a
//! log, an item, a message or an error.

use std::future::Future;

use jiff::Timestamp;
use nodeyard_domain::{
    connection::ConnectionName,
    evidence::{Hash, Signature},
    ownership::DeploymentKey,
};
use secrecy::SecretString;

#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    #[error("the secret {0} does not exist")]
    Missing(String),
    #[error("the secret store did not answer: {0}")]
    Unavailable(String),
}

type Result<T> = std::result::Result<T, SecretsError>;

pub trait Secrets: Send + Sync {
    fn deployment_key(&self) -> impl Future<Output = Result<DeploymentKey>> + Send;

    /// The provider token of a connection; `fresh` goes past every cache.
    fn provider_token(
        &self,
        connection: &ConnectionName,
        fresh: bool,
    ) -> impl Future<Output = Result<SecretString>> + Send;

    fn put_provider_token(
        &self,
        connection: &ConnectionName,
        token: &SecretString,
    ) -> impl Future<Output = Result<()>> + Send;

    fn delete_provider_token(
        &self,
        connection: &ConnectionName,
    ) -> impl Future<Output = Result<()>> + Send;

    /// The private half of a managed SSH key, in OpenSSH form.
    fn ssh_key(
        &self,
        connection: &ConnectionName,
        version: u32,
    ) -> impl Future<Output = Result<SecretString>> + Send;

    fn put_ssh_key(
        &self,
        connection: &ConnectionName,
        version: u32,
        private: &SecretString,
    ) -> impl Future<Output = Result<()>> + Send;

    /// Makes a new key pair and stores its private half under a version that nothing is stored
    /// under yet: it is written once and never again. Gives the line of OpenSSH public key, with
    /// `comment`; `None` when the version is taken.
    fn make_ssh_key(
        &self,
        connection: &ConnectionName,
        version: u32,
        comment: &str,
    ) -> impl Future<Output = Result<Option<String>>> + Send;

    /// Destroys a version for good; one that is not there is as good as destroyed.
    fn destroy_ssh_key(
        &self,
        connection: &ConnectionName,
        version: u32,
    ) -> impl Future<Output = Result<()>> + Send;

    /// Signs the head of a chain of evidence with the deployment's key, whose private half nobody
    /// ever sees.
    fn sign_evidence(
        &self,
        head: &Hash,
        now: Timestamp,
    ) -> impl Future<Output = Result<Signature>> + Send;

    /// The secret generated at deployment, good for `POST /tokens` until the first admin token.
    fn bootstrap(&self) -> impl Future<Output = Result<SecretString>> + Send;
}
