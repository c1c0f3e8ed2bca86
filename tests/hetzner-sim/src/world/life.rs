//! What happens to servers when their actions end.

use super::action::{Ending, Failure, Outcome};
use super::operation::Kind;
use super::server::Status;
use super::{Event, World};
use crate::settings::span;

impl World {
    /// The machine has done what an action asked of it, or could not.
    pub fn machine_done(&mut self, action: u64, result: Result<(), String>) {
        let Some(record) = self.actions.get_mut(&action) else {
            return;
        };
        record.awaits_machine = false;
        if let Err(reason) = result {
            record.fate.get_or_insert(Failure::action_failed(reason));
        }
        if record.time_is_up {
            self.finish_action(action);
        }
    }

    pub(super) fn action_due(&mut self, id: u64) {
        let Some(action) = self.actions.get_mut(&id) else {
            return;
        };
        action.time_is_up = true;
        if !action.awaits_machine {
            self.finish_action(id);
        }
    }

    fn finish_action(&mut self, id: u64) {
        let now = self.now;
        let Some(action) = self.actions.get_mut(&id) else {
            return;
        };
        if action.finished.is_some() {
            return;
        }
        action.finished = Some(now);
        let failure = action.fate.clone();
        action.outcome = failure.clone().map_or(Outcome::Success, Outcome::Error);
        let ending = action.ending;
        let server =
            action.resources.iter().find(|(kind, _)| *kind == Kind::Server).map(|(_, id)| *id);
        let Some(server) = server else { return };
        self.settle(server, ending, failure);
    }

    fn settle(&mut self, id: u64, ending: Ending, failure: Option<Failure>) {
        let worked = failure.is_none();
        if ending == Ending::Deleted && worked {
            self.forget_server(id);
            return;
        }
        let next = match ending {
            Ending::Created { start } => start,
            _ => None,
        };
        let Some(server) = self.servers.get_mut(&id) else {
            return;
        };
        server.held_by = None;
        server.status = match (ending, worked) {
            (Ending::Nothing, _) => server.status,
            // [observed] a creation passes through `off` on its way to
            // `starting`; [assumed] what a failed action leaves behind
            (Ending::Created { .. } | Ending::Deleted, _) => Status::Off,
            (Ending::Started, true) | (Ending::Stopped, false) | (Ending::Restarted, _) => {
                Status::Running
            }
            (Ending::Started, false) | (Ending::Stopped, true) => Status::Off,
        };
        let Some(next) = next else { return };
        match failure {
            None => {
                server.held_by = Some(next);
                let lasts = span(self.settings.times.start_secs);
                self.run_action_for(next, lasts);
                self.schedule(lasts / 2, Event::StartSeen { server: id, action: next });
            }
            // [assumed] what was to follow fails with the same reason.
            Some(failure) => {
                let now = self.now;
                if let Some(action) = self.actions.get_mut(&next) {
                    action.finished = Some(now);
                    action.outcome = Outcome::Error(failure);
                }
            }
        }
    }

    /// A start after a creation is seen in the status.
    pub(super) fn start_seen(&mut self, server: u64, action: u64) {
        if let Some(server) = self.servers.get_mut(&server)
            && server.held_by == Some(action)
        {
            server.status = Status::Starting;
        }
    }

    /// The deletion has ended: only now are name, address and quota free.
    fn forget_server(&mut self, id: u64) {
        let Some(server) = self.servers.remove(&id) else {
            return;
        };
        for ip in [server.ipv4, server.ipv6].into_iter().flatten() {
            self.leave_ip(ip);
        }
        for firewall in self.firewalls.values_mut() {
            firewall.servers.remove(&id);
        }
        // [assumed] what still ran on it ends in error.
        let now = self.now;
        for action in self.actions.values_mut() {
            let is_on_it = action.resources.contains(&(Kind::Server, id));
            if is_on_it && action.finished.is_none() {
                action.finished = Some(now);
                action.outcome = Outcome::Error(Failure::action_failed("server was deleted"));
            }
        }
    }
}
