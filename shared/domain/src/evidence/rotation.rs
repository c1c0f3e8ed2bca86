//! What a commit adds to a rotation's chain.

use std::collections::BTreeMap;

use ssh_key::{HashAlg, PublicKey};

use super::{
    Call, Chain, Fact,
    claim::{self, Subject},
    fact::{RotationDecided, cut},
    record::{Recorded, Recorder, of_failure},
};
use crate::{
    connection::Connection,
    job::JobState,
    rotation::{Rotation, RotationEffect, RotationOutcome, RotationStep, step::RotationDecision},
};

/// What a decision on a rotation was made on.
#[derive(Debug, Clone, Copy)]
pub struct RotationSeen<'a> {
    /// The effect whose outcome it is; `None` when only the rotation's flags were looked at.
    pub effect: Option<&'a RotationEffect>,
    pub outcome: &'a RotationOutcome,
    /// The calls to the provider that it took.
    pub calls: &'a [Call],
    /// The connection as it was loaded.
    pub connection: Option<&'a Connection>,
}

impl RotationDecision {
    /// Adds what the decision was made on to the rotation's chain. `before` is as it was loaded.
    pub fn give_evidence(&mut self, before: &Rotation, seen: RotationSeen<'_>) {
        if let Some(Recorded { chain, entries }) = record(before, seen, self) {
            self.rotation.evidence = Some(chain);
            self.evidence = entries;
        }
    }
}

/// `None` when the decision changes nothing that is worth an entry: a look that has to be repeated.
fn record(
    before: &Rotation,
    seen: RotationSeen<'_>,
    decision: &RotationDecision,
) -> Option<Recorded> {
    if changes_nothing(before, decision) {
        return None;
    }
    let after = &decision.rotation;
    let chain = before.evidence.clone().unwrap_or_else(|| Chain::of_job(&before.id));
    let mut recorder = Recorder::new(chain, after.updated_at);
    if before.evidence.is_none() {
        recorder.add(began(before));
    }
    for call in seen.calls {
        recorder.add(Fact::Called(call.clone()));
    }
    recorder.add(Fact::RotationDecided(decided(before, seen, decision)));
    if before.public_key.is_none()
        && let Some(public_key) = &after.public_key
    {
        let (version, fingerprint) = (after.key_version, fingerprint(public_key));
        recorder.add(Fact::KeyMade { version, fingerprint });
    }
    nodes(&mut recorder, before, decision);
    let adopted = decision.connection.as_ref().or(seen.connection);
    let is_adopted = adopted.is_some_and(|on| newest(on) == Some(after.key_version));
    if before.step == RotationStep::UploadKey && is_adopted {
        recorder.claim(Subject::Key, claim::of_key(true));
    }
    if after.state.is_terminal() {
        end(&mut recorder, after, adopted, is_adopted);
    }
    Some(recorder.into_recorded(after.state.is_terminal()))
}

fn changes_nothing(before: &Rotation, decision: &RotationDecision) -> bool {
    let after = &decision.rotation;
    before.evidence.is_some()
        && before.step == after.step
        && before.state == after.state
        && before.waiting_on == after.waiting_on
        && before.opened == after.opened
        && decision.connection.is_none()
        && decision.entries.is_empty()
}

fn newest(connection: &Connection) -> Option<u32> {
    connection.key.as_ref().map(|key| key.version)
}

/// Which nodes were taken up, which let the new version in and no other, which keep an older one.
fn nodes(recorder: &mut Recorder, before: &Rotation, decision: &RotationDecision) {
    let after = &decision.rotation;
    let is_new = |node: &&_| !before.opened.contains(node);
    let taken: Vec<_> = after.opened.iter().filter(is_new).cloned().collect();
    if !taken.is_empty() {
        recorder.add(Fact::NodesTaken { nodes: taken });
    }
    if !decision.done.is_empty() {
        recorder.add(Fact::NodesDone { nodes: decision.done.clone() });
    }
    if !decision.listed.is_empty() {
        recorder.add(Fact::NodesListed { nodes: decision.listed.clone() });
    }
}

fn end(recorder: &mut Recorder, after: &Rotation, on: Option<&Connection>, is_adopted: bool) {
    if let Some((on, newest)) = on.and_then(|on| Some((on, newest(on)?))) {
        let earlier = on.retired.iter().filter(|retired| retired.key.is_some());
        let earlier = earlier.map(|retired| retired.version).collect();
        recorder.add(Fact::KeysKept { newest, earlier });
    }
    if after.state == JobState::Cancelled {
        // How far it came is chance.
        recorder.claim(Subject::Key, Vec::new());
    } else {
        let is_left_behind = after.listed_total > 0;
        recorder.claim(Subject::Key, claim::of_key(is_adopted));
        recorder.claim(Subject::Nodes, claim::of_nodes(after.all_seen, is_left_behind));
        if let Some(on) = on {
            // Until it is adopted nothing depends on the new version.
            let is_kept = !is_adopted || on.retired.iter().any(|retired| retired.key.is_some());
            recorder.claim(Subject::KeyBefore, claim::of_key_before(is_kept || !is_left_behind));
        }
    }
    recorder.claim(Subject::End, claim::of_rotation_end(after));
}

fn began(rotation: &Rotation) -> Fact {
    Fact::RotationBegan {
        job: rotation.id.clone(),
        connection: rotation.connection.clone(),
        key_version: rotation.key_version,
        actor: cut(&rotation.actor),
        version: rotation.version,
        release: env!("CARGO_PKG_VERSION").to_owned(),
    }
}

fn decided(
    before: &Rotation,
    seen: RotationSeen<'_>,
    decision: &RotationDecision,
) -> RotationDecided {
    let after = &decision.rotation;
    RotationDecided {
        version: before.version + 1,
        effect: seen.effect.cloned(),
        outcome: word(seen.outcome).to_owned(),
        seen: contents(seen.outcome),
        from: before.step,
        to: after.step,
        state: after.state,
        waiting_on: after.waiting_on,
        code: after.error.as_ref().map(|error| error.code),
        why: decision.entries.iter().map(|entry| cut(&entry.message)).collect(),
    }
}

fn word(outcome: &RotationOutcome) -> &'static str {
    match outcome {
        RotationOutcome::Nothing => "nothing",
        RotationOutcome::Poisoned => "poisoned",
        RotationOutcome::KeyMade { .. } => "key_made",
        RotationOutcome::VersionTaken => "version_taken",
        RotationOutcome::KeyUploaded { .. } => "key_uploaded",
        RotationOutcome::MarkerMissing => "marker_missing",
        RotationOutcome::Opened { .. } => "opened",
        RotationOutcome::Ended { .. } => "ended",
        RotationOutcome::Failed(_) => "failed",
    }
}

/// What was in an outcome, in texts. Nodes have facts of their own.
fn contents(outcome: &RotationOutcome) -> BTreeMap<String, String> {
    match outcome {
        RotationOutcome::KeyUploaded { key } => BTreeMap::from([
            ("key_version".to_owned(), key.version.to_string()),
            ("key".to_owned(), key.provider_id.to_string()),
            ("fingerprint".to_owned(), cut(&key.fingerprint)),
        ]),
        RotationOutcome::Failed(failure) => of_failure(failure),
        _ => BTreeMap::new(),
    }
}

/// As OpenSSH shows it. `None` for what is no public key.
fn fingerprint(public_key: &str) -> Option<String> {
    let key = PublicKey::from_openssh(public_key).ok()?;
    Some(key.fingerprint(HashAlg::Sha256).to_string())
}
