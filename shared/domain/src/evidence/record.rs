//! What a commit adds to its job's chain.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{
    Call, Chain, Decided, Entry, Fact, RunEvidence,
    claim::{self, Claim, Subject},
    fact::cut,
};
use crate::{
    code::Code,
    job::{Effect, Job, JobKind, JobState, Phase},
    node::{Node, Server},
    observation::{Outcome, ProviderFailure},
    run::{Recap, RunResult},
    step::Decision,
};

/// What a decision was made on.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// The effect whose outcome it is; `None` when only the job's flags were looked at.
    pub effect: Option<&'a Effect>,
    pub outcome: &'a Outcome,
    /// The calls to the provider that it took.
    pub calls: &'a [Call],
    /// What the run left of which the outcome tells that it was stopped or lost.
    pub left: Option<&'a RunEvidence>,
}

/// What the commit has to write.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    pub chain: Chain,
    pub entries: Vec<Entry>,
}

/// Entries in the making, all of one time.
pub(super) struct Recorder {
    chain: Chain,
    entries: Vec<Entry>,
    at: Timestamp,
}

impl Recorder {
    pub(super) fn new(chain: Chain, at: Timestamp) -> Self {
        Self { chain, entries: Vec::new(), at }
    }

    pub(super) fn add(&mut self, fact: Fact) {
        self.entries.extend(self.chain.append(self.at, fact));
    }

    pub(super) fn claim(&mut self, about: Subject, claims: Vec<Claim>) {
        self.add(Fact::Claimed { about, claims });
    }

    /// Closes the chain, and says how many entries there was no room for.
    pub(super) fn into_recorded(mut self, has_ended: bool) -> Recorded {
        if has_ended {
            self.entries.extend(self.chain.append_left_out(self.at));
        }
        Recorded { chain: self.chain, entries: self.entries }
    }
}

/// The entries of a decision, and the chain with them. `before` and `node` are as they were loaded.
/// `None` when the decision changes nothing that is worth an entry: a look that has to be repeated.
pub fn record(before: &Job, node: &Node, seen: Seen<'_>, decision: &Decision) -> Option<Recorded> {
    if changes_nothing(before, seen, decision) {
        return None;
    }
    let chain = before.evidence.clone().unwrap_or_else(|| Chain::of_job(&before.id));
    let after = &decision.job;
    let mut recorder = Recorder::new(chain, after.updated_at);
    recorder.all(before, node, seen, decision);
    Some(recorder.into_recorded(after.state.is_terminal()))
}

fn changes_nothing(before: &Job, seen: Seen<'_>, decision: &Decision) -> bool {
    let after = &decision.job;
    let told_nothing = !matches!(seen.outcome, Outcome::RunFinished(_) | Outcome::RunLost { .. });
    before.evidence.is_some()
        && told_nothing
        && before.step == after.step
        && before.phase == after.phase
        && before.state == after.state
        && before.waiting_on == after.waiting_on
        && before.error == after.error
        && decision.entries.is_empty()
        && decision.node.is_empty()
}

impl Recorder {
    fn all(&mut self, before: &Job, node: &Node, seen: Seen<'_>, decision: &Decision) {
        if before.evidence.is_none() {
            self.add(began(before, node));
        }
        for call in seen.calls {
            self.add(Fact::Called(call.clone()));
        }
        if let Some(taken) = taken(before, seen.outcome) {
            self.run(taken, seen);
        }
        self.add(Fact::Decided(decided(before, seen, decision)));
        let after = &decision.job;
        let acquired = matches!(decision.node.server, Some(Some(_)));
        if acquired && after.kind == JobKind::NodeProvision && after.phase == Phase::Forward {
            self.claim(Subject::Acquisition, claim::of_acquisition());
        }
        if after.state.is_terminal() {
            self.end(node, decision);
        }
    }

    fn run(&mut self, number: u32, seen: Seen<'_>) {
        match seen.outcome {
            Outcome::RunFinished(result) => {
                let RunResult { code, recap, evidence, .. } = result;
                let (code, recap, evidence) = (*code, *recap, evidence.clone());
                self.add(Fact::RunTaken { run: number, code, recap, evidence });
                for finding in &result.readiness {
                    self.add(Fact::Probed {
                        run: number,
                        code: finding.code,
                        ok: finding.ok,
                        warning: finding.warning,
                        detail: cut(&finding.detail),
                    });
                }
                for step in &result.smokes {
                    self.add(Fact::smoked(number, step));
                }
                self.claim(Subject::Run, claim::of_run(result));
            }
            Outcome::RunStopped => self.left_behind(number, Code::JobCancelled, seen.left),
            Outcome::RunLost { .. } => {
                self.left_behind(number, Code::TaskLost, seen.left);
                self.claim(Subject::Run, vec![claim::of_playbooks(Some(Code::TaskLost))]);
            }
            _ => {}
        }
    }

    fn left_behind(&mut self, run: u32, code: Code, left: Option<&RunEvidence>) {
        if let Some(evidence) = left.cloned() {
            let (code, evidence) = (Some(code), Some(evidence));
            self.add(Fact::RunTaken { run, code, recap: Recap::default(), evidence });
        }
    }

    fn end(&mut self, node: &Node, decision: &Decision) {
        let after = &decision.job;
        if after.state == JobState::Cancelled {
            // How far it came is chance: only what is left counts.
            self.claim(Subject::Acquisition, Vec::new());
            self.claim(Subject::Run, Vec::new());
        }
        let status = decision.node.status.unwrap_or(node.status);
        if !after.kind.keeps_server()
            && let Some(claims) = claim::of_removal(status)
        {
            self.claim(Subject::Removal, claims);
        }
        self.claim(Subject::End, claim::of_end(after, node.spec.profile.clone()));
    }
}

fn began(job: &Job, node: &Node) -> Fact {
    Fact::Began {
        job: job.id.clone(),
        kind: job.kind,
        node: node.id.clone(),
        connection: job.connection.clone(),
        profile: node.spec.profile.clone(),
        image: cut(&node.spec.image),
        actor: cut(&job.actor),
        version: job.version,
        release: env!("CARGO_PKG_VERSION").to_owned(),
    }
}

/// The number of the run that an outcome tells of.
fn taken(before: &Job, outcome: &Outcome) -> Option<u32> {
    let run = before.run.map(|run| run.number);
    match outcome {
        Outcome::RunFinished(_) => run,
        _ => left_run(before, outcome),
    }
}

/// The number of the job's own run, when an outcome tells that it was stopped or lost: its result
/// is not taken, what it left is.
pub fn left_run(before: &Job, outcome: &Outcome) -> Option<u32> {
    let is_own = match outcome {
        Outcome::RunLost { .. } => true,
        Outcome::RunStopped => before.earlier_run.is_none(),
        _ => false,
    };
    before.run.filter(|run| is_own && run.active).map(|run| run.number)
}

fn decided(before: &Job, seen: Seen<'_>, decision: &Decision) -> Decided {
    let after = &decision.job;
    Decided {
        version: before.version + 1,
        effect: seen.effect.cloned(),
        outcome: seen.outcome.word().to_owned(),
        seen: contents(seen.outcome),
        from: before.step,
        to: after.step,
        phase: after.phase,
        state: after.state,
        waiting_on: after.waiting_on,
        code: after.error.as_ref().map(|error| error.code),
        why: decision.entries.iter().map(|entry| cut(&entry.message)).collect(),
    }
}

/// What was in an outcome, in texts. A run's result has facts of its own.
fn contents(outcome: &Outcome) -> BTreeMap<String, String> {
    let mut seen = BTreeMap::new();
    let mut put = |name: &str, value: String| {
        seen.insert(name.to_owned(), value);
    };
    let of_server = |server: &Server, put: &mut dyn FnMut(&str, String)| {
        put("server", server.id.to_string());
        put("name", cut(&server.name));
        if let Some(address) = &server.ipv4 {
            put("address", cut(address));
        }
    };
    match outcome {
        Outcome::Created { server, action_id, .. } => {
            of_server(server, &mut put);
            if let Some(action) = action_id {
                put("action", action.to_string());
            }
        }
        Outcome::ServerFound { server, ownership, status } => {
            of_server(server, &mut put);
            put("ownership", cut(&format!("{ownership:?}")));
            put("status", cut(&format!("{status:?}")));
        }
        Outcome::ServerSeen { server, status } => {
            of_server(server, &mut put);
            put("status", cut(&format!("{status:?}")));
        }
        Outcome::NodeTaken { server: Some(server), .. } => of_server(server, &mut put),
        Outcome::KeyReady { version } => put("key_version", version.to_string()),
        Outcome::GroupReady { id: Some(id) } => put("placement_group", id.to_string()),
        Outcome::ActionFailed { code, message } => {
            put("code", cut(code));
            put("message", cut(message));
        }
        Outcome::RunRefused { message } | Outcome::RunLost { message } => {
            put("message", cut(message));
        }
        Outcome::Failed(failure) | Outcome::NotSent(failure) => return of_failure(failure),
        _ => {}
    }
    seen
}

/// What the provider's failure told, in texts.
pub(super) fn of_failure(failure: &ProviderFailure) -> BTreeMap<String, String> {
    let ProviderFailure { class, code, message, correlation_id, .. } = failure;
    let class = serde_json::to_value(class).unwrap_or_default();
    let class = class.as_str().unwrap_or_default().to_owned();
    let texts = [("class", class), ("code", cut(code)), ("message", cut(message))];
    let told = correlation_id.as_ref().map(|id| ("correlation_id", cut(id)));
    texts.into_iter().chain(told).map(|(name, text)| (name.to_owned(), text)).collect()
}
