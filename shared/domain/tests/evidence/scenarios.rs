//! Two jobs of one scenario have one digest, whatever went wrong on the way.

use nodeyard_domain::{
    code::Code,
    evidence::{
        claim::ClaimedStep,
        verify::{Verdict, verify},
    },
    job::{JobKind, JobState},
    observation::{FailureClass, Outcome, ProviderFailure},
    readiness::ReadinessCode,
};

use crate::bench::{Life, READY, Signer, ready};

fn unavailable() -> Outcome {
    Outcome::Failed(ProviderFailure::new(FailureClass::Unknown, "timeout", "no answer in time"))
}

/// As [`ready`], with everything that passes on the way.
fn ready_in_the_end(salt: u64) -> Life {
    let mut life = Life::new(JobKind::NodeProvision, salt);
    life.sees(3, unavailable()).sees(30, Outcome::KeyReady { version: 2 });
    life.sees(1, unavailable());
    let server = life.server();
    life.sees(
        2,
        Outcome::ServerFound {
            server,
            ownership: nodeyard_domain::ownership::Ownership::Current,
            status: nodeyard_domain::observation::ServerStatus::Running,
        },
    );
    life.sees(5, Outcome::RunRefused { message: "no capacity".into() });
    life.sees(20, Outcome::RunStarted);
    let server = life.server();
    let status = nodeyard_domain::observation::ServerStatus::Running;
    life.sees(2, Outcome::ServerSeen { server, status });
    life.sees(30, Outcome::RunRunning);
    life.cut_off(Outcome::RunLost { message: "the task is gone".into() });
    life.sees(40, Outcome::RunStarted);
    let server = life.server();
    let status = nodeyard_domain::observation::ServerStatus::Running;
    life.sees(2, Outcome::ServerSeen { server, status }).sees(1, Outcome::RunRunning);
    life.run(None, &READY.iter().rev().copied().collect::<Vec<_>>());
    life
}

#[test]
fn what_passes_leaves_no_trace_in_the_digest() {
    let plain = ready(1);
    assert_eq!(plain.job.state, JobState::Succeeded);
    assert_eq!(plain.bundle().digest, ready(2).bundle().digest);
    let troubled = ready_in_the_end(77);
    assert_eq!(troubled.job.state, JobState::Succeeded);
    assert_eq!(troubled.bundle().claims, plain.bundle().claims);
    assert_eq!(troubled.bundle().digest, plain.bundle().digest);
    assert_ne!(troubled.bundle().head.hash, plain.bundle().head.hash);
    assert_eq!(plain.bundle().claims.len(), 5, "the warning is not claimed");
}

#[test]
fn another_end_has_another_digest() {
    let mut failed = Life::new(JobKind::NodeProvision, 1);
    failed.sees(1, Outcome::KeyReady { version: 1 }).created().sees(1, Outcome::RunStarted);
    failed.up().run(Some(Code::AnsibleHostFailed), &[]);
    failed.sees(1, Outcome::DeleteAccepted).sees(5, Outcome::Gone);
    assert_eq!(failed.job.state, JobState::Failed);
    let mut not_ready = Life::new(JobKind::NodeProvision, 1);
    not_ready.sees(1, Outcome::KeyReady { version: 1 }).created().sees(1, Outcome::RunStarted);
    not_ready.up().run(None, &[(ReadinessCode::ServiceDown, false, false)]);
    not_ready.sees(1, Outcome::DeleteAccepted).sees(5, Outcome::Gone);
    let digests =
        [ready(1), failed, not_ready].map(|life| life.bundle().digest.as_str().to_owned());
    assert!(digests[0] != digests[1] && digests[1] != digests[2] && digests[0] != digests[2]);
}

#[test]
fn how_far_a_cancelled_job_came_is_no_claim() {
    let cancel = |life: &mut Life| life.job.cancel_requested_at = Some(life.now);
    let mut early = Life::new(JobKind::NodeProvision, 1);
    cancel(&mut early);
    early.sees(1, Outcome::KeyReady { version: 1 });
    let mut late = Life::new(JobKind::NodeProvision, 2);
    late.sees(1, Outcome::KeyReady { version: 1 }).created().sees(1, Outcome::RunStarted);
    cancel(&mut late);
    late.up();
    while late.job.state != JobState::Cancelled {
        let outcome = match late.job.step {
            nodeyard_domain::job::Step::StopRun => Outcome::RunStopped,
            nodeyard_domain::job::Step::DeleteServer => Outcome::DeleteAccepted,
            _ => Outcome::Gone,
        };
        late.sees(3, outcome);
    }
    assert_eq!(early.job.state, JobState::Cancelled);
    assert_eq!(early.bundle().claims, late.bundle().claims);
    let steps: Vec<ClaimedStep> = late.bundle().claims.iter().map(|claim| claim.step).collect();
    assert_eq!(steps, [ClaimedStep::RemoveServer, ClaimedStep::EndJob]);
}

/// A bundle with one chain of a run: how long it is, and the code it was taken up with.
fn taken_up(life: &mut Life) -> (u32, serde_json::Value) {
    let bundle = life.signed();
    let verdict =
        verify(&serde_json::to_value(&bundle).unwrap(), Some(&Signer::known().public_key()));
    assert_eq!(verdict, Verdict::Authenticated);
    let entry = bundle.entries.iter().find(|entry| entry["fact"] == "run_taken").unwrap();
    (bundle.runs[0].head.count, entry["code"].clone())
}

#[test]
fn what_a_run_had_written_is_taken_up_when_it_is_lost_or_stopped() {
    let running = || {
        let mut life = Life::new(JobKind::NodeProvision, 5);
        life.sees(1, Outcome::KeyReady { version: 1 }).created().sees(1, Outcome::RunStarted).up();
        life
    };
    let mut lost = running();
    lost.cut_off(Outcome::RunLost { message: "killed".into() });
    assert_eq!(taken_up(&mut lost), (3, "TASK_LOST".into()));

    let mut stopped = running();
    stopped.job.cancel_requested_at = Some(stopped.now);
    stopped.sees(1, Outcome::RunRunning);
    stopped.cut_off(Outcome::RunStopped);
    assert_eq!(taken_up(&mut stopped), (3, "JOB_CANCELLED".into()));

    // Torn: only what holds together is taken up.
    let mut torn = running();
    let run = torn.cut_off(Outcome::RunRunning);
    torn.stored.runs.get_mut(&run).unwrap().remove(1);
    torn.sees(1, Outcome::RunLost { message: "killed".into() });
    assert_eq!(taken_up(&mut torn), (1, "TASK_LOST".into()));

    // It never came to its first word.
    let mut silent = running();
    silent.sees(1, Outcome::RunLost { message: "no capacity".into() });
    assert!(silent.bundle().runs.is_empty());
}
