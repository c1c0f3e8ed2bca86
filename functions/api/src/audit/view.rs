//! An entry as it is shown.

use jiff::Timestamp;
use nodeyard_domain::audit::{Action, AuditEntry, Outcome, ResourceKind};
use serde::Serialize;
use utoipa::ToSchema;

use crate::names;

/// One thing that was done or refused.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditEntry)]
pub struct AuditView {
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// A token's name; `anonymous` without a known token, `bootstrap` for the deployment's own
    /// secret, `system` for what nobody asked for.
    actor: String,
    /// The token: several may share a name.
    #[serde(skip_serializing_if = "Option::is_none")]
    token_id: Option<String>,
    #[schema(schema_with = names::audit_action_shown)]
    action: Action,
    resource: ResourceView,
    /// The request's id; for `system`, the id of the job it opened.
    request_id: String,
    /// The caller's address as the gateway saw it.
    #[serde(skip_serializing_if = "Option::is_none")]
    source_address: Option<String>,
    /// `accepted`: work, whose job tells the rest. `done`. `refused`: with a code. `left_out`: so
    /// many refusals of this actor have no entry of their own.
    #[schema(schema_with = names::audit_result)]
    result: &'static str,
    /// The code of the problem that was answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    left_out: Option<u32>,
}

/// What an entry is about.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditResource)]
pub struct ResourceView {
    #[schema(schema_with = names::audit_resource)]
    kind: ResourceKind,
    /// Absent for a kind as a whole, for what is not there yet, and for what is no id.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
}

impl From<AuditEntry> for AuditView {
    fn from(entry: AuditEntry) -> Self {
        let (result, code, left_out) = match entry.outcome {
            Outcome::Accepted => ("accepted", None, None),
            Outcome::Done => ("done", None, None),
            Outcome::Refused { code } => ("refused", Some(code), None),
            Outcome::LeftOut { count } => ("left_out", None, Some(count)),
            Outcome::Unknown => ("unknown", None, None),
        };
        Self {
            at: entry.at,
            actor: entry.actor,
            token_id: entry.token_id.map(Into::into),
            action: entry.action,
            resource: ResourceView { kind: entry.resource.kind, id: entry.resource.id },
            request_id: entry.request_id,
            source_address: entry.source_address,
            result,
            code,
            left_out,
        }
    }
}
