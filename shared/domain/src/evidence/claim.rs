//! Claims: what a bundle's digest covers, and nothing else.
//!
//! The list is closed:
//!
//! | about | step | expectation | verdict |
//! | --- | --- | --- | --- |
//! | acquisition | `acquire_server` | the node has a server that is proved ours | held |
//! | run | `run_playbooks` | every playbook succeeds; with the digest of the playbooks | held, or failed with its code |
//! | run | `probe.<readiness code>` | the probe passes; warnings are not claimed | held, or failed |
//! | run | `smoke.<suite>.<step>` | the node does it; each step of the list, come to or not | held, or failed |
//! | key | `make_key` | the new version of the managed key is made and in use | held, or failed |
//! | nodes | `settle_nodes` | each node is done or listed | held, or failed |
//! | nodes | `reach_nodes` | no node is left with an older version | held, or failed |
//! | key_before | `keep_key` | the version before is kept while a node may need it | held, or failed |
//! | removal | `remove_server` | nothing of the node is left at the provider | held, or failed |
//! | end | `end_job` | a job of this kind (and profile) succeeds | held, failed with its code, or cancelled |
//!
//! An entry replaces everything that was claimed about its subject before, so that a run that was
//! tried again leaves one claim. What depends on the moment is claimed nowhere: polls, retries,
//! ids, times, addresses, versions of packages, durations. So two jobs of one scenario have one
//! digest. A job that was cancelled claims its removal and its end: how far it came is chance. A
//! `key_rotation` claims of key, nodes, version before and end, a job on a node of the others.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    Hash,
    canonical::{NotCanonical, hash},
};
use crate::{
    code::Code,
    job::{Job, JobError, JobState},
    node::NodeStatus,
    readiness::ReadinessCode,
    rotation::Rotation,
    run::RunResult,
    smoke::{self, SmokeName},
    spec::Profile,
};

/// What claims are about, in the order the digest takes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    Acquisition,
    Run,
    Key,
    Nodes,
    KeyBefore,
    Removal,
    End,
}

/// The steps that can be claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum ClaimedStep {
    AcquireServer,
    RunPlaybooks,
    Probe(ReadinessCode),
    Smoke(SmokeName),
    MakeKey,
    SettleNodes,
    ReachNodes,
    KeepKey,
    RemoveServer,
    EndJob,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("nothing is claimed of that name")]
pub struct NoClaim;

const PROBE: &str = "probe.";
const SMOKE: &str = "smoke.";

impl From<ClaimedStep> for String {
    fn from(step: ClaimedStep) -> String {
        match step {
            ClaimedStep::AcquireServer => "acquire_server".to_owned(),
            ClaimedStep::RunPlaybooks => "run_playbooks".to_owned(),
            ClaimedStep::Probe(code) => format!("{PROBE}{}", code.as_str()),
            ClaimedStep::Smoke(name) => format!("{SMOKE}{}.{}", name.suite(), name.step()),
            ClaimedStep::MakeKey => "make_key".to_owned(),
            ClaimedStep::SettleNodes => "settle_nodes".to_owned(),
            ClaimedStep::ReachNodes => "reach_nodes".to_owned(),
            ClaimedStep::KeepKey => "keep_key".to_owned(),
            ClaimedStep::RemoveServer => "remove_server".to_owned(),
            ClaimedStep::EndJob => "end_job".to_owned(),
        }
    }
}

impl TryFrom<String> for ClaimedStep {
    type Error = NoClaim;

    fn try_from(text: String) -> Result<Self, NoClaim> {
        match text.as_str() {
            "acquire_server" => Ok(Self::AcquireServer),
            "run_playbooks" => Ok(Self::RunPlaybooks),
            "make_key" => Ok(Self::MakeKey),
            "settle_nodes" => Ok(Self::SettleNodes),
            "reach_nodes" => Ok(Self::ReachNodes),
            "keep_key" => Ok(Self::KeepKey),
            "remove_server" => Ok(Self::RemoveServer),
            "end_job" => Ok(Self::EndJob),
            other => {
                if let Some((suite, step)) =
                    other.strip_prefix(SMOKE).and_then(|name| name.split_once('.'))
                {
                    return smoke::named(suite, step).map(Self::Smoke).ok_or(NoClaim);
                }
                let word = other.strip_prefix(PROBE).ok_or(NoClaim)?;
                let code = ReadinessCode::ALL.iter().find(|code| code.as_str() == word);
                code.copied().map(Self::Probe).ok_or(NoClaim)
            }
        }
    }
}

/// What became of an expectation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Held {
    Held,
    Failed,
    Cancelled,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    pub step: ClaimedStep,
    pub expectation: String,
    pub verdict: Held,
    /// What it failed with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
    /// Digest of the playbooks, where they were what it was about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub playbooks: Option<Hash>,
}

impl Claim {
    fn new(step: ClaimedStep, expectation: impl Into<String>, held: bool) -> Self {
        let verdict = if held { Held::Held } else { Held::Failed };
        Self { step, expectation: expectation.into(), verdict, code: None, playbooks: None }
    }
}

/// A server is the node's.
pub(super) fn of_acquisition() -> Vec<Claim> {
    vec![Claim::new(ClaimedStep::AcquireServer, "the node has a server that is proved ours", true)]
}

/// What a run came to: its playbooks, and each probe that is no warning.
pub(super) fn of_run(result: &RunResult) -> Vec<Claim> {
    let playbooks = result.evidence.as_ref().and_then(|evidence| evidence.playbooks.clone());
    let mut claims = vec![Claim { playbooks, ..of_playbooks(result.code) }];
    let mut probes: BTreeMap<String, Claim> = BTreeMap::new();
    for finding in result.readiness.iter().filter(|finding| !finding.warning) {
        let step = ClaimedStep::Probe(finding.code);
        let claim = Claim::new(step, "the probe passes", finding.ok);
        // Of two probes with one code, the one that failed counts.
        let known = probes.entry(step.into()).or_insert_with(|| claim.clone());
        if claim.verdict == Held::Failed {
            *known = claim;
        }
    }
    claims.extend(probes.into_values());
    if !result.smokes.is_empty() {
        claims.extend(smoke::wanted(&result.smokes).map(|name| {
            Claim::new(
                ClaimedStep::Smoke(name),
                "the node does it",
                smoke::is_held(name, &result.smokes),
            )
        }));
    }
    claims
}

/// A run of which no result is known has failed with this.
pub(super) fn of_playbooks(code: Option<Code>) -> Claim {
    let claim = Claim::new(ClaimedStep::RunPlaybooks, "every playbook succeeds", code.is_none());
    Claim { code, ..claim }
}

/// Whether anything is left, by the status that the node has at the end of the job that removes.
pub(super) fn of_removal(status: NodeStatus) -> Option<Vec<Claim>> {
    let gone = match status {
        NodeStatus::Released | NodeStatus::Failed => true,
        NodeStatus::CleanupPending => false,
        _ => return None,
    };
    let expectation = "nothing of the node is left at the provider";
    Some(vec![Claim::new(ClaimedStep::RemoveServer, expectation, gone)])
}

/// Whether a rotation's new version is the one that its connection names as the newest.
pub(super) fn of_key(is_adopted: bool) -> Vec<Claim> {
    let expectation = "the new version of the managed key is made and in use";
    vec![Claim::new(ClaimedStep::MakeKey, expectation, is_adopted)]
}

/// What a rotation knows of the nodes of its connection, and whether it left any behind.
pub(super) fn of_nodes(is_each_known: bool, is_left_behind: bool) -> Vec<Claim> {
    let reached = is_each_known && !is_left_behind;
    vec![
        Claim::new(ClaimedStep::SettleNodes, "each node is done or listed", is_each_known),
        Claim::new(ClaimedStep::ReachNodes, "no node is left with an older version", reached),
    ]
}

pub(super) fn of_key_before(is_kept: bool) -> Vec<Claim> {
    let expectation = "the version before is kept while a node may need it";
    vec![Claim::new(ClaimedStep::KeepKey, expectation, is_kept)]
}

/// How the job ended.
pub(super) fn of_end(job: &Job, profile: Profile) -> Vec<Claim> {
    let kind = serde_json::to_value(job.kind).unwrap_or_default();
    let kind = kind.as_str().unwrap_or_default();
    let expectation = format!("{kind} of profile {} succeeds", profile.as_str());
    vec![ended(expectation, job.state, job.error.as_ref())]
}

/// How a rotation ended.
pub(super) fn of_rotation_end(rotation: &Rotation) -> Vec<Claim> {
    vec![ended("key_rotation succeeds".to_owned(), rotation.state, rotation.error.as_ref())]
}

fn ended(expectation: String, state: JobState, error: Option<&JobError>) -> Claim {
    let held = state == JobState::Succeeded;
    let claim = Claim::new(ClaimedStep::EndJob, expectation, held);
    let cancelled = state == JobState::Cancelled;
    Claim {
        verdict: if cancelled { Held::Cancelled } else { claim.verdict },
        code: error.map(|error| error.code).filter(|_| !held && !cancelled),
        ..claim
    }
}

/// What is claimed in the end: of each subject what was claimed last, in the order of subjects.
pub fn last_claims<'a>(entries: impl IntoIterator<Item = (Subject, &'a [Claim])>) -> Vec<Claim> {
    let last: BTreeMap<Subject, &[Claim]> = entries.into_iter().collect();
    last.into_values().flatten().cloned().collect()
}

/// SHA-256 over the canonical text of the claims.
///
/// # Errors
/// Never for claims of ours: they hold texts only.
pub fn digest(claims: &[Claim]) -> Result<Hash, NotCanonical> {
    hash(&json!({ "claims": claims }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_steps_is_closed() {
        let steps = [
            ClaimedStep::AcquireServer,
            ClaimedStep::RunPlaybooks,
            ClaimedStep::Probe(ReadinessCode::DiskLow),
            ClaimedStep::Smoke(smoke::names().last().unwrap()),
            ClaimedStep::MakeKey,
            ClaimedStep::SettleNodes,
            ClaimedStep::ReachNodes,
            ClaimedStep::KeepKey,
            ClaimedStep::RemoveServer,
            ClaimedStep::EndJob,
        ];
        for step in steps {
            assert_eq!(ClaimedStep::try_from(String::from(step)), Ok(step));
        }
        assert_eq!(String::from(steps[2]), "probe.disk_low");
        for wrong in [
            "",
            "probe",
            "probe.",
            "probe.mood",
            "smoke.site",
            "smoke.site.mood",
            "poll",
            "END_JOB",
        ] {
            assert_eq!(ClaimedStep::try_from(wrong.to_owned()), Err(NoClaim), "{wrong}");
        }
    }

    #[test]
    fn a_subject_is_claimed_anew_as_a_whole() {
        let (lost, held) = (of_playbooks(Some(Code::TaskLost)), of_playbooks(None));
        let acquired = of_acquisition();
        let all: [(Subject, &[Claim]); 3] = [
            (Subject::Run, std::slice::from_ref(&lost)),
            (Subject::Acquisition, &acquired),
            (Subject::Run, std::slice::from_ref(&held)),
        ];
        assert_eq!(last_claims(all), [acquired[0].clone(), held.clone()]);
        assert_eq!(last_claims([(Subject::Run, &[lost][..]), (Subject::Run, &[][..])]), []);
    }

    #[test]
    fn each_part_of_a_claim_changes_the_digest() {
        let claim = of_playbooks(None);
        let known = digest(std::slice::from_ref(&claim)).unwrap();
        let other = |change: fn(&mut Claim)| {
            let mut claim = claim.clone();
            change(&mut claim);
            digest(&[claim]).unwrap()
        };
        assert_eq!(known, other(|_| {}));
        for changed in [
            other(|claim| claim.step = ClaimedStep::EndJob),
            other(|claim| claim.expectation.push('!')),
            other(|claim| claim.verdict = Held::Failed),
            other(|claim| claim.code = Some(Code::TaskLost)),
            other(|claim| claim.playbooks = Some(digest(&[]).unwrap())),
            digest(&[]).unwrap(),
        ] {
            assert_ne!(known, changed);
        }
    }
}
