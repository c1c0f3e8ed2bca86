//! A server's disk overwritten with an image.

use super::action::{Beginning, Ending};
use super::command::refuse_locked;
use super::create::pick_image;
use super::error::ApiError;
use super::operation::{Kind, Reply};
use super::server::Status;
use super::{MachineOrder, Output, Twist, World, catalogue};
use crate::settings::span;

impl World {
    /// Id, address, labels and, [assumed], user data stay; nothing of the disk does.
    pub(super) fn rebuild(
        &mut self,
        id: u64,
        image: &str,
        twist: &Twist,
    ) -> Result<Reply, ApiError> {
        let Some(server) = self.servers.get(&id) else {
            return Err(ApiError::not_found(Kind::Server, id));
        };
        refuse_locked(server)?;
        // [documented]
        if server.protected {
            return Err(ApiError::new("protected", "server rebuild is protected"));
        }
        let size = catalogue::server_type_by_id(server.server_type);
        let architecture = size.map(|size| size.architecture);
        let image = pick_image(image, architecture)
            .filter(|found| Some(found.architecture) == architecture)
            .ok_or_else(|| ApiError::invalid("image", format!("image {image} not found")))?;
        let awaits_machine = server.has_machine && twist.failure.is_none();
        let project = server.project;
        let action = self.begin_action(
            project,
            Beginning {
                command: "rebuild_server",
                resources: Self::server_resource(id),
                lasts: Some(span(self.settings.times.rebuild_secs)),
                // [assumed] it runs afterwards, whatever it did before
                ending: Ending::Restarted,
                fate: twist.failure.clone(),
                awaits_machine,
            },
        );
        if let Some(server) = self.servers.get_mut(&id) {
            server.held_by = Some(action);
            server.status = Status::Rebuilding;
            server.image = image.id;
        }
        if awaits_machine {
            let order = MachineOrder::Rebuild { server: id };
            self.outputs.push(Output::Machine { action, order });
        }
        Ok(Reply::Started(action))
    }
}
