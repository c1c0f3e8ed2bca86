//! What came back from an effect, errors included.

use serde::{Deserialize, Serialize};

use crate::{
    id::EffectId,
    node::{RunRef, Server},
    ownership::Ownership,
    run::RunResult,
};

/// What an answer of the provider means for a job, by code first and status second
/// (API reference, "Errors").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureClass {
    Unauthorized,
    ReadOnly,
    RateLimited,
    /// No stock, or this type cannot be had in this location.
    NoCapacity,
    Quota,
    NameTaken,
    Invalid,
    /// Locked or in conflict: soon again.
    Busy,
    Protected,
    NotFound,
    /// A 5xx, a time-out, a drop or an unreadable answer: whether it took effect is unknown.
    Unknown,
    /// A readable answer without something we need.
    Drift,
}

impl FailureClass {
    pub const ALL: &[FailureClass] = &[
        Self::Unauthorized,
        Self::ReadOnly,
        Self::RateLimited,
        Self::NoCapacity,
        Self::Quota,
        Self::NameTaken,
        Self::Invalid,
        Self::Busy,
        Self::Protected,
        Self::NotFound,
        Self::Unknown,
        Self::Drift,
    ];

    /// Classifies an error answer. `fields` are the names in `error.details`.
    pub fn of(status: u16, code: &str, fields: &[String]) -> Self {
        let names = |of: &[&str]| fields.iter().any(|field| of.contains(&field.as_str()));
        match code {
            "unauthorized" => Self::Unauthorized,
            "token_readonly" | "forbidden" => Self::ReadOnly,
            "rate_limit_exceeded" => Self::RateLimited,
            "resource_unavailable" | "placement_error" | "placement_group_member_limit_reached" => {
                Self::NoCapacity
            }
            // What the body names is not in the project; observed for keys, even new ones.
            "invalid_input" if names(&["ssh_keys", "placement_group"]) => Self::NotFound,
            "invalid_input" if names(&["location", "server_type"]) => Self::NoCapacity,
            "resource_limit_exceeded" => Self::Quota,
            "uniqueness_error" => Self::NameTaken,
            "locked" | "conflict" => Self::Busy,
            "protected" => Self::Protected,
            "not_found" => Self::NotFound,
            "maintenance" => Self::Unknown,
            _ => match status {
                401 => Self::Unauthorized,
                403 => Self::ReadOnly,
                404 => Self::NotFound,
                409 | 423 => Self::Busy,
                412 => Self::NoCapacity,
                429 => Self::RateLimited,
                405 | 410 => Self::Drift,
                400..=499 => Self::Invalid,
                _ => Self::Unknown,
            },
        }
    }
}

/// A refusal or a failure to answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderFailure {
    pub class: FailureClass,
    /// The provider's own code, or a word for the transport's failure.
    pub code: String,
    pub message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
    /// For `RateLimited`, `NoCapacity` and `Quota`: how long the answer is likely to stay the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pause_secs: Option<i64>,
}

impl ProviderFailure {
    pub fn new(class: FailureClass, code: &str, message: impl Into<String>) -> Self {
        Self {
            class,
            code: code.to_owned(),
            message: message.into(),
            correlation_id: None,
            pause_secs: None,
        }
    }
}

/// The provider's word for what its server is doing; unknown words stay themselves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServerStatus {
    Running,
    Deleting,
    Other(String),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// Nothing was asked; a wake only called attention to the job's flags.
    Nothing,
    /// The effect crashed its worker too often to be tried again.
    Poisoned,
    /// The node is the job's, and this is what its record knows.
    NodeTaken {
        server: Option<Server>,
        attempts: u32,
        /// The last run given out on the node, by whichever job.
        run: Option<RunRef>,
    },
    NodeBusy,
    /// The newest version of the managed key is where the token looks.
    KeyReady {
        version: u32,
    },
    /// A place in a spread placement group, or `None` when no group can be had.
    GroupReady {
        id: Option<u64>,
    },
    /// The create's claim was made by a worker that has not told what came of it.
    ClaimFound,
    /// Not there, seen with a token that sees the connection's marker.
    ServerAbsent,
    ServerFound {
        server: Server,
        ownership: Ownership,
        status: ServerStatus,
    },
    Created {
        server: Server,
        action_id: Option<u64>,
        /// How long creations of this image took lately, in seconds.
        expect_secs: Option<i64>,
    },
    ActionRunning,
    ActionSucceeded,
    ActionFailed {
        code: String,
        message: String,
    },
    ActionMissing,
    ServerSeen {
        server: Server,
        status: ServerStatus,
    },
    DeleteAccepted,
    Gone,
    StillThere,
    /// The token does not see the connection's marker: 404 proves nothing.
    MarkerMissing,
    RunStarted,
    RunRefused {
        message: String,
    },
    RunRunning,
    RunFinished(RunResult),
    RunLost {
        message: String,
    },
    RunStopped,
    Failed(ProviderFailure),
    /// The call was not made, for what the connection's jobs know: it has no effect, but an
    /// earlier one of the same intent may have.
    NotSent(ProviderFailure),
}

impl Outcome {
    /// Its name without its contents.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Poisoned => "poisoned",
            Self::NodeTaken { .. } => "node_taken",
            Self::NodeBusy => "node_busy",
            Self::KeyReady { .. } => "key_ready",
            Self::GroupReady { .. } => "group_ready",
            Self::ClaimFound => "claim_found",
            Self::ServerAbsent => "server_absent",
            Self::ServerFound { .. } => "server_found",
            Self::Created { .. } => "created",
            Self::ActionRunning => "action_running",
            Self::ActionSucceeded => "action_succeeded",
            Self::ActionFailed { .. } => "action_failed",
            Self::ActionMissing => "action_missing",
            Self::ServerSeen { .. } => "server_seen",
            Self::DeleteAccepted => "delete_accepted",
            Self::Gone => "gone",
            Self::StillThere => "still_there",
            Self::MarkerMissing => "marker_missing",
            Self::RunStarted => "run_started",
            Self::RunRefused { .. } => "run_refused",
            Self::RunRunning => "run_running",
            Self::RunFinished(_) => "run_finished",
            Self::RunLost { .. } => "run_lost",
            Self::RunStopped => "run_stopped",
            Self::Failed(_) => "failed",
            Self::NotSent(_) => "not_sent",
        }
    }
}

/// An outcome, tagged with the effect it answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observation {
    pub effect: EffectId,
    pub outcome: Outcome,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_and_each_status_has_its_class() {
        use FailureClass::*;
        // Under a status that alone would say something else.
        for (code, class) in [
            ("unauthorized", Unauthorized),
            ("token_readonly", ReadOnly),
            ("forbidden", ReadOnly),
            ("rate_limit_exceeded", RateLimited),
            ("resource_unavailable", NoCapacity),
            ("placement_error", NoCapacity),
            ("placement_group_member_limit_reached", NoCapacity),
            ("resource_limit_exceeded", Quota),
            ("uniqueness_error", NameTaken),
            ("locked", Busy),
            ("conflict", Busy),
            ("protected", Protected),
            ("not_found", NotFound),
            ("maintenance", Unknown),
            ("invalid_input", Drift),
        ] {
            assert_eq!(FailureClass::of(410, code, &[]), class, "{code}");
        }
        for (status, class) in [
            (400, Invalid),
            (401, Unauthorized),
            (403, ReadOnly),
            (404, NotFound),
            (405, Drift),
            (409, Busy),
            (410, Drift),
            (412, NoCapacity),
            (423, Busy),
            (429, RateLimited),
            (499, Invalid),
            (500, Unknown),
        ] {
            assert_eq!(FailureClass::of(status, "something_new", &[]), class, "{status}");
        }
    }

    #[test]
    fn code_goes_before_status() {
        // A read-only token answers a write with 401; that is not a dead token.
        assert_eq!(FailureClass::of(401, "token_readonly", &[]), FailureClass::ReadOnly);
        assert_eq!(FailureClass::of(401, "unauthorized", &[]), FailureClass::Unauthorized);
        assert_eq!(FailureClass::of(503, "something_new", &[]), FailureClass::Unknown);
        assert_eq!(FailureClass::of(422, "something_new", &[]), FailureClass::Invalid);
        assert_eq!(FailureClass::of(403, "maintenance", &[]), FailureClass::Unknown);
        let fields = ["location".to_owned()];
        assert_eq!(FailureClass::of(422, "invalid_input", &fields), FailureClass::NoCapacity);
        assert_eq!(
            FailureClass::of(422, "invalid_input", &["image".into()]),
            FailureClass::Invalid
        );
        for field in ["ssh_keys", "placement_group"] {
            let fields = [field.to_owned(), "location".to_owned()];
            assert_eq!(FailureClass::of(422, "invalid_input", &fields), FailureClass::NotFound);
        }
        assert_eq!(FailureClass::of(504, "timeout", &[]), FailureClass::Unknown);
        assert_eq!(FailureClass::of(410, "deprecated_api_endpoint", &[]), FailureClass::Drift);
    }
}
