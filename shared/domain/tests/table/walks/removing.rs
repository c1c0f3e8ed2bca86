//! Undo, release, and what is left behind.

use jiff::SignedDuration;
use nodeyard_domain::{
    code::Code,
    job::{Effect, JobKind, JobState, Phase, Step},
    node::{NodeChange, NodeStatus, RunRef},
    observation::{FailureClass, Observation, Outcome},
    step::{Policy, Verdict, step},
};

use super::{Walk, node};
use crate::records::{
    accepted, active_run, created, failed, finished, now, other_job, seen_running, server,
};

fn up_to_run() -> [Outcome; 5] {
    [
        Outcome::KeyReady { version: 1 },
        created(1),
        Outcome::RunStarted,
        Outcome::ActionSucceeded,
        seen_running(),
    ]
}

#[test]
fn a_failure_after_the_create_is_undone_in_order() {
    let failed_run = || finished(Some(Code::AnsibleHostFailed), true);
    let walk = Walk::of(JobKind::NodeProvision).tell_all(up_to_run()).tell_all([
        failed_run(),
        Outcome::DeleteAccepted,
        Outcome::StillThere,
        Outcome::Gone,
    ]);
    assert_eq!(
        walk.steps[6..],
        [Step::DeleteServer, Step::ConfirmGone, Step::ConfirmGone, Step::Done]
    );
    assert_eq!(walk.end(), (JobState::Failed, Some(NodeStatus::Failed)));
    assert_eq!(walk.job.error.unwrap().code, Code::AnsibleHostFailed);

    let mut kept = accepted(JobKind::NodeProvision);
    kept.keep_on_failure = true;
    let kept = Walk::from(kept).tell_all(up_to_run()).tell(failed_run());
    assert_eq!(kept.end(), (JobState::Failed, Some(NodeStatus::Kept)));
    assert!(kept.job.server.is_some(), "kept is still owned");
}

#[test]
fn cancelling_a_create_in_flight_resolves_it_first() {
    let mut walk = Walk::of(JobKind::NodeProvision).tell(Outcome::KeyReady { version: 1 });
    walk.job.cancel_requested_at = Some(now());
    // The answer came: it is taken up, and removed.
    let answered = walk.clone().tell_all([
        created(1),
        Outcome::RunStopped,
        Outcome::DeleteAccepted,
        Outcome::Gone,
    ]);
    assert_eq!(
        answered.steps[1..],
        [Step::CreateServer, Step::StopRun, Step::DeleteServer, Step::ConfirmGone, Step::Done]
    );
    assert_eq!(answered.end(), (JobState::Cancelled, Some(NodeStatus::Released)));
    // The answer was lost: looked for until it cannot land any more.
    let lost = walk.tell_all([failed(FailureClass::Unknown), Outcome::ServerAbsent]);
    assert_eq!((lost.job.step, lost.job.phase), (Step::FindLeftover, Phase::Undo));
    let settled = lost.after(Policy::default().settle_secs).tell(Outcome::ServerAbsent);
    assert_eq!(settled.end(), (JobState::Cancelled, Some(NodeStatus::Released)));
}

#[test]
fn a_protected_server_is_left_visible_when_the_undo_runs_out_of_time() {
    let mut walk = Walk::of(JobKind::NodeProvision).tell_all(up_to_run());
    walk.job.cancel_requested_at = Some(walk.now);
    let walk = walk.tell_all([Outcome::Nothing, Outcome::RunStopped]);
    let walk = walk.tell(failed(FailureClass::Protected));
    assert_eq!((walk.job.step, walk.job.waiting_on), (Step::DeleteServer, None));
    let limit = Policy::default().undo_limit_secs;
    let walk = walk.after(limit).tell(failed(FailureClass::Protected));
    assert_eq!(walk.end(), (JobState::Failed, Some(NodeStatus::CleanupPending)));
    assert!(walk.job.server.is_some());
    assert_eq!(walk.job.error.unwrap().code, Code::JobCancelled, "the first reason is kept");
}

/// What a release is told when it gets the node.
fn taken(run: Option<RunRef>) -> Outcome {
    Outcome::NodeTaken { server: Some(server(1, 2)), attempts: 2, run }
}

#[test]
fn a_release_removes_what_the_record_knows() {
    let mut job = accepted(JobKind::NodeRelease);
    // As it was at acceptance; another job has made a new server since.
    job.server = Some(server(77, 1));
    job.attempt = 1;
    let walk = Walk::from(job).tell(Outcome::NodeBusy);
    assert_eq!(walk.due_secs(), Policy::default().turn_look_secs);
    let walk = walk.tell(taken(None));
    assert_eq!((walk.job.attempt, walk.job.server.as_ref().map(|known| known.id)), (2, Some(1)));
    assert_eq!(walk.job.intent.as_ref().unwrap().effect, Effect::DeleteServer { server_id: 1 });
    let walk =
        walk.tell_all([failed(FailureClass::Busy), failed(FailureClass::NotFound), Outcome::Gone]);
    assert_eq!(
        walk.steps,
        [
            Step::TakeNode,
            Step::TakeNode,
            Step::DeleteServer,
            Step::DeleteServer,
            Step::ConfirmGone,
            Step::Done
        ]
    );
    assert_eq!(walk.end(), (JobState::Succeeded, Some(NodeStatus::Released)));
}

#[test]
fn a_release_after_a_job_that_left_a_run_alive_stops_that_run_first() {
    let walk = Walk::of(JobKind::NodeRelease).tell(taken(Some(active_run(other_job()))));
    let stop = Effect::StopRun { number: 1, of: Some(other_job()) };
    assert_eq!(walk.job.intent.as_ref().unwrap().effect, stop);
    let walk = walk.after(60).tell(Outcome::RunRunning);
    assert_eq!(walk.job.step, Step::StopRun, "asked to stop is not stopped");
    assert_eq!(walk.due_secs(), Policy::default().gone_poll_secs);
    let refused = walk.clone().tell(Outcome::RunRefused { message: "busy".into() });
    assert_eq!((refused.job.step, refused.job.tries), (Step::StopRun, 1));
    assert!(refused.due_secs() >= Policy::default().back_off(1));
    let stopped = Observation { effect: walk.intent_id(), outcome: Outcome::RunStopped };
    let Verdict::Commit(told) = step(&walk.job, stopped, &Policy::default(), walk.now) else {
        panic!("dropped")
    };
    let ended = told.node.last_run.unwrap().unwrap();
    assert_eq!((ended.job_id, ended.active), (other_job(), false), "the node's record knows");
    let walk = walk.tell(Outcome::RunStopped);
    assert_eq!((walk.job.step, walk.job.earlier_run), (Step::DeleteServer, None));
    // One that was seen stopped is left alone.
    let ended = RunRef { active: false, ..active_run(other_job()) };
    let walk = Walk::of(JobKind::NodeRelease).tell(taken(Some(ended)));
    assert_eq!(walk.job.step, Step::DeleteServer);
}

#[test]
fn a_release_of_a_node_whose_create_may_still_land_waits_for_it() {
    let nothing_on_record = Outcome::NodeTaken { server: None, attempts: 1, run: None };
    let walk = Walk::of(JobKind::NodeRelease).tell_all([nothing_on_record, Outcome::ServerAbsent]);
    assert_eq!((walk.job.step, walk.job.state), (Step::FindLeftover, JobState::Running));
    let Policy { settle_secs, settle_look_secs, .. } = Policy::default();
    assert_eq!(walk.due_secs(), settle_look_secs);
    let soon = walk.clone().after(settle_secs - 5).tell(Outcome::ServerAbsent);
    assert_eq!((soon.job.step, soon.due_secs()), (Step::FindLeftover, 5));
    let walk = walk.after(Policy::default().settle_secs).tell(Outcome::ServerAbsent);
    assert_eq!(walk.end(), (JobState::Succeeded, Some(NodeStatus::Released)));
    let never_tried = Outcome::NodeTaken { server: None, attempts: 0, run: None };
    let walk = Walk::of(JobKind::NodeRelease).tell(never_tried);
    assert_eq!(walk.end(), (JobState::Succeeded, Some(NodeStatus::Released)));
}

#[test]
fn a_job_whose_node_is_busy_looks_again_later_and_not_at_once() {
    for kind in [JobKind::NodeConfigure, JobKind::NodeRelease] {
        let walk = Walk::of(kind).after(60).tell(Outcome::NodeBusy);
        assert_eq!(walk.job.step, Step::TakeNode);
        assert_eq!(walk.due_secs(), Policy::default().turn_look_secs, "{kind:?}");
    }
}

#[test]
fn an_absence_without_the_marker_is_asked_about_again_later() {
    let landing = Outcome::NodeTaken { server: None, attempts: 1, run: None };
    let looking = Walk::of(JobKind::NodeRelease).tell(landing);
    let gone = Walk::of(JobKind::NodeRelease).tell_all([taken(None), Outcome::DeleteAccepted]);
    for (walk, step) in [(looking, Step::FindLeftover), (gone, Step::ConfirmGone)] {
        let walk = walk.after(60).tell(Outcome::MarkerMissing);
        assert_eq!((walk.job.step, walk.job.tries), (step, 1));
        assert!(walk.due_secs() >= Policy::default().back_off(1));
        assert_eq!(walk.job.last_failure.unwrap().code, Code::ProviderUnauthorized);
    }
}

#[test]
fn a_deletion_that_does_not_take_is_looked_at_less_often_and_then_asked_for_again() {
    let mut walk = Walk::of(JobKind::NodeRelease).tell_all([taken(None), Outcome::DeleteAccepted]);
    let mut waits = Vec::new();
    for _ in 1..Policy::default().gone_looks {
        walk = walk.after(60).tell(Outcome::StillThere);
        assert_eq!(walk.job.step, Step::ConfirmGone);
        waits.push(walk.due_secs());
    }
    assert_eq!(waits, [3, 3, 3, 6, 6, 6, 6, 9, 9, 9, 9]);
    let walk = walk.tell(Outcome::StillThere);
    assert_eq!((walk.job.step, walk.due_secs(), walk.job.tries), (Step::DeleteServer, 0, 0));
}

#[test]
fn a_run_that_is_refused_is_started_again_later() {
    let walk = Walk::of(JobKind::NodeConfigure).tell(taken(None)).after(60);
    let walk = walk.tell(Outcome::RunRefused { message: "no capacity".into() });
    assert_eq!((walk.job.step, walk.job.tries), (Step::StartRun, 1));
    assert!(walk.due_secs() >= Policy::default().back_off(1));
}

#[test]
fn a_configure_that_is_stopped_leaves_its_server() {
    let running = || Walk::of(JobKind::NodeConfigure).tell_all([taken(None), Outcome::RunStarted]);
    let mut cancelled = running();
    cancelled.job.cancel_requested_at = Some(now());
    let late = running().after(4000);
    for (walk, state) in [(cancelled, JobState::Cancelled), (late, JobState::Failed)] {
        let walk = walk.tell_all([Outcome::RunRunning, Outcome::RunStopped]);
        assert_eq!(walk.end(), (state, Some(NodeStatus::NotReady)));
        assert!(walk.job.server.is_some() && !walk.steps.contains(&Step::DeleteServer));
    }
}

#[test]
fn a_configure_stops_an_earlier_run_before_its_own() {
    let walk = Walk::of(JobKind::NodeConfigure).tell(taken(Some(active_run(other_job()))));
    assert_eq!((walk.job.phase, walk.job.step), (Phase::Forward, Step::StopRun));
    assert_eq!(walk.job.run, None, "no number is given out yet");
    let walk = walk.tell_all([Outcome::RunStopped, Outcome::RunStarted]);
    assert_eq!((walk.job.step, walk.job.run.unwrap().number), (Step::AwaitRun, 1));
    let walk = walk.tell(finished(None, true));
    assert_eq!(walk.end(), (JobState::Succeeded, Some(NodeStatus::Ready)));
}

#[test]
fn each_release_that_fails_makes_the_next_come_later_up_to_six_hours() {
    let mut node = node();
    let mut waits = Vec::new();
    for _ in 0..10 {
        let mut release = Walk::of(JobKind::NodeRelease);
        release.job.deadline_at = release.now;
        let release = release.tell(taken(None));
        assert_eq!(release.end(), (JobState::Failed, Some(NodeStatus::CleanupPending)));
        NodeChange::status(NodeStatus::Releasing).apply(&mut node, &release.job.id, now());
        assert_eq!(node.release_at, None, "nothing is opened beside a release");
        NodeChange::status(release.status.unwrap()).apply(&mut node, &release.job.id, now());
        waits.push((node.release_at.unwrap() - now()).get_seconds() / 60);
    }
    assert_eq!(waits, [5, 10, 20, 40, 80, 160, 320, 360, 360, 360]);
    NodeChange::status(NodeStatus::Released).apply(&mut node, &other_job(), now());
    assert_eq!((node.release_at, node.cleanup_tries), (None, 0));
    node.enter(NodeStatus::CleanupPending, now());
    assert_eq!(node.release_at, Some(now() + SignedDuration::from_mins(5)));
}
