//! What everybody else does to a world: the provider, a second actor in the project, operators,
//! the container service, time itself.

use std::collections::BTreeMap;

use hetzner_sim::{
    actor::Deed as Act,
    world::{server::Server, stock::Supply},
};
use nodeyard_domain::{node::Node, ownership::LABEL_NODE};

use nodeyard_testkit::provider::{CreateFault, PROJECT};

use super::life::Life;
use crate::stage::forged_labels;

/// A locked server can be changed again after a while, in seconds.
const UNLOCK_SECS: i64 = 20;

macro_rules! deeds {
    ($($(#[doc = $told:literal])+ $name:ident,)+) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Deed {
            $($(#[doc = $told])+ $name,)+
        }

        impl Deed {
            pub const ALL: &[Deed] = &[$(Self::$name),+];

            /// Its name, for reports.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)+
                }
            }
        }
    };
}

deeds! {
    /// The provider sells one offer no more, for a while.
    StockGone,
    /// The provider sells nothing at all, for a while.
    AllStockGone,
    /// The project may hold no more servers, for a while.
    QuotaMet,
    /// The token is revoked, and good again later.
    TokenRevoked,
    /// The token may only read, for a while.
    TokenReadOnly,
    /// The stored token is one of another project, for a while.
    OtherProject,
    /// A new token is stored, and parked jobs resume.
    TokenReplaced,
    /// The provider answers nothing, for a while.
    ProviderDown,
    /// The provider answers `maintenance`, for a while.
    ProviderMaintained,
    /// Somebody else uses the project's rate budget up.
    BudgetEaten,
    /// Somebody else removes a server of ours.
    ServerRemoved,
    /// Somebody else protects a server of ours, for a while.
    ServerProtected,
    /// Somebody else switches a server of ours off.
    ServerOff,
    /// Somebody else has a server's addresses outlive it.
    AddressesKept,
    /// Somebody else takes the name that a node's server is to have.
    NameTaken,
    /// The same, with labels that are copied from ours, and a nonce of their own.
    NameForged,
    /// Somebody else makes a server of their own.
    ForeignServer,
    /// The managed key goes, and comes back later.
    KeyRemoved,
    /// An operator has the managed key replaced.
    KeyRotated,
    /// Creations get slow, or quick again.
    SpeedChanged,
    /// Time leaps forward for all: the function platform was suspended.
    ClockForward,
    /// A worker's clock goes back.
    ClockBack,
    /// All wakes are lost at once.
    QueueLost,
    /// The next create breaks its worker.
    CreatePanics,
    /// Container tasks take long to stop, or stop at once.
    StopsSlowly,
}

impl Life {
    /// Does it. Answers after how many seconds it is to be undone, if it is.
    pub fn perform(&mut self, deed: Deed) -> Option<i64> {
        let lasts = Some(self.random.between(20, 900));
        let provider = self.stage.world.provider.clone();
        match deed {
            Deed::StockGone => {
                let rung = self.random.pick(&self.rungs).clone();
                let supplies = [Supply::Out, Supply::OutUnseen, Supply::PlacementError];
                let supply = *self.random.pick(&supplies);
                provider.set_stock(&rung.server_type, &rung.location, supply);
            }
            Deed::AllStockGone => {
                for rung in &self.rungs {
                    provider.set_stock(&rung.server_type, &rung.location, Supply::OutUnseen);
                }
            }
            Deed::QuotaMet => {
                let most = self.random.between(0, 4) as u32;
                provider.limit_servers(Some(most));
            }
            Deed::TokenRevoked => provider.revoke_token(true),
            Deed::TokenReadOnly => provider.read_only(true),
            Deed::OtherProject => provider.hide_marker(true),
            Deed::ProviderDown => provider.set_down(true),
            Deed::ProviderMaintained => provider.set_maintenance(true),
            Deed::TokenReplaced => {
                self.replace_token();
                return None;
            }
            Deed::BudgetEaten => {
                provider.drain_budget(Some(self.random.between(0, 30) as u32));
                return None;
            }
            Deed::ServerRemoved => {
                let id = self.some_server()?;
                if provider.remove_server(id) {
                    self.known.removed.push(id);
                }
                return None;
            }
            Deed::ServerProtected => {
                let id = self.some_server()?;
                provider.protect(id, true);
                self.protected.push(id);
            }
            Deed::ServerOff => {
                provider.power_off(self.some_server()?);
                return None;
            }
            Deed::AddressesKept => {
                // Only of a known one: addresses carry no labels.
                provider.keep_ips(self.known_server()?);
                return None;
            }
            Deed::NameTaken => {
                let name = self.some_node(|node| node.server.is_none())?.server_name;
                self.take_name(name, BTreeMap::new());
                return None;
            }
            Deed::NameForged => {
                let node = self.some_node(|node| node.server.is_none())?;
                let labels = forged_labels(&node.id);
                self.take_name(node.server_name, labels);
                return None;
            }
            Deed::ForeignServer => {
                let name = format!("theirs-{}", self.random.seed());
                self.take_name(name, BTreeMap::new());
                return None;
            }
            Deed::KeyRemoved => {
                provider.remove_key(self.stage.key_id()?);
            }
            Deed::KeyRotated => {
                // Refused while another rotation is open, or when too many versions are in use.
                self.stage.rotate_key();
                return None;
            }
            Deed::SpeedChanged => {
                let create_secs = *self.random.pick(&[2.0, 10.0, 40.0, 200.0, 700.0]);
                let delete_secs = *self.random.pick(&[1.0, 4.0, 30.0, 120.0]);
                provider.set_times(create_secs, 3.0, delete_secs);
            }
            Deed::ClockForward => {
                let secs = self.random.between(30, 900);
                self.stage.advance_millis(secs * 1000);
                return None;
            }
            Deed::ClockBack => {
                let worker = self.random.below(self.stage.workers.len());
                let secs = self.random.between(1, 5);
                self.stage.set_skew(worker, -secs);
            }
            Deed::QueueLost => {
                self.stage.world.queue.lose_all();
                return None;
            }
            Deed::CreatePanics => {
                provider.fault(CreateFault::Panics);
                return None;
            }
            Deed::StopsSlowly => {
                let secs = *self.random.pick(&[0, 5, 90, 4000]);
                self.stage.world.runner.set_stop_secs(secs);
                return None;
            }
        }
        lasts
    }

    /// Undoes what lasted for a while. Answers after how many seconds it is to be tried again, if
    /// it could not be undone.
    pub fn restore(&mut self, deed: Deed) -> Option<i64> {
        let provider = self.stage.world.provider.clone();
        match deed {
            Deed::StockGone | Deed::AllStockGone => {
                for rung in &self.rungs {
                    provider.set_stock(&rung.server_type, &rung.location, Supply::Plenty);
                }
            }
            Deed::QuotaMet => provider.limit_servers(None),
            Deed::TokenRevoked => provider.revoke_token(false),
            Deed::TokenReadOnly => provider.read_only(false),
            Deed::OtherProject => provider.hide_marker(false),
            Deed::ProviderDown => provider.set_down(false),
            Deed::ProviderMaintained => provider.set_maintenance(false),
            Deed::ServerProtected => {
                // A server that is locked is asked again.
                self.protected.retain(|id| {
                    let is_there = provider.look(|world| world.server(*id).is_some());
                    is_there && !provider.protect(*id, false)
                });
                return (!self.protected.is_empty()).then_some(UNLOCK_SECS);
            }
            Deed::KeyRemoved => {
                self.known.is_key_replaced |= self.stage.make_key();
            }
            Deed::SpeedChanged => provider.set_times(10.0, 3.0, 4.0),
            Deed::ClockBack => {
                for worker in 0..self.stage.workers.len() {
                    self.stage.set_skew(worker, 0);
                }
            }
            Deed::TokenReplaced
            | Deed::BudgetEaten
            | Deed::ServerRemoved
            | Deed::ServerOff
            | Deed::AddressesKept
            | Deed::NameTaken
            | Deed::NameForged
            | Deed::ForeignServer
            | Deed::ClockForward
            | Deed::QueueLost
            | Deed::CreatePanics
            | Deed::KeyRotated
            | Deed::StopsSlowly => {}
        }
        None
    }

    /// Somebody else makes a server, unless the name is taken or the project is full.
    fn take_name(&self, name: String, labels: BTreeMap<String, String>) {
        let project = PROJECT.to_owned();
        self.stage.world.provider.act(&Act::TakeName { project, name, labels });
    }

    /// A server of ours, whether we know of it by now or not.
    fn some_server(&mut self) -> Option<u64> {
        let project = &self.stage.world.provider;
        let ours: Vec<u64> = project.look(|world| {
            let labelled = |it: &&Server| it.labels.contains_key(LABEL_NODE);
            world.servers().filter(labelled).map(|server| server.id).collect()
        });
        (!ours.is_empty()).then(|| *self.random.pick(&ours))
    }

    /// A server that is on a node's record.
    fn known_server(&mut self) -> Option<u64> {
        let node = self.some_node(|node| node.server.is_some())?;
        node.server.map(|server| server.id)
    }

    pub(super) fn some_node(&mut self, fits: impl Fn(&Node) -> bool) -> Option<Node> {
        let random = &mut self.random;
        self.stage.world.store.with_nodes(|nodes| {
            let fitting: Vec<&Node> = nodes.values().filter(|node| fits(node)).collect();
            (!fitting.is_empty()).then(|| (*random.pick(&fitting)).clone())
        })
    }
}
