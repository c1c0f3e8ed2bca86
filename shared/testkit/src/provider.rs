//! A cloud in memory: one project, names that are unique, answers that can be lost.
//!
//! Each call gives way once before it takes effect, as a network does, so that workers interleave.
//!
//! It is the provider as the engine sees it, for whole worlds under a simulated clock. The wire
//! is the Hetzner simulator's and the adapter's concern.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex},
};

use jiff::{SignedDuration, Timestamp};
use nodeyard_domain::{
    connection::{Connection, ConnectionName, ManagedKey},
    id::NodeId,
    node::Server,
    observation::{FailureClass, ProviderFailure, ServerStatus},
    ownership::{LABEL_DEPLOYMENT, LABEL_NODE},
    pace::SeenRate,
};
use nodeyard_engine::{
    Clock,
    provider::{ActionState, CreateServer, CreatedServer, FoundServer, Provider, Remains},
};

use crate::{clock::SimulatedClock, held};

type Result<T> = std::result::Result<T, ProviderFailure>;

/// What happens to one create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CreateFault {
    /// The server is made and the answer is lost.
    AnswerLost,
    /// The answer is lost and nothing was made.
    Dropped,
    /// The answer is lost, and the server is made this many seconds later.
    LandsLate(i64),
    Refused(ProviderFailure),
    /// The worker's code panics in the middle of the call.
    Panics,
}

#[derive(Debug, Clone)]
struct Machine {
    server: Server,
    labels: BTreeMap<String, String>,
    action_id: u64,
    up_at: Timestamp,
    gone_at: Option<Timestamp>,
}

#[derive(Debug, Default)]
struct Project {
    machines: BTreeMap<u64, Machine>,
    landing: Vec<(Timestamp, CreateServer)>,
    faults: VecDeque<CreateFault>,
    last_id: u64,
    groups: BTreeMap<String, u64>,
    /// Every create that took effect, by name: the judge of duplicates.
    made: BTreeMap<String, u32>,
    creates_sent: u32,
    calls: u32,
    most_alive_per_name: u32,
    unauthorized: bool,
    sees_marker: bool,
}

#[derive(Debug, Clone)]
pub struct MemoryProvider {
    clock: SimulatedClock,
    project: Arc<Mutex<Project>>,
    pub create_secs: i64,
    pub delete_secs: i64,
}

/// What the cloud's own books say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Books {
    pub alive: Vec<u64>,
    pub made: u32,
    pub creates_sent: u32,
    pub calls: u32,
    /// The most servers that were alive at once under one name. Above 1 is a doubled server.
    pub most_alive_per_name: u32,
}

impl MemoryProvider {
    pub fn new(clock: SimulatedClock) -> Self {
        let project = Project { sees_marker: true, last_id: 1 << 33, ..Project::default() };
        Self { clock, project: Arc::new(Mutex::new(project)), create_secs: 12, delete_secs: 4 }
    }

    /// Queues a fault for the next create that has none.
    pub fn fault(&self, fault: CreateFault) {
        held(&self.project).faults.push_back(fault);
    }

    pub fn revoke_token(&self, revoked: bool) {
        held(&self.project).unauthorized = revoked;
    }

    /// Makes the token one of another project, which sees nothing of ours.
    pub fn hide_marker(&self, hidden: bool) {
        held(&self.project).sees_marker = !hidden;
    }

    /// A second actor takes a name in the project.
    pub fn take_name(&self, name: &str) -> u64 {
        let mut project = held(&self.project);
        let body = CreateServer {
            name: name.to_owned(),
            server_type: String::new(),
            location: String::new(),
            image: String::new(),
            ssh_keys: Vec::new(),
            labels: BTreeMap::new(),
            user_data: String::new(),
            placement_group: None,
            attempt: 0,
        };
        self.make(&mut project, &body).server.id
    }

    pub fn books(&self) -> Books {
        let mut project = held(&self.project);
        self.settle(&mut project);
        Books {
            alive: project.machines.keys().copied().collect(),
            made: project.made.values().sum(),
            creates_sent: project.creates_sent,
            calls: project.calls,
            most_alive_per_name: project.most_alive_per_name,
        }
    }

    /// Brings the project up to the clock: late creates land, deleted servers vanish.
    fn settle(&self, project: &mut Project) {
        let now = self.clock.now();
        project.machines.retain(|_, machine| machine.gone_at.is_none_or(|gone| gone > now));
        let landing = std::mem::take(&mut project.landing);
        for (at, body) in landing {
            if at > now {
                project.landing.push((at, body));
            } else if !project.machines.values().any(|machine| machine.server.name == body.name) {
                self.make(project, &body);
            }
        }
    }

    fn make(&self, project: &mut Project, body: &CreateServer) -> CreatedServer {
        project.last_id += 3;
        let id = project.last_id;
        let server = Server {
            id,
            name: body.name.clone(),
            attempt: body.attempt,
            ipv4: Some(format!("198.18.0.{}", 10 + project.machines.len() % 240)),
            ipv6: None,
            primary_ips: vec![id + 1],
            server_type: Some(body.server_type.clone()),
            location: Some(body.location.clone()),
        };
        let machine = Machine {
            server: server.clone(),
            labels: body.labels.clone(),
            action_id: id + 2,
            up_at: self.clock.now() + SignedDuration::from_secs(self.create_secs),
            gone_at: None,
        };
        project.machines.insert(id, machine);
        *project.made.entry(body.name.clone()).or_default() += 1;
        let alive = project.machines.values().filter(|other| other.server.name == body.name);
        project.most_alive_per_name = project.most_alive_per_name.max(alive.count() as u32);
        CreatedServer { server, action_id: Some(id + 2) }
    }

    /// Every call: counted, and refused while the token is.
    fn call(&self) -> Result<std::sync::MutexGuard<'_, Project>> {
        let mut project = held(&self.project);
        project.calls += 1;
        if project.unauthorized {
            return Err(ProviderFailure::new(
                FailureClass::Unauthorized,
                "unauthorized",
                "invalid",
            ));
        }
        self.settle(&mut project);
        Ok(project)
    }

    fn found(&self, machine: &Machine) -> FoundServer {
        let status = match machine.gone_at {
            Some(_) => ServerStatus::Deleting,
            None if machine.up_at > self.clock.now() => {
                ServerStatus::Other("initializing".to_owned())
            }
            None => ServerStatus::Running,
        };
        FoundServer { server: machine.server.clone(), status, labels: machine.labels.clone() }
    }
}

fn not_found() -> ProviderFailure {
    ProviderFailure::new(FailureClass::NotFound, "not_found", "not found")
}

fn lost() -> ProviderFailure {
    ProviderFailure::new(FailureClass::Unknown, "timeout", "no answer")
}

impl Provider for MemoryProvider {
    async fn sees_key(&self, _on: &Connection, _key: &ManagedKey) -> Result<bool> {
        tokio::task::yield_now().await;
        Ok(self.call()?.sees_marker)
    }

    async fn create_group(&self, _on: &Connection, name: &str, _ours: &str) -> Result<u64> {
        tokio::task::yield_now().await;
        let mut project = self.call()?;
        let next = project.last_id + 3;
        let id = *project.groups.entry(name.to_owned()).or_insert(next);
        project.last_id = project.last_id.max(id);
        Ok(id)
    }

    async fn servers(
        &self,
        _on: &Connection,
        deployment: &str,
        nodes: &[NodeId],
    ) -> Result<Vec<FoundServer>> {
        tokio::task::yield_now().await;
        let project = self.call()?;
        let is_theirs = |machine: &&Machine| {
            let label = |name| machine.labels.get(name).map(String::as_str);
            label(LABEL_DEPLOYMENT) == Some(deployment)
                && nodes.iter().any(|node| label(LABEL_NODE) == Some(node.as_str()))
        };
        let found = project.machines.values().filter(is_theirs);
        Ok(found.map(|machine| self.found(machine)).collect())
    }

    async fn find_server(&self, _on: &Connection, name: &str) -> Result<Option<FoundServer>> {
        tokio::task::yield_now().await;
        let project = self.call()?;
        let machine = project.machines.values().find(|machine| machine.server.name == name);
        Ok(machine.map(|machine| self.found(machine)))
    }

    async fn create_server(&self, _on: &Connection, body: &CreateServer) -> Result<CreatedServer> {
        tokio::task::yield_now().await;
        let mut project = self.call()?;
        project.creates_sent += 1;
        let fault = project.faults.pop_front();
        match fault {
            Some(CreateFault::Refused(failure)) => return Err(failure),
            Some(CreateFault::Panics) => panic!("a planted panic"),
            _ => {}
        }
        if project.machines.values().any(|machine| machine.server.name == body.name) {
            let failure =
                ProviderFailure::new(FailureClass::NameTaken, "uniqueness_error", "name in use");
            return Err(failure);
        }
        match fault {
            Some(CreateFault::Dropped) => return Err(lost()),
            Some(CreateFault::LandsLate(secs)) => {
                let at = self.clock.now() + SignedDuration::from_secs(secs);
                project.landing.push((at, body.clone()));
                return Err(lost());
            }
            _ => {}
        }
        let created = self.make(&mut project, body);
        if fault == Some(CreateFault::AnswerLost) { Err(lost()) } else { Ok(created) }
    }

    async fn actions(&self, _on: &Connection, ids: &[u64]) -> Result<BTreeMap<u64, ActionState>> {
        tokio::task::yield_now().await;
        let project = self.call()?;
        let now = self.clock.now();
        let state = |machine: &Machine| {
            if machine.up_at > now {
                ActionState::Running
            } else {
                ActionState::Succeeded { took_secs: Some(12) }
            }
        };
        let known = project.machines.values().filter(|machine| ids.contains(&machine.action_id));
        Ok(known.map(|machine| (machine.action_id, state(machine))).collect())
    }

    async fn server(&self, _on: &Connection, id: u64) -> Result<FoundServer> {
        tokio::task::yield_now().await;
        let project = self.call()?;
        project.machines.get(&id).map(|machine| self.found(machine)).ok_or_else(not_found)
    }

    async fn delete_server(&self, _on: &Connection, id: u64) -> Result<()> {
        tokio::task::yield_now().await;
        let mut project = self.call()?;
        let now = self.clock.now();
        let machine = project.machines.get_mut(&id).ok_or_else(not_found)?;
        if machine.up_at > now {
            let failure = ProviderFailure::new(FailureClass::Busy, "locked", "an action runs");
            return Err(failure);
        }
        machine.gone_at.get_or_insert(now + SignedDuration::from_secs(self.delete_secs));
        Ok(())
    }

    async fn delete_primary_ip(&self, _on: &Connection, _id: u64) -> Result<()> {
        tokio::task::yield_now().await;
        self.call().map(drop)
    }

    fn seen_rate(&self, _on: &ConnectionName) -> Option<SeenRate> {
        None
    }

    async fn remains(&self, _on: &Connection, server: u64, _ips: &[u64]) -> Result<Remains> {
        tokio::task::yield_now().await;
        let project = self.call()?;
        Ok(if project.machines.contains_key(&server) && project.sees_marker {
            Remains::StillThere
        } else if project.sees_marker {
            Remains::Nothing
        } else {
            Remains::MarkerMissing
        })
    }
}
