//! A job: one durable piece of work on one node, as it is stored.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    code::Code,
    connection::{
        ConnectionName,
        keys::{FIRST_KEY_VERSION, first_key_version, is_first_key_version},
    },
    evidence::Chain,
    id::{EffectId, JobId, NodeId},
    node::{RunRef, Server},
    pace::CallClass,
    placement::{Refusal, Rung},
    run::{Purpose, Recap},
    wake,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobKind {
    NodeProvision,
    NodeConfigure,
    NodeCheck,
    NodeSmoke,
    NodeRelease,
}

impl JobKind {
    pub const ALL: &[JobKind] = &[
        Self::NodeProvision,
        Self::NodeConfigure,
        Self::NodeCheck,
        Self::NodeSmoke,
        Self::NodeRelease,
    ];

    /// Work that leaves the node as it is, and its server in any case.
    pub fn only_looks(self) -> bool {
        matches!(self, Self::NodeCheck | Self::NodeSmoke)
    }

    /// Work that never makes or removes a server.
    pub fn keeps_server(self) -> bool {
        self == Self::NodeConfigure || self.only_looks()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    Queued,
    Running,
    Succeeded,
    Failed,
    Cancelled,
}

impl JobState {
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }
}

/// Which way a job is going.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    Forward,
    /// The attempt's server is removed so that another attempt can be made.
    Replace,
    Undo,
}

/// Where a job stands. The tables in [`crate::step`] say which steps follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    TakeNode,
    EnsureKey,
    EnsureGroup,
    CreateServer,
    FindServer,
    StartRun,
    AwaitServer,
    FetchServer,
    AwaitRun,
    StopRun,
    FindLeftover,
    DeleteServer,
    ConfirmGone,
    Done,
}

impl Step {
    pub const ALL: &[Step] = &[
        Self::TakeNode,
        Self::EnsureKey,
        Self::EnsureGroup,
        Self::CreateServer,
        Self::FindServer,
        Self::StartRun,
        Self::AwaitServer,
        Self::FetchServer,
        Self::AwaitRun,
        Self::StopRun,
        Self::FindLeftover,
        Self::DeleteServer,
        Self::ConfirmGone,
        Self::Done,
    ];
}

/// Why a running job cannot go on. Parked jobs hold no wake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ParkReason {
    ProviderToken,
    RateBudget,
    Capacity,
    Quota,
}

impl ParkReason {
    pub const ALL: &[ParkReason] =
        &[Self::ProviderToken, Self::RateBudget, Self::Capacity, Self::Quota];

    /// The code a job fails with when it is still parked at its deadline.
    pub fn code(self) -> Code {
        match self {
            Self::ProviderToken => Code::ProviderUnauthorized,
            Self::RateBudget => Code::ProviderRateLimited,
            Self::Capacity => Code::ProviderCapacityExhausted,
            Self::Quota => Code::ProviderQuotaExceeded,
        }
    }
}

/// One call to the outside, written down before it is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "call", rename_all = "snake_case")]
pub enum Effect {
    TakeNode,
    EnsureKey,
    /// A place in a spread placement group.
    EnsureGroup,
    /// Look the node's server name up and judge what is found.
    FindServer,
    /// The only effect that must not be repeated: it is claimed first.
    CreateServer {
        rung: Rung,
        attempt: u32,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        placement_group: Option<u64>,
    },
    PollAction {
        action_id: u64,
    },
    FetchServer {
        server_id: u64,
    },
    StartRun {
        number: u32,
    },
    LookAtRun {
        number: u32,
    },
    StopRun {
        number: u32,
        /// The job whose run it is; this one's own when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        of: Option<JobId>,
    },
    DeleteServer {
        server_id: u64,
    },
    ConfirmGone {
        server_id: u64,
        primary_ips: Vec<u64>,
    },
}

impl Effect {
    pub fn must_be_claimed(&self) -> bool {
        matches!(self, Self::CreateServer { .. })
    }

    /// Effects of which one worker asks for all jobs of a connection.
    pub fn is_shared(&self) -> bool {
        matches!(self, Self::PollAction { .. } | Self::FetchServer { .. })
    }

    /// What the call is for; `None` for effects that do not ask the provider.
    pub fn call_class(&self, phase: Phase) -> Option<CallClass> {
        match self {
            Self::TakeNode
            | Self::StartRun { .. }
            | Self::LookAtRun { .. }
            | Self::StopRun { .. } => None,
            Self::DeleteServer { .. } | Self::ConfirmGone { .. } => Some(CallClass::Removal),
            Self::FindServer if phase == Phase::Undo => Some(CallClass::Removal),
            Self::EnsureKey | Self::EnsureGroup | Self::FindServer | Self::CreateServer { .. } => {
                Some(CallClass::Creation)
            }
            Self::PollAction { .. } | Self::FetchServer { .. } => Some(CallClass::Poll),
        }
    }

    /// The most calls to the provider that it takes: what answers "not there" is held against the
    /// marker, and a server that is gone has its Primary IPs asked for.
    pub fn most_calls(&self) -> u32 {
        match self {
            Self::TakeNode
            | Self::StartRun { .. }
            | Self::LookAtRun { .. }
            | Self::StopRun { .. } => 0,
            Self::EnsureKey
            | Self::CreateServer { .. }
            | Self::DeleteServer { .. }
            | Self::PollAction { .. } => 1,
            Self::EnsureGroup | Self::FindServer | Self::FetchServer { .. } => 2,
            Self::ConfirmGone { primary_ips, .. } => 2 + primary_ips.len() as u32,
        }
    }

    /// Effects that only look, so that a wake may repeat them at any time.
    pub fn only_observes(&self) -> bool {
        matches!(
            self,
            Self::FindServer
                | Self::PollAction { .. }
                | Self::FetchServer { .. }
                | Self::LookAtRun { .. }
                | Self::ConfirmGone { .. }
        )
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    pub id: EffectId,
    pub effect: Effect,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobError {
    pub code: Code,
    /// For the operator; never a secret.
    pub detail: String,
}

/// A job's own run: its number and whether it may still be alive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnRun {
    pub number: u32,
    pub active: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    pub id: JobId,
    pub kind: JobKind,
    pub node_id: NodeId,
    pub connection: ConnectionName,
    pub actor: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,

    /// Grows by one with each commit of a step; the fence.
    pub version: u64,
    pub state: JobState,
    pub phase: Phase,
    pub step: Step,
    /// When the intent is to be performed. For parked jobs: when the sweep looks again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting_on: Option<ParkReason>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<Intent>,

    /// Set to the intent's id just before a create is sent, without moving the version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_at: Option<EffectId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancel_requested_at: Option<Timestamp>,
    /// Set by senders of news; only a commit that loaded it clears it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub news_at: Option<Timestamp>,
    /// Effects begun and not committed since the last commit.
    #[serde(default)]
    pub crashes: u32,

    pub deadline_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo_deadline_at: Option<Timestamp>,
    /// Failures in a row of this step.
    #[serde(default)]
    pub tries: u32,
    /// Attempts at creation so far; the open one has this number.
    #[serde(default)]
    pub attempt: u32,
    #[serde(default)]
    pub replacements: u32,
    #[serde(default)]
    pub rung: usize,
    #[serde(default)]
    pub ladder: Vec<Rung>,
    #[serde(default)]
    pub refusals: Vec<Refusal>,
    /// A create may have taken effect without our knowing: nothing is gone before this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settle_until: Option<Timestamp>,

    pub server_name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<Server>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action_id: Option<u64>,
    /// When the create's action is worth a first look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_poll_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<OwnRun>,
    /// A run of an earlier job that was never seen stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub earlier_run: Option<RunRef>,
    #[serde(default)]
    pub keep_on_failure: bool,
    /// A smoke leaves the sites it makes.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keep_sites: bool,
    /// The server is to be in a spread placement group.
    #[serde(default)]
    pub spread: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placement_group: Option<u64>,
    /// Creates that were refused for the group or the key they name.
    #[serde(default)]
    pub turned_away: u32,
    /// The version of the managed key that is in the body of the create.
    #[serde(default = "first_key_version", skip_serializing_if = "is_first_key_version")]
    pub key_version: u32,

    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_failure: Option<JobError>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<JobError>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recap: Option<Recap>,
    /// The end of the chain of evidence; absent until the first commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Chain>,

    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
}

impl Job {
    /// A job as it is accepted: queued, with its first intent, due at once.
    pub fn new(
        id: JobId,
        kind: JobKind,
        node_id: NodeId,
        connection: ConnectionName,
        actor: &str,
        deadline_secs: i64,
        now: Timestamp,
    ) -> Self {
        let (step, effect) = match kind {
            JobKind::NodeProvision => (Step::EnsureKey, Effect::EnsureKey),
            JobKind::NodeConfigure
            | JobKind::NodeCheck
            | JobKind::NodeSmoke
            | JobKind::NodeRelease => (Step::TakeNode, Effect::TakeNode),
        };
        Self {
            id,
            kind,
            node_id,
            connection,
            actor: actor.to_owned(),
            traceparent: None,
            version: 1,
            state: JobState::Queued,
            phase: Phase::Forward,
            step,
            due_at: Some(now),
            waiting_on: None,
            intent: Some(Intent { id: EffectId(1), effect }),
            sent_at: None,
            cancel_requested_at: None,
            news_at: None,
            crashes: 0,
            deadline_at: now + SignedDuration::from_secs(deadline_secs),
            undo_deadline_at: None,
            tries: 0,
            attempt: 0,
            replacements: 0,
            rung: 0,
            ladder: Vec::new(),
            refusals: Vec::new(),
            settle_until: None,
            server_name: String::new(),
            server: None,
            action_id: None,
            first_poll_at: None,
            run: None,
            earlier_run: None,
            keep_on_failure: false,
            keep_sites: false,
            spread: false,
            placement_group: None,
            turned_away: 0,
            key_version: FIRST_KEY_VERSION,
            last_failure: None,
            error: None,
            recap: None,
            evidence: None,
            created_at: now,
            updated_at: now,
            finished_at: None,
        }
    }

    /// What its runs are for.
    pub fn purpose(&self) -> Purpose {
        match self.kind {
            JobKind::NodeProvision | JobKind::NodeConfigure | JobKind::NodeRelease => {
                Purpose::Configure
            }
            JobKind::NodeCheck => Purpose::Check,
            JobKind::NodeSmoke => Purpose::Smoke { keep: self.keep_sites },
        }
    }

    pub fn is_due(&self, now: Timestamp) -> bool {
        self.due_at.is_some_and(|due| due <= now)
    }

    /// When the sweep has to look at this job at the latest: its next effect, its news, or the
    /// limit of its phase. `None` for a terminal job.
    pub fn look_at(&self) -> Option<Timestamp> {
        if self.state.is_terminal() {
            return None;
        }
        let limit = self.undo_deadline_at.unwrap_or(self.deadline_at);
        Some([self.due_at, self.news_at].into_iter().flatten().fold(limit, Timestamp::min))
    }

    /// Seconds until the wake for the next effect; `None` when no wake is to be sent.
    pub fn wake_delay_secs(&self, now: Timestamp) -> Option<i64> {
        if self.waiting_on.is_some() {
            return None;
        }
        wake::delay_secs(self.due_at?, now)
    }

    /// A rough share of the way, in percent, for people who watch.
    pub fn progress(&self) -> u8 {
        if self.state.is_terminal() {
            return 100;
        }
        match self.step {
            Step::TakeNode | Step::EnsureKey | Step::EnsureGroup => 0,
            Step::CreateServer | Step::FindServer => 10,
            Step::StartRun => 25,
            Step::AwaitServer | Step::FetchServer => 35,
            Step::AwaitRun => 50,
            Step::StopRun => 20,
            Step::FindLeftover => 40,
            Step::DeleteServer => 60,
            Step::ConfirmGone => 80,
            Step::Done => 100,
        }
    }
}
