//! A rotation: the job `key_rotation`, which gives a connection a new version of its managed SSH
//! key and has its nodes configured with it.
//!
//! It is the one job on a connection. A record of its own rather than a [`crate::job::Job`] without
//! a node: a node job's server, attempts, ladder, phases and removal mean nothing here, its steps
//! share no observation with these, and each exhaustive match over node jobs would have to say so.
//! What both have in common is what the rules are about, and is the same here: an id of the same
//! kind, woken by the same wake, an intent on record before its effect, a version as the fence,
//! crashes counted, parked reasons, a deadline, and ends that never change.

pub mod step;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    connection::{Connection, ConnectionName, ManagedKey},
    evidence::Chain,
    id::{EffectId, JobId, NodeId},
    job::{JobError, JobState, ParkReason},
    observation::ProviderFailure,
    wake,
};

/// So many nodes are configured at a time, and looked at in one hop.
pub const MAX_OPENED: usize = 25;
/// So many listed nodes stand on the rotation's own record, which stays small; all of them are in
/// its timeline, and each node shows its version.
pub const MAX_LISTED: usize = 50;

/// Where a rotation stands; [`step`] has the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RotationStep {
    MakeKey,
    UploadKey,
    OpenConfigures,
    AwaitConfigures,
    Done,
}

impl RotationStep {
    pub const ALL: &[RotationStep] =
        &[Self::MakeKey, Self::UploadKey, Self::OpenConfigures, Self::AwaitConfigures, Self::Done];
}

/// One call to the outside, written down before it is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "call", rename_all = "snake_case")]
pub enum RotationEffect {
    /// A new pair, whose private half is written once under this version. Performed twice, the
    /// second finds it taken: the public half of the first may be lost with its worker.
    MakeKey {
        version: u32,
    },
    UploadKey {
        version: u32,
    },
    /// Open a `node_configure` on each free node of the next page, so many at most.
    OpenConfigures {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cursor: Option<String>,
        room: usize,
    },
    LookAtConfigures,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RotationIntent {
    pub id: EffectId,
    pub effect: RotationEffect,
}

/// Why a node is not done. A later job on it catches up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ListedReason {
    /// Another job is open on it.
    Busy,
    /// Its server is switched off.
    Off,
    Unreachable,
    /// Its configuring failed for another reason.
    Failed,
    /// Its configuring was cancelled.
    Cancelled,
    /// It is kept as it failed, for somebody to look at.
    Kept,
    /// It has no server, or its server is being removed.
    Leaving,
    /// The rotation ended before the node's configuring did.
    NotAwaited,
}

impl ListedReason {
    pub const ALL: &[ListedReason] = &[
        Self::Busy,
        Self::Off,
        Self::Unreachable,
        Self::Failed,
        Self::Cancelled,
        Self::Kept,
        Self::Leaving,
        Self::NotAwaited,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::Off => "off",
            Self::Unreachable => "unreachable",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Kept => "kept",
            Self::Leaving => "leaving",
            Self::NotAwaited => "not_awaited",
        }
    }
}

/// A node that keeps an older version for now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    pub node_id: NodeId,
    pub reason: ListedReason,
}

/// What came back from an effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RotationOutcome {
    /// Nothing was asked; a wake only called attention to the flags.
    Nothing,
    /// The effect crashed its worker too often to be tried again.
    Poisoned,
    /// The private half is stored; one line of OpenSSH public key.
    KeyMade {
        public_key: String,
    },
    /// A private half is stored under this version already, and its public half is not known.
    VersionTaken,
    KeyUploaded {
        key: ManagedKey,
    },
    /// The token does not see the version before: it may be of another project.
    MarkerMissing,
    /// One page of nodes.
    Opened {
        opened: Vec<NodeId>,
        listed: Vec<Listed>,
        next: Option<String>,
    },
    /// Of those that were opened, the ones that have ended.
    Ended {
        done: Vec<NodeId>,
        listed: Vec<Listed>,
    },
    Failed(ProviderFailure),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RotationObservation {
    pub effect: EffectId,
    pub outcome: RotationOutcome,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rotation {
    pub id: JobId,
    pub connection: ConnectionName,
    pub actor: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,

    /// Grows by one with each commit of a step; the fence.
    pub version: u64,
    pub state: JobState,
    pub step: RotationStep,
    /// When the intent is to be performed. For a parked one: when the sweep looks again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting_on: Option<ParkReason>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<RotationIntent>,

    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancel_requested_at: Option<Timestamp>,
    /// Set by senders of news; only a commit that loaded it clears it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub news_at: Option<Timestamp>,
    /// Effects begun and not committed since the last commit.
    #[serde(default)]
    pub crashes: u32,
    pub deadline_at: Timestamp,
    /// Failures in a row of this step.
    #[serde(default)]
    pub tries: u32,

    /// The version that is made.
    pub key_version: u32,
    /// Its public half, once it is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_key: Option<String>,
    /// Nodes whose configuring this rotation has opened and not seen the end of.
    #[serde(default)]
    pub opened: Vec<NodeId>,
    /// Where the next page of nodes starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    #[serde(default)]
    pub all_seen: bool,
    /// Nodes that let the new version in, and no other.
    #[serde(default)]
    pub done: u32,
    /// The first [`MAX_LISTED`] of the listed nodes.
    #[serde(default)]
    pub listed: Vec<Listed>,
    #[serde(default)]
    pub listed_total: u32,

    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_failure: Option<JobError>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<JobError>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    /// The end of its chain of evidence; absent before its first entry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Chain>,
}

impl Rotation {
    /// A rotation as it is accepted: queued, with its first intent, due at once.
    pub fn new(
        id: JobId,
        connection: &Connection,
        actor: &str,
        deadline_at: Timestamp,
        now: Timestamp,
    ) -> Self {
        let version = connection.next_key_version();
        Self {
            id,
            connection: connection.name.clone(),
            actor: actor.to_owned(),
            traceparent: None,
            version: 1,
            state: JobState::Queued,
            step: RotationStep::MakeKey,
            due_at: Some(now),
            waiting_on: None,
            intent: Some(RotationIntent {
                id: EffectId(1),
                effect: RotationEffect::MakeKey { version },
            }),
            cancel_requested_at: None,
            news_at: None,
            crashes: 0,
            deadline_at,
            tries: 0,
            key_version: version,
            public_key: None,
            opened: Vec::new(),
            cursor: None,
            all_seen: false,
            done: 0,
            listed: Vec::new(),
            listed_total: 0,
            last_failure: None,
            error: None,
            created_at: now,
            updated_at: now,
            finished_at: None,
            evidence: None,
        }
    }

    /// The connection, if it is the one this rotation is open on: one that was deleted may have
    /// been made anew under its name.
    pub fn own<'a>(&self, connection: Option<&'a Connection>) -> Option<&'a Connection> {
        connection.filter(|connection| connection.rotation.as_ref() == Some(&self.id))
    }

    /// The job that configures a node for this rotation: the same however often it is opened.
    pub fn configure_id(&self, node: &NodeId) -> JobId {
        JobId::derived(&format!("rotation\n{}\n{node}", self.id))
    }

    pub fn is_due(&self, now: Timestamp) -> bool {
        self.due_at.is_some_and(|due| due <= now)
    }

    /// When the sweep has to look at the latest. `None` for one that has ended.
    pub fn look_at(&self) -> Option<Timestamp> {
        if self.state.is_terminal() {
            return None;
        }
        let times = [self.due_at, self.news_at].into_iter().flatten();
        Some(times.fold(self.deadline_at, Timestamp::min))
    }

    /// Seconds until the wake for the next effect; `None` when no wake is to be sent.
    pub fn wake_delay_secs(&self, now: Timestamp) -> Option<i64> {
        if self.waiting_on.is_some() {
            return None;
        }
        wake::delay_secs(self.due_at?, now)
    }

    /// A rough share of the way, in percent.
    pub fn progress(&self) -> u8 {
        if self.state.is_terminal() {
            return 100;
        }
        match (self.step, self.all_seen) {
            (RotationStep::MakeKey, _) => 0,
            (RotationStep::UploadKey, _) => 5,
            (RotationStep::OpenConfigures, _) | (RotationStep::AwaitConfigures, false) => 10,
            (RotationStep::AwaitConfigures, true) => 60,
            (RotationStep::Done, _) => 100,
        }
    }

    /// Whether looking at the flags alone can change anything.
    pub fn needs_attention(&self, now: Timestamp) -> bool {
        self.news_at.is_some() || self.cancel_requested_at.is_some() || now >= self.deadline_at
    }
}
