//! The records that the tests start from, and what may come back from an effect.

use jiff::{SignedDuration, Timestamp};
use nodeyard_domain::{
    code::Code,
    id::{JobId, NodeId},
    job::{Job, JobKind},
    node::{RunRef, Server},
    observation::{FailureClass, Outcome, ProviderFailure, ServerStatus},
    ownership::Ownership,
    placement::Rung,
    readiness::{Finding, ReadinessCode},
    run::{Recap, RunResult},
};

pub fn now() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

pub fn ago(secs: i64) -> Timestamp {
    now() - SignedDuration::from_secs(secs)
}

pub fn job_id() -> JobId {
    JobId::from_bits(1)
}

pub fn other_job() -> JobId {
    JobId::from_bits(9)
}

/// A job as it is accepted, on a ladder of two rungs.
pub fn accepted(kind: JobKind) -> Job {
    let mut job = Job::new(
        job_id(),
        kind,
        NodeId::from_bits(2),
        "main".parse().unwrap(),
        "actor",
        1800,
        now(),
    );
    if kind == JobKind::NodeProvision {
        job.ladder = ["fsn1", "nbg1"]
            .map(|location| Rung { server_type: "cx23".into(), location: location.into() })
            .into();
    }
    job
}

pub fn server(id: u64, attempt: u32) -> Server {
    Server {
        id,
        name: "web-000000000000".into(),
        attempt,
        ipv4: Some("198.18.0.10".into()),
        ipv6: None,
        primary_ips: vec![7],
        server_type: None,
        location: None,
    }
}

pub fn active_run(of: JobId) -> RunRef {
    RunRef { job_id: of, number: 1, active: true }
}

pub fn created(attempt: u32) -> Outcome {
    Outcome::Created { server: server(1, attempt), action_id: Some(2), expect_secs: None }
}

pub fn seen_running() -> Outcome {
    Outcome::ServerSeen { server: server(1, 0), status: ServerStatus::Running }
}

pub fn found(ownership: Ownership, status: ServerStatus) -> Outcome {
    Outcome::ServerFound { server: server(3, 1), ownership, status }
}

pub fn failed(class: FailureClass) -> Outcome {
    Outcome::Failed(ProviderFailure::new(class, "code", "message"))
}

/// A refusal that says how long it is likely to last.
pub fn failed_for(class: FailureClass, pause_secs: i64) -> Outcome {
    let failure = ProviderFailure::new(class, "code", "message");
    Outcome::Failed(ProviderFailure { pause_secs: Some(pause_secs), ..failure })
}

pub fn placement_error() -> Outcome {
    let class = FailureClass::NoCapacity;
    Outcome::Failed(ProviderFailure::new(class, "placement_error", "no host is left"))
}

pub fn finished(code: Option<Code>, probes_passed: bool) -> Outcome {
    Outcome::RunFinished(RunResult {
        smokes: Vec::new(),
        tasks: None,
        code,
        message: "message".into(),
        recap: Recap { ok: 5, changed: 2, ..Recap::default() },
        key_version: None,
        evidence: None,
        readiness: vec![Finding {
            code: ReadinessCode::ServiceDown,
            ok: probes_passed,
            warning: false,
            detail: String::new(),
        }],
        finished_at: now(),
    })
}

/// Everything that can come back, whichever effect it answers.
pub fn outcomes() -> Vec<Outcome> {
    let message = || String::from("message");
    let taken = |server, run| Outcome::NodeTaken { server, attempts: 1, run };
    let ended = || RunRef { active: false, ..active_run(other_job()) };
    let mut all = vec![
        Outcome::Nothing,
        Outcome::Poisoned,
        taken(Some(server(1, 1)), None),
        taken(Some(server(1, 1)), Some(active_run(other_job()))),
        taken(Some(server(1, 1)), Some(ended())),
        taken(None, None),
        taken(None, Some(active_run(other_job()))),
        Outcome::NodeTaken { server: None, attempts: 0, run: None },
        Outcome::NodeBusy,
        Outcome::KeyReady { version: 1 },
        Outcome::GroupReady { id: Some(5) },
        Outcome::GroupReady { id: None },
        Outcome::ClaimFound,
        Outcome::ServerAbsent,
        Outcome::Created { server: server(9, 9), action_id: None, expect_secs: Some(3) },
        Outcome::ActionRunning,
        Outcome::ActionSucceeded,
        Outcome::ActionFailed { code: "unknown_error".into(), message: message() },
        Outcome::ActionMissing,
        Outcome::DeleteAccepted,
        Outcome::Gone,
        Outcome::StillThere,
        Outcome::MarkerMissing,
        Outcome::RunStarted,
        Outcome::RunRefused { message: message() },
        Outcome::RunRunning,
        finished(None, true),
        finished(None, false),
        finished(Some(Code::AnsibleHostFailed), true),
        finished(Some(Code::AnsibleHostUnreachable), true),
        Outcome::RunLost { message: message() },
        Outcome::RunStopped,
        placement_error(),
    ];
    all.extend((1..=2).map(created));
    for status in [ServerStatus::Running, ServerStatus::Deleting, ServerStatus::Other("off".into())]
    {
        all.push(Outcome::ServerSeen { server: server(1, 0), status: status.clone() });
        for ownership in [Ownership::Current, Ownership::Older { attempt: 1 }, Ownership::Foreign] {
            all.push(found(ownership, status.clone()));
        }
    }
    // What the connection's jobs share has refused before anything was sent.
    for class in [FailureClass::RateLimited, FailureClass::NoCapacity, FailureClass::Quota] {
        let failure = ProviderFailure::new(class, "rate_budget", "message");
        all.push(Outcome::NotSent(ProviderFailure { pause_secs: Some(600), ..failure }));
    }
    for class in FailureClass::ALL {
        all.push(failed(*class));
        all.extend([3, 600].map(|secs| failed_for(*class, secs)));
    }
    all
}
