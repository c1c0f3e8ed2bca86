//! The provider port on the simulated cloud. Each call gives way before and after it takes effect.

use std::collections::BTreeMap;

use hetzner_sim::world::{
    label::Selector,
    operation::{Kind, ListQuery, Operation, PlacementGroupDraft, ServerDraft, SshKeyDraft},
    ssh_key,
};
use nodeyard_domain::{
    connection::{Connection, ConnectionName, ManagedKey},
    id::NodeId,
    node::Server,
    observation::{FailureClass, ProviderFailure},
    ownership::{self, LABEL_DEPLOYMENT, LABEL_NODE},
    pace::SeenRate,
};
use nodeyard_engine::provider::{
    ACTIONS_PER_CALL, ActionState, CreateServer, CreatedServer, FoundServer, KeyUpload, Lookup,
    NODES_PER_LISTING, Provider, Remains,
};

use super::{MemoryProvider, session::Session, view};
use crate::{defects::Defect, held, world::DEPLOYMENT};

type Result<T> = std::result::Result<T, ProviderFailure>;

fn named(name: &str) -> ListQuery {
    ListQuery { name: Some(name.to_owned()), per_page: 50, ..ListQuery::default() }
}

fn by_fingerprint(fingerprint: &str) -> Operation {
    let fingerprint = Some(fingerprint.to_owned());
    Operation::List(Kind::SshKey, ListQuery { fingerprint, ..ListQuery::default() })
}

fn draft(body: &CreateServer) -> Operation {
    let plain = ServerDraft::plain(&body.name, &body.server_type, &body.image);
    // No machine reads the user data; the books compare it as part of the body.
    Operation::CreateServer(Box::new(ServerDraft {
        location: Some(body.location.clone()),
        placement_group: body.placement_group,
        ssh_keys: body.ssh_keys.iter().map(u64::to_string).collect(),
        labels: body.labels.clone(),
        ..plain
    }))
}

fn unreadable_if_absent<T>(found: Option<T>) -> Result<T> {
    found.ok_or_else(view::unreadable)
}

impl MemoryProvider {
    pub(super) async fn session<'a>(
        &'a self,
        on: &'a Connection,
        calls: usize,
    ) -> Result<Session<'a>> {
        Session::open(self, on, calls).await
    }

    async fn post(&self, on: &Connection, body: &CreateServer) -> Result<(Server, u64)> {
        let mut session = self.session(on, 1).await?;
        unreadable_if_absent(session.create(&draft(body), body, view::created).await?)
    }

    /// As a defect shows a server: with the nonce of the attempt that is open now.
    fn disguise(&self, mut found: FoundServer) -> FoundServer {
        let any = self.lacks(Defect::AdoptByNameOnly);
        if !any && !self.lacks(Defect::NoNonceCheck) {
            return found;
        }
        let items = held(&self.records.items);
        let node = items.nodes.values().find(|node| node.server_name == found.server.name);
        let Some(node) = node else { return found };
        let is = |key, value| found.labels.get(key).is_some_and(|label: &String| label == value);
        if any || (is(LABEL_DEPLOYMENT, DEPLOYMENT) && is(LABEL_NODE, node.id.as_str())) {
            let open = node.open_job.as_ref().and_then(|job| items.jobs.get(job));
            let attempt = open.map_or(0, |job| job.attempt).max(node.attempts);
            let nonce = ownership::nonce(&self.secrets.deployment_key_now(), &node.id, attempt);
            found.labels = ownership::labels(DEPLOYMENT, &node.id, &nonce);
        }
        found
    }
}

async fn absent(session: &mut Session<'_>) -> Result<Lookup> {
    Ok(if session.sees_marker().await? { Lookup::Absent } else { Lookup::MarkerMissing })
}

impl Provider for MemoryProvider {
    async fn sees_key(&self, on: &Connection, key: &ManagedKey) -> Result<bool> {
        let operation = Operation::Get(Kind::SshKey, key.provider_id);
        Ok(self.session(on, 1).await?.look(&operation, view::nothing).await?.is_some())
    }

    async fn upload_key(&self, on: &Connection, name: &str, public_key: &str) -> Result<KeyUpload> {
        let mut session = self.session(on, 4).await?;
        let generation = session.generation();
        if !session.sees_marker().await? {
            return Ok(KeyUpload::MarkerMissing);
        }
        let Some(fingerprint) = ssh_key::fingerprint(public_key) else {
            let (class, message) = (FailureClass::Invalid, "no OpenSSH public key");
            return Err(ProviderFailure::new(class, "invalid_key", message));
        };
        let found = session.read(&by_fingerprint(&fingerprint), view::keys).await?;
        session.same_token(generation)?;
        let provider_id = match found.first() {
            Some(key) => key.id,
            None => {
                let draft = SshKeyDraft {
                    name: name.to_owned(),
                    public_key: public_key.to_owned(),
                    labels: BTreeMap::new(),
                };
                let made = session.write(&Operation::CreateSshKey(draft), view::keys).await?;
                unreadable_if_absent(made.first().map(|key| key.id))?
            }
        };
        Ok(KeyUpload::Ready { provider_id, fingerprint })
    }

    async fn remove_key(&self, on: &Connection, public_key: &str) -> Result<bool> {
        let mut session = self.session(on, 3).await?;
        let generation = session.generation();
        if !session.sees_marker().await? {
            return Ok(false);
        }
        let Some(fingerprint) = ssh_key::fingerprint(public_key) else { return Ok(true) };
        let found = session.read(&by_fingerprint(&fingerprint), view::keys).await?;
        session.same_token(generation)?;
        let Some(key) = found.first() else { return Ok(true) };
        match session.write(&Operation::Delete(Kind::SshKey, key.id), view::nothing).await {
            Err(failure) if failure.class != FailureClass::NotFound => Err(failure),
            _ => Ok(true),
        }
    }

    async fn create_group(&self, on: &Connection, name: &str, deployment: &str) -> Result<u64> {
        let mut session = self.session(on, 2).await?;
        let labels = BTreeMap::from([(LABEL_DEPLOYMENT.to_owned(), deployment.to_owned())]);
        let draft = PlacementGroupDraft { name: name.to_owned(), labels };
        let refusal =
            match session.write(&Operation::CreatePlacementGroup(draft), view::groups).await {
                Ok(made) => return unreadable_if_absent(made.first().map(|group| group.id)),
                Err(failure) => failure,
            };
        if refusal.class != FailureClass::NameTaken {
            return Err(refusal);
        }
        // Made before, and the answer got lost; or somebody else's.
        let listing = Operation::List(Kind::PlacementGroup, named(name));
        let ours = session.read(&listing, view::groups).await?.into_iter().find(|group| {
            group.name == name
                && group.labels.get(LABEL_DEPLOYMENT).is_some_and(|it| it == deployment)
        });
        ours.map(|group| group.id).ok_or(refusal)
    }

    async fn find_server(&self, on: &Connection, name: &str) -> Result<Lookup> {
        let mut session = self.session(on, 2).await?;
        let listing = Operation::List(Kind::Server, named(name));
        let (found, _) = session.read(&listing, view::servers).await?;
        match found.into_iter().find(|found| found.server.name == name) {
            Some(found) => Ok(Lookup::Found(Box::new(self.disguise(found)))),
            None => absent(&mut session).await,
        }
    }

    async fn create_server(&self, on: &Connection, body: &CreateServer) -> Result<CreatedServer> {
        let bare;
        let body = if self.lacks(Defect::NoLabels) {
            bare = CreateServer { labels: BTreeMap::new(), ..body.clone() };
            &bare
        } else {
            body
        };
        let made = match self.post(on, body).await {
            Err(failure)
                if failure.class == FailureClass::Unknown && self.lacks(Defect::BlindPostRetry) =>
            {
                let name = format!("{}-2", body.name);
                self.post(on, &CreateServer { name, ..body.clone() }).await
            }
            other => other,
        };
        let (server, action) = made?;
        let server = Server { attempt: body.attempt, ..server };
        Ok(CreatedServer { server, action_id: Some(action) })
    }

    async fn actions(&self, on: &Connection, ids: &[u64]) -> Result<BTreeMap<u64, ActionState>> {
        let mut states = BTreeMap::new();
        if ids.is_empty() {
            return Ok(states);
        }
        let mut session = self.session(on, ids.len().div_ceil(ACTIONS_PER_CALL)).await?;
        for chunk in ids.chunks(ACTIONS_PER_CALL) {
            let operation = Operation::ActionsById(chunk.to_vec());
            states.extend(session.read(&operation, view::actions).await?);
        }
        Ok(states)
    }

    async fn server(&self, on: &Connection, id: u64) -> Result<Lookup> {
        let mut session = self.session(on, 2).await?;
        let operation = Operation::Get(Kind::Server, id);
        match session.look(&operation, view::one_server).await? {
            Some(found) => Ok(Lookup::Found(Box::new(unreadable_if_absent(found)?))),
            None => absent(&mut session).await,
        }
    }

    async fn servers(
        &self,
        on: &Connection,
        deployment: &str,
        nodes: &[NodeId],
    ) -> Result<Vec<FoundServer>> {
        let mut all = Vec::new();
        if nodes.is_empty() {
            return Ok(all);
        }
        let mut session = self.session(on, nodes.len().div_ceil(NODES_PER_LISTING)).await?;
        for chunk in nodes.chunks(NODES_PER_LISTING) {
            let names: Vec<&str> = chunk.iter().map(NodeId::as_str).collect();
            let selector =
                format!("{LABEL_DEPLOYMENT}={deployment},{LABEL_NODE} in ({})", names.join(","));
            let selector = Selector::parse(&selector).map_err(|error| view::refusal(&error, 1))?;
            for page in 1.. {
                let query = ListQuery {
                    selector: Some(selector.clone()),
                    page,
                    per_page: 50,
                    ..ListQuery::default()
                };
                let listing = Operation::List(Kind::Server, query);
                let (found, total) = session.read(&listing, view::servers).await?;
                all.extend(found);
                if page * 50 >= total {
                    break;
                }
            }
        }
        Ok(all)
    }

    async fn delete_server(&self, on: &Connection, id: u64) -> Result<()> {
        let operation = Operation::Delete(Kind::Server, id);
        self.session(on, 1).await?.write(&operation, view::nothing).await
    }

    async fn delete_primary_ip(&self, on: &Connection, id: u64) -> Result<()> {
        let operation = Operation::Delete(Kind::PrimaryIp, id);
        match self.session(on, 1).await?.write(&operation, view::nothing).await {
            Err(failure) if failure.class != FailureClass::NotFound => Err(failure),
            _ => Ok(()),
        }
    }

    fn seen_rate(&self, on: &ConnectionName) -> Option<SeenRate> {
        held(&self.seen).get(on).copied()
    }

    async fn remains(
        &self,
        on: &Connection,
        server_id: u64,
        primary_ips: &[u64],
    ) -> Result<Remains> {
        let mut session = self.session(on, 2 + primary_ips.len()).await?;
        let server = Operation::Get(Kind::Server, server_id);
        if session.look(&server, view::nothing).await?.is_some() {
            let believed = self.lacks(Defect::GoneUnconfirmed);
            return Ok(if believed { Remains::Nothing } else { Remains::StillThere });
        }
        let generation = session.generation();
        if !session.sees_marker().await? {
            let believed = self.lacks(Defect::BareNotFoundIsGone);
            return Ok(if believed { Remains::Nothing } else { Remains::MarkerMissing });
        }
        let (mut left, mut is_held) = (Vec::new(), false);
        for id in primary_ips {
            match session.look(&Operation::Get(Kind::PrimaryIp, *id), view::holder).await? {
                Some(None) => left.push(*id),
                Some(Some(holder)) => is_held |= holder == server_id,
                None => {}
            }
        }
        session.same_token(generation)?;
        Ok(match (left.is_empty(), is_held) {
            (false, _) => Remains::PrimaryIps(left),
            (true, true) => Remains::StillThere,
            (true, false) => Remains::Nothing,
        })
    }
}
