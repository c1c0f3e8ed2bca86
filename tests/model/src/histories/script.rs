//! Leads a job to a state by telling it what came back, as the driver and the store would.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use nodeyard_domain::{
    acceptance,
    id::{JobId, NodeId},
    job::{Job, JobKind},
    node::{Node, NodeStatus, RunRef, Server},
    observation::{Observation, Outcome},
    placement::{Price, Rung},
    spec::{NodeSpec, Profile},
    step::{Policy, Verdict, step},
};
use serde_json::json;

use super::History;

/// When all histories begin.
fn beginning() -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs(1_790_000_000)
}

/// With every optional field that a caller can set, or with none.
fn spec(rich: bool) -> NodeSpec {
    let price = |monthly_net| Some(Price { monthly_net, currency: "EUR".into() });
    let rung = |location: &str| Rung { server_type: "cx23".into(), location: location.into() };
    let vars = json!({"timezone": "Europe/Berlin", "sizes": [1, 2.5, null]});
    NodeSpec {
        name: "web-1".into(),
        connection: "main".parse().unwrap_or_else(|_| unreachable!("a valid name")),
        profile: if rich { Profile::web() } else { Profile::base() },
        vars: vars.as_object().filter(|_| rich).cloned().unwrap_or_default(),
        placement: vec![rung("fsn1"), rung("nbg1")],
        image: "debian-13".into(),
        max_price: rich.then_some(6.5),
        authorized_keys: if rich { vec!["ssh-ed25519 AAAA a@b".into()] } else { Vec::new() },
        allow_ssh_from: if rich { vec!["198.51.100.0/24".into()] } else { Vec::new() },
        labels: if rich { [("team".into(), "shop".into())].into() } else { BTreeMap::new() },
        keep_on_failure: rich,
        spread: rich,
        prices: if rich { vec![price(3.49), None] } else { Vec::new() },
        deadline_secs: 1800,
    }
}

pub fn server(attempt: u32) -> Server {
    Server {
        id: 42_000_000 + u64::from(attempt),
        name: "web-1-000000000000".into(),
        attempt,
        ipv4: Some("198.18.0.10".into()),
        ipv6: Some("2001:db8::1".into()),
        primary_ips: vec![7_000_001, 7_000_002],
        server_type: Some("cx23".into()),
        location: Some("fsn1".into()),
    }
}

/// A job on its way.
#[derive(Clone)]
pub struct Script {
    pub job: Job,
    pub node: Node,
    pub now: Timestamp,
}

impl Script {
    pub fn provision(rich: bool) -> Self {
        let ids = (JobId::from_bits(0x11), NodeId::from_bits(0x22));
        let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let trace = rich.then(|| trace.to_owned());
        let now = beginning();
        let (job, node) = acceptance::provision(ids.0, ids.1, spec(rich), "ci", trace, now);
        Self { job, node, now }
    }

    /// A job on a node that an earlier job has made, and whose run may be alive.
    pub fn on_node(kind: JobKind, run_is_active: bool) -> Self {
        let Self { mut node, now, .. } = Self::provision(false);
        let id = JobId::from_bits(0x33);
        node.server = Some(server(1));
        node.attempts = 1;
        node.last_run =
            Some(RunRef { job_id: JobId::from_bits(0x11), number: 2, active: run_is_active });
        node.status = NodeStatus::NotReady;
        let job = acceptance::on_node(id.clone(), kind, &node, "ci", None, now);
        node.open_job = Some(id);
        Self { job, node, now }
    }

    /// Tells the job, at the time it is due, what came of its effect.
    #[must_use]
    pub fn tell(mut self, outcome: Outcome) -> Self {
        self.now = self.job.due_at.map_or(self.now, |due| due.max(self.now));
        self.hear(outcome);
        self
    }

    /// As [`Self::tell`]; false when the observation was dropped.
    pub fn hear(&mut self, outcome: Outcome) -> bool {
        let Some(effect) = self.job.intent.as_ref().map(|intent| intent.id) else { return false };
        let observation = Observation { effect, outcome };
        match step(&self.job, observation, &Policy::default(), self.now) {
            Verdict::Commit(decision) => {
                let job = Job { version: self.job.version + 1, ..decision.job };
                decision.node.apply(&mut self.node, &job.id, self.now);
                self.job = job;
                true
            }
            Verdict::Drop | Verdict::KeepOnNode(_) => false,
        }
    }

    #[must_use]
    pub fn tell_all(self, outcomes: impl IntoIterator<Item = Outcome>) -> Self {
        outcomes.into_iter().fold(self, Self::tell)
    }

    /// What others write beside the version: claims, cancels, news, crashes.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Job, &mut Node, Timestamp)) -> Self {
        change(&mut self.job, &mut self.node, self.now);
        self
    }

    /// At the limit of its phase.
    #[must_use]
    pub fn out_of_time(mut self) -> Self {
        self.now = self.job.undo_deadline_at.unwrap_or(self.job.deadline_at);
        self
    }

    pub fn history(self) -> History {
        History { job: self.job, node: self.node }
    }
}
