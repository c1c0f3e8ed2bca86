//! The second actor: somebody else who works in the same project.
//!
//! A token is one of many hands on a project. What the others do, a client
//! must survive; here it can be ordered deed by deed, or left to a seeded
//! hand that stirs by itself.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::TokenSpec;
use crate::random::Random;
use crate::settings::span;
use crate::world::error::ApiError;
use crate::world::operation::{Change, Command, Kind, Operation, ServerDraft};
use crate::world::server::{Server, Status};
use crate::world::{ProjectId, Twist, World};

/// Something the second actor does. `server` is a name or an id.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub enum Deed {
    /// Uses up requests of the project's budget.
    EatBudget {
        /// In which project.
        project: String,
        /// How many; absent: all there are.
        requests: Option<u32>,
    },
    /// Makes a server of its own under this name.
    TakeName {
        /// In which project.
        project: String,
        /// Of the server.
        name: String,
        /// Labels of the server.
        #[serde(default)]
        labels: BTreeMap<String, String>,
    },
    /// Deletes a server.
    Delete {
        /// In which project.
        project: String,
        /// Which.
        server: String,
    },
    /// Protects a server from deletion, or lifts that.
    Protect {
        /// In which project.
        project: String,
        /// Which.
        server: String,
        /// Whether it is protected then.
        #[serde(default = "yes")]
        on: bool,
    },
    /// Replaces the labels of a server.
    Relabel {
        /// In which project.
        project: String,
        /// Which.
        server: String,
        /// All labels it has then.
        labels: BTreeMap<String, String>,
    },
    /// Switches a server off.
    PowerOff {
        /// In which project.
        project: String,
        /// Which.
        server: String,
    },
    /// Overwrites a server's disk with an image.
    Rebuild {
        /// In which project.
        project: String,
        /// Which.
        server: String,
        /// Name or id.
        image: String,
    },
    /// Deletes an SSH key.
    DeleteSshKey {
        /// In which project.
        project: String,
        /// Name or id.
        ssh_key: String,
    },
}

fn yes() -> bool {
    true
}

impl Deed {
    /// The project it happens in.
    pub fn project(&self) -> &str {
        match self {
            Self::EatBudget { project, .. }
            | Self::TakeName { project, .. }
            | Self::Delete { project, .. }
            | Self::Protect { project, .. }
            | Self::Relabel { project, .. }
            | Self::PowerOff { project, .. }
            | Self::Rebuild { project, .. }
            | Self::DeleteSshKey { project, .. } => project,
        }
    }

    /// Does it. `tokens` are those whose own budgets are eaten from.
    ///
    /// # Errors
    /// The refusal the API would send.
    pub fn perform(&self, world: &mut World, tokens: &[TokenSpec]) -> Result<(), ApiError> {
        let project = world.project(self.project());
        let operation = match self {
            Self::EatBudget { project, requests } => {
                world.drain(project, tokens, requests.unwrap_or(u32::MAX));
                return Ok(());
            }
            Self::TakeName { name, labels, .. } => {
                let mut draft = ServerDraft::plain(name, "cpx22", "debian-13");
                draft.labels.clone_from(labels);
                Operation::CreateServer(Box::new(draft))
            }
            Self::Delete { server, .. } => {
                Operation::Delete(Kind::Server, server_id(world, project, server)?)
            }
            Self::Protect { server, on, .. } => Operation::Command(
                server_id(world, project, server)?,
                Command::ChangeProtection { delete: Some(*on), rebuild: Some(*on) },
            ),
            Self::Relabel { server, labels, .. } => Operation::Update(
                Kind::Server,
                server_id(world, project, server)?,
                Change { labels: Some(labels.clone()), ..Change::default() },
            ),
            Self::PowerOff { server, .. } => {
                Operation::Command(server_id(world, project, server)?, Command::PowerOff)
            }
            Self::Rebuild { server, image, .. } => {
                Operation::Rebuild(server_id(world, project, server)?, image.clone())
            }
            Self::DeleteSshKey { ssh_key, .. } => {
                let id = world
                    .ssh_keys()
                    .find(|key| {
                        key.project == project
                            && (key.name == *ssh_key || key.id.to_string() == *ssh_key)
                    })
                    .map(|key| key.id)
                    .ok_or_else(|| ApiError::new("not_found", "no such SSH key"))?;
                Operation::Delete(Kind::SshKey, id)
            }
        };
        world.perform(project, &operation, &Twist::default()).map(|_| ())
    }
}

fn server_id(world: &World, project: ProjectId, reference: &str) -> Result<u64, ApiError> {
    world
        .servers()
        .find(|server| {
            server.project == project
                && (server.name == reference || server.id.to_string() == reference)
        })
        .map(|server| server.id)
        .ok_or_else(|| ApiError::new("not_found", format!("no server {reference}")))
}

/// What the seeded hand may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Habit {
    /// Eats 1 to 100 requests.
    EatBudget,
    /// Makes servers of its own, at most five.
    TakeName,
    /// Deletes any server.
    Delete,
    /// Protects any server.
    Protect,
    /// Lifts the protection of any server.
    Unprotect,
    /// Adds a label to any server.
    Relabel,
    /// Switches off any server that runs.
    PowerOff,
}

/// A second actor who stirs by itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AutoActor {
    /// In which project.
    pub project: String,
    /// How often, at least every tenth of a second.
    pub every_secs: f64,
    /// What it does, one of these each time.
    pub habits: Vec<Habit>,
}

impl AutoActor {
    /// The pause between two deeds; never so short that time stands still.
    pub fn every(&self) -> Duration {
        span(self.every_secs).max(Duration::from_millis(100))
    }

    /// The next deed, if there is anything to do it to.
    pub fn choose(&self, world: &World, random: &mut Random) -> Option<Deed> {
        let project_id = world.find_project(&self.project)?;
        let project = self.project.clone();
        let at = random.below(self.habits.len() as u64);
        let habit = self.habits.get(usize::try_from(at).ok()?)?;
        let mut pick = |wanted: &dyn Fn(&Server) -> bool| {
            let fitting: Vec<&Server> = world
                .servers()
                .filter(|server| server.project == project_id && wanted(server))
                .collect();
            let at = usize::try_from(random.below(fitting.len() as u64)).ok()?;
            fitting.get(at).map(|server| (*server).clone())
        };
        Some(match habit {
            Habit::EatBudget => Deed::EatBudget {
                project,
                requests: Some(1 + u32::try_from(random.below(100)).unwrap_or(0)),
            },
            Habit::TakeName => {
                let own = world
                    .servers()
                    .filter(|server| server.project == project_id)
                    .filter(|server| server.labels.contains_key("second-actor"))
                    .count();
                if own >= 5 {
                    return None;
                }
                Deed::TakeName {
                    project,
                    name: format!("other-{:08x}", random.below(1 << 32)),
                    labels: BTreeMap::from([("second-actor".to_owned(), String::new())]),
                }
            }
            Habit::Delete => Deed::Delete { project, server: pick(&|_| true)?.id.to_string() },
            Habit::Protect => Deed::Protect {
                project,
                server: pick(&|server| !server.protected)?.id.to_string(),
                on: true,
            },
            Habit::Unprotect => Deed::Protect {
                project,
                server: pick(&|server| server.protected)?.id.to_string(),
                on: false,
            },
            Habit::Relabel => {
                let server = pick(&|_| true)?;
                let mut labels = server.labels;
                labels.insert("touched".to_owned(), "second-actor".to_owned());
                Deed::Relabel { project, server: server.id.to_string(), labels }
            }
            Habit::PowerOff => Deed::PowerOff {
                project,
                server: pick(&|server| server.status == Status::Running)?.id.to_string(),
            },
        })
    }
}
