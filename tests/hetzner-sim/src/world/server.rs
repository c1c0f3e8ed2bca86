//! Servers as the API shows them.

use super::operation::{Kind, Labels};
use super::{ProjectId, World};
use crate::clock::EpochMillis;

/// One server.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub struct Server {
    pub id: u64,
    pub project: ProjectId,
    pub name: String,
    pub labels: Labels,
    pub created: EpochMillis,
    pub status: Status,
    pub server_type: u64,
    pub image: u64,
    pub location: u64,
    /// Primary IPs, by id.
    pub ipv4: Option<u64>,
    pub ipv6: Option<u64>,
    pub placement_group: Option<u64>,
    pub protected: bool,
    /// The action that holds it; it is `locked` so long. [documented]
    pub held_by: Option<u64>,
    /// Public keys that were delivered to it.
    pub authorized_keys: Vec<String>,
    /// Whether a machine was ordered for it.
    pub(super) has_machine: bool,
}

/// What state a server is in. [documented]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Status {
    Initializing,
    Off,
    Starting,
    Running,
    Stopping,
    Rebuilding,
    Deleting,
}

impl Status {
    /// As the API writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Initializing => "initializing",
            Self::Off => "off",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Stopping => "stopping",
            Self::Rebuilding => "rebuilding",
            Self::Deleting => "deleting",
        }
    }
}

impl World {
    /// The server with this id, of any project.
    pub fn server(&self, id: u64) -> Option<&Server> {
        self.servers.get(&id)
    }

    /// The server called so in a project.
    pub fn server_named(&self, project: ProjectId, name: &str) -> Option<&Server> {
        self.servers.values().find(|server| server.project == project && server.name == name)
    }

    /// Servers of a placement group.
    pub fn members(&self, group: u64) -> Vec<u64> {
        self.servers
            .values()
            .filter(|server| server.placement_group == Some(group))
            .map(|server| server.id)
            .collect()
    }

    pub(super) fn server_resource(id: u64) -> Vec<(Kind, u64)> {
        vec![(Kind::Server, id)]
    }
}
