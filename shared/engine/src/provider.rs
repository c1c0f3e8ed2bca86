//! The provider port: one call to the cloud per method, with answers already classified.

use std::{collections::BTreeMap, future::Future};

use jiff::Timestamp;
pub use nodeyard_domain::connection::TokenReport;
use nodeyard_domain::{
    connection::{Connection, ConnectionName, ManagedKey},
    id::NodeId,
    node::Server,
    observation::{ProviderFailure, ServerStatus},
    pace::SeenRate,
};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

type Result<T> = std::result::Result<T, ProviderFailure>;

/// The body of a create: the same inputs give the same bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateServer {
    pub name: String,
    pub server_type: String,
    pub location: String,
    pub image: String,
    /// Ids of SSH keys at the provider. With one given, the answer holds no root password.
    pub ssh_keys: Vec<u64>,
    pub labels: BTreeMap<String, String>,
    /// Holds the first host key's private half: never logged, never stored.
    pub user_data: String,
    /// A spread placement group's id at the provider.
    pub placement_group: Option<u64>,
    pub attempt: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreatedServer {
    pub server: Server,
    pub action_id: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundServer {
    /// `attempt` is 0: the labels tell.
    pub server: Server,
    pub status: ServerStatus,
    pub labels: BTreeMap<String, String>,
}

/// What came of looking for one server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup {
    Found(Box<FoundServer>),
    /// Not there, and the same token has just seen the connection's marker.
    Absent,
    /// Not there, and neither is the marker: nothing is proved.
    MarkerMissing,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ActionState {
    Running,
    Succeeded {
        /// From the action's own times, in whole seconds; `None` when they cannot be read.
        took_secs: Option<u32>,
    },
    Failed {
        code: String,
        message: String,
    },
}

/// What came of uploading a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyUpload {
    Ready {
        provider_id: u64,
        /// MD5 in colon form.
        fingerprint: String,
    },
    /// The token may be of another project: nothing was written.
    MarkerMissing,
}

/// What is left of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remains {
    Nothing,
    StillThere,
    /// The server is gone; these Primary IPs of it are there and assigned to nothing.
    PrimaryIps(Vec<u64>),
    /// The server answers 404, and so does the marker: nothing is proved.
    MarkerMissing,
}

/// What is for sale: the offer of one server type in one location.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Offer {
    pub server_type: String,
    pub location: String,
    pub architecture: String,
    pub cores: u32,
    pub memory_gb: f64,
    pub disk_gb: u64,
    pub available: bool,
    pub deprecated: bool,
    /// From when on a deprecated one cannot be bought any more, if the provider says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unavailable_after: Option<Timestamp>,
    /// Net, a month, without the Primary IPv4.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub monthly_net: Option<f64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Catalogue {
    pub currency: String,
    pub offers: Vec<Offer>,
    pub locations: Vec<String>,
    pub images: Vec<String>,
    /// Net, a month, per location.
    #[serde(default)]
    pub primary_ipv4_monthly_net: BTreeMap<String, f64>,
}

/// What a project holds before it is connected.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Survey {
    /// All servers, whosever they are; `None` when the provider does not say.
    pub servers: Option<u64>,
    /// The name of another deployment that has servers in it.
    pub other_deployment: Option<String>,
}

/// The most nodes one listing asks for: a page holds 50 (API reference, "Pagination").
pub const NODES_PER_LISTING: usize = 50;
/// The most actions one call asks for (the page size of a call that takes none).
pub const ACTIONS_PER_CALL: usize = 25;

/// Calls made for jobs, with the connection's stored token.
pub trait Provider: Send + Sync {
    /// Whether the token sees the managed key under the id on record: it is the connection's
    /// marker, so a token that does not may be of another project. Makes nothing.
    fn sees_key(
        &self,
        connection: &Connection,
        key: &ManagedKey,
    ) -> impl Future<Output = Result<bool>> + Send;

    /// Makes a public key known to the project, unless the connection's marker is not seen with the
    /// same token. A key of its fingerprint is taken as it is; otherwise it gets `name`.
    fn upload_key(
        &self,
        connection: &Connection,
        name: &str,
        public_key: &str,
    ) -> impl Future<Output = Result<KeyUpload>> + Send;

    /// Deletes the project's key of this fingerprint; one that is not there is fine. False, and
    /// nothing is deleted, when the connection's marker is not seen with the same token.
    fn remove_key(
        &self,
        connection: &Connection,
        public_key: &str,
    ) -> impl Future<Output = Result<bool>> + Send;

    /// Makes a spread placement group with our deployment label; one of that name that carries the
    /// label is taken as made. Answers its id.
    fn create_group(
        &self,
        connection: &Connection,
        name: &str,
        deployment: &str,
    ) -> impl Future<Output = Result<u64>> + Send;

    /// Looks a server up by its exact name.
    fn find_server(
        &self,
        connection: &Connection,
        name: &str,
    ) -> impl Future<Output = Result<Lookup>> + Send;

    /// Sends one POST, never a second one. An id in a 2xx answer is never lost, whatever else the
    /// answer lacks.
    fn create_server(
        &self,
        connection: &Connection,
        body: &CreateServer,
    ) -> impl Future<Output = Result<CreatedServer>> + Send;

    /// States of actions by id, up to 25 a call; ids the provider does not know are absent.
    fn actions(
        &self,
        connection: &Connection,
        ids: &[u64],
    ) -> impl Future<Output = Result<BTreeMap<u64, ActionState>>> + Send;

    /// Looks a server up by its id.
    fn server(
        &self,
        connection: &Connection,
        id: u64,
    ) -> impl Future<Output = Result<Lookup>> + Send;

    /// The servers of these nodes, by one label listing for each [`NODES_PER_LISTING`] of them.
    /// A node that is missing in the answer proves nothing.
    fn servers(
        &self,
        connection: &Connection,
        deployment: &str,
        nodes: &[NodeId],
    ) -> impl Future<Output = Result<Vec<FoundServer>>> + Send;

    fn delete_server(
        &self,
        connection: &Connection,
        id: u64,
    ) -> impl Future<Output = Result<()>> + Send;

    /// Deletes a Primary IP; one that is gone is fine.
    fn delete_primary_ip(
        &self,
        connection: &Connection,
        id: u64,
    ) -> impl Future<Output = Result<()>> + Send;

    /// What the last answer to this process said of the connection's rate budget.
    fn seen_rate(&self, connection: &ConnectionName) -> Option<SeenRate>;

    /// Whether a server and its Primary IPs are gone. 404 counts only when the same token has
    /// just seen the connection's marker. A Primary IP that is assigned to another server by now
    /// is no longer the node's.
    fn remains(
        &self,
        connection: &Connection,
        server_id: u64,
        primary_ips: &[u64],
    ) -> impl Future<Output = Result<Remains>> + Send;
}

/// Calls made to judge a token and to show what is for sale.
pub trait ProviderCheck: Send + Sync {
    /// Judges a token by live calls: a GET for validity, then a write that succeeds: creating the
    /// managed key (`public_key` under `key_name`) or, when `known` is given, writing to it what
    /// it already has.
    fn check_token(
        &self,
        token: &SecretString,
        key_name: &str,
        public_key: &str,
        known: Option<&ManagedKey>,
    ) -> impl Future<Output = Result<TokenReport>> + Send;

    /// Whether the token sees a server. A 404 is `false`, which proves nothing by itself.
    fn sees_server(
        &self,
        token: &SecretString,
        server_id: u64,
    ) -> impl Future<Output = Result<bool>> + Send;

    /// What the token's project holds that is not ours.
    fn survey(
        &self,
        token: &SecretString,
        deployment: &str,
    ) -> impl Future<Output = Result<Survey>> + Send;

    /// How an answer differed from what the provider documents, if one did since this was asked
    /// last. `None` for a provider that does not look.
    fn take_drift(&self) -> Option<String> {
        None
    }

    fn catalogue(&self, token: &SecretString) -> impl Future<Output = Result<Catalogue>> + Send;
}
