//! Entries as the API writes them.

use nodeyard_domain::audit::{Action, AuditEntry, BOOTSTRAP, Outcome, Resource};

use crate::{
    app::{App, Ports},
    auth::Caller,
    request::Origin,
};

impl<P: Ports> App<P> {
    /// What a caller does, to be written with it.
    pub(crate) fn audit(
        &self,
        caller: &Caller,
        origin: &Origin,
        action: Action,
        resource: impl Into<Resource>,
        outcome: Outcome,
    ) -> AuditEntry {
        AuditEntry {
            at: self.now(),
            actor: caller.actor().to_owned(),
            token_id: Some(caller.token.id.clone()),
            action,
            resource: resource.into(),
            request_id: origin.request_id.clone(),
            source_address: origin.source_address.clone(),
            outcome,
        }
    }

    /// The deployment's own secret was used.
    pub(crate) fn audit_bootstrap(
        &self,
        origin: &Origin,
        resource: impl Into<Resource>,
    ) -> AuditEntry {
        AuditEntry {
            at: self.now(),
            actor: BOOTSTRAP.to_owned(),
            token_id: None,
            action: Action::BootstrapUse,
            resource: resource.into(),
            request_id: origin.request_id.clone(),
            source_address: origin.source_address.clone(),
            outcome: Outcome::Done,
        }
    }
}
