//! From acceptance to a server that is ours, and to ready.

use nodeyard_domain::{
    code::Code,
    id::EffectId,
    job::{Effect, JobKind, JobState, Phase, Step},
    node::{Node, NodeChange, NodeStatus},
    observation::{FailureClass, Observation, Outcome, ServerStatus},
    ownership::Ownership,
    step::{Decision, Policy, Verdict, step},
};

use super::{Walk, node};
use crate::records::{
    accepted, created, failed, finished, found, placement_error, seen_running, server,
};

#[test]
fn a_node_gets_ready() {
    let walk = Walk::of(JobKind::NodeProvision).tell_all([
        Outcome::KeyReady { version: 1 },
        created(1),
        Outcome::RunStarted,
        Outcome::ActionRunning,
        Outcome::ActionSucceeded,
        seen_running(),
        finished(None, true),
    ]);
    assert_eq!(
        walk.steps,
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
    assert_eq!(walk.end(), (JobState::Succeeded, Some(NodeStatus::Ready)));
    assert_eq!(walk.job.server.unwrap().attempt, 1, "the attempt is not lost by a fetch");
    assert_eq!(walk.job.recap.unwrap().changed, 2);
}

#[test]
fn a_lost_answer_is_looked_up_and_adopted_never_repeated() {
    let initializing = ServerStatus::Other("initializing".into());
    let walk = Walk::of(JobKind::NodeProvision).tell_all([
        Outcome::KeyReady { version: 1 },
        failed(FailureClass::Unknown),
        Outcome::ServerAbsent,
        found(Ownership::Current, initializing),
    ]);
    assert_eq!(
        walk.steps,
        [Step::EnsureKey, Step::CreateServer, Step::FindServer, Step::FindServer, Step::StartRun]
    );
    assert_eq!((walk.job.attempt, walk.job.server.map(|server| server.id)), (1, Some(3)));
}

#[test]
fn an_absent_name_is_believed_only_after_the_settle_time() {
    let settle_secs = Policy::default().settle_secs;
    let lost = [Outcome::KeyReady { version: 1 }, failed(FailureClass::Unknown)];
    let walk = Walk::of(JobKind::NodeProvision).tell_all(lost);
    let early = walk.clone().after(settle_secs - 1).tell(Outcome::ServerAbsent);
    assert_eq!((early.job.step, early.due_secs()), (Step::FindServer, 1));
    let first = walk.clone().after(1).tell(Outcome::ServerAbsent);
    assert_eq!(first.due_secs(), Policy::default().settle_look_secs);
    let late = walk.after(settle_secs).tell(Outcome::ServerAbsent);
    assert_eq!(
        (late.job.step, late.job.attempt, late.job.settle_until),
        (Step::CreateServer, 1, None),
        "the same attempt, byte for byte"
    );
}

#[test]
fn a_claim_whose_maker_is_silent_is_looked_for_whatever_is_told() {
    let mut walk = Walk::of(JobKind::NodeProvision).tell(Outcome::KeyReady { version: 1 });
    walk.job.sent_at = walk.job.intent.as_ref().map(|intent| intent.id);
    let Outcome::Failed(refused) = failed(FailureClass::Quota) else { panic!("a failure") };
    // A budget's refusal says nothing of the POST that somebody else has sent.
    for outcome in [Outcome::ClaimFound, Outcome::Nothing, Outcome::NotSent(refused)] {
        let told = walk.clone().tell(outcome);
        assert_eq!(told.job.step, Step::FindServer);
        assert!(told.job.settle_until.is_some());
    }
    walk.job.cancel_requested_at = Some(walk.now);
    let cancelled = walk.tell(Outcome::Nothing);
    assert_eq!((cancelled.job.phase, cancelled.job.step), (Phase::Undo, Step::FindLeftover));
}

#[test]
fn a_foreign_name_is_terminal_and_nothing_is_deleted() {
    let walk = Walk::of(JobKind::NodeProvision).tell_all([
        Outcome::KeyReady { version: 1 },
        failed(FailureClass::NameTaken),
        found(Ownership::Foreign, ServerStatus::Running),
    ]);
    // A create of ours may still land when that server goes.
    assert_eq!((walk.job.state, walk.job.step), (JobState::Running, Step::FindLeftover));
    let late = walk.clone().tell(found(Ownership::Current, ServerStatus::Running));
    assert_eq!(late.job.step, Step::DeleteServer);
    let secs = walk.job.settle_until.unwrap().as_second() - walk.now.as_second();
    let walk = walk.tell(found(Ownership::Foreign, ServerStatus::Running));
    assert_eq!(walk.job.step, Step::FindLeftover);
    let walk = walk.after(secs).tell(found(Ownership::Foreign, ServerStatus::Running));
    assert_eq!(walk.end(), (JobState::Failed, Some(NodeStatus::Failed)));
    assert_eq!(walk.job.error.unwrap().code, Code::ProviderNameConflict);
    assert!(!walk.steps.contains(&Step::DeleteServer));
}

#[test]
fn a_late_create_answer_is_never_lost() {
    let lost = [Outcome::KeyReady { version: 1 }, failed(FailureClass::Unknown)];
    let walk = Walk::of(JobKind::NodeProvision).tell_all(lost);
    let late = Observation { effect: EffectId(2), outcome: created(1) };
    let Verdict::Commit(decision) = step(&walk.job, late, &Policy::default(), walk.now) else {
        panic!("dropped")
    };
    assert_eq!((decision.job.step, decision.job.server.unwrap().id), (Step::StartRun, 1));
}

#[test]
fn an_ended_job_gives_a_server_it_does_not_know_to_its_node() {
    let told = |walk: &Walk, id| {
        let outcome =
            Outcome::Created { server: server(id, 1), action_id: None, expect_secs: None };
        let late = Observation { effect: EffectId(2), outcome };
        step(&walk.job, late, &Policy::default(), walk.now)
    };
    let ready = Walk::of(JobKind::NodeProvision).tell_all([
        Outcome::KeyReady { version: 1 },
        created(1),
        Outcome::RunStarted,
        Outcome::ActionSucceeded,
        seen_running(),
        finished(None, true),
    ]);
    assert_eq!(ready.end(), (JobState::Succeeded, Some(NodeStatus::Ready)));
    assert!(matches!(told(&ready, 1), Verdict::Drop), "the one on record is told twice");
    let Verdict::KeepOnNode(server) = told(&ready, 9) else { panic!("forgotten") };
    assert_eq!(server.id, 9);
}

#[test]
fn who_ends_a_node_keeps_a_server_that_came_to_it_meanwhile() {
    let ended = |known: Option<u64>, on_node: Option<u64>, kind| {
        let mut walk = Walk::of(kind);
        walk.job.server = known.map(|id| server(id, 1));
        let observation = Observation { effect: EffectId(1), outcome: Outcome::Nothing };
        let verdict = step(&walk.job, observation, &Policy::default(), walk.now);
        let Verdict::Commit(mut decision) = verdict else { panic!("dropped") };
        decision.node.status = Some(NodeStatus::Released);
        decision.node.server = Some(None);
        let node = Node { server: on_node.map(|id| server(id, 1)), ..node() };
        decision.keep_late_server(&walk.job, &node);
        (decision.node.status, decision.node.server)
    };
    let gone = (Some(NodeStatus::Released), Some(None));
    let left = (Some(NodeStatus::CleanupPending), None);
    assert_eq!(ended(Some(1), Some(1), JobKind::NodeRelease), gone);
    assert_eq!(ended(None, None, JobKind::NodeRelease), gone);
    assert_eq!(ended(Some(1), Some(2), JobKind::NodeRelease), left);
    assert_eq!(ended(None, Some(2), JobKind::NodeRelease), left);

    let mut decision = Decision {
        job: accepted(JobKind::NodeConfigure),
        node: NodeChange { status: Some(NodeStatus::NotReady), ..NodeChange::default() },
        entries: vec![],
        evidence: vec![],
    };
    let before = decision.clone();
    decision.keep_late_server(&before.job, &Node { server: Some(server(2, 1)), ..node() });
    assert_eq!(decision, before, "a node that lives on has its server");
}

/// The group of the create that is the walk's intent.
fn group_asked_for(walk: &Walk) -> Option<u64> {
    match walk.job.intent.as_ref().map(|intent| &intent.effect) {
        Some(Effect::CreateServer { placement_group, .. }) => *placement_group,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_group_that_refuses_is_followed_by_the_next_and_then_by_none() {
    let mut job = accepted(JobKind::NodeProvision);
    job.spread = true;
    let in_group = |id| Outcome::GroupReady { id: Some(id) };
    let mut walk = Walk::from(job).tell_all([Outcome::KeyReady { version: 1 }, in_group(5)]);
    assert_eq!(walk.steps, [Step::EnsureKey, Step::EnsureGroup, Step::CreateServer]);
    assert_eq!((group_asked_for(&walk), walk.job.attempt), (Some(5), 1));
    for (attempt, id) in [(2, 6), (3, 7)] {
        walk = walk.tell(placement_error());
        assert_eq!((walk.job.step, walk.job.placement_group), (Step::EnsureGroup, None));
        walk = walk.tell(in_group(id));
        assert_eq!((group_asked_for(&walk), walk.job.attempt), (Some(id), attempt));
    }
    walk = walk.tell(placement_error());
    assert_eq!((walk.job.step, group_asked_for(&walk)), (Step::CreateServer, None));
    assert_eq!((walk.job.spread, walk.job.rung, walk.job.refusals.len()), (false, 0, 0));
    // From here on the answer is about the rung.
    walk = walk.tell(placement_error());
    assert_eq!((walk.job.rung, walk.job.step), (1, Step::CreateServer));
}

#[test]
fn where_no_group_can_be_had_the_server_goes_without() {
    let mut job = accepted(JobKind::NodeProvision);
    job.spread = true;
    let walk = Walk::from(job)
        .tell_all([Outcome::KeyReady { version: 1 }, Outcome::GroupReady { id: None }]);
    assert_eq!((walk.job.step, group_asked_for(&walk)), (Step::CreateServer, None));
    // The next attempt does not ask for one either.
    let walk = walk.tell(failed(FailureClass::NoCapacity));
    assert_eq!((walk.job.step, group_asked_for(&walk)), (Step::CreateServer, None));
}

#[test]
fn a_key_that_is_gone_is_prepared_anew_and_not_without_end() {
    let mut walk = Walk::of(JobKind::NodeProvision).tell(Outcome::KeyReady { version: 1 });
    for turned_away in 1..=3 {
        walk = walk.tell(failed(FailureClass::NotFound));
        assert_eq!((walk.job.step, walk.job.turned_away), (Step::EnsureKey, turned_away));
        assert_eq!(walk.due_secs(), Policy::default().busy_secs);
        walk = walk.tell(Outcome::KeyReady { version: 1 });
        assert_eq!(walk.job.step, Step::CreateServer);
    }
    walk = walk.tell(failed(FailureClass::NotFound));
    assert_eq!(walk.end(), (JobState::Failed, Some(NodeStatus::Failed)));
    assert_eq!(walk.job.error.unwrap().code, Code::ProviderInvalidRequest);
}

/// A walk up to the create's action.
fn coming_up() -> Walk {
    Walk::of(JobKind::NodeProvision).tell_all([
        Outcome::KeyReady { version: 1 },
        created(1),
        Outcome::RunStarted,
        Outcome::ActionRunning,
    ])
}

#[test]
fn the_first_look_is_at_the_time_that_was_learnt() {
    let learnt =
        Outcome::Created { server: server(1, 1), action_id: Some(2), expect_secs: Some(40) };
    let walk = Walk::of(JobKind::NodeProvision).tell_all([
        Outcome::KeyReady { version: 1 },
        learnt,
        Outcome::RunStarted,
    ]);
    assert_eq!((walk.job.step, walk.due_secs()), (Step::AwaitServer, 40));
}

#[test]
fn a_server_that_never_comes_up_is_replaced_and_not_without_end() {
    let policy = Policy::default();
    let mut walk = coming_up();
    assert_eq!((walk.job.step, walk.due_secs()), (Step::AwaitServer, policy.poll_secs));
    for replaced in 1..=policy.max_replacements {
        walk.job.deadline_at = walk.now + jiff::SignedDuration::from_hours(1);
        walk = walk.after(policy.first_poll_secs + policy.stuck_secs).tell(Outcome::ActionRunning);
        assert_eq!((walk.job.phase, walk.job.step), (Phase::Replace, Step::StopRun));
        assert_eq!(walk.job.replacements, replaced);
        walk = walk.tell_all([
            Outcome::RunStopped,
            Outcome::DeleteAccepted,
            Outcome::Gone,
            created(replaced + 1),
            Outcome::RunStarted,
        ]);
        assert_eq!((walk.job.phase, walk.job.step), (Phase::Forward, Step::AwaitServer));
        assert_eq!((walk.job.attempt, walk.job.rung), (replaced + 1, 0));
    }
    walk.job.deadline_at = walk.now + jiff::SignedDuration::from_hours(1);
    walk = walk.after(policy.first_poll_secs + policy.stuck_secs).tell(Outcome::ActionRunning);
    assert_eq!((walk.job.phase, walk.job.step), (Phase::Undo, Step::StopRun));
    assert_eq!(walk.job.error.unwrap().code, Code::ProviderActionFailed);
}

#[test]
fn a_server_that_stays_off_is_stuck_as_well() {
    let policy = Policy::default();
    let off =
        || Outcome::ServerSeen { server: server(1, 0), status: ServerStatus::Other("off".into()) };
    let walk = coming_up().tell_all([Outcome::ActionSucceeded, off()]);
    assert_eq!((walk.job.step, walk.due_secs()), (Step::FetchServer, policy.poll_secs));
    let walk = walk.after(policy.first_poll_secs + policy.stuck_secs).tell(off());
    assert_eq!((walk.job.phase, walk.job.step), (Phase::Replace, Step::StopRun));
}

#[test]
fn a_run_that_may_pass_is_run_again_three_times_at_most() {
    let mut walk = coming_up().tell_all([Outcome::ActionSucceeded, seen_running()]);
    for number in 2..=Policy::default().max_runs {
        walk = walk.tell(finished(Some(Code::AnsibleHostUnreachable), true));
        let run = walk.job.run.unwrap();
        assert_eq!((walk.job.step, run.number, run.active), (Step::StartRun, number, true));
        assert!(walk.due_secs() >= 10, "after a wait");
        // The server is looked at again, for it may be what made the run fail.
        walk = walk.tell_all([Outcome::RunStarted, Outcome::ActionSucceeded, seen_running()]);
    }
    walk = walk.tell(Outcome::RunLost { message: "no exit code".into() });
    assert_eq!((walk.job.phase, walk.job.step), (Phase::Undo, Step::DeleteServer));
    assert_eq!(walk.job.error.unwrap().code, Code::TaskLost);
}
