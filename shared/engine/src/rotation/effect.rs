//! Performing one effect of a rotation.

use std::collections::BTreeMap;

use jiff::Timestamp;
use nodeyard_domain::{
    acceptance,
    audit::{Action, Outcome, Resource},
    code::Code,
    connection::{Connection, ConnectionName, ManagedKey},
    id::NodeId,
    job::{Job, JobKind, JobState},
    node::{Node, NodeStatus},
    observation::{FailureClass, ProviderFailure, ServerStatus},
    pace::CallClass,
    rotation::{Listed, ListedReason, Rotation, RotationEffect, RotationOutcome},
    wake::{Wake, WakeReason},
};
use tracing::warn;

use super::{LoadedRotation, Result, RotationStore};
use crate::{
    Clock,
    admit::short,
    driver::Driver,
    event::{Events, Outbox},
    provider::{KeyUpload, Provider},
    queue::WakeQueue,
    runner::Runner,
    secrets::{Secrets, SecretsError},
    store::{
        Acceptance, Accepted, AuditEntry, NodeFilter, Page, PageError, PageRequest, RunStore,
        StoreError,
    },
};

/// The marker, the fingerprint, the create, and a second look at the fingerprint.
const UPLOAD_CALLS: u32 = 4;
/// How often the budget is tried against others.
const MAX_SWAPS: usize = 8;
/// Who has lost so often comes again so much later, in seconds.
const CONTENDED_SECS: i64 = 1;
/// The provider's word for a server that is switched off.
const OFF: &str = "off";

/// How a node stands to a rotation.
enum Turn {
    /// It has the version, or nothing of it is left.
    Settled,
    Listed(ListedReason),
    Open,
    Free,
}

fn turn(node: &Node, rotation: &Rotation) -> Turn {
    let ours = rotation.configure_id(&node.id);
    match (node.status, &node.open_job) {
        (status, _) if status.is_gone() => Turn::Settled,
        (_, Some(open)) if *open == ours => Turn::Open,
        _ if node.key_version >= rotation.key_version => Turn::Settled,
        (NodeStatus::Releasing | NodeStatus::CleanupPending, _) => {
            Turn::Listed(ListedReason::Leaving)
        }
        (_, Some(_)) => Turn::Listed(ListedReason::Busy),
        (NodeStatus::Kept, None) => Turn::Listed(ListedReason::Kept),
        _ if node.server.is_none() => Turn::Listed(ListedReason::Leaving),
        (_, None) => Turn::Free,
    }
}

/// What the end of a node's configuring says of it.
fn ended(job: &Job, node: &Node, rotation: &Rotation) -> Option<ListedReason> {
    let has_version = node.key_version >= rotation.key_version;
    match job.state {
        // Proved by a login, whatever failed afterwards.
        _ if has_version => None,
        JobState::Cancelled => Some(ListedReason::Cancelled),
        _ => match job.error.as_ref().map(|error| error.code) {
            Some(Code::NodeUnreachable | Code::NodeBootTimeout) => Some(ListedReason::Unreachable),
            _ => Some(ListedReason::Failed),
        },
    }
}

fn told(error: SecretsError) -> ProviderFailure {
    let (class, code) = match error {
        SecretsError::Missing(_) => (FailureClass::Unauthorized, "secret_missing"),
        SecretsError::Unavailable(_) => (FailureClass::Unknown, "secrets_unavailable"),
    };
    ProviderFailure::new(class, code, error.to_string())
}

impl<S, Q, P, R, X, E, C> Driver<S, Q, P, R, X, E, C>
where
    S: RotationStore + RunStore + Outbox,
    Q: WakeQueue,
    P: Provider,
    R: Runner,
    X: Secrets,
    E: Events,
    C: Clock,
{
    /// Performs an effect and says what was observed. Only the store's own failures are errors.
    pub(super) async fn observe_rotation(
        &self,
        loaded: &LoadedRotation,
        effect: &RotationEffect,
    ) -> Result<RotationOutcome> {
        let LoadedRotation { rotation, connection } = loaded;
        // Without one, `step` ends it.
        let Some(connection) = rotation.own(connection.as_ref()) else {
            return Ok(RotationOutcome::Nothing);
        };
        match effect {
            RotationEffect::MakeKey { version } => Ok(self.make_key(connection, *version).await),
            RotationEffect::UploadKey { version } => {
                self.upload_key(rotation, connection, *version).await
            }
            RotationEffect::OpenConfigures { cursor, room } => {
                self.open_configures(rotation, connection, cursor.clone(), *room).await
            }
            RotationEffect::LookAtConfigures => self.look_at_configures(rotation).await,
        }
    }

    fn key_name(&self, connection: &ConnectionName, version: u32) -> String {
        format!("nodeyard-{}-{connection}-{version}", self.deployment)
    }

    async fn make_key(&self, on: &Connection, version: u32) -> RotationOutcome {
        let comment = self.key_name(&on.name, version);
        match self.secrets.make_ssh_key(&on.key_secret(version), &comment).await {
            Ok(Some(public_key)) => RotationOutcome::KeyMade { public_key },
            Ok(None) => RotationOutcome::VersionTaken,
            Err(error) => RotationOutcome::Failed(told(error)),
        }
    }

    async fn upload_key(
        &self,
        rotation: &Rotation,
        on: &Connection,
        version: u32,
    ) -> Result<RotationOutcome> {
        let Some(public_key) = &rotation.public_key else { return Ok(RotationOutcome::Nothing) };
        if let Err(wait_secs) = self.spend(&on.name, CallClass::Creation, UPLOAD_CALLS).await? {
            return Ok(RotationOutcome::Failed(short(wait_secs)));
        }
        let name = self.key_name(&on.name, version);
        Ok(match self.provider.upload_key(on, &name, public_key).await {
            Ok(KeyUpload::Ready { provider_id, fingerprint }) => {
                let public_key = public_key.clone();
                let key = ManagedKey { version, provider_id, fingerprint, public_key };
                RotationOutcome::KeyUploaded { key }
            }
            Ok(KeyUpload::MarkerMissing) => RotationOutcome::MarkerMissing,
            Err(failure) => {
                self.share_failure(&on.name, &failure).await;
                RotationOutcome::Failed(failure)
            }
        })
    }

    /// Takes calls out of the connection's budget, or says for how many seconds it has none.
    async fn spend(
        &self,
        on: &ConnectionName,
        class: CallClass,
        calls: u32,
    ) -> Result<std::result::Result<(), i64>> {
        for _ in 0..MAX_SWAPS {
            let now = self.clock.now();
            let mut pace = self.store.pace(on, now).await?;
            if let Some(seen) = self.provider.seen_rate(on) {
                pace.correct(seen, now);
            }
            if let Err(wait_secs) = pace.spend(class, calls, now) {
                return Ok(Err(wait_secs));
            }
            if self.store.swap_pace(on, &pace).await? {
                return Ok(Ok(()));
            }
        }
        Ok(Err(CONTENDED_SECS))
    }

    /// A configuring on each free node of a page. It may have been done before, in part or whole:
    /// the same jobs are found again then.
    async fn open_configures(
        &self,
        rotation: &Rotation,
        on: &Connection,
        cursor: Option<String>,
        room: usize,
    ) -> Result<RotationOutcome> {
        let page = self.page_of_nodes(&on.name, cursor, room).await?;
        let (mut opened, mut listed, mut free) = (Vec::new(), Vec::new(), Vec::new());
        for node in page.items {
            // The listing may lag behind.
            let Some(node) = self.store.node(&node.id).await? else { continue };
            match turn(&node, rotation) {
                Turn::Settled => {
                    // Opened in a hop that got lost, and done by now.
                    if self.store.load(&rotation.configure_id(&node.id)).await?.is_some() {
                        opened.push(node.id);
                    }
                }
                Turn::Listed(reason) => listed.push(Listed { node_id: node.id, reason }),
                Turn::Open => opened.push(node.id),
                Turn::Free => free.push(node),
            }
        }
        let off = self.switched_off(on, &free).await?;
        for node in free {
            let id = node.id.clone();
            let reason = match off.get(&id) {
                Some(reason) => Some(*reason),
                None => self.open_configure(rotation, node).await?,
            };
            match reason {
                Some(reason) => listed.push(Listed { node_id: id, reason }),
                None => opened.push(id),
            }
        }
        // Pages may overlap.
        opened.retain(|id| !rotation.opened.contains(id));
        Ok(RotationOutcome::Opened { opened, listed, next: page.next })
    }

    async fn page_of_nodes(
        &self,
        on: &ConnectionName,
        cursor: Option<String>,
        limit: usize,
    ) -> Result<Page<Node>> {
        let filter = NodeFilter { connections: Some(vec![on.clone()]), ..NodeFilter::default() };
        let page = self.store.nodes(&filter, &PageRequest { cursor, limit }).await;
        match page {
            Ok(page) => Ok(page),
            Err(PageError::Store(error)) => Err(error),
            // Written by another release: from the start, where those that are done are settled.
            Err(PageError::Cursor) => {
                match self.store.nodes(&filter, &PageRequest { cursor: None, limit }).await {
                    Ok(page) => Ok(page),
                    Err(PageError::Store(error)) => Err(error),
                    Err(PageError::Cursor) => {
                        Err(StoreError::Unavailable("a list without a start".to_owned()))
                    }
                }
            }
        }
    }

    /// Nodes whose servers the provider says are off: nobody would answer a run. What it does not
    /// tell, the run finds out.
    async fn switched_off(
        &self,
        on: &Connection,
        nodes: &[Node],
    ) -> Result<BTreeMap<NodeId, ListedReason>> {
        let ids: Vec<NodeId> = nodes.iter().map(|node| node.id.clone()).collect();
        let spent = !ids.is_empty() && self.spend(&on.name, CallClass::Poll, 1).await?.is_ok();
        if !spent {
            return Ok(BTreeMap::new());
        }
        let found = match self.provider.servers(on, &self.deployment, &ids).await {
            Ok(found) => found,
            Err(failure) => {
                self.share_failure(&on.name, &failure).await;
                return Ok(BTreeMap::new());
            }
        };
        let is_off = |node: &&Node| {
            found.iter().any(|found| {
                node.server.as_ref().is_some_and(|server| server.id == found.server.id)
                    && found.status == ServerStatus::Other(OFF.to_owned())
            })
        };
        Ok(nodes.iter().filter(is_off).map(|node| (node.id.clone(), ListedReason::Off)).collect())
    }

    /// Opens the node's configuring, or says why not.
    async fn open_configure(
        &self,
        rotation: &Rotation,
        node: Node,
    ) -> Result<Option<ListedReason>> {
        let id = rotation.configure_id(&node.id);
        // One that has ended is looked at like one that is open.
        if self.store.load(&id).await?.is_some() {
            return Ok(None);
        }
        let now = self.clock.now();
        let kind = JobKind::NodeConfigure;
        let (actor, parent) = (&rotation.actor, rotation.traceparent.clone());
        let work = Acceptance {
            job: acceptance::on_node(id.clone(), kind, &node, actor, parent, now),
            new_node: None,
            may_queue: false,
            idempotency: None,
            audit: entry(rotation, &node.id, now),
        };
        match self.store.accept(&work).await? {
            Accepted::New => {
                let wake = Wake::new(id, WakeReason::Due);
                self.send(wake.traced(rotation.traceparent.as_deref()), 0).await;
                Ok(None)
            }
            Accepted::NodeBusy { open_job } if open_job.as_ref() == Some(&id) => Ok(None),
            Accepted::NodeBusy { .. } => Ok(Some(ListedReason::Busy)),
            // Neither comes without an idempotency key.
            Accepted::Replayed(_) | Accepted::KeyReused => {
                warn!(job_id = %id, "an unexpected answer to a job without an idempotency key");
                Ok(Some(ListedReason::Failed))
            }
        }
    }

    async fn look_at_configures(&self, rotation: &Rotation) -> Result<RotationOutcome> {
        let (mut done, mut listed) = (Vec::new(), Vec::new());
        for node in &rotation.opened {
            let loaded = self.store.load(&rotation.configure_id(node)).await?;
            match loaded {
                Some(loaded) if !loaded.job.state.is_terminal() => {}
                Some(loaded) => match ended(&loaded.job, &loaded.node, rotation) {
                    None => done.push(node.clone()),
                    Some(reason) => listed.push(Listed { node_id: node.clone(), reason }),
                },
                None => {
                    let reason = ListedReason::Failed;
                    listed.push(Listed { node_id: node.clone(), reason });
                }
            }
        }
        Ok(RotationOutcome::Ended { done, listed })
    }
}

/// The deployment's own work, named by the rotation it is for.
fn entry(rotation: &Rotation, node: &NodeId, now: Timestamp) -> AuditEntry {
    AuditEntry {
        request_id: rotation.id.to_string(),
        ..AuditEntry::of_system(now, Action::NodeConfigure, Resource::from(node), Outcome::Accepted)
    }
}
