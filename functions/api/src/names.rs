//! The words of our enumerations, for the contract: taken from the types, so they cannot drift.

use nodeyard_domain::{
    audit::{Action, ResourceKind as AuditedKind},
    code::Retry,
    connection::{ConnectionReason, ConnectionStatus, Permission},
    job::{JobKind, JobState, ParkReason, Phase, Step},
    node::NodeStatus,
    orphan::{OrphanReason, ResourceKind},
    rotation::{ListedReason, RotationStep},
    timeline::Source,
    token::Scope,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use utoipa::openapi::{
    ObjectBuilder, Schema,
    schema::{SchemaType, Type},
};

pub const JOB_STATES: &[JobState] = &[
    JobState::Queued,
    JobState::Running,
    JobState::Succeeded,
    JobState::Failed,
    JobState::Cancelled,
];

fn words<T: Serialize>(all: &[T]) -> ObjectBuilder {
    let words: Vec<Value> = all.iter().filter_map(|word| serde_json::to_value(word).ok()).collect();
    let kinds: &[Type] =
        if words.contains(&Value::Null) { &[Type::String, Type::Null] } else { &[Type::String] };
    ObjectBuilder::new()
        .schema_type(kinds.iter().cloned().collect::<SchemaType>())
        .enum_values(Some(words))
}

/// What is shown may be of another release, which nobody can filter by.
fn with_unknown<T: Copy>(all: &[T], unknown: T) -> Vec<T> {
    all.iter().copied().chain([unknown]).collect()
}

/// What the one job on a connection is called.
pub const KEY_ROTATION: &str = "key_rotation";

/// The words of two enumerations, each once.
fn either<A: Serialize, B: Serialize>(one: &[A], other: &[B]) -> Vec<Value> {
    let mut all: Vec<Value> = Vec::new();
    let one = one.iter().filter_map(|word| serde_json::to_value(word).ok());
    let other = other.iter().filter_map(|word| serde_json::to_value(word).ok());
    for word in one.chain(other) {
        if !all.contains(&word) {
            all.push(word);
        }
    }
    all
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
    job_kind: &either(JobKind::ALL, &[KEY_ROTATION]);
    step: &either(Step::ALL, RotationStep::ALL);
    listed_reason: ListedReason::ALL;
    phase: &[Phase::Forward, Phase::Replace, Phase::Undo];
    node_status: NodeStatus::ALL;
    scope: &[Scope::Read, Scope::Operate, Scope::Admin];
    connection_status: &[
        ConnectionStatus::Connected,
        ConnectionStatus::Degraded,
        ConnectionStatus::Disconnected,
    ];
    permission: &[Permission::ReadWrite, Permission::ReadOnly, Permission::Unknown];
    timeline_source: &[Source::Api, Source::Worker, Source::Run, Source::Sweep];
    resource_kind: ResourceKind::ALL;
    orphan_reason: OrphanReason::ALL;
    audit_action: Action::ALL;
    audit_action_shown: &with_unknown(Action::ALL, Action::Unknown);
    audit_resource: &with_unknown(AuditedKind::ALL, AuditedKind::Unknown);
    audit_result: &["accepted", "done", "refused", "left_out", "unknown"];
    retry: &[Retry::Never, Retry::AfterDelay, Retry::WithBackOff];
    park_reason_or_null: &ParkReason::ALL.iter().map(Some).chain([None]).collect::<Vec<_>>();
    connection_reason_or_null: &[
        Some(ConnectionReason::Unauthorized),
        Some(ConnectionReason::TokenReadonly),
        Some(ConnectionReason::MarkerMissing),
        Some(ConnectionReason::ProviderUnavailable),
        Some(ConnectionReason::RateLimited),
        Some(ConnectionReason::PermissionUnknown),
        Some(ConnectionReason::ProviderUnreachable),
        Some(ConnectionReason::ProviderMaintenance),
        Some(ConnectionReason::ApiDrift),
        None,
    ];
}

/// A word of one of our enumerations, as a query parameter holds it.
pub fn parse_word<T: DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_value(Value::from(text)).ok()
}
