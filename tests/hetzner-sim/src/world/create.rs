//! Making a server: all checks first, then all changes.

use super::action::{Beginning, Ending};
use super::catalogue::{self, Image, Location, ServerType};
use super::error::ApiError;
use super::operation::{Family, Kind, Reply, ServerDraft};
use super::server::{Server, Status};
use super::{MachineOrder, Output, ProjectId, Twist, World};
use crate::backing::MachineSpec;
use crate::settings::span;

/// What the names in a draft stand for.
struct Plan {
    server_type: &'static ServerType,
    image: &'static Image,
    location: &'static Location,
    authorized_keys: Vec<String>,
}

impl World {
    pub(super) fn create_server(
        &mut self,
        project: ProjectId,
        draft: &ServerDraft,
        twist: &Twist,
    ) -> Result<Reply, ApiError> {
        // [assumed] the order of the checks: what is wrong in itself, then
        // what is taken, then what is too much, then what is out of stock.
        let plan = self.resolve(project, draft)?;
        if self.server_named(project, &draft.name).is_some() {
            // [documented] a name is taken until the server is gone; [assumed]
            // also while its deletion runs.
            return Err(ApiError::not_unique("name", "server name is already used"));
        }
        self.check_given_ip(project, draft.ipv4, Family::V4, plan.location)?;
        self.check_given_ip(project, draft.ipv6, Family::V6, plan.location)?;
        self.check_limits(project, draft)?;
        self.check_group(project, draft)?;
        self.stock.check(plan.server_type, plan.location)?;
        if draft.enable_ipv4 && draft.ipv4.is_none() && !self.addresses.has_v4() {
            return Err(ApiError::new(
                "resource_unavailable",
                format!("no address left in {}", plan.location.name),
            ));
        }
        Ok(self.lay_down(project, draft, &plan, twist))
    }

    fn resolve(&self, project: ProjectId, draft: &ServerDraft) -> Result<Plan, ApiError> {
        let mut faults: Vec<(String, String)> = Vec::new();
        let mut fault = |field: &str, message: String| faults.push((field.to_owned(), message));
        let server_type = catalogue::server_type(&draft.server_type);
        if server_type.is_none() {
            fault("server_type", format!("server type {} not found", draft.server_type));
        }
        let image = pick_image(&draft.image, server_type.map(|size| size.architecture));
        if image.is_none() {
            fault("image", format!("image {} not found", draft.image));
        }
        let location = match (&draft.location, server_type) {
            (Some(name), _) => catalogue::location(name),
            (None, Some(size)) => self.any_location(size),
            (None, None) => None,
        };
        if location.is_none() && draft.location.is_some() {
            fault("location", format!("location {:?} not found", draft.location));
        }
        let mut authorized_keys = Vec::new();
        for reference in &draft.ssh_keys {
            let key = self.ssh_keys.values().find(|key| {
                key.project == project && catalogue::names(reference, key.id, &key.name)
            });
            match key {
                Some(key) => authorized_keys.push(key.public_key.clone()),
                None => fault("ssh_keys", format!("SSH key {reference} not found")),
            }
        }
        for id in &draft.firewalls {
            if self.require(project, Kind::Firewall, *id).is_err() {
                fault("firewalls", format!("firewall {id} not found"));
            }
        }
        if let Some(id) = draft.placement_group
            && self.require(project, Kind::PlacementGroup, id).is_err()
        {
            fault("placement_group", format!("placement group {id} not found"));
        }
        let (Some(server_type), Some(image), Some(location), true) =
            (server_type, image, location, faults.is_empty())
        else {
            if faults.is_empty() {
                faults.push(("location".to_owned(), "no location fits".to_owned()));
            }
            return Err(ApiError::invalid_fields(faults));
        };
        self.check_fit(server_type, image, location)?;
        Ok(Plan { server_type, image, location, authorized_keys })
    }

    fn check_fit(
        &self,
        server_type: &ServerType,
        image: &Image,
        location: &Location,
    ) -> Result<(), ApiError> {
        let gone = |at: Option<i64>| at.is_some_and(|at| self.now >= at);
        // [documented] that types and images go away; the answer is [assumed].
        if gone(server_type.deprecation.map(|plan| plan.unavailable_after)) {
            return Err(ApiError::invalid("server_type", "server type is deprecated"));
        }
        // [observed] invalid_input, not resource_unavailable
        if !server_type.locations.contains(&location.name) {
            return Err(ApiError::new("invalid_input", "unsupported location for server type"));
        }
        if image.architecture != server_type.architecture {
            return Err(ApiError::invalid(
                "image",
                format!(
                    "image architecture {} does not fit server type {}",
                    image.architecture, server_type.name
                ),
            ));
        }
        if gone(image.deprecated) {
            return Err(ApiError::invalid("image", "image is deprecated"));
        }
        Ok(())
    }

    /// [assumed] without a location the first one that has stock is taken.
    fn any_location(&self, size: &ServerType) -> Option<&'static Location> {
        let mut sold_at = size.locations.iter().filter_map(|name| catalogue::location(name));
        let first = sold_at.clone().next();
        sold_at.find(|place| self.stock.check(size, place).is_ok()).or(first)
    }

    fn check_limits(&self, project: ProjectId, draft: &ServerDraft) -> Result<(), ApiError> {
        let limits = &self.settings.limits;
        let servers = self.servers.values().filter(|it| it.project == project).count();
        if is_over(limits.servers, servers, 1) {
            return Err(ApiError::over_limit("server_limit"));
        }
        let new_ips = usize::from(draft.enable_ipv4 && draft.ipv4.is_none())
            + usize::from(draft.enable_ipv6 && draft.ipv6.is_none());
        let ips = self.primary_ips.values().filter(|it| it.project == project).count();
        if is_over(limits.primary_ips, ips, new_ips) {
            return Err(ApiError::over_limit("primary_ip_limit"));
        }
        Ok(())
    }

    fn check_group(&self, _project: ProjectId, draft: &ServerDraft) -> Result<(), ApiError> {
        // [observed] ten members for each spread group, and this code; the
        // status is [assumed].
        match draft.placement_group {
            Some(group) if self.members(group).len() >= 10 => Err(ApiError::new(
                "placement_group_member_limit_reached",
                "a spread placement group holds at most 10 servers",
            )),
            _ => Ok(()),
        }
    }

    fn lay_down(
        &mut self,
        project: ProjectId,
        draft: &ServerDraft,
        plan: &Plan,
        twist: &Twist,
    ) -> Reply {
        let id = self.new_id();
        let give = |given: Option<u64>, wanted: bool| (wanted, given);
        let ipv4 = self.server_ip(
            project,
            id,
            Family::V4,
            give(draft.ipv4, draft.enable_ipv4),
            plan.location,
        );
        let ipv6 = self.server_ip(
            project,
            id,
            Family::V6,
            give(draft.ipv6, draft.enable_ipv6),
            plan.location,
        );
        self.stock.use_one(plan.server_type.id, plan.location.id);

        // [documented] create_server, then start_server among next_actions.
        let start = draft.start_after_create.then(|| {
            self.begin_action(
                project,
                Beginning {
                    command: "start_server",
                    resources: Self::server_resource(id),
                    lasts: None,
                    ending: Ending::Started,
                    fate: None,
                    awaits_machine: false,
                },
            )
        });
        let is_sound = twist.failure.is_none() && !twist.stuck;
        let address =
            ipv4.and_then(|ip| self.primary_ips.get(&ip)).and_then(|ip| ip.address.parse().ok());
        let machine = address.filter(|_| self.has_machines && is_sound);
        let lasts = (!twist.stuck).then(|| span(self.settings.times.create_secs));
        let action = self.begin_action(
            project,
            Beginning {
                command: "create_server",
                resources: Self::server_resource(id),
                lasts,
                ending: Ending::Created { start },
                fate: twist.failure.clone(),
                awaits_machine: machine.is_some(),
            },
        );
        self.servers.insert(
            id,
            Server {
                id,
                project,
                name: draft.name.clone(),
                labels: draft.labels.clone(),
                created: self.now,
                status: Status::Initializing,
                server_type: plan.server_type.id,
                image: plan.image.id,
                location: plan.location.id,
                ipv4,
                ipv6,
                placement_group: draft.placement_group,
                protected: false,
                // [assumed] a server that hangs can be deleted.
                held_by: (!twist.stuck).then_some(action),
                authorized_keys: plan.authorized_keys.clone(),
                has_machine: machine.is_some(),
            },
        );
        for firewall in &draft.firewalls {
            if let Some(firewall) = self.firewalls.get_mut(firewall) {
                firewall.servers.insert(id);
            }
        }
        if let Some(ipv4) = machine {
            let spec = MachineSpec {
                id,
                name: draft.name.clone(),
                ipv4,
                image: plan.image.name.to_owned(),
                disk_gb: plan.server_type.disk_gb,
                location: plan.location.name.to_owned(),
                user_data: draft.user_data.clone(),
                authorized_keys: plan.authorized_keys.clone(),
            };
            let order = MachineOrder::Create { spec, leave_off: !draft.start_after_create };
            self.outputs.push(Output::Machine { action, order });
        }
        // [documented] null when SSH keys were given
        let root_password = draft.ssh_keys.is_empty().then(|| {
            self.random.text(b"abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789", 20)
        });
        Reply::ServerCreated {
            server: id,
            action,
            next_actions: start.into_iter().collect(),
            root_password,
        }
    }
}

/// [documented] a name stands for the image of the type's architecture.
pub(super) fn pick_image(reference: &str, architecture: Option<&str>) -> Option<&'static Image> {
    let named = || {
        catalogue::IMAGES.iter().filter(|image| catalogue::names(reference, image.id, image.name))
    };
    named().find(|image| Some(image.architecture) == architecture).or_else(|| named().next())
}

/// Whether `more` on top of `held` is over a limit.
pub(super) fn is_over(limit: Option<u32>, held: usize, more: usize) -> bool {
    limit.is_some_and(|limit| more > 0 && held + more > limit as usize)
}
