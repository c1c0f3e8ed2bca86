//! PUT and DELETE of everything.

use super::action::{Beginning, Ending};
use super::command::refuse_locked;
use super::error::ApiError;
use super::operation::{Change, Kind, Labels, Reply};
use super::server::Status;
use super::{MachineOrder, Output, ProjectId, Twist, World};
use crate::settings::span;

impl World {
    pub(super) fn update(
        &mut self,
        project: ProjectId,
        kind: Kind,
        id: u64,
        change: &Change,
    ) -> Result<Reply, ApiError> {
        if let Some(name) = &change.name
            && self.name_is_taken(project, kind, id, name)
        {
            return Err(ApiError::not_unique("name", "name is already used"));
        }
        let missing = || ApiError::not_found(kind, id);
        let (name, labels): (&mut String, &mut Labels) = match kind {
            Kind::Server => {
                let server = self.servers.get_mut(&id).ok_or_else(missing)?;
                // [assumed] an action that runs does not stop a new label, a
                // deletion does.
                if server.status == Status::Deleting {
                    return Err(ApiError::new("locked", "server is being deleted"));
                }
                (&mut server.name, &mut server.labels)
            }
            Kind::SshKey => {
                let key = self.ssh_keys.get_mut(&id).ok_or_else(missing)?;
                (&mut key.name, &mut key.labels)
            }
            Kind::PlacementGroup => {
                let group = self.placement_groups.get_mut(&id).ok_or_else(missing)?;
                (&mut group.name, &mut group.labels)
            }
            Kind::Firewall => {
                let firewall = self.firewalls.get_mut(&id).ok_or_else(missing)?;
                (&mut firewall.name, &mut firewall.labels)
            }
            Kind::PrimaryIp => {
                let ip = self.primary_ips.get_mut(&id).ok_or_else(missing)?;
                ip.auto_delete = change.auto_delete.unwrap_or(ip.auto_delete);
                (&mut ip.name, &mut ip.labels)
            }
            // [assumed] what belongs to the provider cannot be changed.
            Kind::Action | Kind::ServerType | Kind::Location | Kind::Image => {
                return Err(ApiError::new("forbidden", "this cannot be changed"));
            }
        };
        if let Some(new) = &change.name {
            name.clone_from(new);
        }
        // [documented] labels are replaced as a whole
        if let Some(new) = &change.labels {
            labels.clone_from(new);
        }
        Ok(Reply::One(kind, id))
    }

    /// [documented] names are unique within a project, for each kind.
    pub(super) fn name_is_taken(
        &self,
        project: ProjectId,
        kind: Kind,
        but: u64,
        name: &str,
    ) -> bool {
        let clashes =
            |owner: ProjectId, id: u64, other: &str| owner == project && id != but && other == name;
        match kind {
            Kind::Server => self.servers.values().any(|it| clashes(it.project, it.id, &it.name)),
            Kind::SshKey => self.ssh_keys.values().any(|it| clashes(it.project, it.id, &it.name)),
            Kind::PlacementGroup => {
                self.placement_groups.values().any(|it| clashes(it.project, it.id, &it.name))
            }
            Kind::Firewall => {
                self.firewalls.values().any(|it| clashes(it.project, it.id, &it.name))
            }
            Kind::PrimaryIp => {
                self.primary_ips.values().any(|it| clashes(it.project, it.id, &it.name))
            }
            Kind::Action | Kind::ServerType | Kind::Location | Kind::Image => false,
        }
    }

    pub(super) fn delete(&mut self, kind: Kind, id: u64, twist: &Twist) -> Result<Reply, ApiError> {
        match kind {
            Kind::Server => return self.delete_server(id, twist),
            // [documented] servers keep working without the key
            Kind::SshKey => {
                self.ssh_keys.remove(&id);
            }
            Kind::PlacementGroup => {
                // [documented] members stay, without a group
                for server in self.servers.values_mut() {
                    if server.placement_group == Some(id) {
                        server.placement_group = None;
                    }
                }
                self.placement_groups.remove(&id);
            }
            Kind::Firewall => {
                // [documented] code; the status is [assumed]
                if self.firewalls.get(&id).is_some_and(|it| it.is_used()) {
                    return Err(ApiError::new("resource_in_use", "firewall is still in use"));
                }
                self.firewalls.remove(&id);
            }
            Kind::PrimaryIp => self.delete_primary_ip(id)?,
            Kind::Action | Kind::ServerType | Kind::Location | Kind::Image => {
                return Err(ApiError::new("forbidden", "this cannot be deleted"));
            }
        }
        Ok(Reply::Done)
    }

    fn delete_server(&mut self, id: u64, twist: &Twist) -> Result<Reply, ApiError> {
        let Some(server) = self.servers.get(&id) else {
            return Err(ApiError::not_found(Kind::Server, id));
        };
        // [documented] protection; which of the two is looked at first is
        // [assumed].
        if server.protected {
            return Err(ApiError::new("protected", "server deletion is protected"));
        }
        // [assumed] this holds for a server that is still being created, too.
        refuse_locked(server)?;
        let (project, has_machine) = (server.project, server.has_machine);
        let awaits_machine = has_machine && twist.failure.is_none();
        let action = self.begin_action(
            project,
            Beginning {
                command: "delete_server",
                resources: Self::server_resource(id),
                lasts: Some(span(self.settings.times.delete_secs)),
                ending: Ending::Deleted,
                fate: twist.failure.clone(),
                awaits_machine,
            },
        );
        if let Some(server) = self.servers.get_mut(&id) {
            server.status = Status::Deleting;
            server.held_by = Some(action);
        }
        if awaits_machine {
            let order = MachineOrder::Destroy { server: id };
            self.outputs.push(Output::Machine { action, order });
        }
        Ok(Reply::Deleting(action))
    }
}
