//! What the API needs.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;
use nodeyard_domain::{
    connection::{Connection, ConnectionName},
    event::Event,
    evidence::bundle::Stored,
    id::{JobId, NodeId, TokenId},
    node::Node,
    timeline::TimelineEntry,
    token::Token,
    work::Work,
};
use nodeyard_engine::store::{
    Acceptance, Accepted, ApiStore, AuditEntry, AuditFilter, IdempotencyKey, JobFilter, NodeFilter,
    Page, PageError, PageRequest, StoreError, StoredCatalogue,
};
use serde::{Deserialize, Serialize};

use super::{
    DynamoStore, audit,
    change::{Condition, Write, number},
    job_store::{connection_write, news, read_connection},
    keys::{
        CONNECTIONS, Item, JOB_LIST, Key, LOG_PREFIX, NODE_JOB_PREFIX, NODE_LIST, TIMELINE_PREFIX,
        job_partition, node_partition,
    },
    list::{Gatherer, List, Reader, Source, read_partition},
    log_text, outbox,
    row::{JobRow, NodeRow, RotationRow, is_rotation, item, read, value},
    table::Transacted,
    text::Text,
    token::read_token,
};

type Result<T> = std::result::Result<T, StoreError>;

#[derive(Serialize, Deserialize)]
struct CatalogueRow {
    catalogue: Text<StoredCatalogue>,
}

#[derive(Deserialize)]
struct EntryRow {
    entry: Text<TimelineEntry>,
}

#[derive(Deserialize)]
struct NamedJob {
    job_id: JobId,
}

impl ApiStore for DynamoStore {
    async fn accept(&self, acceptance: &Acceptance) -> Result<Accepted> {
        self.accept_work(acceptance).await
    }

    async fn replay(&self, key: &IdempotencyKey) -> Result<Option<Accepted>> {
        self.known(key).await
    }

    async fn request_cancel(
        &self,
        job: &JobId,
        if_version: Option<u64>,
        now: Timestamp,
        audit: &AuditEntry,
    ) -> Result<bool> {
        let at = value(&Key::job(job), &now)?;
        let mut write = news(job, now)?.set_once("cancel_requested_at", at);
        if let Some(version) = if_version {
            write = write.require(Condition::Is("version", number(version)));
        }
        let done = self.table.transact(vec![write, audit::append(audit)?]).await?;
        Ok(done == Transacted::Done)
    }

    async fn node(&self, id: &NodeId) -> Result<Option<Node>> {
        let found = self.table.get(&Key::node(id)).await?;
        found.map(|item| read::<NodeRow>(item).map(NodeRow::into_node)).transpose()
    }

    async fn set_labels(
        &self,
        id: &NodeId,
        expected: &BTreeMap<String, String>,
        labels: &BTreeMap<String, String>,
        now: Timestamp,
        audit: &AuditEntry,
    ) -> Result<bool> {
        let key = Key::node(id);
        let write = Write::update(key.clone())
            .set("labels", value(&key, &Text(labels))?)
            .set("updated_at", value(&key, &now)?)
            .require(Condition::Is("labels", value(&key, &Text(expected))?));
        let done = self.table.transact(vec![write, audit::append(audit)?]).await?;
        Ok(done == Transacted::Done)
    }

    async fn nodes(
        &self,
        filter: &NodeFilter,
        page: &PageRequest,
    ) -> std::result::Result<Page<Node>, PageError> {
        let source = Source::Index { list: NODE_LIST };
        let list = List { name: "nodes".to_owned(), source, newest_first: true };
        let mut reader = Reader::open(&self.table, &list, page)?;
        let mut gatherer = Gatherer::new(page.limit);
        'page: while let Some(items) = reader.chunk().await? {
            for item in items {
                let place = reader.place_of(&item);
                let node = read::<NodeRow>(item)?.into_node();
                if gatherer.take(place, filter.matches(&node).then_some(node)) {
                    break 'page;
                }
            }
        }
        Ok(gatherer.finish(&reader))
    }

    async fn jobs(
        &self,
        filter: &JobFilter,
        page: &PageRequest,
    ) -> std::result::Result<Page<Work>, PageError> {
        let list = match &filter.node {
            None => List {
                name: "jobs".to_owned(),
                source: Source::Index { list: JOB_LIST },
                newest_first: true,
            },
            Some(node) => List {
                name: format!("jobs-{node}"),
                source: Source::Partition { pk: node_partition(node), prefix: NODE_JOB_PREFIX },
                newest_first: true,
            },
        };
        let mut reader = Reader::open(&self.table, &list, page)?;
        let mut gatherer = Gatherer::new(page.limit);
        'page: while let Some(items) = reader.chunk().await? {
            for item in items {
                let place = reader.place_of(&item);
                let job = match &filter.node {
                    None => Some(read_work(item)?),
                    // Under its node a job stands by name only.
                    Some(_) => {
                        let job = self.read_job(&read::<NamedJob>(item)?.job_id).await?;
                        job.map(|job| Work::OnNode(Box::new(job)))
                    }
                };
                if gatherer.take(place, job.filter(|job| filter.matches(job))) {
                    break 'page;
                }
            }
        }
        Ok(gatherer.finish(&reader))
    }

    async fn timeline(
        &self,
        job: &JobId,
        page: &PageRequest,
    ) -> std::result::Result<Page<TimelineEntry>, PageError> {
        let list = of_job(job, "timeline", TIMELINE_PREFIX);
        let mut reader = Reader::open(&self.table, &list, page)?;
        let mut gatherer = Gatherer::new(page.limit);
        'page: while let Some(items) = reader.chunk().await? {
            for item in items {
                let place = reader.place_of(&item);
                if gatherer.take(place, Some(read::<EntryRow>(item)?.entry.0)) {
                    break 'page;
                }
            }
        }
        Ok(gatherer.finish(&reader))
    }

    async fn log(
        &self,
        job: &JobId,
        page: &PageRequest,
    ) -> std::result::Result<Page<String>, PageError> {
        let list = of_job(job, "log", LOG_PREFIX);
        let mut reader = Reader::open(&self.table, &list, page)?;
        let mut gatherer = Gatherer::new(page.limit);
        'page: while let Some(items) = reader.chunk().await? {
            for item in items {
                let place = reader.place_of(&item);
                let piece = match item.get("text").map(AttributeValue::as_b) {
                    Some(Ok(bytes)) => log_text::expand(bytes.as_ref()),
                    _ => Err(std::io::Error::other("no text")),
                };
                let piece = piece.map_err(|error| StoreError::Unreadable {
                    key: format!("{}/{place}", job_partition(job)),
                    reason: error.to_string(),
                })?;
                if gatherer.take(place, Some(piece)) {
                    break 'page;
                }
            }
        }
        Ok(gatherer.finish(&reader))
    }

    async fn evidence(&self, job: &JobId) -> Result<Stored> {
        self.read_evidence(job).await
    }

    async fn connections(&self) -> Result<Vec<Connection>> {
        let items = read_partition(&self.table, CONNECTIONS).await?;
        items.into_iter().map(read_connection).collect()
    }

    async fn catalogue(&self, connection: &ConnectionName) -> Result<Option<StoredCatalogue>> {
        let found = self.table.get(&Key::catalogue(connection)).await?;
        found.map(|item| read::<CatalogueRow>(item).map(|row| row.catalogue.0)).transpose()
    }

    async fn put_catalogue(
        &self,
        connection: &ConnectionName,
        catalogue: &StoredCatalogue,
    ) -> Result<()> {
        let key = Key::catalogue(connection);
        let row = item(&key, &CatalogueRow { catalogue: Text(catalogue.clone()) })?;
        self.table.write(Write::put(key, row)).await.map(|_| ())
    }

    async fn change_connection(
        &self,
        connection: &Connection,
        events: &[Event],
        audit: &AuditEntry,
    ) -> Result<bool> {
        let mut writes = vec![connection_write(connection)?, audit::append(audit)?];
        for event in events {
            writes.push(outbox::post(event)?);
        }
        Ok(self.table.transact(writes).await? == Transacted::Done)
    }

    async fn delete_connection(&self, name: &ConnectionName, audit: &AuditEntry) -> Result<()> {
        let keys = [Key::connection(name), Key::pace(name), Key::catalogue(name)];
        let mut writes: Vec<Write> = keys.map(Write::delete).into();
        writes.push(audit::append(audit)?);
        // Refused only where this very request was made already: then it is all gone.
        self.table.transact(writes).await.map(|_| ())
    }

    async fn token_by_hash(&self, hash: &str) -> Result<Option<Token>> {
        // The service takes no empty key, and nobody has an empty hash.
        if hash.is_empty() {
            return Ok(None);
        }
        self.table.get(&Key::token(hash)).await?.map(read_token).transpose()
    }

    async fn tokens(&self) -> Result<Vec<Token>> {
        self.all_tokens().await
    }

    async fn put_token(
        &self,
        token: &Token,
        only_first_admin: bool,
        audit: &AuditEntry,
    ) -> Result<bool> {
        self.store_token(token, only_first_admin, audit).await
    }

    async fn delete_token(&self, id: &TokenId, audit: &AuditEntry) -> Result<bool> {
        self.remove_token(id, audit).await
    }

    async fn append_audit(&self, entry: &AuditEntry) -> Result<()> {
        // Refused only where this very entry is already.
        self.table.write(audit::append(entry)?).await.map(|_| ())
    }

    async fn audit_entries(
        &self,
        filter: &AuditFilter,
        page: &PageRequest,
    ) -> std::result::Result<Page<AuditEntry>, PageError> {
        audit::list(&self.table, filter, page).await
    }
}

fn read_work(item: Item) -> Result<Work> {
    Ok(if is_rotation(&item) {
        Work::Rotation(Box::new(read::<RotationRow>(item)?.into_rotation()))
    } else {
        Work::OnNode(Box::new(read::<JobRow>(item)?.into_job()))
    })
}

/// What hangs on a job, oldest first.
fn of_job(job: &JobId, name: &str, prefix: &'static str) -> List {
    List {
        name: format!("{name}-{job}"),
        source: Source::Partition { pk: job_partition(job), prefix },
        newest_first: false,
    }
}
