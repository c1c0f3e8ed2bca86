//! Primary IPs: made by hand, or with a server.

use super::catalogue::{self, Location};
use super::create::is_over;
use super::error::ApiError;
use super::operation::{Family, Kind, Labels, PrimaryIpDraft, Reply};
use super::server::Status;
use super::{ProjectId, World};
use crate::clock::EpochMillis;

/// One Primary IP.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub struct PrimaryIp {
    pub id: u64,
    pub project: ProjectId,
    pub name: String,
    pub labels: Labels,
    pub created: EpochMillis,
    pub family: Family,
    /// An IPv4 address, or an IPv6 network in CIDR form.
    pub address: String,
    pub location: u64,
    pub auto_delete: bool,
    pub assignee: Option<u64>,
}

impl World {
    pub(super) fn create_primary_ip(
        &mut self,
        project: ProjectId,
        draft: &PrimaryIpDraft,
    ) -> Result<Reply, ApiError> {
        let location = match (&draft.location, draft.assignee) {
            (Some(name), _) => catalogue::location(name),
            (None, Some(server)) => self
                .servers
                .get(&server)
                .and_then(|server| catalogue::location_by_id(server.location)),
            (None, None) => None,
        };
        let Some(location) = location else {
            return Err(ApiError::invalid("location", "location not found"));
        };
        if self.name_is_taken(project, Kind::PrimaryIp, 0, &draft.name) {
            return Err(ApiError::not_unique("name", "name is already used"));
        }
        if let Some(server) = draft.assignee {
            self.check_assignee(project, server, draft.family, location)?;
        }
        let ips = self.primary_ips.values();
        let held = ips.filter(|ip| ip.project == project).count();
        if is_over(self.settings.limits.primary_ips, held, 1) {
            return Err(ApiError::over_limit("primary_ip_limit"));
        }
        let Some(address) = self.take_address(draft.family) else {
            return Err(ApiError::new("resource_unavailable", "no address left"));
        };
        let id = self.new_id();
        self.primary_ips.insert(
            id,
            PrimaryIp {
                id,
                project,
                name: draft.name.clone(),
                labels: draft.labels.clone(),
                created: self.now,
                family: draft.family,
                address,
                location: location.id,
                auto_delete: draft.auto_delete,
                assignee: draft.assignee,
            },
        );
        if let Some(server) = draft.assignee.and_then(|id| self.servers.get_mut(&id)) {
            match draft.family {
                Family::V4 => server.ipv4 = Some(id),
                Family::V6 => server.ipv6 = Some(id),
            }
        }
        let resources = |server| vec![(Kind::PrimaryIp, id), (Kind::Server, server)];
        let action = draft
            .assignee
            .map(|server| self.ended_action(project, "assign_primary_ip", resources(server)));
        Ok(Reply::Created(Kind::PrimaryIp, id, action))
    }

    fn check_assignee(
        &self,
        project: ProjectId,
        server: u64,
        family: Family,
        location: &Location,
    ) -> Result<(), ApiError> {
        self.require(project, Kind::Server, server)?;
        let Some(server) = self.servers.get(&server) else {
            return Ok(());
        };
        // [documented] the server must be off
        if server.status != Status::Off {
            return Err(ApiError::new("server_not_stopped", "server is not stopped"));
        }
        let has_one = match family {
            Family::V4 => server.ipv4.is_some(),
            Family::V6 => server.ipv6.is_some(),
        };
        // [documented] one of each family; the code is [assumed]
        if has_one || server.location != location.id {
            return Err(ApiError::invalid("assignee_id", "server cannot take it"));
        }
        Ok(())
    }

    /// Refuses a Primary IP that a new server cannot use.
    // [documented] the three codes; their status is [assumed].
    pub(super) fn check_given_ip(
        &self,
        project: ProjectId,
        given: Option<u64>,
        family: Family,
        location: &Location,
    ) -> Result<(), ApiError> {
        let Some(id) = given else { return Ok(()) };
        let ip = self.primary_ips.get(&id).filter(|ip| ip.project == project).ok_or_else(|| {
            ApiError::invalid(family.name(), format!("Primary IP {id} not found"))
        })?;
        if ip.family != family {
            return Err(ApiError::new(
                "primary_ip_version_mismatch",
                format!("Primary IP {id} is not an {} address", family.name()),
            ));
        }
        if ip.assignee.is_some() {
            return Err(ApiError::new(
                "primary_ip_assigned",
                format!("Primary IP {id} is already assigned"),
            ));
        }
        if ip.location != location.id {
            return Err(ApiError::new(
                "primary_ip_datacenter_mismatch",
                format!("Primary IP {id} is in another location"),
            ));
        }
        Ok(())
    }

    /// The Primary IP of a new server: the given one, or one made with it.
    pub(super) fn server_ip(
        &mut self,
        project: ProjectId,
        server: u64,
        family: Family,
        wish: (bool, Option<u64>),
        location: &Location,
    ) -> Option<u64> {
        let (wanted, given) = wish;
        if let Some(id) = given {
            // [assumed] a given one is used also with enable_* false
            self.primary_ips.get_mut(&id)?.assignee = Some(server);
            return Some(id);
        }
        if !wanted {
            return None;
        }
        let address = self.take_address(family)?;
        let id = self.new_id();
        self.primary_ips.insert(
            id,
            PrimaryIp {
                id,
                project,
                // [observed] without the server's labels, and going with
                // it; [assumed] named after its id.
                name: format!("primary_ip-{id}"),
                labels: Labels::new(),
                created: self.now,
                family,
                address,
                location: location.id,
                auto_delete: true,
                assignee: Some(server),
            },
        );
        Some(id)
    }

    fn take_address(&mut self, family: Family) -> Option<String> {
        match family {
            Family::V4 => {
                let address = self.addresses.take_v4(self.settings.addresses)?;
                Some(address.to_string())
            }
            Family::V6 => Some(self.addresses.take_v6()),
        }
    }

    /// Its server is gone: it goes too, or stays unassigned. [documented]
    pub(super) fn leave_ip(&mut self, id: u64) {
        let Some(ip) = self.primary_ips.get_mut(&id) else {
            return;
        };
        ip.assignee = None;
        if ip.auto_delete {
            self.drop_ip(id);
        }
    }

    pub(super) fn delete_primary_ip(&mut self, id: u64) -> Result<(), ApiError> {
        let assignee = self.primary_ips.get(&id).and_then(|ip| ip.assignee);
        if let Some(server) = assignee.and_then(|server| self.servers.get_mut(&server)) {
            // [documented] it is taken off its server, which must be off
            if server.status != Status::Off {
                return Err(ApiError::new("server_not_stopped", "server is not stopped"));
            }
            server.ipv4 = server.ipv4.filter(|held| *held != id);
            server.ipv6 = server.ipv6.filter(|held| *held != id);
        }
        self.drop_ip(id);
        Ok(())
    }

    fn drop_ip(&mut self, id: u64) {
        if let Some(ip) = self.primary_ips.remove(&id)
            && let Ok(address) = ip.address.parse()
        {
            self.addresses.give_back_v4(address);
        }
    }

    /// The Primary IP with this id.
    pub fn primary_ip(&self, id: u64) -> Option<&PrimaryIp> {
        self.primary_ips.get(&id)
    }
}
