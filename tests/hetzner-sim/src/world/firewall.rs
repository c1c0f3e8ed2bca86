//! Firewalls: kept and shown, not enforced.

use std::collections::BTreeSet;

use super::error::ApiError;
use super::label::Selector;
use super::operation::{FirewallDraft, Kind, Labels, Reply, Rule};
use super::{ProjectId, World};
use crate::clock::EpochMillis;

/// One firewall.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub struct Firewall {
    pub id: u64,
    pub project: ProjectId,
    pub name: String,
    pub labels: Labels,
    pub created: EpochMillis,
    pub rules: Vec<Rule>,
    /// Servers it is applied to by id.
    pub servers: BTreeSet<u64>,
    /// Selectors it is applied by, as written and as read.
    pub selectors: Vec<(String, Selector)>,
}

impl Firewall {
    /// Whether it is applied to anything.
    pub fn is_used(&self) -> bool {
        !self.servers.is_empty() || !self.selectors.is_empty()
    }
}

impl World {
    pub(super) fn create_firewall(
        &mut self,
        project: ProjectId,
        draft: &FirewallDraft,
    ) -> Result<Reply, ApiError> {
        if self.name_is_taken(project, Kind::Firewall, 0, &draft.name) {
            return Err(ApiError::not_unique("name", "firewall name is already used"));
        }
        for id in &draft.servers {
            if self.require(project, Kind::Server, *id).is_err() {
                // [documented] code
                return Err(ApiError::new(
                    "firewall_resource_not_found",
                    format!("server {id} not found"),
                ));
            }
        }
        let id = self.new_id();
        let itself = (Kind::Firewall, id);
        self.firewalls.insert(
            id,
            Firewall {
                id,
                project,
                name: draft.name.clone(),
                labels: draft.labels.clone(),
                created: self.now,
                rules: draft.rules.clone(),
                servers: draft.servers.iter().copied().collect(),
                selectors: draft.selectors.clone(),
            },
        );
        // [assumed] rules and servers apply at once.
        let mut actions = Vec::new();
        if !draft.rules.is_empty() {
            actions.push(self.ended_action(project, "set_firewall_rules", vec![itself]));
        }
        for server in &draft.servers {
            let resources = vec![itself, (Kind::Server, *server)];
            actions.push(self.ended_action(project, "apply_firewall", resources));
        }
        Ok(Reply::FirewallCreated(id, actions))
    }

    /// The firewall with this id.
    pub fn firewall(&self, id: u64) -> Option<&Firewall> {
        self.firewalls.get(&id)
    }

    /// Servers that a selector of a project picks now.
    pub fn servers_picked(&self, project: ProjectId, selector: &Selector) -> Vec<u64> {
        self.servers
            .values()
            .filter(|server| server.project == project && selector.picks(&server.labels))
            .map(|server| server.id)
            .collect()
    }

    /// Firewalls that hold for a server.
    pub fn firewalls_of(&self, server: u64) -> Vec<u64> {
        let Some(server) = self.servers.get(&server) else {
            return Vec::new();
        };
        self.firewalls
            .values()
            .filter(|firewall| firewall.project == server.project)
            .filter(|firewall| {
                firewall.servers.contains(&server.id)
                    || firewall.selectors.iter().any(|(_, selector)| selector.picks(&server.labels))
            })
            .map(|firewall| firewall.id)
            .collect()
    }
}
