//! Refusals, written when they are answered.

use std::time::Duration;

use jiff::Timestamp;
use nodeyard_domain::audit::{Action, AuditEntry, Outcome, Resource, ResourceKind};
use nodeyard_engine::store::ApiStore;

use super::{
    bound::Admission,
    notes::{Notes, Who},
    route::Asked,
};
use crate::{
    app::{App, Ports},
    code::ApiCode,
    request::Source,
};

/// How long an answer waits for its refusal to be on record. A function is frozen once it has
/// answered, so nothing can be left to be done later.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

impl<P: Ports> App<P> {
    /// Writes down what was refused. A store that fails or is slow does not hold the answer up:
    /// the log has it then.
    pub(crate) async fn refused(
        &self,
        asked: Asked,
        code: ApiCode,
        notes: &Notes,
        source: &Source,
    ) {
        let (now, who) = (self.now(), notes.who());
        let entry = match self.bounds.admit(&who, now) {
            Admission::Kept => AuditEntry {
                at: now,
                actor: who.actor,
                token_id: who.token,
                action: notes.real_action().unwrap_or(asked.action),
                resource: asked.resource,
                request_id: source.request_id.clone(),
                source_address: source.address.clone(),
                outcome: Outcome::Refused { code: code.as_str().to_owned() },
            },
            Admission::FirstLeftOut => left_out(now, who, 1, source),
            Admission::LeftOut => return,
        };
        self.write_down(&[entry]).await;
    }

    /// Says how many refusals of past minutes are not in the trail, if there are any.
    pub(crate) async fn tell_left_out(&self, source: &Source) {
        let now = self.now();
        let ended = self.bounds.take_ended(now).into_iter();
        let entries: Vec<_> = ended.map(|(who, count)| left_out(now, who, count, source)).collect();
        if !entries.is_empty() {
            self.write_down(&entries).await;
        }
    }

    async fn write_down(&self, entries: &[AuditEntry]) {
        let write = async {
            for entry in entries {
                if let Err(error) = self.store.append_audit(entry).await {
                    tracing::error!(%error, ?entry, "an audit entry was not written");
                }
            }
        };
        if tokio::time::timeout(LONGEST_WAIT, write).await.is_err() {
            tracing::error!(?entries, "audit entries were not written in time");
        }
    }
}

/// No address: it was of many requests, maybe from many places.
fn left_out(at: Timestamp, who: Who, count: u32, source: &Source) -> AuditEntry {
    AuditEntry {
        at,
        actor: who.actor,
        token_id: who.token,
        action: Action::AuditLeftOut,
        resource: Resource::all(ResourceKind::Audit),
        request_id: source.request_id.clone(),
        source_address: None,
        outcome: Outcome::LeftOut { count },
    }
}
