//! A provider as the API sees it. A token says what it is: `rw:p1` and `ro:p1` are tokens of the
//! project `p1`, `later:p1` one whose writes get no useful answer; others are refused unless they
//! were made known.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use nodeyard_domain::{
    connection::{Connection, ManagedKey, Permission, RateBudget},
    observation::{FailureClass, ProviderFailure},
    orphan::{Resource, ResourceKind},
    ownership::LABEL_DEPLOYMENT,
};
use nodeyard_engine::{
    orphan::{Inventory, ListedPage},
    provider::{Catalogue, Offer, ProviderCheck, Survey, TokenReport},
};
use secrecy::{ExposeSecret, SecretString};

#[derive(Debug, Clone)]
struct Key {
    project: String,
    id: u64,
    public_key: String,
    name: String,
}

#[derive(Debug, Default)]
struct Books {
    keys: Vec<Key>,
    catalogue_calls: u32,
    revoked: Vec<String>,
    /// What tokens may that do not say it themselves, and in which project.
    accepted: BTreeMap<String, (String, String)>,
    /// Every token that was tried, once.
    seen: Vec<String>,
    down: bool,
    things: Vec<Resource>,
    /// Ids of things that are protected from deletion.
    protected: Vec<u64>,
}

#[derive(Debug, Clone, Default)]
pub struct FakeCloud(Arc<Mutex<Books>>);

impl FakeCloud {
    pub fn catalogue_calls(&self) -> u32 {
        self.0.lock().unwrap().catalogue_calls
    }

    /// The names of the keys in all projects.
    pub fn key_names(&self) -> Vec<String> {
        self.0.lock().unwrap().keys.iter().map(|key| key.name.clone()).collect()
    }

    pub fn forget_keys(&self) {
        self.0.lock().unwrap().keys.clear();
    }

    pub fn revoke(&self, token: &str) {
        self.0.lock().unwrap().revoked.push(token.to_owned());
    }

    /// Makes a token of any shape one of `rw`, `ro` or `later`, of a project.
    pub fn accept(&self, token: &str, may: &str, project: &str) {
        let what = (may.to_owned(), project.to_owned());
        self.0.lock().unwrap().accepted.insert(token.to_owned(), what);
    }

    pub fn tokens_seen(&self) -> Vec<String> {
        self.0.lock().unwrap().seen.clone()
    }

    pub fn set_down(&self, down: bool) {
        self.0.lock().unwrap().down = down;
    }

    /// Puts a thing into every project, in the place of one of its id.
    pub fn put(&self, thing: Resource) {
        let mut books = self.0.lock().unwrap();
        books.things.retain(|known| known.id != thing.id);
        books.things.push(thing);
    }

    pub fn protect(&self, id: u64) {
        self.0.lock().unwrap().protected.push(id);
    }

    /// The ids of the things there are.
    pub fn things(&self) -> Vec<u64> {
        self.0.lock().unwrap().things.iter().map(|thing| thing.id).collect()
    }

    fn up(&self) -> Result<(), ProviderFailure> {
        let down = || ProviderFailure::new(FailureClass::Unknown, "bad_gateway", "down");
        if self.0.lock().unwrap().down { Err(down()) } else { Ok(()) }
    }

    /// What the token may do, and where.
    fn open(&self, token: &SecretString) -> Result<(String, String), ProviderFailure> {
        let mut books = self.0.lock().unwrap();
        if books.down {
            return Err(ProviderFailure::new(FailureClass::Unknown, "bad_gateway", "down"));
        }
        let token = token.expose_secret();
        if !books.seen.iter().any(|seen| seen == token) {
            books.seen.push(token.to_owned());
        }
        if let Some(what) = books.accepted.get(token) {
            return Ok(what.clone());
        }
        token
            .split_once(':')
            .filter(|(may, _)| ["rw", "ro", "later"].contains(may))
            .filter(|_| !books.revoked.iter().any(|revoked| revoked == token))
            .map(|(may, project)| (may.to_owned(), project.to_owned()))
            .ok_or_else(|| {
                ProviderFailure::new(FailureClass::Unauthorized, "unauthorized", "no such token")
            })
    }
}

impl ProviderCheck for FakeCloud {
    async fn check_token(
        &self,
        token: &SecretString,
        key_name: &str,
        public_key: &str,
        known: Option<&ManagedKey>,
    ) -> Result<TokenReport, ProviderFailure> {
        let (may, project) = self.open(token)?;
        let permission = match may.as_str() {
            "rw" => Permission::ReadWrite,
            "ro" => Permission::ReadOnly,
            _ => Permission::Unknown,
        };
        let mut books = self.0.lock().unwrap();
        let wanted = known.map_or(public_key, |known| known.public_key.as_str());
        let mut found = books
            .keys
            .iter()
            .find(|key| key.project == project && key.public_key == wanted)
            .cloned();
        let sees_marker = known.is_some() && found.is_some();
        if found.is_none() && known.is_none() && permission == Permission::ReadWrite {
            let key = Key {
                project,
                id: 100 + books.keys.len() as u64,
                public_key: public_key.to_owned(),
                name: key_name.to_owned(),
            };
            books.keys.push(key.clone());
            found = Some(key);
        }
        let unproved = known.is_some() && found.is_none();
        Ok(TokenReport {
            permission: if unproved { Permission::Unknown } else { permission },
            rate_budget: Some(RateBudget { limit: 3600, remaining: 3590 }),
            key: found.map(|key| ManagedKey {
                version: known.map_or(1, |known| known.version),
                provider_id: key.id,
                fingerprint: format!("00:{:02x}", key.id),
                public_key: key.public_key,
            }),
            sees_marker,
        })
    }

    async fn sees_server(&self, token: &SecretString, id: u64) -> Result<bool, ProviderFailure> {
        self.open(token)?;
        let books = self.0.lock().unwrap();
        Ok(books.things.iter().any(|thing| thing.kind == ResourceKind::Server && thing.id == id))
    }

    async fn survey(
        &self,
        token: &SecretString,
        deployment: &str,
    ) -> Result<Survey, ProviderFailure> {
        self.open(token)?;
        let books = self.0.lock().unwrap();
        let servers: Vec<_> =
            books.things.iter().filter(|thing| thing.kind == ResourceKind::Server).collect();
        let named = |thing: &&Resource| thing.labels.get(LABEL_DEPLOYMENT).cloned();
        Ok(Survey {
            servers: Some(servers.len() as u64),
            other_deployment: servers.iter().filter_map(named).find(|name| name != deployment),
        })
    }

    async fn catalogue(&self, token: &SecretString) -> Result<Catalogue, ProviderFailure> {
        self.open(token)?;
        self.0.lock().unwrap().catalogue_calls += 1;
        let offer = |server_type: &str, location: &str, price, available| Offer {
            server_type: server_type.into(),
            location: location.into(),
            architecture: "x86".into(),
            cores: 2,
            memory_gb: 4.0,
            disk_gb: 40,
            available,
            deprecated: false,
            unavailable_after: None,
            monthly_net: price,
        };
        Ok(Catalogue {
            currency: "EUR".into(),
            offers: vec![
                offer("cx23", "fsn1", Some(2.99), false),
                offer("cx23", "nbg1", Some(2.99), true),
                offer("cpx22", "fsn1", Some(6.49), true),
                offer("cax11", "hel1", None, true),
            ],
            locations: ["fsn1", "nbg1", "hel1", "ash"].map(Into::into).into(),
            images: ["debian-13", "ubuntu-24.04"].map(Into::into).into(),
            primary_ipv4_monthly_net: BTreeMap::from([
                ("fsn1".into(), 0.5),
                ("nbg1".into(), 0.5),
                ("hel1".into(), 0.5),
            ]),
        })
    }
}

impl Inventory for FakeCloud {
    async fn labelled(
        &self,
        _: &Connection,
        kind: ResourceKind,
        deployment: &str,
        _: u64,
    ) -> Result<ListedPage, ProviderFailure> {
        self.up()?;
        let mut things = self.0.lock().unwrap().things.clone();
        things.retain(|thing| thing.kind == kind && thing.is_labelled(deployment));
        Ok(ListedPage { things, next: None })
    }

    async fn count_servers(&self, _: &Connection) -> Result<Option<u64>, ProviderFailure> {
        self.up().map(|()| None)
    }

    async fn look(
        &self,
        _: &Connection,
        kind: ResourceKind,
        id: u64,
    ) -> Result<Option<Resource>, ProviderFailure> {
        self.up()?;
        let books = self.0.lock().unwrap();
        Ok(books.things.iter().find(|thing| thing.kind == kind && thing.id == id).cloned())
    }

    async fn discard(
        &self,
        _: &Connection,
        _: ResourceKind,
        id: u64,
    ) -> Result<(), ProviderFailure> {
        let mut books = self.0.lock().unwrap();
        if books.protected.contains(&id) {
            return Err(ProviderFailure::new(FailureClass::Protected, "protected", "protected"));
        }
        books.things.retain(|thing| thing.id != id);
        Ok(())
    }
}
