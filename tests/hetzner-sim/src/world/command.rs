//! What can be asked of a server that exists: power and protection.

use super::action::{Beginning, Ending};
use super::error::ApiError;
use super::operation::{Command, Reply};
use super::server::{Server, Status};
use super::{MachineOrder, Output, Twist, World};
use crate::backing::Power;
use crate::settings::{Times, span};

impl World {
    pub(super) fn command(
        &mut self,
        id: u64,
        command: Command,
        twist: &Twist,
    ) -> Result<Reply, ApiError> {
        let Some(server) = self.servers.get(&id) else {
            return Err(ApiError::not_found(super::operation::Kind::Server, id));
        };
        refuse_locked(server)?;
        let (project, status, has_machine) = (server.project, server.status, server.has_machine);
        let Some(change) = power_change(command, &self.settings.times) else {
            return self.change_protection(id, command);
        };
        if status == Status::Initializing {
            // [assumed] a server that hangs takes no power commands.
            return Err(ApiError::new("conflict", "server is initializing"));
        }
        if status == change.goal && !change.restarts {
            // [assumed] nothing to do is a success.
            let action =
                self.ended_action(project, command.action_name(), Self::server_resource(id));
            return Ok(Reply::Started(action));
        }
        if change.restarts && status != Status::Running {
            // [assumed]
            return Err(ApiError::new("conflict", "server is not running"));
        }
        let awaits_machine = has_machine && twist.failure.is_none();
        let action = self.begin_action(
            project,
            Beginning {
                command: command.action_name(),
                resources: Self::server_resource(id),
                lasts: Some(span(change.secs)),
                ending: change.ending,
                fate: twist.failure.clone(),
                awaits_machine,
            },
        );
        if let Some(server) = self.servers.get_mut(&id) {
            server.held_by = Some(action);
            server.status = change.meanwhile;
        }
        if awaits_machine {
            let order = MachineOrder::Power { server: id, power: change.power };
            self.outputs.push(Output::Machine { action, order });
        }
        Ok(Reply::Started(action))
    }

    fn change_protection(&mut self, id: u64, command: Command) -> Result<Reply, ApiError> {
        let Command::ChangeProtection { delete, rebuild } = command else {
            return Err(ApiError::new("unsupported_error", "no such command"));
        };
        // [documented] both must have the same value
        if let (Some(delete), Some(rebuild)) = (delete, rebuild)
            && delete != rebuild
        {
            return Err(ApiError::invalid("rebuild", "must have the same value as delete"));
        }
        let Some(server) = self.servers.get_mut(&id) else {
            return Err(ApiError::not_found(super::operation::Kind::Server, id));
        };
        if let Some(protected) = delete.or(rebuild) {
            server.protected = protected;
        }
        let project = server.project;
        let action = self.ended_action(project, "change_protection", Self::server_resource(id));
        Ok(Reply::Started(action))
    }
}

/// [documented] an action that runs locks its server.
pub(super) fn refuse_locked(server: &Server) -> Result<(), ApiError> {
    if server.held_by.is_some() {
        return Err(ApiError::new("locked", "server is locked"));
    }
    Ok(())
}

struct PowerChange {
    goal: Status,
    meanwhile: Status,
    restarts: bool,
    secs: f64,
    ending: Ending,
    power: Power,
}

fn power_change(command: Command, times: &Times) -> Option<PowerChange> {
    let stop = |secs| PowerChange {
        goal: Status::Off,
        meanwhile: Status::Stopping,
        restarts: false,
        secs,
        ending: Ending::Stopped,
        power: Power::Off,
    };
    match command {
        Command::PowerOn => Some(PowerChange {
            goal: Status::Running,
            meanwhile: Status::Starting,
            restarts: false,
            secs: times.start_secs,
            ending: Ending::Started,
            power: Power::On,
        }),
        Command::PowerOff => Some(stop(times.stop_secs)),
        Command::Shutdown => Some(stop(times.shutdown_secs)),
        Command::Reboot | Command::Reset => Some(PowerChange {
            goal: Status::Running,
            meanwhile: Status::Running,
            restarts: true,
            secs: times.reboot_secs,
            ending: Ending::Restarted,
            power: Power::Reset,
        }),
        Command::ChangeProtection { .. } => None,
    }
}
