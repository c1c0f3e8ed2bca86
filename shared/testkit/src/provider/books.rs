//! What the cloud's own books say: every call, and every server that ever was.

use std::collections::{BTreeMap, HashMap};

use hetzner_sim::world::World;
use jiff::Timestamp;
use nodeyard_domain::ownership::{LABEL_NODE, LABEL_NONCE};
use nodeyard_engine::provider::CreateServer;

/// A server that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MadeServer {
    pub id: u64,
    pub name: String,
    pub project: String,
    /// Asked for through the port; else a second actor made it.
    pub ours: bool,
    /// The labels it was made with.
    pub labels: BTreeMap<String, String>,
    pub made_at: Timestamp,
    pub gone_at: Option<Timestamp>,
}

impl MadeServer {
    pub fn is_alive(&self) -> bool {
        self.gone_at.is_none()
    }

    /// The node it says it is for.
    pub fn node(&self) -> Option<&str> {
        self.labels.get(LABEL_NODE).map(String::as_str)
    }

    pub fn nonce(&self) -> Option<&str> {
        self.labels.get(LABEL_NONCE).map(String::as_str)
    }
}

/// What the books say at one time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Books {
    /// Ids of the servers there are, those being deleted included.
    pub alive: Vec<u64>,
    pub made: u32,
    pub creates_sent: u32,
    pub calls: u32,
    /// The most servers that were alive at once under one name. Above 1 is a doubled server.
    pub most_alive_per_name: u32,
    /// The most servers made through the port that were alive at once for one node, by its label
    /// and over all projects. Above 1 is a doubled server.
    pub most_alive_per_node: u32,
    /// Calls that were answered 429 for want of budget; planted ones are not counted.
    pub throttled: u32,
    /// Calls by method and path.
    pub by_route: BTreeMap<&'static str, u32>,
    /// Creates that were sent, by name.
    pub posts: BTreeMap<String, u32>,
    /// Creates of one attempt whose body differed from the first.
    pub changed_bodies: u32,
    /// Every server that ever was, oldest first.
    pub servers: Vec<MadeServer>,
}

/// The books as they are kept.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    calls: u32,
    throttled: u32,
    by_route: BTreeMap<&'static str, u32>,
    posts: BTreeMap<String, u32>,
    bodies: HashMap<String, CreateServer>,
    changed_bodies: u32,
    servers: Vec<MadeServer>,
    /// Where in `servers` the living ones are.
    alive: BTreeMap<u64, usize>,
    last_id: u64,
    most_alive_per_name: u32,
    most_alive_per_node: u32,
}

impl Ledger {
    pub fn note_call(&mut self, route: &'static str) {
        self.calls += 1;
        *self.by_route.entry(route).or_default() += 1;
    }

    pub fn note_throttled(&mut self) {
        self.throttled += 1;
    }

    /// A body that is sent again has to be the first's, but for a managed key that was deleted and
    /// made again meanwhile: with the old id it could only be refused.
    pub fn note_create(&mut self, world: &World, body: &CreateServer) {
        *self.posts.entry(body.name.clone()).or_default() += 1;
        let Some(nonce) = body.labels.get(LABEL_NONCE) else { return };
        let known = self.bodies.entry(nonce.clone()).or_insert_with(|| body.clone());
        if known.ssh_keys.iter().any(|id| world.ssh_key(*id).is_none()) {
            known.ssh_keys.clone_from(&body.ssh_keys);
        }
        self.changed_bodies += u32::from(known != body);
    }

    /// Writes down what has come and gone. `ours`: new servers were asked for through the port.
    pub fn compare(&mut self, world: &World, ours: bool) {
        let now = Timestamp::from_millisecond(world.now()).unwrap_or(Timestamp::MAX);
        let servers = &mut self.servers;
        self.alive.retain(|id, at| {
            let is_there = world.server(*id).is_some();
            if !is_there && let Some(gone) = servers.get_mut(*at) {
                gone.gone_at = Some(now);
            }
            is_there
        });
        let new: Vec<MadeServer> = world
            .servers()
            .filter(|server| server.id > self.last_id)
            .map(|server| MadeServer {
                id: server.id,
                name: server.name.clone(),
                project: world.project_name(server.project).to_owned(),
                ours,
                labels: server.labels.clone(),
                made_at: now,
                gone_at: None,
            })
            .collect();
        for server in new {
            self.add(server);
        }
    }

    fn add(&mut self, server: MadeServer) {
        self.last_id = self.last_id.max(server.id);
        self.alive.insert(server.id, self.servers.len());
        self.servers.push(server);
        let Some(new) = self.servers.last() else { return };
        let alive = || self.alive.values().filter_map(|at| self.servers.get(*at));
        let of_name = alive().filter(|it| it.name == new.name && it.project == new.project);
        self.most_alive_per_name = self.most_alive_per_name.max(of_name.count() as u32);
        if new.ours && new.node().is_some() {
            let of_node = alive().filter(|it| it.ours && it.node() == new.node());
            self.most_alive_per_node = self.most_alive_per_node.max(of_node.count() as u32);
        }
    }

    pub fn books(&self) -> Books {
        Books {
            alive: self.alive.keys().copied().collect(),
            made: self.servers.len() as u32,
            creates_sent: self.posts.values().sum(),
            calls: self.calls,
            most_alive_per_name: self.most_alive_per_name,
            most_alive_per_node: self.most_alive_per_node,
            throttled: self.throttled,
            by_route: self.by_route.clone(),
            posts: self.posts.clone(),
            changed_bodies: self.changed_bodies,
            servers: self.servers.clone(),
        }
    }
}
