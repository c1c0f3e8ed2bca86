//! Secrets: provider tokens, SSH keys, the deployment's own key. Nothing read here may reach a
//! log, an item, a message or an error.

use std::future::Future;

use jiff::Timestamp;
use nodeyard_domain::{
    connection::{Connection, ConnectionName, KeySecret, StoredToken},
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

    /// The provider token that a connection's record names. `fresh` goes past every cache and gives
    /// the newest one that is stored: when a token is refused, the record may have been read before
    /// another took its place.
    fn provider_token(
        &self,
        connection: &Connection,
        fresh: bool,
    ) -> impl Future<Output = Result<SecretString>> + Send;

    /// Stores another token beside the one that is `known`; it is the connection's when its record
    /// names what comes back.
    fn put_provider_token(
        &self,
        connection: &ConnectionName,
        known: Option<&StoredToken>,
        token: &SecretString,
    ) -> impl Future<Output = Result<StoredToken>> + Send;

    /// Deletes all tokens that were stored for the connection's record.
    fn delete_provider_token(
        &self,
        connection: &Connection,
    ) -> impl Future<Output = Result<()>> + Send;

    /// The private half of a managed SSH key, in OpenSSH form.
    fn ssh_key(&self, key: &KeySecret) -> impl Future<Output = Result<SecretString>> + Send;

    /// Stores a private half where nothing is stored yet; `false` when the name is taken, and what
    /// is there stays.
    fn put_ssh_key(
        &self,
        key: &KeySecret,
        private: &SecretString,
    ) -> impl Future<Output = Result<bool>> + Send;

    /// Makes a new key pair and stores its private half where nothing is stored yet: it is written
    /// once and never again. Gives the line of OpenSSH public key, with `comment`; `None` when the
    /// name is taken.
    fn make_ssh_key(
        &self,
        key: &KeySecret,
        comment: &str,
    ) -> impl Future<Output = Result<Option<String>>> + Send;

    /// Destroys a private half for good; one that is not there is as good as destroyed.
    fn destroy_ssh_key(&self, key: &KeySecret) -> impl Future<Output = Result<()>> + Send;

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
