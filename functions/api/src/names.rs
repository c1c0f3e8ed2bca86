//! The words of our enumerations, for the contract: taken from the types, so they cannot drift.

use nodeyard_domain::{
    connection::{ConnectionReason, ConnectionStatus, Permission},
    job::{JobKind, JobState, ParkReason, Phase, Step},
    node::NodeStatus,
    token::Scope,
};
use serde::Serialize;
use utoipa::openapi::{ObjectBuilder, Schema, schema::Type};

pub const JOB_STATES: &[JobState] = &[
    JobState::Queued,
    JobState::Running,
    JobState::Succeeded,
    JobState::Failed,
    JobState::Cancelled,
];

fn words<T: Serialize>(all: &[T]) -> ObjectBuilder {
    let words = all.iter().filter_map(|word| serde_json::to_value(word).ok());
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words))
}

macro_rules! schemas {
    ($($name:ident: $all:expr;)+) => {$(
        pub fn $name() -> Schema {
            words($all).build().into()
        }
    )+};
}

schemas! {
    job_state: JOB_STATES;
    job_kind: JobKind::ALL;
    step: Step::ALL;
    phase: &[Phase::Forward, Phase::Replace, Phase::Undo];
    park_reason: ParkReason::ALL;
    node_status: NodeStatus::ALL;
    scope: &[Scope::Read, Scope::Operate, Scope::Admin];
    connection_status: &[
        ConnectionStatus::Connected,
        ConnectionStatus::Degraded,
        ConnectionStatus::Disconnected,
    ];
    connection_reason: &[
        ConnectionReason::Unauthorized,
        ConnectionReason::TokenReadonly,
        ConnectionReason::MarkerMissing,
        ConnectionReason::ProviderUnavailable,
        ConnectionReason::RateLimited,
        ConnectionReason::PermissionUnknown,
    ];
    permission: &[Permission::ReadWrite, Permission::ReadOnly, Permission::Unknown];
}

/// A word of one of our enumerations, as a query parameter holds it.
pub fn parse_word<T: serde::de::DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_value(serde_json::Value::from(text)).ok()
}
