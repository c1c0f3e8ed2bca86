//! The journal: every request, what it was answered and whether it did
//! anything.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;

use crate::actor::Deed;
use crate::clock::{EpochMillis, rfc3339_millis};
use crate::world::World;
use crate::world::operation::Reply;

/// One request.
#[derive(Debug, Clone, Serialize)]
pub struct Entry {
    /// From 1, in the order of arrival.
    pub seq: u64,
    /// When, RFC 3339.
    pub at: String,
    /// Such as `POST`.
    pub method: String,
    /// Without `/v1`.
    pub path: String,
    /// As sent.
    pub query: String,
    /// Of the answer; none if the connection was closed instead.
    pub status: Option<u16>,
    /// Code of the error in the answer.
    pub code: Option<String>,
    /// `X-Correlation-Id` of the answer.
    pub correlation_id: String,
    /// Name of the token; none if it was missing or wrong.
    pub token: Option<String>,
    /// Project of the token.
    pub project: Option<String>,
    /// `name` in the body.
    pub name: Option<String>,
    /// Whether the world was changed.
    pub effect: bool,
    /// The thing that was made.
    pub created_id: Option<u64>,
    /// For a request that lands after its answer.
    pub late: Option<Late>,
    /// Kinds of the faults that hit it.
    pub faults: Vec<&'static str>,
    /// The body as sent, `user_data` left out; shown on request only.
    #[serde(skip)]
    pub body: Option<Value>,
}

/// How a request that lands late stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Late {
    Pending,
    Landed,
    Refused,
}

/// Something the second actor did.
#[derive(Debug, Clone, Serialize)]
pub struct ActorEntry {
    /// When, RFC 3339.
    pub at: String,
    /// What.
    pub deed: Deed,
    /// Whether it could.
    pub done: bool,
    /// Whether it did so by itself.
    pub by_itself: bool,
}

/// Sums over the journal, and what is alive now.
#[derive(Debug, Clone, Serialize)]
pub struct Counts {
    /// Requests.
    pub requests: u64,
    /// Requests by status; `closed` where there was none.
    pub by_status: BTreeMap<String, u64>,
    /// Requests by method and path, ids written as `{id}`.
    pub by_route: BTreeMap<String, u64>,
    /// Requests by name of the token.
    pub by_token: BTreeMap<String, u64>,
    /// Requests answered 429.
    pub rate_limited: u64,
    /// `POST /servers`, by name in the body.
    pub create_posts: BTreeMap<String, u64>,
    /// Servers that were made, late ones included.
    pub created_servers: u64,
    /// Servers that were made, by name in the body.
    pub created_by_name: BTreeMap<String, u64>,
    /// `DELETE` of servers that had an effect.
    pub deleted_servers: u64,
    /// Servers there are now, those being deleted included.
    pub live_servers: u64,
    /// Their names.
    pub live_names: BTreeSet<String>,
    /// Primary IPs there are now.
    pub live_primary_ips: u64,
    /// Deeds of the second actor that were done.
    pub actor_deeds: u64,
}

/// What the journal is asked for.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only of this project.
    pub project: Option<String>,
    /// Only of this token.
    pub token: Option<String>,
    /// Only after this number.
    pub after: u64,
}

impl Filter {
    fn takes(&self, entry: &Entry) -> bool {
        entry.seq > self.after
            && (self.project.is_none() || self.project == entry.project)
            && (self.token.is_none() || self.token == entry.token)
    }
}

/// All that was asked since the start, or since it was cleared.
#[derive(Debug, Clone, Default)]
pub struct Journal {
    entries: Vec<Entry>,
    actor: Vec<ActorEntry>,
    last_seq: u64,
}

impl Journal {
    /// The number of the next request.
    pub fn next_seq(&mut self) -> u64 {
        self.last_seq += 1;
        self.last_seq
    }

    /// Adds a request.
    pub fn add(&mut self, entry: Entry) {
        self.entries.push(entry);
    }

    /// Adds a deed of the second actor.
    pub fn add_deed(&mut self, at: EpochMillis, deed: Deed, done: bool, by_itself: bool) {
        self.actor.push(ActorEntry { at: rfc3339_millis(at), deed, done, by_itself });
    }

    /// A late request has landed, or was refused then.
    pub fn landed(&mut self, seq: u64, reply: Option<&Reply>) {
        if let Some(entry) = self.entries.iter_mut().find(|entry| entry.seq == seq) {
            entry.effect = reply.is_some();
            entry.created_id = reply.and_then(created_id);
            entry.late = Some(if reply.is_some() { Late::Landed } else { Late::Refused });
        }
    }

    /// Requests that fit.
    pub fn entries<'a>(&'a self, filter: &'a Filter) -> impl Iterator<Item = &'a Entry> {
        self.entries.iter().filter(|entry| filter.takes(entry))
    }

    /// Deeds of the second actor.
    pub fn actor(&self) -> &[ActorEntry] {
        &self.actor
    }

    /// Forgets everything; numbers go on.
    pub fn clear(&mut self) {
        self.entries.clear();
        self.actor.clear();
    }

    /// Sums.
    pub fn counts(&self, filter: &Filter, world: &World) -> Counts {
        let mut counts = Counts {
            requests: 0,
            by_status: BTreeMap::new(),
            by_route: BTreeMap::new(),
            by_token: BTreeMap::new(),
            rate_limited: 0,
            create_posts: BTreeMap::new(),
            created_servers: 0,
            created_by_name: BTreeMap::new(),
            deleted_servers: 0,
            live_servers: 0,
            live_names: BTreeSet::new(),
            live_primary_ips: 0,
            actor_deeds: 0,
        };
        for entry in self.entries(filter) {
            counts.add(entry);
        }
        let wanted = filter.project.as_deref();
        let is_wanted = |project| wanted.is_none_or(|name| world.project_name(project) == name);
        for server in world.servers().filter(|server| is_wanted(server.project)) {
            counts.live_servers += 1;
            counts.live_names.insert(server.name.clone());
        }
        let ips = world.primary_ips().filter(|ip| is_wanted(ip.project));
        counts.live_primary_ips = ips.count() as u64;
        counts.actor_deeds = self.actor.iter().filter(|entry| entry.done).count() as u64;
        counts
    }
}

impl Counts {
    fn add(&mut self, entry: &Entry) {
        let raise = |sums: &mut BTreeMap<String, u64>, key: String| {
            *sums.entry(key).or_default() += 1;
        };
        self.requests += 1;
        let status = entry.status.map_or("closed".to_owned(), |it| it.to_string());
        raise(&mut self.by_status, status);
        raise(&mut self.by_route, format!("{} {}", entry.method, shape(&entry.path)));
        if let Some(token) = &entry.token {
            raise(&mut self.by_token, token.clone());
        }
        self.rate_limited += u64::from(entry.status == Some(429));
        let name = || entry.name.clone().unwrap_or_default();
        if entry.method == "POST" && entry.path == "/servers" {
            raise(&mut self.create_posts, name());
            if entry.created_id.is_some() {
                self.created_servers += 1;
                raise(&mut self.created_by_name, name());
            }
        }
        let is_server = shape(&entry.path) == "/servers/{id}";
        self.deleted_servers += u64::from(entry.method == "DELETE" && is_server && entry.effect);
    }
}

/// The id of what a reply says was made.
pub fn created_id(reply: &Reply) -> Option<u64> {
    match reply {
        Reply::Created(_, id, _) | Reply::FirewallCreated(id, _) => Some(*id),
        Reply::ServerCreated { server, .. } => Some(*server),
        _ => None,
    }
}

fn shape(path: &str) -> String {
    let words: Vec<&str> = path
        .split('/')
        .map(|word| {
            let is_id = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
            if is_id { "{id}" } else { word }
        })
        .collect();
    words.join("/")
}
