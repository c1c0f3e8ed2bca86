//! The provider port on the Hetzner Cloud API.
//!
//! Requests are built with the `hcloud` crate's models. Answers do not go through its response
//! models, which lose a new server's id when a 201 carries one unexpected word, but through a thin
//! transport into tolerant projections; the strict models are kept as a drift alarm.
//!
//! Must not: repeat a write, decide what a job does next, or let a token, a key or user data
//! reach a log or an error.

mod catalogue;
mod check;
pub mod drift;
mod failure;
pub mod key;
mod managed_key;
mod projection;
mod request;
mod server;
mod session;
#[cfg(test)]
mod tests;
mod transport;

use std::{collections::BTreeMap, fmt, sync::Arc};

use nodeyard_domain::{
    connection::{Connection, ManagedKey},
    observation::ProviderFailure,
};
use nodeyard_engine::{
    provider::{
        ActionState, Catalogue, CreateServer, CreatedServer, FoundServer, Provider, ProviderCheck,
        Remains, TokenReport,
    },
    secrets::Secrets,
};
use secrecy::SecretString;

pub use self::transport::EndpointError;
use self::{
    session::{Line, Session},
    transport::Transport,
};

/// Where the API is, version included.
pub const DEFAULT_ENDPOINT: &str = "https://api.hetzner.cloud/v1";

type Result<T> = std::result::Result<T, ProviderFailure>;

/// Hetzner Cloud, with the tokens that `S` keeps.
pub struct HetznerProvider<S> {
    transport: Transport,
    secrets: Arc<S>,
}

impl<S> fmt::Debug for HetznerProvider<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HetznerProvider").finish_non_exhaustive()
    }
}

impl<S: Secrets> HetznerProvider<S> {
    /// `endpoint` includes the version, as in [`DEFAULT_ENDPOINT`].
    ///
    /// # Errors
    /// When the endpoint is no http or https address.
    pub fn new(endpoint: &str, secrets: Arc<S>) -> std::result::Result<Self, EndpointError> {
        Ok(Self { transport: Transport::new(endpoint)?, secrets })
    }

    /// Opens calls with the connection's stored token; `calls` is how many are needed.
    async fn session<'a>(
        &'a self,
        connection: &'a Connection,
        calls: usize,
    ) -> Result<Session<'a, S>> {
        let calls = i64::try_from(calls).unwrap_or(i64::MAX);
        Session::open(&self.transport, self.secrets.as_ref(), &connection.name, calls).await
    }
}

impl<S: Secrets> Provider for HetznerProvider<S> {
    async fn ensure_key(&self, connection: &Connection, key: &ManagedKey) -> Result<u64> {
        managed_key::ensure(&mut self.session(connection, 2).await?, connection, key).await
    }

    async fn find_server(
        &self,
        connection: &Connection,
        name: &str,
    ) -> Result<Option<FoundServer>> {
        server::find(&mut self.session(connection, 1).await?, name).await
    }

    async fn create_server(
        &self,
        connection: &Connection,
        body: &CreateServer,
    ) -> Result<CreatedServer> {
        server::create(&mut self.session(connection, 1).await?, body).await
    }

    async fn actions(
        &self,
        connection: &Connection,
        ids: &[u64],
    ) -> Result<BTreeMap<u64, ActionState>> {
        if ids.is_empty() {
            return Ok(BTreeMap::new());
        }
        let calls = ids.len().div_ceil(server::ACTIONS_PER_CALL);
        server::actions(&mut self.session(connection, calls).await?, ids).await
    }

    async fn server(&self, connection: &Connection, id: u64) -> Result<FoundServer> {
        server::get(&mut self.session(connection, 1).await?, id).await
    }

    async fn delete_server(&self, connection: &Connection, id: u64) -> Result<()> {
        server::delete(&mut self.session(connection, 1).await?, id).await
    }

    async fn remains(
        &self,
        connection: &Connection,
        server_id: u64,
        primary_ips: &[u64],
    ) -> Result<Remains> {
        let mut session = self.session(connection, 2 + primary_ips.len()).await?;
        server::remains(&mut session, connection, server_id, primary_ips).await
    }
}

impl<S: Secrets> ProviderCheck for HetznerProvider<S> {
    async fn check_token(
        &self,
        token: &SecretString,
        key_name: &str,
        public_key: &str,
        known: Option<&ManagedKey>,
    ) -> Result<TokenReport> {
        let mut line = Line::new(&self.transport, token.clone(), check::CALLS);
        check::check_token(&mut line, key_name, public_key, known).await
    }

    async fn catalogue(&self, token: &SecretString) -> Result<Catalogue> {
        let mut line = Line::new(&self.transport, token.clone(), catalogue::CALLS);
        catalogue::read(&mut line).await
    }
}
