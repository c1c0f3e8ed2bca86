//! The provider's project: the servers under the node's name, and the POSTs on their way.

use nodeyard_domain::node::Server;

/// The one name all servers of the node have.
pub const SERVER_NAME: &str = "web-000000000000";

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Made {
    pub id: u64,
    /// Stands for the nonce: which attempt made it.
    pub attempt: u32,
    pub deleting: bool,
    /// It came into being after its sender had given it up.
    pub late: bool,
}

impl Made {
    /// As the provider tells of it. The attempt is told by the labels.
    pub fn told(&self) -> Server {
        Server {
            id: self.id,
            name: SERVER_NAME.to_owned(),
            attempt: self.attempt,
            ipv4: Some("198.18.0.10".to_owned()),
            ipv6: None,
            primary_ips: Vec::new(),
            server_type: None,
            location: None,
        }
    }
}

/// A POST without an answer that takes effect later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flying {
    pub attempt: u32,
    /// The last tick at which it lands.
    pub until: i64,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Cloud {
    pub servers: Vec<Made>,
    pub flying: Vec<Flying>,
    /// Ids are never used again.
    pub last_id: u64,
}

impl Cloud {
    /// A create takes effect: the new server, or nothing where the name is taken.
    pub fn make(&mut self, attempt: u32, late: bool, names_are_unique: bool) -> Option<Made> {
        if names_are_unique && !self.servers.is_empty() {
            return None;
        }
        self.last_id += 1;
        let made = Made { id: self.last_id, attempt, deleting: false, late };
        self.servers.push(made);
        Some(made)
    }

    pub fn server(&self, id: u64) -> Option<&Made> {
        self.servers.iter().find(|server| server.id == id)
    }

    /// What a look-up of the name finds.
    pub fn by_name(&self) -> Option<&Made> {
        self.servers.first()
    }

    /// False when there is no such server.
    pub fn delete(&mut self, id: u64) -> bool {
        let server = self.servers.iter_mut().find(|server| server.id == id);
        server.map(|server| server.deleting = true).is_some()
    }

    pub fn remove(&mut self, id: u64) {
        self.servers.retain(|server| server.id != id);
    }
}
