//! Which managed keys each server lets in: those it was made with, until a run replaces them. A run
//! that is offered none of them stands before a locked door, which must never be.

use std::collections::{BTreeMap, BTreeSet};

use nodeyard_domain::{
    connection::KeySecret,
    id::JobId,
    node::Node,
    run::{Purpose, Run},
};
use nodeyard_engine::store::RunStore as _;
use nodeyard_testkit::{defects::Defect, pause::run_to_end};

use super::{Stage, judge::may_own};

/// How a run that logs in leaves the server's keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keys {
    AsTheyWere,
    /// The newest version that it was offered, alone.
    Replaced,
}

/// Public halves by server, of those whose keys were replaced.
#[derive(Debug, Default)]
pub struct Doors {
    replaced: BTreeMap<u64, BTreeSet<String>>,
    pub locked: Vec<String>,
}

/// Without the comment.
fn words(line: &str) -> String {
    line.split_whitespace().take(2).collect::<Vec<_>>().join(" ")
}

impl Stage {
    fn let_in(&self, server: u64) -> BTreeSet<String> {
        let made_with = || {
            self.world.provider.look(|world| {
                let keys = world.server(server).map(|it| it.authorized_keys.as_slice());
                keys.unwrap_or_default().iter().map(|line| words(line)).collect()
            })
        };
        self.doors.replaced.get(&server).cloned().unwrap_or_else(made_with)
    }

    /// The public half, if the private one can be read.
    fn half(&self, key: &KeySecret) -> Option<String> {
        self.world.secrets.public_half(key).map(|line| words(&line))
    }

    fn opens(&self, server: u64, mut keys: impl Iterator<Item = KeySecret>) -> bool {
        let let_in = self.let_in(server);
        keys.any(|key| self.half(&key).is_some_and(|half| let_in.contains(&half)))
    }

    /// A run logs in, and does that with the keys. Gives the version it has proved: the only one
    /// that its node needs from now on.
    pub(super) fn log_in(&mut self, job: &JobId, number: u32, keys: Keys) -> Option<u32> {
        // The observer's handle has no faults.
        let run: Run = run_to_end(self.world.store.run(job, number)).ok().flatten()?;
        let secrets = run.key_versions.iter().map(|version| run.key_secret(*version));
        if !self.opens(run.server_id, secrets) {
            let (node, offered) = (&run.node_id, &run.key_versions);
            self.doors.locked.push(format!("{node} is locked to a run that offers {offered:?}"));
            return None;
        }
        let newest = *run.key_versions.first()?;
        let is_told = run.key_versions.len() > 1;
        if keys == Keys::AsTheyWere || run.purpose != Purpose::Configure {
            let is_broken = self.world.defect() == Some(Defect::KeyUnproved);
            return (is_broken && is_told).then_some(newest);
        }
        let half = self.half(&run.key_secret(newest))?;
        self.doors.replaced.insert(run.server_id, BTreeSet::from([half]));
        is_told.then_some(newest)
    }

    /// Nodes that the next run could not log in to.
    pub(super) fn locked_out<'a>(&self, nodes: impl Iterator<Item = &'a Node>) -> Vec<String> {
        let Some(connection) = self.connection() else { return Vec::new() };
        let mut locked = self.doors.locked.clone();
        for node in nodes.filter(|node| may_own(node.status)) {
            let Some(server) = &node.server else { continue };
            let is_there = self.world.provider.look(|world| world.server(server.id).is_some());
            let offered = connection.key_versions_from(node.key_version);
            let secrets = offered.iter().map(|version| connection.key_secret(*version));
            if is_there && !self.opens(server.id, secrets) {
                locked.push(format!("{} is locked to its next run ({offered:?})", node.id));
            }
        }
        locked
    }
}
