//! The world behind the API: projects and what is in them.
//!
//! A pure state machine. Operations and the time come in; replies and orders
//! to the machines come out. It knows no HTTP, no JSON bodies, no clock and
//! starts no task.

pub mod action;
pub mod address;
pub mod budget;
pub mod catalogue;
mod command;
mod create;
pub mod error;
pub mod firewall;
pub mod label;
mod life;
mod listing;
pub mod operation;
pub mod placement_group;
pub mod primary_ip;
mod project;
mod rebuild;
mod removal;
pub mod server;
pub mod ssh_key;
pub mod stock;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::actor::AutoActor;
use crate::backing::{MachineSpec, Power};
use crate::clock::EpochMillis;
use crate::random::Random;
use crate::settings::Settings;

use action::{Action, Failure};
use address::AddressPool;
use budget::Budget;
use error::ApiError;
use firewall::Firewall;
use operation::{Kind, Operation, Reply};
use placement_group::PlacementGroup;
use primary_ip::PrimaryIp;
use server::Server;
use ssh_key::SshKey;
use stock::Stock;

/// A project: the space that a token opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ProjectId(usize);

/// How a fault bends an operation.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Twist {
    /// The action that is begun ends so.
    pub failure: Option<Failure>,
    /// The server that is made never leaves `initializing`.
    pub stuck: bool,
}

/// Something for the outside to do or to note.
#[derive(Debug, Clone)]
pub enum Output {
    /// An order to the backing; report the end with [`World::machine_done`].
    Machine {
        /// The action that waits for it.
        action: u64,
        /// What is to be done.
        order: MachineOrder,
    },
    /// A delayed request has landed.
    Landed {
        /// The number it was given.
        call: u64,
        /// What came of it; none if it was refused.
        reply: Option<Reply>,
    },
    /// The second actor did something by itself.
    Actor {
        /// When.
        at: EpochMillis,
        /// What, and in which project.
        deed: crate::actor::Deed,
        /// Whether it could.
        done: bool,
    },
}

/// What a machine is to do.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub enum MachineOrder {
    Create { spec: MachineSpec, leave_off: bool },
    Power { server: u64, power: Power },
    Rebuild { server: u64 },
    Destroy { server: u64 },
}

impl MachineOrder {
    /// The server it is about.
    pub fn server(&self) -> u64 {
        match self {
            Self::Create { spec, .. } => spec.id,
            Self::Power { server, .. } | Self::Rebuild { server } | Self::Destroy { server } => {
                *server
            }
        }
    }
}

#[derive(Debug, Clone)]
enum Event {
    ActionDue(u64),
    Land {
        project: ProjectId,
        operation: Box<Operation>,
        call: u64,
    },
    /// A server that was just made turns from `off` to `starting`.
    StartSeen {
        server: u64,
        action: u64,
    },
    ActorStirs,
}

/// The state. Cloning gives a world one can try things on.
#[derive(Debug, Clone)]
pub struct World {
    now: EpochMillis,
    settings: Settings,
    /// Whether machines stand behind the servers, so that actions wait.
    has_machines: bool,
    random: Random,
    next_id: u64,
    next_event: u64,
    agenda: BTreeMap<(EpochMillis, u64), Event>,
    outputs: Vec<Output>,
    projects: Vec<String>,
    budgets: BTreeMap<String, Budget>,
    stock: Stock,
    addresses: AddressPool,
    auto_actor: Option<AutoActor>,
    servers: BTreeMap<u64, Server>,
    actions: BTreeMap<u64, Action>,
    ssh_keys: BTreeMap<u64, SshKey>,
    placement_groups: BTreeMap<u64, PlacementGroup>,
    firewalls: BTreeMap<u64, Firewall>,
    primary_ips: BTreeMap<u64, PrimaryIp>,
}

impl World {
    /// An empty world.
    pub fn new(seed: u64, settings: Settings, has_machines: bool, now: EpochMillis) -> Self {
        let mut random = Random::new(seed);
        // [documented] ids have up to 53 bits; here they outgrow 32 from the
        // first one on.
        let next_id = (1 << 32) + random.below(1 << 33);
        Self {
            now,
            settings,
            has_machines,
            random,
            next_id,
            next_event: 0,
            agenda: BTreeMap::new(),
            outputs: Vec::new(),
            projects: Vec::new(),
            budgets: BTreeMap::new(),
            stock: Stock::default(),
            addresses: AddressPool::default(),
            auto_actor: None,
            servers: BTreeMap::new(),
            actions: BTreeMap::new(),
            ssh_keys: BTreeMap::new(),
            placement_groups: BTreeMap::new(),
            firewalls: BTreeMap::new(),
            primary_ips: BTreeMap::new(),
        }
    }

    /// Lets time pass: everything due by `to` happens, in order.
    pub fn advance(&mut self, to: EpochMillis) {
        while let Some(entry) = self.agenda.first_entry() {
            let due = entry.key().0;
            if due > to {
                break;
            }
            let event = entry.remove();
            self.now = self.now.max(due);
            match event {
                Event::ActionDue(action) => self.action_due(action),
                Event::Land { project, operation, call } => {
                    let result = self.perform(project, &operation, &Twist::default());
                    self.outputs.push(Output::Landed { call, reply: result.ok() });
                }
                Event::StartSeen { server, action } => self.start_seen(server, action),
                Event::ActorStirs => self.actor_stirs(),
            }
        }
        self.now = self.now.max(to);
    }

    /// Does what is asked, or changes nothing.
    ///
    /// # Errors
    /// The refusal the API would send.
    pub fn perform(
        &mut self,
        project: ProjectId,
        operation: &Operation,
        twist: &Twist,
    ) -> Result<Reply, ApiError> {
        if let Some((kind, id)) = operation.subject() {
            self.require(project, kind, id)?;
        }
        match operation {
            Operation::List(kind, query) => {
                Ok(Reply::Page(*kind, self.list(project, *kind, query)))
            }
            Operation::Get(kind, id) => Ok(Reply::One(*kind, *id)),
            Operation::ServerActions(server, query) => {
                Ok(Reply::Page(Kind::Action, self.list_actions(project, *server, query)))
            }
            Operation::ActionsById(ids) => Ok(Reply::Actions(self.actions_by_id(project, ids))),
            Operation::Pricing => Ok(Reply::Pricing),
            Operation::CreateServer(draft) => self.create_server(project, draft, twist),
            Operation::CreateSshKey(draft) => self.create_ssh_key(project, draft),
            Operation::CreatePlacementGroup(draft) => self.create_placement_group(project, draft),
            Operation::CreateFirewall(draft) => self.create_firewall(project, draft),
            Operation::CreatePrimaryIp(draft) => self.create_primary_ip(project, draft),
            Operation::Update(kind, id, change) => self.update(project, *kind, *id, change),
            Operation::Delete(kind, id) => self.delete(*kind, *id, twist),
            Operation::Rebuild(id, image) => self.rebuild(*id, image, twist),
            Operation::Command(id, command) => self.command(*id, *command, twist),
        }
    }

    /// Refuses what the project does not hold.
    ///
    /// # Errors
    /// `not_found`; things of other projects are not there. [documented]
    pub fn require(&self, project: ProjectId, kind: Kind, id: u64) -> Result<(), ApiError> {
        let is_there = match kind {
            Kind::Server => self.servers.get(&id).is_some_and(|it| it.project == project),
            Kind::Action => self.actions.get(&id).is_some_and(|it| it.project == project),
            Kind::SshKey => self.ssh_keys.get(&id).is_some_and(|it| it.project == project),
            Kind::ServerType => catalogue::server_type_by_id(id).is_some(),
            Kind::Location => catalogue::location_by_id(id).is_some(),
            Kind::Image => catalogue::image_by_id(id).is_some(),
            Kind::PlacementGroup => {
                self.placement_groups.get(&id).is_some_and(|it| it.project == project)
            }
            Kind::Firewall => self.firewalls.get(&id).is_some_and(|it| it.project == project),
            Kind::PrimaryIp => self.primary_ips.get(&id).is_some_and(|it| it.project == project),
        };
        if is_there { Ok(()) } else { Err(ApiError::not_found(kind, id)) }
    }

    /// Has `operation` happen later; the end is told as [`Output::Landed`].
    pub fn land_later(
        &mut self,
        project: ProjectId,
        operation: Operation,
        call: u64,
        after: Duration,
    ) {
        let event = Event::Land { project, operation: Box::new(operation), call };
        self.schedule(after, event);
    }

    /// What the outside has to do since it was last asked.
    pub fn take_outputs(&mut self) -> Vec<Output> {
        std::mem::take(&mut self.outputs)
    }

    /// When something happens next.
    pub fn next_due(&self) -> Option<EpochMillis> {
        self.agenda.first_key_value().map(|((due, _), _)| *due)
    }

    /// The time up to which the world has come.
    pub fn now(&self) -> EpochMillis {
        self.now
    }

    /// The settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Replaces the settings; what has begun keeps its times.
    pub fn set_settings(&mut self, settings: Settings) {
        self.settings = settings;
    }

    /// What is left of each offer.
    pub fn stock(&self) -> &Stock {
        &self.stock
    }

    /// What is left of each offer, to be changed.
    pub fn stock_mut(&mut self) -> &mut Stock {
        &mut self.stock
    }

    /// The automatic second actor, or none.
    pub fn set_auto_actor(&mut self, actor: Option<AutoActor>) {
        self.agenda.retain(|_, event| !matches!(event, Event::ActorStirs));
        if let Some(actor) = &actor {
            self.schedule(actor.every(), Event::ActorStirs);
        }
        self.auto_actor = actor;
    }

    /// The automatic second actor.
    pub fn auto_actor(&self) -> Option<&AutoActor> {
        self.auto_actor.as_ref()
    }

    fn actor_stirs(&mut self) {
        let Some(actor) = self.auto_actor.clone() else {
            return;
        };
        self.schedule(actor.every(), Event::ActorStirs);
        let mut random = self.random.clone();
        let deed = actor.choose(self, &mut random);
        self.random = random;
        if let Some(deed) = deed {
            let done = deed.perform(self, &[]).is_ok();
            self.outputs.push(Output::Actor { at: self.now, deed, done });
        }
    }

    /// Everything of one kind that tests and renderers look at.
    pub fn servers(&self) -> impl Iterator<Item = &Server> {
        self.servers.values()
    }

    /// All actions.
    pub fn actions(&self) -> impl Iterator<Item = &Action> {
        self.actions.values()
    }

    /// All SSH keys.
    pub fn ssh_keys(&self) -> impl Iterator<Item = &SshKey> {
        self.ssh_keys.values()
    }

    /// All placement groups.
    pub fn placement_groups(&self) -> impl Iterator<Item = &PlacementGroup> {
        self.placement_groups.values()
    }

    /// All firewalls.
    pub fn firewalls(&self) -> impl Iterator<Item = &Firewall> {
        self.firewalls.values()
    }

    /// All Primary IPs.
    pub fn primary_ips(&self) -> impl Iterator<Item = &PrimaryIp> {
        self.primary_ips.values()
    }

    /// A fresh random source for things outside the world.
    pub fn random(&mut self) -> &mut Random {
        &mut self.random
    }

    fn new_id(&mut self) -> u64 {
        self.next_id += 1 + self.random.below(9);
        self.next_id
    }

    fn schedule(&mut self, after: Duration, event: Event) {
        let after_millis = i64::try_from(after.as_millis()).unwrap_or(i64::MAX);
        self.next_event += 1;
        let due = self.now.saturating_add(after_millis);
        self.agenda.insert((due, self.next_event), event);
    }
}
