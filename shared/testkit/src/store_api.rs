//! The job store in memory, as the API uses it.

use std::{cmp::Reverse, collections::BTreeMap};

use jiff::Timestamp;
use nodeyard_domain::{
    connection::{Connection, ConnectionName},
    event::Event,
    evidence::bundle::Stored,
    id::{JobId, NodeId, TokenId},
    node::Node,
    timeline::TimelineEntry,
    token::{Scope, Token},
    work::Work,
};
use nodeyard_engine::store::{
    Acceptance, Accepted, ApiStore, AuditEntry, AuditFilter, IdempotencyKey, JobFilter, Loaded,
    NodeFilter, Page, PageError, PageRequest, StoreError, StoredCatalogue,
};

use crate::{
    audit,
    faults::Fault,
    store::{Items, MemoryStore, WRITE},
};

type Result<T> = std::result::Result<T, StoreError>;
type Paged<T> = std::result::Result<Page<T>, PageError>;

/// A page of a list; the cursor is a position.
fn page_of<T>(all: Vec<T>, page: &PageRequest) -> Paged<T> {
    let start = match &page.cursor {
        Some(cursor) => cursor.parse::<usize>().map_err(|_| PageError::Cursor)?,
        None => 0,
    };
    let end = start.saturating_add(page.limit);
    let next = (end < all.len()).then(|| end.to_string());
    Ok(Page { items: all.into_iter().skip(start).take(page.limit).collect(), next })
}

fn known(items: &Items, key: &IdempotencyKey) -> Option<Accepted> {
    let (body, job) = items.idempotency.get(&key.key)?;
    if *body != key.body {
        return Some(Accepted::KeyReused);
    }
    let job = items.jobs.get(job)?.clone();
    let node = items.nodes.get(&job.node_id)?.clone();
    Some(Accepted::Replayed(Box::new(Loaded { job, node })))
}

impl Items {
    fn accept(&mut self, acceptance: &Acceptance) -> Accepted {
        if let Some(accepted) = acceptance.idempotency.as_ref().and_then(|key| known(self, key)) {
            return accepted;
        }
        let job = &acceptance.job;
        // Ids are not drawn twice: it is this very work, and its answer got lost.
        if self.jobs.contains_key(&job.id) {
            return Accepted::New;
        }
        match &acceptance.new_node {
            Some(node) => {
                self.nodes.insert(node.id.clone(), node.clone());
            }
            None => {
                let Some(node) = self.nodes.get_mut(&job.node_id) else {
                    return Accepted::NodeBusy { open_job: None };
                };
                match (&node.open_job, &node.queued_release) {
                    (None, _) => node.open_job = Some(job.id.clone()),
                    (Some(_), None) if acceptance.may_queue => {
                        node.queued_release = Some(job.id.clone());
                    }
                    (Some(open), _) => {
                        return Accepted::NodeBusy { open_job: Some(open.clone()) };
                    }
                }
            }
        }
        if let Some(key) = &acceptance.idempotency {
            self.idempotency.insert(key.key.clone(), (key.body.clone(), job.id.clone()));
        }
        self.jobs.insert(job.id.clone(), job.clone());
        self.append_audit(&acceptance.audit);
        Accepted::New
    }

    fn request_cancel(
        &mut self,
        job: &JobId,
        if_version: Option<u64>,
        now: Timestamp,
        audit: &AuditEntry,
    ) -> bool {
        if self.rotations.contains_key(job) {
            return self.request_end(job, if_version, now, audit);
        }
        let Some(job) = self.jobs.get_mut(job) else { return false };
        let fits = if_version.is_none_or(|version| version == job.version);
        if job.state.is_terminal() || !fits {
            return false;
        }
        job.cancel_requested_at.get_or_insert(now);
        job.news_at = Some(now);
        let id = job.id.clone();
        self.swept.remove(&id);
        self.append_audit(audit);
        true
    }

    fn set_labels(
        &mut self,
        id: &NodeId,
        expected: &BTreeMap<String, String>,
        labels: &BTreeMap<String, String>,
        now: Timestamp,
        audit: &AuditEntry,
    ) -> bool {
        let Some(node) = self.nodes.get_mut(id).filter(|node| node.labels == *expected) else {
            return false;
        };
        node.labels.clone_from(labels);
        node.updated_at = now;
        self.append_audit(audit);
        true
    }

    fn put_token(&mut self, token: &Token, only_first_admin: bool, audit: &AuditEntry) -> bool {
        if only_first_admin && self.had_admin {
            return false;
        }
        self.had_admin |= token.scopes.contains(&Scope::Admin);
        self.tokens.push(token.clone());
        self.append_audit(audit);
        true
    }

    fn delete_token(&mut self, id: &TokenId, audit: &AuditEntry) -> bool {
        let before = self.tokens.len();
        self.tokens.retain(|token| token.id != *id);
        let deleted = self.tokens.len() < before;
        if deleted {
            self.append_audit(audit);
        }
        deleted
    }
}

const READ: Fault = Fault::ReadUnavailable;

impl ApiStore for MemoryStore {
    async fn accept(&self, acceptance: &Acceptance) -> Result<Accepted> {
        self.change(WRITE, |items| Ok(items.accept(acceptance))).await
    }

    async fn replay(&self, key: &IdempotencyKey) -> Result<Option<Accepted>> {
        self.look(READ, |items| Ok(known(items, key))).await
    }

    async fn request_cancel(
        &self,
        job: &JobId,
        if_version: Option<u64>,
        now: Timestamp,
        audit: &AuditEntry,
    ) -> Result<bool> {
        self.change(WRITE, |items| Ok(items.request_cancel(job, if_version, now, audit))).await
    }

    async fn node(&self, id: &NodeId) -> Result<Option<Node>> {
        self.look(READ, |items| Ok(items.nodes.get(id).cloned())).await
    }

    async fn set_labels(
        &self,
        id: &NodeId,
        expected: &BTreeMap<String, String>,
        labels: &BTreeMap<String, String>,
        now: Timestamp,
        audit: &AuditEntry,
    ) -> Result<bool> {
        self.change(WRITE, |items| Ok(items.set_labels(id, expected, labels, now, audit))).await
    }

    async fn nodes(&self, filter: &NodeFilter, page: &PageRequest) -> Paged<Node> {
        self.look(READ, |items| {
            let nodes = items.nodes.values().filter(|node| filter.matches(node));
            page_of(nodes.cloned().collect(), page)
        })
        .await
    }

    async fn jobs(&self, filter: &JobFilter, page: &PageRequest) -> Paged<Work> {
        self.look(READ, |items| {
            let on_nodes = items.jobs.values().cloned().map(|job| Work::OnNode(Box::new(job)));
            let rotations = items.rotations.values().cloned();
            let all = on_nodes.chain(rotations.map(|it| Work::Rotation(Box::new(it))));
            let mut wanted: Vec<Work> = all.filter(|work| filter.matches(work)).collect();
            wanted.sort_by_key(|work| Reverse((work.created_at(), work.id().clone())));
            page_of(wanted, page)
        })
        .await
    }

    async fn timeline(&self, job: &JobId, page: &PageRequest) -> Paged<TimelineEntry> {
        let entries =
            |items: &Items| page_of(items.timeline.get(job).cloned().unwrap_or_default(), page);
        self.look(READ, entries).await
    }

    async fn log(&self, job: &JobId, page: &PageRequest) -> Paged<String> {
        self.look(READ, |items| {
            let pieces = items.log.get(job).into_iter().flat_map(BTreeMap::values);
            page_of(pieces.cloned().collect(), page)
        })
        .await
    }

    async fn evidence(&self, job: &JobId) -> Result<Stored> {
        self.look(READ, |items| Ok(items.all_evidence(job))).await
    }

    async fn connections(&self) -> Result<Vec<Connection>> {
        self.look(READ, |items| Ok(items.connections.values().cloned().collect())).await
    }

    async fn catalogue(&self, connection: &ConnectionName) -> Result<Option<StoredCatalogue>> {
        self.look(READ, |items| Ok(items.catalogues.get(connection).cloned())).await
    }

    async fn put_catalogue(
        &self,
        connection: &ConnectionName,
        catalogue: &StoredCatalogue,
    ) -> Result<()> {
        self.change(WRITE, |items| {
            items.catalogues.insert(connection.clone(), catalogue.clone());
            Ok(())
        })
        .await
    }

    async fn change_connection(
        &self,
        connection: &Connection,
        events: &[Event],
        audit: &AuditEntry,
    ) -> Result<bool> {
        self.change(WRITE, |items| {
            let swapped = items.swap_connection(connection);
            if swapped {
                items.post(events, self.defect());
                items.append_audit(audit);
            }
            Ok(swapped)
        })
        .await
    }

    async fn delete_connection(&self, name: &ConnectionName, audit: &AuditEntry) -> Result<()> {
        self.change(WRITE, |items| {
            items.connections.remove(name);
            items.paces.remove(name);
            items.catalogues.remove(name);
            items.append_audit(audit);
            Ok(())
        })
        .await
    }

    async fn token_by_hash(&self, hash: &str) -> Result<Option<Token>> {
        self.look(READ, |items| {
            Ok(items.tokens.iter().find(|token| token.secret_hash == hash).cloned())
        })
        .await
    }

    async fn tokens(&self) -> Result<Vec<Token>> {
        self.look(READ, |items| Ok(items.tokens.clone())).await
    }

    async fn put_token(
        &self,
        token: &Token,
        only_first_admin: bool,
        audit: &AuditEntry,
    ) -> Result<bool> {
        self.change(WRITE, |items| Ok(items.put_token(token, only_first_admin, audit))).await
    }

    async fn delete_token(&self, id: &TokenId, audit: &AuditEntry) -> Result<bool> {
        self.change(WRITE, |items| Ok(items.delete_token(id, audit))).await
    }

    async fn append_audit(&self, entry: &AuditEntry) -> Result<()> {
        self.change(WRITE, |items| {
            items.append_audit(entry);
            Ok(())
        })
        .await
    }

    async fn audit_entries(&self, filter: &AuditFilter, page: &PageRequest) -> Paged<AuditEntry> {
        self.look(READ, |items| audit::page(&items.audit, filter, page)).await
    }
}
