//! The states that a release's histories hold.

use nodeyard_domain::{
    code::Code,
    job::JobKind,
    observation::{FailureClass, Outcome, ProviderFailure, ServerStatus},
    readiness::{Finding, ReadinessCode},
    run::{Recap, RunResult},
};

use super::{
    History,
    script::{Script, server},
};

fn failed(class: FailureClass) -> Outcome {
    Outcome::Failed(ProviderFailure {
        correlation_id: Some("a1b2c3".into()),
        ..ProviderFailure::new(class, "code", "message")
    })
}

fn refused_for(class: FailureClass, pause_secs: i64) -> Outcome {
    let failure = ProviderFailure::new(class, "code", "message");
    Outcome::Failed(ProviderFailure { pause_secs: Some(pause_secs), ..failure })
}

fn created(attempt: u32) -> Outcome {
    Outcome::Created { server: server(attempt), action_id: Some(5), expect_secs: Some(11) }
}

fn running() -> Outcome {
    Outcome::ServerSeen { server: server(1), status: ServerStatus::Running }
}

/// How a run ended, all probes passed.
pub fn finished(code: Option<Code>) -> Outcome {
    Outcome::RunFinished(RunResult {
        smokes: Vec::new(),
        tasks: None,
        code,
        message: "message".into(),
        recap: Recap { ok: 40, changed: 12, failed: 0, unreachable: 0, skipped: 3 },
        key_version: None,
        evidence: None,
        readiness: vec![
            Finding {
                code: ReadinessCode::ServiceDown,
                ok: true,
                warning: false,
                detail: "".into(),
            },
            Finding {
                code: ReadinessCode::RebootRequired,
                ok: false,
                warning: true,
                detail: "a new kernel waits".into(),
            },
        ],
        finished_at: Script::provision(false).now,
    })
}

/// Every state, by the name of its file.
pub fn all() -> Vec<(String, History)> {
    let mut all = Vec::new();
    for (rich, suffix) in [(false, ""), (true, "-rich")] {
        let scripts = provisions(rich).into_iter().chain(undone(rich)).chain(parked(rich));
        all.extend(scripts.map(|(name, script)| (format!("provision-{name}{suffix}"), script)));
    }
    all.extend(
        configures().into_iter().map(|(name, script)| (format!("configure-{name}"), script)),
    );
    for (kind, word) in [(JobKind::NodeCheck, "check"), (JobKind::NodeSmoke, "smoke")] {
        all.extend(looks(kind).into_iter().map(|(name, it)| (format!("{word}-{name}"), it)));
    }
    all.extend(releases().into_iter().map(|(name, script)| (format!("release-{name}"), script)));
    all.into_iter().map(|(name, script)| (name, script.history())).collect()
}

type Scripts = Vec<(&'static str, Script)>;

/// Up to the first create, through a group where one is wanted.
fn at_create(rich: bool) -> Script {
    let keyed = Script::provision(rich).tell(Outcome::KeyReady { version: 1 });
    if rich { keyed.tell(Outcome::GroupReady { id: Some(9) }) } else { keyed }
}

fn at_start(rich: bool) -> Script {
    at_create(rich).tell(created(1))
}

fn at_run(rich: bool) -> Script {
    at_start(rich).tell_all([Outcome::RunStarted, Outcome::ActionSucceeded, running()])
}

fn provisions(rich: bool) -> Scripts {
    let lost = || at_create(rich).tell(failed(FailureClass::Unknown));
    let mut all = vec![
        ("queued", Script::provision(rich)),
        ("create", at_create(rich)),
        (
            "create-claimed",
            at_create(rich).with(|job, _, _| {
                job.sent_at = job.intent.as_ref().map(|intent| intent.id);
                job.crashes = 1;
            }),
        ),
        ("create-next-rung", at_create(rich).tell(failed(FailureClass::NoCapacity))),
        ("key-again", at_create(rich).tell(failed(FailureClass::NotFound))),
        ("find", lost()),
        ("find-again", lost().tell(Outcome::ServerAbsent)),
        ("start-run", at_start(rich)),
        ("start-run-backing-off", at_start(rich).tell(Outcome::RunRefused { message: "m".into() })),
        ("await-server", at_start(rich).tell(Outcome::RunStarted)),
        ("fetch-server", at_start(rich).tell_all([Outcome::RunStarted, Outcome::ActionSucceeded])),
        ("await-run", at_run(rich)),
        ("await-run-news", at_run(rich).with(|job, _, now| job.news_at = Some(now))),
        ("second-run", at_run(rich).tell(finished(Some(Code::AnsibleHostUnreachable)))),
        ("ready", at_run(rich).tell(finished(None))),
    ];
    if rich {
        all.push(("group", Script::provision(rich).tell(Outcome::KeyReady { version: 1 })));
    }
    let action_failed =
        Outcome::ActionFailed { code: "action_failed".into(), message: "message".into() };
    let replaced = at_start(rich).tell_all([Outcome::RunStarted, action_failed]);
    all.extend([
        ("replace-stop-run", replaced.clone()),
        ("replace-delete", replaced.clone().tell(Outcome::RunStopped)),
        (
            "replace-confirm",
            replaced.clone().tell_all([Outcome::RunStopped, Outcome::DeleteAccepted]),
        ),
        (
            "replace-create",
            replaced.tell_all([Outcome::RunStopped, Outcome::DeleteAccepted, Outcome::Gone]),
        ),
    ]);
    all
}

fn undone(rich: bool) -> Scripts {
    let cancel = |script: Script| {
        script.with(|job, _, now| {
            job.cancel_requested_at = Some(now);
            job.news_at = Some(now);
        })
    };
    let asked = cancel(at_run(rich));
    let stopping = asked.clone().tell(Outcome::Nothing);
    let deleting = stopping.clone().tell(Outcome::RunStopped);
    let confirming = deleting.clone().tell(Outcome::DeleteAccepted);
    let leftover = cancel(at_create(rich)).tell(failed(FailureClass::Unknown));
    let failing = at_run(rich).tell(finished(Some(Code::AnsibleHostFailed)));
    vec![
        ("cancel-asked", asked),
        ("undo-stop-run", stopping),
        ("undo-delete", deleting.clone()),
        ("undo-protected", deleting.clone().tell(failed(FailureClass::Protected))),
        ("undo-confirm", confirming.clone()),
        ("undo-find-leftover", leftover),
        ("cancelled", confirming.clone().tell(Outcome::Gone)),
        // Kept, where the caller wishes it.
        ("failed-run", failing.clone()),
        ("failed", failing.tell_all([Outcome::DeleteAccepted, Outcome::Gone])),
        ("given-up", confirming.out_of_time().tell(Outcome::StillThere)),
        ("poisoned", at_create(rich).with(|job, _, _| job.crashes = 5).tell(Outcome::Poisoned)),
    ]
}

fn parked(rich: bool) -> Scripts {
    let dry = [failed(FailureClass::NoCapacity), failed(FailureClass::NoCapacity)];
    vec![
        ("parked-token", Script::provision(rich).tell(failed(FailureClass::Unauthorized))),
        ("parked-marker", Script::provision(rich).tell(Outcome::MarkerMissing)),
        ("parked-budget", at_create(rich).tell(refused_for(FailureClass::RateLimited, 400))),
        ("parked-quota", at_create(rich).tell(refused_for(FailureClass::Quota, 120))),
        ("parked-capacity", at_create(rich).tell_all(dry)),
    ]
}

fn taken(script: &Script) -> Outcome {
    Outcome::NodeTaken {
        server: script.node.server.clone(),
        attempts: script.node.attempts,
        run: script.node.last_run.clone(),
    }
}

fn on_taken_node(kind: JobKind, run_is_active: bool) -> Script {
    let script = Script::on_node(kind, run_is_active);
    let outcome = taken(&script);
    script.tell(outcome)
}

fn configures() -> Scripts {
    let start = || on_taken_node(JobKind::NodeConfigure, false);
    let cancelled = start().tell(Outcome::RunStarted).with(|job, _, now| {
        job.cancel_requested_at = Some(now);
    });
    let stopping = cancelled.tell(Outcome::Nothing);
    vec![
        ("queued", Script::on_node(JobKind::NodeConfigure, false)),
        ("stop-earlier-run", on_taken_node(JobKind::NodeConfigure, true)),
        ("start-run", start()),
        ("await-run", start().tell(Outcome::RunStarted)),
        ("undo-stop-run", stopping.clone()),
        ("cancelled", stopping.tell(Outcome::RunStopped)),
        ("ready", start().tell_all([Outcome::RunStarted, finished(None)])),
        (
            "failed",
            start().tell_all([Outcome::RunStarted, finished(Some(Code::AnsibleHostFailed))]),
        ),
    ]
}

/// Checks and smokes, which leave the node as it is.
fn looks(kind: JobKind) -> Scripts {
    let taken = || on_taken_node(kind, false);
    let start = || if kind == JobKind::NodeCheck { taken().tell(running()) } else { taken() };
    let cancelled = start().tell(Outcome::RunStarted).with(|job, _, now| {
        job.cancel_requested_at = Some(now);
    });
    let stopping = cancelled.tell(Outcome::Nothing);
    let broke = finished(Some(Code::AnsibleHostFailed));
    let mut all = vec![
        ("queued", Script::on_node(kind, false)),
        ("stop-earlier-run", on_taken_node(kind, true)),
        ("start-run", start()),
        ("await-run", start().tell(Outcome::RunStarted)),
        ("undo-stop-run", stopping.clone()),
        ("cancelled", stopping.tell(Outcome::RunStopped)),
        ("ready", start().tell_all([Outcome::RunStarted, finished(None)])),
        ("failed", start().tell_all([Outcome::RunStarted, broke])),
    ];
    if kind == JobKind::NodeCheck {
        all.push(("fetch-server", taken()));
        all.push(("server-gone", taken().tell(Outcome::ServerAbsent)));
    }
    all
}

fn releases() -> Scripts {
    let taken = || on_taken_node(JobKind::NodeRelease, false);
    let confirming = taken().tell(Outcome::DeleteAccepted);
    let nothing_on_record = Script::on_node(JobKind::NodeRelease, false)
        .with(|job, node, _| (job.server, node.server) = (None, None))
        .tell(Outcome::NodeTaken { server: None, attempts: 1, run: None });
    vec![
        ("queued", Script::on_node(JobKind::NodeRelease, false)),
        ("waiting", Script::on_node(JobKind::NodeRelease, false).tell(Outcome::NodeBusy)),
        ("stop-earlier-run", on_taken_node(JobKind::NodeRelease, true)),
        ("find-leftover", nothing_on_record),
        ("delete", taken()),
        ("confirm", confirming.clone()),
        ("parked-token", taken().tell(failed(FailureClass::Unauthorized))),
        ("released", confirming.clone().tell(Outcome::Gone)),
        ("given-up", confirming.out_of_time().tell(Outcome::StillThere)),
    ]
}
