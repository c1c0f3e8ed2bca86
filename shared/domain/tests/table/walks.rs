//! Whole lives of jobs, told one observation at a time.

mod acquiring;
mod parking;
mod removing;
mod running;
mod waiting;

use jiff::Timestamp;
use nodeyard_domain::{
    job::{Job, JobKind, JobState, Step},
    node::{Node, NodeStatus},
    observation::{Observation, Outcome},
    step::{Policy, Verdict, step},
};

use crate::records::{accepted, now};

/// A job on its way, and what has become of it so far.
#[derive(Clone)]
struct Walk {
    job: Job,
    now: Timestamp,
    steps: Vec<Step>,
    /// The last status that a commit gave the node.
    status: Option<NodeStatus>,
    /// How many findings a commit gave the node last.
    readiness: Option<usize>,
    /// What the timeline says.
    notes: Vec<String>,
}

impl Walk {
    fn of(kind: JobKind) -> Self {
        Self::from(accepted(kind))
    }

    fn from(job: Job) -> Self {
        Self {
            steps: vec![job.step],
            job,
            now: now(),
            status: None,
            readiness: None,
            notes: vec![],
        }
    }

    /// Tells the job what came of the effect it waits for.
    fn tell(mut self, outcome: Outcome) -> Self {
        let effect = self.job.intent.as_ref().unwrap().id;
        let observation = Observation { effect, outcome };
        let verdict = step(&self.job, observation, &Policy::default(), self.now);
        let Verdict::Commit(decision) = verdict else { panic!("dropped at {:?}", self.job.step) };
        self.job = Job { version: self.job.version + 1, ..decision.job };
        self.status = decision.node.status.or(self.status);
        self.readiness = decision.node.readiness.map(|found| found.0.len()).or(self.readiness);
        self.steps.push(self.job.step);
        self.notes.extend(decision.entries.into_iter().map(|entry| entry.message));
        self
    }

    fn tell_all(self, outcomes: impl IntoIterator<Item = Outcome>) -> Self {
        outcomes.into_iter().fold(self, Self::tell)
    }

    /// Lets time pass.
    fn after(mut self, secs: i64) -> Self {
        self.now += jiff::SignedDuration::from_secs(secs);
        self
    }

    /// The end it came to.
    fn end(&self) -> (JobState, Option<NodeStatus>) {
        (self.job.state, self.status)
    }

    fn intent_id(&self) -> nodeyard_domain::id::EffectId {
        self.job.intent.as_ref().unwrap().id
    }

    /// Seconds until the job is due.
    fn due_secs(&self) -> i64 {
        self.job.due_at.unwrap().as_second() - self.now.as_second()
    }
}

/// A node that has just been accepted, to apply changes to.
fn node() -> Node {
    let spec = nodeyard_domain::spec::NodeSpec {
        name: "web".into(),
        connection: "main".parse().unwrap(),
        profile: nodeyard_domain::spec::Profile::base(),
        vars: serde_json::Map::new(),
        placement: accepted(JobKind::NodeProvision).ladder,
        image: "debian-13".into(),
        max_price: None,
        authorized_keys: vec![],
        allow_ssh_from: vec![],
        labels: Default::default(),
        keep_on_failure: false,
        spread: false,
        prices: vec![],
        deadline_secs: 1800,
    };
    let job = accepted(JobKind::NodeProvision);
    nodeyard_domain::acceptance::provision(job.id, job.node_id, spec, "actor", None, now()).1
}
