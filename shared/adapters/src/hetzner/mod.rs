//! The provider port on the Hetzner Cloud API.
//!
//! Requests are built with the `hcloud` crate's models. Answers do not go through its response
//! models, which lose a new server's id when a 201 carries one unexpected word, but through a thin
//! transport into tolerant projections; the strict models are kept as a drift alarm.
//!
//! Must not: repeat a write, decide what a job does next, or let a token, a key or user data
//! reach a log or an error.

mod alarm;
mod catalogue;
mod check;
pub mod drift;
mod echo;
mod failure;
mod group;
mod inventory;
pub mod key;
mod managed_key;
mod marker;
mod projection;
mod rates;
mod remains;
mod request;
mod server;
mod session;
mod survey;
#[cfg(test)]
mod tests;
mod transport;

use std::{collections::BTreeMap, fmt, sync::Arc};

use nodeyard_domain::{
    connection::{Connection, ConnectionName, ManagedKey},
    id::NodeId,
    observation::{FailureClass, ProviderFailure},
    pace::SeenRate,
};
use nodeyard_engine::{
    Clock,
    provider::{
        ACTIONS_PER_CALL, ActionState, Catalogue, CreateServer, CreatedServer, FoundServer,
        KeyUpload, Lookup, NODES_PER_LISTING, Provider, ProviderCheck, Remains, Survey,
        TokenReport,
    },
    secrets::Secrets,
};
use secrecy::SecretString;

pub use self::transport::EndpointError;
use self::{
    rates::Rates,
    session::{Line, Session},
    transport::{Call, Transport},
};
use crate::clock::WallClock;

/// Where the API is, version included.
pub const DEFAULT_ENDPOINT: &str = "https://api.hetzner.cloud/v1";

type Result<T> = std::result::Result<T, ProviderFailure>;

/// Hetzner Cloud, with the tokens that `S` keeps.
pub struct HetznerProvider<S> {
    transport: Transport,
    secrets: Arc<S>,
    rates: Rates,
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
        Self::with_clock(endpoint, secrets, Arc::new(WallClock))
    }

    /// The same, with another clock for when an answer was seen.
    ///
    /// # Errors
    /// As [`HetznerProvider::new`].
    pub fn with_clock(
        endpoint: &str,
        secrets: Arc<S>,
        clock: Arc<dyn Clock>,
    ) -> std::result::Result<Self, EndpointError> {
        Ok(Self { transport: Transport::new(endpoint)?, secrets, rates: Rates::new(clock) })
    }

    /// From now on each answer is held against the strict model of its kind: see
    /// [`ProviderCheck::take_drift`]. It costs the time to read each body once more.
    #[must_use]
    pub fn with_drift_alarm(mut self) -> Self {
        self.transport.listen();
        self
    }

    /// Opens calls with the connection's stored token; `calls` is how many are needed.
    async fn session<'a>(
        &'a self,
        connection: &'a Connection,
        calls: usize,
    ) -> Result<Session<'a, S>> {
        let calls = i64::try_from(calls).unwrap_or(i64::MAX);
        let secrets = self.secrets.as_ref();
        Session::open(&self.transport, secrets, &self.rates, connection, calls).await
    }
}

impl<S: Secrets> Provider for HetznerProvider<S> {
    async fn sees_key(&self, connection: &Connection, key: &ManagedKey) -> Result<bool> {
        marker::sees_key(&mut self.session(connection, 1).await?, key).await
    }

    async fn upload_key(
        &self,
        connection: &Connection,
        name: &str,
        public_key: &str,
    ) -> Result<KeyUpload> {
        let mut session = self.session(connection, managed_key::UPLOAD_CALLS).await?;
        managed_key::upload(&mut session, connection, name, public_key).await
    }

    async fn remove_key(&self, connection: &Connection, public_key: &str) -> Result<bool> {
        let mut session = self.session(connection, managed_key::REMOVAL_CALLS).await?;
        managed_key::remove(&mut session, connection, public_key).await
    }

    async fn create_group(
        &self,
        connection: &Connection,
        name: &str,
        deployment: &str,
    ) -> Result<u64> {
        let mut session = self.session(connection, group::CALLS).await?;
        group::create(&mut session, name, deployment).await
    }

    async fn find_server(&self, connection: &Connection, name: &str) -> Result<Lookup> {
        let mut session = self.session(connection, server::LOOKUP_CALLS).await?;
        server::find(&mut session, connection, name).await
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
        let calls = ids.len().div_ceil(ACTIONS_PER_CALL);
        server::actions(&mut self.session(connection, calls).await?, ids).await
    }

    async fn server(&self, connection: &Connection, id: u64) -> Result<Lookup> {
        let mut session = self.session(connection, server::LOOKUP_CALLS).await?;
        server::get(&mut session, connection, id).await
    }

    async fn servers(
        &self,
        connection: &Connection,
        deployment: &str,
        nodes: &[NodeId],
    ) -> Result<Vec<FoundServer>> {
        if nodes.is_empty() {
            return Ok(Vec::new());
        }
        let calls = nodes.len().div_ceil(NODES_PER_LISTING);
        server::of_nodes(&mut self.session(connection, calls).await?, deployment, nodes).await
    }

    async fn delete_server(&self, connection: &Connection, id: u64) -> Result<()> {
        server::delete(&mut self.session(connection, 1).await?, id).await
    }

    async fn delete_primary_ip(&self, connection: &Connection, id: u64) -> Result<()> {
        remains::delete_primary_ip(&mut self.session(connection, 1).await?, id).await
    }

    fn seen_rate(&self, connection: &ConnectionName) -> Option<SeenRate> {
        self.rates.of(connection)
    }

    async fn remains(
        &self,
        connection: &Connection,
        server_id: u64,
        primary_ips: &[u64],
    ) -> Result<Remains> {
        let mut session = self.session(connection, remains::CALLS + primary_ips.len()).await?;
        remains::of(&mut session, connection, server_id, primary_ips).await
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

    async fn sees_server(&self, token: &SecretString, server_id: u64) -> Result<bool> {
        let mut line = Line::new(&self.transport, token.clone(), 1);
        match line.send(&Call::get("/servers/{id}").id(server_id)).await {
            Ok(_) => Ok(true),
            Err(failure) if failure.class == FailureClass::NotFound => Ok(false),
            Err(failure) => Err(failure),
        }
    }

    async fn survey(&self, token: &SecretString, deployment: &str) -> Result<Survey> {
        survey::survey(&mut Line::new(&self.transport, token.clone(), survey::CALLS), deployment)
            .await
    }

    fn take_drift(&self) -> Option<String> {
        self.transport.take_drift()
    }

    async fn catalogue(&self, token: &SecretString) -> Result<Catalogue> {
        let mut line = Line::new(&self.transport, token.clone(), catalogue::CALLS);
        catalogue::read(&mut line).await
    }
}
