//! What entries tell. Nothing here is a secret, and nothing here is trusted to be short: texts that
//! are not ours are cut where a fact is made.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    Hash, Head,
    chain::Room,
    claim::{Claim, Subject},
};
use crate::{
    code::Code,
    connection::ConnectionName,
    id::{JobId, NodeId},
    job::{Effect, JobKind, JobState, ParkReason, Phase, Step},
    readiness::ReadinessCode,
    rotation::{Listed, RotationEffect, RotationStep},
    run::{Recap, SmokeStep},
    spec::Profile,
};

/// The longest text of others in a fact, in bytes.
const MAX_TEXT_BYTES: usize = 500;

/// The beginning of a text of others.
pub(super) fn cut(text: &str) -> String {
    let end = (0..=text.len().min(MAX_TEXT_BYTES)).rev().find(|at| text.is_char_boundary(*at));
    text[..end.unwrap_or(0)].to_owned()
}

/// One request to the provider and what came back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// Method and path as the provider's reference names it, without ids and query.
    pub request: String,
    /// Of the answer; absent when there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Why there was no answer, in one word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
}

/// An effect, what came of it, and what was decided.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decided {
    /// The job's version that this commit made.
    pub version: u64,
    /// Absent where only the job's flags were looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect: Option<Effect>,
    /// One word for what came back.
    pub outcome: String,
    /// What was in it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub seen: BTreeMap<String, String>,
    pub from: Step,
    pub to: Step,
    pub phase: Phase,
    pub state: JobState,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting_on: Option<ParkReason>,
    /// What the job fails with, once it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
    /// As the timeline says it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub why: Vec<String>,
}

/// As [`Decided`], of a rotation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RotationDecided {
    /// The rotation's version that this commit made.
    pub version: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect: Option<RotationEffect>,
    pub outcome: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub seen: BTreeMap<String, String>,
    pub from: RotationStep,
    pub to: RotationStep,
    pub state: JobState,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting_on: Option<ParkReason>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub why: Vec<String>,
}

/// What a run's result tells of its evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunEvidence {
    /// The end of the run's own chain; absent when it could not be stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chain: Option<Head>,
    /// Digest of all playbooks; absent when they could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub playbooks: Option<Hash>,
    /// The release of the container task.
    pub release: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "fact", rename_all = "snake_case")]
pub enum Fact {
    Began {
        job: JobId,
        kind: JobKind,
        node: NodeId,
        connection: ConnectionName,
        profile: Profile,
        image: String,
        actor: String,
        /// The job's version when its chain began: 1, unless an older release had begun it.
        version: u64,
        /// The release of the worker.
        release: String,
    },
    Called(Call),
    Decided(Decided),
    RotationBegan {
        job: JobId,
        connection: ConnectionName,
        /// The version that is to be made.
        key_version: u32,
        actor: String,
        /// The rotation's version when its chain began.
        version: u64,
        release: String,
    },
    RotationDecided(RotationDecided),
    KeyMade {
        version: u32,
        /// Of the public half, as OpenSSH shows it; absent when that cannot be read.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fingerprint: Option<String>,
    },
    /// Nodes that are being configured with the new version from here on.
    NodesTaken {
        nodes: Vec<NodeId>,
    },
    /// Nodes that let the new version in, and no other.
    NodesDone {
        nodes: Vec<NodeId>,
    },
    /// Nodes that keep an older version for now, and why.
    NodesListed {
        nodes: Vec<Listed>,
    },
    /// Versions there are when the rotation ends: what the health check destroys later is none of
    /// the rotation's.
    KeysKept {
        newest: u32,
        earlier: Vec<u32>,
    },
    Probed {
        run: u32,
        code: ReadinessCode,
        ok: bool,
        warning: bool,
        #[serde(default, skip_serializing_if = "String::is_empty")]
        detail: String,
    },
    Smoked {
        run: u32,
        suite: String,
        step: String,
        ok: bool,
        millis: u64,
        #[serde(default, skip_serializing_if = "String::is_empty")]
        command: String,
        #[serde(default, skip_serializing_if = "String::is_empty")]
        detail: String,
    },
    RunTaken {
        run: u32,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        code: Option<Code>,
        recap: Recap,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        evidence: Option<RunEvidence>,
    },
    Claimed {
        about: Subject,
        claims: Vec<Claim>,
    },
    LeftOut {
        entries: u32,
    },
    RunBegan {
        job: JobId,
        run: u32,
        node: NodeId,
        /// The provider's id of the server.
        server: String,
        profile: Profile,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        playbooks: Option<Hash>,
        release: String,
    },
    TaskEnded {
        playbook: String,
        task: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        role: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        item: Option<String>,
        status: String,
        millis: u64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message: Option<String>,
    },
    PlaybookEnded {
        playbook: String,
        recap: Recap,
    },
    RunEnded {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        code: Option<Code>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message: Option<String>,
    },
}

impl Fact {
    /// A result of a task, its texts cut.
    pub fn task_ended(
        playbook: &str,
        (task, role, item): (&str, Option<&str>, Option<&str>),
        status: &str,
        seconds: f64,
        message: Option<&str>,
    ) -> Self {
        Self::TaskEnded {
            playbook: playbook.to_owned(),
            task: cut(task),
            role: role.map(cut),
            item: item.map(cut),
            status: status.to_owned(),
            // What a node's side says may be any number; casts stay within bounds.
            millis: ((seconds * 1000.0) as u64).min(u64::from(u32::MAX)),
            message: message.filter(|text| !text.is_empty()).map(cut),
        }
    }

    /// A step of a smoke, its texts cut.
    pub fn smoked(run: u32, step: &SmokeStep) -> Self {
        let SmokeStep { suite, step, ok, millis, command, detail } = step;
        Self::Smoked {
            run,
            suite: cut(suite),
            step: cut(step),
            ok: *ok,
            millis: *millis,
            command: cut(command),
            detail: cut(detail),
        }
    }

    /// How a run ended, its text cut.
    pub fn run_ended(code: Option<Code>, message: &str) -> Self {
        Self::RunEnded { code, message: Some(cut(message)).filter(|text| !text.is_empty()) }
    }

    pub(super) fn room(&self) -> Room {
        match self {
            Self::Began { .. }
            | Self::RotationBegan { .. }
            | Self::KeyMade { .. }
            | Self::KeysKept { .. }
            | Self::RunTaken { .. }
            | Self::Claimed { .. }
            | Self::LeftOut { .. }
            | Self::RunBegan { .. }
            | Self::RunEnded { .. } => Room::Always,
            Self::Decided(decided) if decided.state.is_terminal() => Room::Always,
            Self::Decided(decided) if decided.from != decided.to => Room::Kept,
            Self::RotationDecided(decided) if decided.state.is_terminal() => Room::Always,
            Self::RotationDecided(decided) if decided.from != decided.to => Room::Kept,
            Self::NodesTaken { .. } | Self::NodesDone { .. } | Self::NodesListed { .. } => {
                Room::Kept
            }
            Self::TaskEnded { status, .. } if status == "failed" => Room::Kept,
            Self::Probed { .. } | Self::Smoked { .. } | Self::PlaybookEnded { .. } => Room::Kept,
            Self::Called(_)
            | Self::Decided(_)
            | Self::RotationDecided(_)
            | Self::TaskEnded { .. } => Room::Ordinary,
        }
    }
}
