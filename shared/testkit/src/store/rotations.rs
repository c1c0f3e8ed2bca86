//! The job store in memory, as rotations use it.

use jiff::Timestamp;
use nodeyard_domain::{
    id::JobId,
    rotation::{Rotation, step::RotationDecision},
};
use nodeyard_engine::{
    rotation::{LoadedRotation, RotationAcceptance, RotationAccepted, RotationStore},
    store::{AuditEntry, Begin, Commit, DueJob, IdempotencyKey},
};

use super::{Items, MAX_JOB_BYTES, MemoryStore, Result, check_size};
use crate::{faults::Fault, held, store::WRITE};

impl MemoryStore {
    pub fn all_rotations(&self) -> Vec<Rotation> {
        held(&self.items).rotations.values().cloned().collect()
    }
}

impl Items {
    pub(super) fn due_rotations(&self, before: Timestamp) -> Vec<DueJob> {
        let look_at = |rotation: &Rotation| match self.swept.get(&rotation.id) {
            Some(again_at) => Some(*again_at),
            None => rotation.look_at(),
        };
        let open = self.rotations.values().filter(|rotation| !rotation.state.is_terminal());
        open.filter_map(|rotation| {
            let look_at = look_at(rotation).filter(|at| *at <= before)?;
            Some(DueJob { id: rotation.id.clone(), look_at })
        })
        .collect()
    }

    /// As cancelling a job.
    pub(crate) fn request_end(
        &mut self,
        id: &JobId,
        if_version: Option<u64>,
        now: Timestamp,
        audit: &AuditEntry,
    ) -> bool {
        let Some(rotation) = self.rotations.get_mut(id) else { return false };
        let fits = if_version.is_none_or(|version| version == rotation.version);
        if rotation.state.is_terminal() || !fits {
            return false;
        }
        rotation.cancel_requested_at.get_or_insert(now);
        rotation.news_at = Some(now);
        self.swept.remove(id);
        self.append_audit(audit);
        true
    }

    fn begin_rotation(&mut self, rotation: &Rotation) -> Begin {
        match self.rotations.get_mut(&rotation.id) {
            Some(stored) if stored.version == rotation.version && !stored.state.is_terminal() => {
                stored.crashes += 1;
                Begin::Proceed { crashes: stored.crashes }
            }
            _ => Begin::Lost,
        }
    }

    fn commit_rotation(
        &mut self,
        loaded: &LoadedRotation,
        decision: &RotationDecision,
    ) -> Result<Commit> {
        let before = &loaded.rotation;
        let as_loaded = self.rotations.get(&before.id).is_some_and(|stored| {
            stored.version == before.version
                && !stored.state.is_terminal()
                && stored.news_at == before.news_at
                && stored.cancel_requested_at == before.cancel_requested_at
        });
        if !as_loaded {
            return Ok(Commit::Lost);
        }
        let after = Rotation { version: before.version + 1, ..decision.rotation.clone() };
        check_size(after.id.as_str(), &after, MAX_JOB_BYTES)?;
        if let Some(connection) = &decision.connection
            && !self.swap_connection(connection)
        {
            return Ok(Commit::Lost);
        }
        self.timeline.entry(after.id.clone()).or_default().extend(decision.entries.iter().cloned());
        self.add_evidence((&after).into(), &decision.evidence);
        self.swept.remove(&after.id);
        self.rotations.insert(after.id.clone(), after);
        Ok(Commit::Done)
    }

    fn known_rotation(&self, key: &IdempotencyKey) -> Option<RotationAccepted> {
        let (body, id) = self.idempotency.get(&key.key)?;
        if *body != key.body {
            return Some(RotationAccepted::KeyReused);
        }
        let rotation = self.rotations.get(id)?.clone();
        Some(RotationAccepted::Replayed(Box::new(rotation)))
    }

    fn accept_rotation(&mut self, acceptance: &RotationAcceptance) -> RotationAccepted {
        let known = acceptance.idempotency.as_ref().and_then(|key| self.known_rotation(key));
        if let Some(known) = known {
            return known;
        }
        let rotation = &acceptance.rotation;
        if self.rotations.contains_key(&rotation.id) {
            return RotationAccepted::New;
        }
        if !self.swap_connection(&acceptance.connection) {
            return RotationAccepted::Changed;
        }
        if let Some(key) = &acceptance.idempotency {
            self.idempotency.insert(key.key.clone(), (key.body.clone(), rotation.id.clone()));
        }
        self.rotations.insert(rotation.id.clone(), rotation.clone());
        self.append_audit(&acceptance.audit);
        RotationAccepted::New
    }
}

impl RotationStore for MemoryStore {
    async fn load_rotation(&self, id: &JobId) -> Result<Option<LoadedRotation>> {
        self.look(Fault::LoadUnavailable, |items| {
            Ok(items.rotations.get(id).map(|rotation| LoadedRotation {
                rotation: rotation.clone(),
                connection: items.connections.get(&rotation.connection).cloned(),
            }))
        })
        .await
    }

    async fn begin_rotation(&self, rotation: &Rotation) -> Result<Begin> {
        let failures = (Fault::BeginUnavailable, Fault::BeginAnswerLost);
        self.change(failures, |items| Ok(items.begin_rotation(rotation))).await
    }

    async fn commit_rotation(
        &self,
        loaded: &LoadedRotation,
        decision: &RotationDecision,
    ) -> Result<Commit> {
        let failures = (Fault::CommitUnavailable, Fault::CommitAnswerLost);
        self.change(failures, |items| items.commit_rotation(loaded, decision)).await
    }

    async fn accept_rotation(&self, acceptance: &RotationAcceptance) -> Result<RotationAccepted> {
        self.change(WRITE, |items| Ok(items.accept_rotation(acceptance))).await
    }

    async fn replay_rotation(&self, key: &IdempotencyKey) -> Result<Option<RotationAccepted>> {
        self.look(Fault::ReadUnavailable, |items| Ok(items.known_rotation(key))).await
    }
}
