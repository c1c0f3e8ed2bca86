//! Every state against every observation: no panic, terminal states absorb, every other state has
//! a wake, a park reason or a deadline.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use jiff::{SignedDuration, Timestamp};
use nodeyard_domain::{
    code::Code,
    id::{EffectId, JobId, NodeId},
    job::{Effect, Intent, Job, JobError, JobKind, JobState, OwnRun, ParkReason, Phase, Step},
    node::{NodeStatus, Server},
    observation::{FailureClass, Observation, Outcome, ProviderFailure, ServerStatus},
    ownership::Ownership,
    placement::Rung,
    readiness::{Finding, ReadinessCode},
    run::{Recap, RunResult},
    step::{Decision, Policy, Verdict, step},
};

fn now() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

fn server(id: u64, attempt: u32) -> Server {
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

fn outcomes() -> Vec<Outcome> {
    let run_result = |code, ready| {
        Outcome::RunFinished(RunResult {
            code,
            message: "message".into(),
            recap: Recap::default(),
            readiness: vec![Finding {
                code: ReadinessCode::ServiceDown,
                ok: ready,
                warning: false,
                detail: String::new(),
            }],
            finished_at: now(),
        })
    };
    let mut all = vec![
        Outcome::Nothing,
        Outcome::Poisoned,
        Outcome::NodeTaken,
        Outcome::NodeBusy,
        Outcome::KeyReady,
        Outcome::ServerAbsent,
        Outcome::Created { server: server(1, 1), action_id: Some(2), expect_secs: None },
        Outcome::Created { server: server(9, 9), action_id: None, expect_secs: Some(3) },
        Outcome::ActionRunning,
        Outcome::ActionSucceeded,
        Outcome::ActionFailed { code: "unknown_error".into(), message: "m".into() },
        Outcome::ActionMissing,
        Outcome::DeleteAccepted,
        Outcome::Gone,
        Outcome::StillThere,
        Outcome::MarkerMissing,
        Outcome::RunStarted,
        Outcome::RunRefused { message: "m".into() },
        Outcome::RunRunning,
        run_result(None, true),
        run_result(None, false),
        run_result(Some(Code::AnsibleHostFailed), true),
        run_result(Some(Code::AnsibleHostUnreachable), true),
        Outcome::RunLost { message: "m".into() },
        Outcome::RunStopped,
    ];
    for status in [ServerStatus::Running, ServerStatus::Deleting, ServerStatus::Other("off".into())]
    {
        all.push(Outcome::ServerSeen { server: server(1, 0), status: status.clone() });
        for ownership in [Ownership::Current, Ownership::Older { attempt: 1 }, Ownership::Foreign] {
            let status = status.clone();
            all.push(Outcome::ServerFound { server: server(3, 1), ownership, status });
        }
    }
    for class in FailureClass::ALL {
        all.push(Outcome::Failed(ProviderFailure::new(*class, "code", "message")));
    }
    all
}

/// An intent that fits the step; the machine itself never makes another.
fn intent_of(step: Step) -> Option<Effect> {
    Some(match step {
        Step::TakeNode => Effect::TakeNode,
        Step::EnsureKey => Effect::EnsureKey,
        Step::CreateServer => Effect::CreateServer {
            rung: Rung { server_type: "cx23".into(), location: "fsn1".into() },
            attempt: 1,
        },
        Step::FindServer | Step::FindLeftover => Effect::FindServer,
        Step::StartRun => Effect::StartRun { number: 1 },
        Step::AwaitServer => Effect::PollAction { action_id: 2 },
        Step::FetchServer => Effect::FetchServer { server_id: 1 },
        Step::AwaitRun => Effect::LookAtRun { number: 1 },
        Step::StopRun => Effect::StopRun { number: 1 },
        Step::DeleteServer => Effect::DeleteServer { server_id: 1 },
        Step::ConfirmGone => Effect::ConfirmGone { server_id: 1, primary_ips: vec![7] },
        Step::Done => return None,
    })
}

/// The states the tables of the job types allow.
fn is_reachable(kind: JobKind, phase: Phase, step: Step) -> bool {
    use Step::{
        AwaitRun, AwaitServer, ConfirmGone, CreateServer, DeleteServer, EnsureKey, FetchServer,
        FindLeftover, FindServer, StartRun, StopRun, TakeNode,
    };
    let removal = matches!(step, StopRun | FindLeftover | DeleteServer | ConfirmGone);
    match (kind, phase) {
        (JobKind::NodeProvision, Phase::Forward) => matches!(
            step,
            EnsureKey | CreateServer | FindServer | StartRun | AwaitServer | FetchServer | AwaitRun
        ),
        (JobKind::NodeProvision, Phase::Replace | Phase::Undo) => removal,
        (JobKind::NodeConfigure, Phase::Forward) => matches!(step, TakeNode | StartRun | AwaitRun),
        (JobKind::NodeConfigure, Phase::Undo) => step == StopRun,
        (JobKind::NodeRelease, Phase::Forward) => step == TakeNode || removal,
        (JobKind::NodeConfigure | JobKind::NodeRelease, _) => false,
    }
}

/// Jobs in every combination of what decides: kind, phase, step, server, run, ladder, flags.
fn jobs() -> Vec<Job> {
    let mut all = Vec::new();
    for kind in JobKind::ALL {
        for phase in [Phase::Forward, Phase::Replace, Phase::Undo] {
            for step in Step::ALL.iter().copied().filter(|step| is_reachable(*kind, phase, *step)) {
                for bits in 0..64_u32 {
                    let bit = |at: u32| bits & (1 << at) != 0;
                    let mut job = Job::new(
                        JobId::from_bits(1),
                        *kind,
                        NodeId::from_bits(2),
                        "main".parse().unwrap(),
                        "actor",
                        1800,
                        now() - SignedDuration::from_secs(if bit(0) { 3600 } else { 10 }),
                    );
                    job.state = JobState::Running;
                    job.version = 7;
                    job.phase = phase;
                    job.step = step;
                    job.attempt = 1;
                    job.intent = intent_of(step).map(|effect| Intent { id: EffectId(7), effect });
                    job.due_at = Some(now());
                    job.server = bit(1).then(|| server(1, 1));
                    job.run = bit(2).then_some(OwnRun { number: 1, active: true });
                    job.settle_until = bit(3).then(|| now() + SignedDuration::from_secs(60));
                    job.cancel_requested_at = bit(4).then(now);
                    job.keep_on_failure = bit(5);
                    if phase == Phase::Undo {
                        let code = Code::AnsibleHostFailed;
                        job.error = Some(JobError { code, detail: "told before".into() });
                    }
                    job.undo_deadline_at =
                        (phase == Phase::Undo).then(|| now() + SignedDuration::from_secs(600));
                    job.ladder = vec![
                        Rung { server_type: "cx23".into(), location: "fsn1".into() },
                        Rung { server_type: "cx23".into(), location: "nbg1".into() },
                    ];
                    all.push(job);
                }
            }
        }
    }
    all
}

/// Written out only when an assertion fails.
struct Told<'a>(&'a Job, &'a Observation, &'a Job);

impl std::fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}\n× {:?}\n→ {:?}", self.0, self.1, self.2)
    }
}

fn check(before: &Job, observation: &Observation, decision: &Decision) {
    let job = &decision.job;
    let told = Told(before, observation, job);
    assert_eq!(job.version, before.version, "only the store's commit moves the version: {told}");
    assert_eq!(job.sent_at, None, "{told}");
    if job.state.is_terminal() {
        assert!(job.intent.is_none() && job.due_at.is_none() && job.look_at().is_none(), "{told}");
        assert!(decision.node.close_job && job.finished_at.is_some(), "{told}");
        assert!(decision.node.status.is_some(), "a terminal job says what the node is: {told}");
        if job.state == JobState::Succeeded {
            assert!(job.error.is_none(), "{told}");
        } else {
            assert!(job.error.is_some(), "{told}");
        }
        // Invariant 2: whoever ends without the server gone says so on the node.
        let status = decision.node.status.unwrap();
        if status.is_gone() && job.kind != JobKind::NodeConfigure {
            assert!(job.server.is_none(), "{told}");
            let resolved = job.settle_until.is_none();
            assert!(resolved, "an unresolved create is not gone: {told}");
        }
    } else {
        let intent = job.intent.as_ref().unwrap_or_else(|| panic!("no intent: {told}"));
        assert_eq!(intent.id, EffectId(before.version + 1), "{told}");
        assert!(job.due_at.is_some(), "{told}");
        assert!(job.look_at().is_some(), "the sweep must find it: {told}");
        if job.waiting_on.is_none() {
            assert!(job.wake_delay_secs(now()).is_some(), "{told}");
        }
        if job.phase == Phase::Undo {
            assert!(job.undo_deadline_at.is_some(), "undo has a limit of its own: {told}");
        }
        // Rule of runs: run n+1, or a delete, only after run n was seen stopped.
        let deletes = matches!(intent.effect, Effect::DeleteServer { .. });
        let was_deleting =
            matches!(before.step, Step::DeleteServer | Step::ConfirmGone | Step::FindLeftover);
        if deletes && !was_deleting {
            assert!(job.run.is_none_or(|run| !run.active), "{told}");
        }
        if job.cancel_requested_at.is_some() && job.kind != JobKind::NodeRelease {
            assert_eq!(job.phase, Phase::Undo, "a cancel is never forgotten: {told}");
        }
    }
}

#[test]
fn every_state_and_every_observation() {
    let policy = Policy::default();
    let outcomes = outcomes();
    let mut pairs = 0_u32;
    for job in jobs() {
        for outcome in &outcomes {
            for effect in [EffectId(7), EffectId(3)] {
                let observation = Observation { effect, outcome: outcome.clone() };
                match step(&job, observation.clone(), &policy, now()) {
                    Verdict::Commit(decision) => check(&job, &observation, &decision),
                    Verdict::Drop => assert_eq!(effect, EffectId(3), "{job:?} {observation:?}"),
                    Verdict::KeepOnNode(_) => panic!("the job has not ended: {job:?}"),
                }
                pairs += 1;
            }
        }
    }
    assert!(pairs > 100_000, "{pairs}");
}

#[test]
fn terminal_jobs_absorb_everything_but_a_server_id() {
    let policy = Policy::default();
    for state in [JobState::Succeeded, JobState::Failed, JobState::Cancelled] {
        for mut job in jobs() {
            job.state = state;
            job.intent = None;
            for outcome in outcomes() {
                let created = match &outcome {
                    Outcome::Created { server, .. } => Some(server.id),
                    _ => None,
                };
                let known = job.server.as_ref().map(|server| server.id);
                match step(&job, Observation { effect: EffectId(7), outcome }, &policy, now()) {
                    Verdict::Commit(decision) => panic!("{decision:?}"),
                    Verdict::KeepOnNode(server) => assert_eq!(created, Some(server.id)),
                    Verdict::Drop => assert!(created.is_none() || created == known),
                }
            }
        }
    }
}

/// Walks a job along a list of observations and answers where it went.
fn walk(mut job: Job, outcomes: Vec<Outcome>) -> (Job, Vec<Step>, Option<NodeStatus>) {
    let mut steps = vec![job.step];
    let mut status = None;
    for outcome in outcomes {
        let effect = job.intent.as_ref().unwrap().id;
        let verdict = step(&job, Observation { effect, outcome }, &Policy::default(), now());
        let Verdict::Commit(decision) = verdict else { panic!("dropped at {:?}", job.step) };
        job = Job { version: job.version + 1, ..decision.job };
        status = decision.node.status.or(status);
        steps.push(job.step);
    }
    (job, steps, status)
}

fn provision() -> Job {
    let mut job = Job::new(
        JobId::from_bits(1),
        JobKind::NodeProvision,
        NodeId::from_bits(2),
        "main".parse().unwrap(),
        "actor",
        1800,
        now(),
    );
    job.ladder = ["fsn1", "nbg1"]
        .map(|location| Rung { server_type: "cx23".into(), location: location.into() })
        .into();
    job
}

fn created() -> Outcome {
    Outcome::Created { server: server(1, 1), action_id: Some(2), expect_secs: None }
}

fn failed(class: FailureClass) -> Outcome {
    Outcome::Failed(ProviderFailure::new(class, "code", "message"))
}

fn ready() -> Outcome {
    Outcome::RunFinished(RunResult {
        code: None,
        message: String::new(),
        recap: Recap { ok: 5, changed: 2, ..Recap::default() },
        readiness: vec![Finding {
            code: ReadinessCode::DiskLow,
            ok: true,
            warning: false,
            detail: String::new(),
        }],
        finished_at: now(),
    })
}

#[test]
fn a_node_gets_ready() {
    let running = Outcome::ServerSeen { server: server(1, 0), status: ServerStatus::Running };
    let (job, steps, status) = walk(
        provision(),
        vec![
            Outcome::KeyReady,
            created(),
            Outcome::RunStarted,
            Outcome::ActionRunning,
            Outcome::ActionSucceeded,
            running,
            ready(),
        ],
    );
    assert_eq!(
        steps,
        [
            Step::EnsureKey,
            Step::CreateServer,
            Step::StartRun,
            Step::AwaitServer,
            Step::AwaitServer,
            Step::FetchServer,
            Step::AwaitRun,
            Step::Done
        ]
    );
    assert_eq!((job.state, status), (JobState::Succeeded, Some(NodeStatus::Ready)));
    assert_eq!(job.server.unwrap().attempt, 1, "the attempt is not lost by a fetch");
    assert_eq!(job.recap.unwrap().changed, 2);
}

#[test]
fn a_lost_answer_is_looked_up_and_adopted_never_repeated() {
    let found = Outcome::ServerFound {
        server: server(1, 1),
        ownership: Ownership::Current,
        status: ServerStatus::Other("initializing".into()),
    };
    let (job, steps, _) = walk(
        provision(),
        vec![Outcome::KeyReady, failed(FailureClass::Unknown), Outcome::ServerAbsent, found],
    );
    assert_eq!(
        steps,
        [Step::EnsureKey, Step::CreateServer, Step::FindServer, Step::FindServer, Step::StartRun]
    );
    assert_eq!((job.attempt, job.server.map(|server| server.id)), (1, Some(1)));
}

#[test]
fn an_absent_name_is_believed_only_after_the_settle_time() {
    let (mut job, _, _) = walk(provision(), vec![Outcome::KeyReady, failed(FailureClass::Unknown)]);
    let (still, _, _) = walk(job.clone(), vec![Outcome::ServerAbsent]);
    assert_eq!(still.step, Step::FindServer);
    job.settle_until = Some(now());
    let (again, _, _) = walk(job, vec![Outcome::ServerAbsent]);
    assert_eq!(
        (again.step, again.attempt),
        (Step::CreateServer, 1),
        "the same attempt, byte for byte"
    );
}

#[test]
fn a_refused_rung_makes_way_for_the_next_and_a_dry_ladder_parks() {
    let (job, _, _) = walk(provision(), vec![Outcome::KeyReady, failed(FailureClass::NoCapacity)]);
    assert_eq!((job.rung, job.attempt, job.waiting_on), (1, 2, None));
    let (job, _, _) = walk(job, vec![failed(FailureClass::NoCapacity)]);
    assert_eq!((job.rung, job.waiting_on), (0, Some(ParkReason::Capacity)));
    assert_eq!(job.wake_delay_secs(now()), None, "parked jobs hold no wake");
    assert_eq!(job.refusals.len(), 2);
    let mut late = job;
    late.deadline_at = now();
    let (job, _, status) = walk(late, vec![failed(FailureClass::NoCapacity)]);
    assert_eq!((job.state, status), (JobState::Failed, Some(NodeStatus::Failed)));
}

#[test]
fn a_foreign_name_is_terminal_and_nothing_is_deleted() {
    let foreign = Outcome::ServerFound {
        server: server(99, 1),
        ownership: Ownership::Foreign,
        status: ServerStatus::Running,
    };
    let (job, steps, status) =
        walk(provision(), vec![Outcome::KeyReady, failed(FailureClass::NameTaken), foreign]);
    assert_eq!(job.error.unwrap().code, Code::ProviderNameConflict);
    assert_eq!(status, Some(NodeStatus::Failed));
    assert!(!steps.contains(&Step::DeleteServer));
}

#[test]
fn a_failure_after_the_create_is_undone_in_order() {
    let failed_run = Outcome::RunFinished(RunResult {
        code: Some(Code::AnsibleHostFailed),
        message: "nginx".into(),
        recap: Recap::default(),
        readiness: vec![],
        finished_at: now(),
    });
    let up_to_run = vec![
        Outcome::KeyReady,
        created(),
        Outcome::RunStarted,
        Outcome::ActionSucceeded,
        Outcome::ServerSeen { server: server(1, 0), status: ServerStatus::Running },
    ];
    let mut told = up_to_run.clone();
    told.extend([failed_run.clone(), Outcome::DeleteAccepted, Outcome::StillThere, Outcome::Gone]);
    let (job, steps, status) = walk(provision(), told);
    assert_eq!(steps[6..], [Step::DeleteServer, Step::ConfirmGone, Step::ConfirmGone, Step::Done]);
    assert_eq!((job.state, status), (JobState::Failed, Some(NodeStatus::Failed)));
    assert_eq!(job.error.unwrap().code, Code::AnsibleHostFailed);

    let mut kept = provision();
    kept.keep_on_failure = true;
    let mut told = up_to_run;
    told.push(failed_run);
    let (job, _, status) = walk(kept, told);
    assert_eq!((job.state, status), (JobState::Failed, Some(NodeStatus::Kept)));
    assert!(job.server.is_some(), "kept is still owned");
}

#[test]
fn cancelling_a_create_in_flight_resolves_it_first() {
    let (mut job, _, _) = walk(provision(), vec![Outcome::KeyReady]);
    job.cancel_requested_at = Some(now());
    // The answer came: it is taken up, and removed.
    let (done, steps, status) = walk(
        job.clone(),
        vec![created(), Outcome::RunStopped, Outcome::DeleteAccepted, Outcome::Gone],
    );
    assert_eq!(
        steps,
        [Step::CreateServer, Step::StopRun, Step::DeleteServer, Step::ConfirmGone, Step::Done]
    );
    assert_eq!((done.state, status), (JobState::Cancelled, Some(NodeStatus::Released)));
    // The answer was lost: looked for until it cannot land any more.
    let (job, _, _) = walk(job, vec![failed(FailureClass::Unknown), Outcome::ServerAbsent]);
    assert_eq!((job.step, job.phase), (Step::FindLeftover, Phase::Undo));
}

#[test]
fn a_late_create_answer_is_never_lost() {
    let (job, _, _) = walk(provision(), vec![Outcome::KeyReady, failed(FailureClass::Unknown)]);
    let late = Observation { effect: EffectId(2), outcome: created() };
    let Verdict::Commit(decision) = step(&job, late, &Policy::default(), now()) else { panic!() };
    assert_eq!((decision.job.step, decision.job.server.unwrap().id), (Step::StartRun, 1));
}

#[test]
fn a_release_removes_what_is_there() {
    let mut job = Job::new(
        JobId::from_bits(1),
        JobKind::NodeRelease,
        NodeId::from_bits(2),
        "main".parse().unwrap(),
        "actor",
        1800,
        now(),
    );
    job.server = Some(server(1, 1));
    job.attempt = 1;
    let (job, steps, status) = walk(
        job,
        vec![
            Outcome::NodeBusy,
            Outcome::NodeTaken,
            failed(FailureClass::Busy),
            failed(FailureClass::NotFound),
            Outcome::Gone,
        ],
    );
    assert_eq!(
        steps,
        [
            Step::TakeNode,
            Step::TakeNode,
            Step::DeleteServer,
            Step::DeleteServer,
            Step::ConfirmGone,
            Step::Done
        ]
    );
    assert_eq!((job.state, status), (JobState::Succeeded, Some(NodeStatus::Released)));
}
