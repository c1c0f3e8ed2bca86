//! The job store in memory, as the API uses it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use nodeyard_domain::{
    connection::{Connection, ConnectionName},
    id::{JobId, NodeId, TokenId},
    job::Job,
    node::Node,
    timeline::TimelineEntry,
    token::{Scope, Token},
};
use nodeyard_engine::store::{
    Acceptance, Accepted, ApiStore, AuditEntry, IdempotencyKey, JobFilter, Loaded, NodeFilter,
    Page, PageError, PageRequest, StoreError,
};

use crate::{
    held,
    store::{Items, MemoryStore},
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

impl ApiStore for MemoryStore {
    async fn accept(&self, acceptance: &Acceptance) -> Result<Accepted> {
        let mut items = held(&self.items);
        if let Some(accepted) = acceptance.idempotency.as_ref().and_then(|key| known(&items, key)) {
            return Ok(accepted);
        }
        let job = &acceptance.job;
        match &acceptance.new_node {
            Some(node) => {
                items.nodes.insert(node.id.clone(), node.clone());
            }
            None => {
                let Some(node) = items.nodes.get_mut(&job.node_id) else {
                    return Ok(Accepted::NodeBusy { open_job: None });
                };
                match (&node.open_job, &node.queued_release) {
                    (None, _) => node.open_job = Some(job.id.clone()),
                    (Some(_), None) if acceptance.may_queue => {
                        node.queued_release = Some(job.id.clone());
                    }
                    (Some(open), _) => {
                        return Ok(Accepted::NodeBusy { open_job: Some(open.clone()) });
                    }
                }
            }
        }
        if let Some(key) = &acceptance.idempotency {
            items.idempotency.insert(key.key.clone(), (key.body.clone(), job.id.clone()));
        }
        items.jobs.insert(job.id.clone(), job.clone());
        items.audit.push(acceptance.audit.clone());
        Ok(Accepted::New)
    }

    async fn replay(&self, key: &IdempotencyKey) -> Result<Option<Accepted>> {
        Ok(known(&held(&self.items), key))
    }

    async fn request_cancel(
        &self,
        job: &JobId,
        if_version: Option<u64>,
        now: Timestamp,
        audit: &AuditEntry,
    ) -> Result<bool> {
        let mut items = held(&self.items);
        let Some(job) = items.jobs.get_mut(job) else { return Ok(false) };
        let fits = if_version.is_none_or(|version| version == job.version);
        if job.state.is_terminal() || !fits {
            return Ok(false);
        }
        job.cancel_requested_at.get_or_insert(now);
        job.news_at = Some(now);
        let id = job.id.clone();
        items.swept.remove(&id);
        items.audit.push(audit.clone());
        Ok(true)
    }

    async fn node(&self, id: &NodeId) -> Result<Option<Node>> {
        Ok(held(&self.items).nodes.get(id).cloned())
    }

    async fn set_labels(
        &self,
        id: &NodeId,
        expected: &BTreeMap<String, String>,
        labels: &BTreeMap<String, String>,
        now: Timestamp,
    ) -> Result<bool> {
        let mut items = held(&self.items);
        let Some(node) = items.nodes.get_mut(id).filter(|node| node.labels == *expected) else {
            return Ok(false);
        };
        node.labels.clone_from(labels);
        node.updated_at = now;
        Ok(true)
    }

    async fn nodes(&self, filter: &NodeFilter, page: &PageRequest) -> Paged<Node> {
        let nodes =
            held(&self.items).nodes.values().filter(|node| filter.matches(node)).cloned().collect();
        page_of(nodes, page)
    }

    async fn jobs(&self, filter: &JobFilter, page: &PageRequest) -> Paged<Job> {
        let jobs =
            held(&self.items).jobs.values().filter(|job| filter.matches(job)).cloned().collect();
        page_of(jobs, page)
    }

    async fn timeline(&self, job: &JobId, page: &PageRequest) -> Paged<TimelineEntry> {
        page_of(self.history(job), page)
    }

    async fn log(&self, job: &JobId, page: &PageRequest) -> Paged<String> {
        let pieces = held(&self.items)
            .log
            .get(job)
            .map(|pieces| pieces.values().cloned().collect())
            .unwrap_or_default();
        page_of(pieces, page)
    }

    async fn connections(&self) -> Result<Vec<Connection>> {
        Ok(held(&self.items).connections.values().cloned().collect())
    }

    async fn delete_connection(&self, name: &ConnectionName) -> Result<()> {
        held(&self.items).connections.remove(name);
        Ok(())
    }

    async fn token_by_hash(&self, hash: &str) -> Result<Option<Token>> {
        let items = held(&self.items);
        Ok(items.tokens.iter().find(|token| token.secret_hash == hash).cloned())
    }

    async fn tokens(&self) -> Result<Vec<Token>> {
        Ok(held(&self.items).tokens.clone())
    }

    async fn put_token(&self, token: &Token, only_first_admin: bool) -> Result<bool> {
        let mut items = held(&self.items);
        if only_first_admin && items.had_admin {
            return Ok(false);
        }
        items.had_admin |= token.scopes.contains(&Scope::Admin);
        items.tokens.push(token.clone());
        Ok(true)
    }

    async fn delete_token(&self, id: &TokenId) -> Result<bool> {
        let mut items = held(&self.items);
        let before = items.tokens.len();
        items.tokens.retain(|token| token.id != *id);
        Ok(items.tokens.len() < before)
    }
}
