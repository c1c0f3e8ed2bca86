//! What rotations need.

use aws_sdk_dynamodb::types::ReturnValue;
use jiff::Timestamp;
use nodeyard_domain::{
    id::JobId,
    rotation::{Rotation, step::RotationDecision},
};
use nodeyard_engine::{
    rotation::{LoadedRotation, RotationAcceptance, RotationAccepted, RotationStore},
    store::{Begin, Commit, IdempotencyKey, JobStore, StoreError},
};

use super::{
    DynamoStore,
    accept::IdempotencyRow,
    audit,
    change::{Condition, Write, number},
    evidence,
    job_store::{connection_write, count, timeline_item},
    keys::Key,
    row::{RotationRow, child_expiry, is_rotation, item, read, value},
    table::{Transacted, Wrote},
};

type Result<T> = std::result::Result<T, StoreError>;

/// Where the rotation stands among the writes of an acceptance.
const ROTATION_WRITE: usize = 0;

/// The rotation and what it is fenced by.
fn fenced(before: &Rotation, after: &Rotation) -> Result<Write> {
    let key = Key::job(&after.id);
    let time = |at: &Option<Timestamp>| at.as_ref().map(|at| value(&key, at)).transpose();
    Ok(Write::put(key.clone(), RotationRow::item(after)?)
        .require(Condition::Is("version", number(before.version)))
        .require(Condition::open_job())
        .require(Condition::same("news_at", time(&before.news_at)?))
        .require(Condition::same("cancel_requested_at", time(&before.cancel_requested_at)?)))
}

impl DynamoStore {
    async fn read_rotation(&self, id: &JobId) -> Result<Option<Rotation>> {
        let found = self.table.get(&Key::job(id)).await?.filter(is_rotation);
        found.map(|item| read::<RotationRow>(item).map(RotationRow::into_rotation)).transpose()
    }

    async fn known_rotation(
        &self,
        key: Option<&IdempotencyKey>,
    ) -> Result<Option<RotationAccepted>> {
        let Some(key) = key else { return Ok(None) };
        let Some(found) = self.table.get(&Key::idempotency(&key.key)).await? else {
            return Ok(None);
        };
        let row: IdempotencyRow = read(found)?;
        if row.body != key.body {
            return Ok(Some(RotationAccepted::KeyReused));
        }
        let rotation = self.read_rotation(&row.job_id).await?;
        Ok(rotation.map(|rotation| RotationAccepted::Replayed(Box::new(rotation))))
    }
}

impl RotationStore for DynamoStore {
    async fn load_rotation(&self, id: &JobId) -> Result<Option<LoadedRotation>> {
        let Some(rotation) = self.read_rotation(id).await? else { return Ok(None) };
        let connection = self.connection(&rotation.connection).await?;
        Ok(Some(LoadedRotation { rotation, connection }))
    }

    async fn begin_rotation(&self, rotation: &Rotation) -> Result<Begin> {
        let write = Write::update(Key::job(&rotation.id))
            .raise("crashes")
            .require(Condition::Is("version", number(rotation.version)))
            .require(Condition::open_job());
        Ok(match self.table.write_returning(write, ReturnValue::UpdatedNew).await? {
            Wrote::Done(now) => {
                let crashes = now.as_ref().and_then(|item| count(item, "crashes"));
                Begin::Proceed { crashes: crashes.unwrap_or(rotation.crashes + 1) }
            }
            Wrote::Refused(_) => Begin::Lost,
        })
    }

    async fn commit_rotation(
        &self,
        loaded: &LoadedRotation,
        decision: &RotationDecision,
    ) -> Result<Commit> {
        let before = &loaded.rotation;
        let after = Rotation { version: before.version + 1, ..decision.rotation.clone() };
        let mut writes = vec![fenced(before, &after)?];
        if let Some(connection) = &decision.connection {
            writes.push(connection_write(connection)?);
        }
        for (index, entry) in decision.entries.iter().enumerate() {
            // A version is committed once, so this name is used once.
            let writer = format!("worker#{:08}#{index:03}", after.version);
            let (key, item) = timeline_item(&after.id, &writer, entry)?;
            writes.push(Write::put(key, item));
        }
        evidence::add(&mut writes, (&after).into(), &decision.evidence)?;
        Ok(match self.table.transact(writes).await? {
            Transacted::Done => Commit::Done,
            Transacted::Refused(_) => Commit::Lost,
        })
    }

    async fn accept_rotation(&self, acceptance: &RotationAcceptance) -> Result<RotationAccepted> {
        let RotationAcceptance { rotation, connection, idempotency, audit } = acceptance;
        let key = Key::job(&rotation.id);
        let mut writes = vec![
            Write::put(key, RotationRow::item(rotation)?).require(Condition::New),
            connection_write(connection)?,
            audit::append(audit)?,
        ];
        if let Some(given) = idempotency {
            let key = Key::idempotency(&given.key);
            let row = IdempotencyRow {
                job_id: rotation.id.clone(),
                body: given.body.clone(),
                expires_at: child_expiry(rotation.created_at),
            };
            writes.push(Write::put(key.clone(), item(&key, &row)?).require(Condition::New));
        }
        match self.table.transact(writes).await? {
            Transacted::Done => Ok(RotationAccepted::New),
            Transacted::Refused(which) => {
                if let Some(known) = self.known_rotation(idempotency.as_ref()).await? {
                    return Ok(known);
                }
                // Ids are random: one that is there already is this very request, whose answer got
                // lost.
                Ok(if which.contains(&ROTATION_WRITE) {
                    RotationAccepted::New
                } else {
                    RotationAccepted::Changed
                })
            }
        }
    }

    async fn replay_rotation(&self, key: &IdempotencyKey) -> Result<Option<RotationAccepted>> {
        self.known_rotation(Some(key)).await
    }
}
