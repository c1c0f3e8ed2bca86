//! Parked jobs hold no wake, have a time at which the sweep looks, and fail with their reason.

use nodeyard_domain::{
    code::Code,
    job::{JobKind, JobState, ParkReason, Step},
    node::NodeStatus,
    observation::{FailureClass, Outcome},
    step::Policy,
};

use super::Walk;
use crate::records::{created, failed, failed_for};

fn at_create() -> Walk {
    Walk::of(JobKind::NodeProvision).tell(Outcome::KeyReady { version: 1 })
}

fn assert_parked(walk: &Walk, reason: ParkReason, due_secs: i64) {
    assert_eq!((walk.job.waiting_on, walk.due_secs()), (Some(reason), due_secs));
    assert_eq!(walk.job.wake_delay_secs(walk.now), None, "parked jobs hold no wake");
    assert!(walk.job.look_at().is_some(), "the sweep finds it");
}

#[test]
fn a_refused_rung_makes_way_for_the_next_and_a_dry_ladder_parks() {
    let walk = at_create().tell(failed(FailureClass::NoCapacity));
    assert_eq!((walk.job.rung, walk.job.attempt, walk.job.waiting_on), (1, 2, None));
    let walk = walk.tell(failed(FailureClass::NoCapacity));
    assert_eq!((walk.job.rung, walk.job.refusals.len()), (0, 2));
    assert_parked(&walk, ParkReason::Capacity, Policy::default().refusal_secs);
    // A rung that is granted ends the wait.
    let granted = walk.clone().after(600).tell(created(3));
    assert_eq!((granted.job.step, granted.job.waiting_on), (Step::StartRun, None));
    // At the deadline it fails with each rung's answer.
    let mut late = walk;
    late.job.deadline_at = late.now;
    let late = late.tell(Outcome::Nothing);
    assert_eq!(late.end(), (JobState::Failed, Some(NodeStatus::Failed)));
    let error = late.job.error.unwrap();
    assert_eq!(error.code, Code::ProviderCapacityExhausted);
    for rung in ["cx23@fsn1: code", "cx23@nbg1: code"] {
        assert!(error.detail.contains(rung), "{}", error.detail);
    }
}

#[test]
fn a_dry_ladder_waits_for_the_first_refusal_to_expire() {
    // What the connection's jobs remember of a rung says how long it still counts.
    let dry = |first, second| {
        at_create()
            .tell(failed_for(FailureClass::NoCapacity, first))
            .tell(failed_for(FailureClass::NoCapacity, second))
    };
    assert_parked(&dry(240, 90), ParkReason::Capacity, 90);
    assert_parked(&dry(50, 600), ParkReason::Capacity, 50);
    // Never sooner than in half a minute: a ladder that just ran dry is not hammered.
    assert_parked(&dry(1, 600), ParkReason::Capacity, 30);
}

#[test]
fn a_short_wait_for_the_budget_holds_its_wake_and_a_long_one_parks() {
    let limit = Policy::default().budget_wait_secs;
    let short = at_create().tell(failed_for(FailureClass::RateLimited, limit));
    assert_eq!((short.job.waiting_on, short.due_secs()), (None, limit));
    assert_eq!(short.job.wake_delay_secs(short.now), Some(limit));
    let long = at_create().tell(failed_for(FailureClass::RateLimited, limit + 1));
    assert_parked(&long, ParkReason::RateBudget, limit + 1);
    // A removal waits no differently.
    let kept = at_create().tell(created(1));
    let mut kept = kept.tell(Outcome::RunStarted);
    kept.job.cancel_requested_at = Some(kept.now);
    let stopped = kept.tell_all([Outcome::Nothing, Outcome::RunStopped]);
    assert_eq!(stopped.job.step, Step::DeleteServer);
    let parked = stopped.tell(failed_for(FailureClass::RateLimited, 600));
    assert_parked(&parked, ParkReason::RateBudget, 600);
}

#[test]
fn a_quota_parks_for_as_long_as_others_hold_it() {
    let policy = Policy::default();
    let met = at_create().tell(failed(FailureClass::Quota));
    assert_parked(&met, ParkReason::Quota, policy.park_look_secs);
    let told = at_create().tell(failed_for(FailureClass::Quota, 75));
    assert_parked(&told, ParkReason::Quota, 75);
    assert_eq!(told.job.attempt, 1, "a quota is not about the rung");
}

#[test]
fn a_token_that_is_refused_or_of_another_project_parks() {
    let look = Policy::default().park_look_secs;
    for outcome in
        [failed(FailureClass::Unauthorized), failed(FailureClass::ReadOnly), Outcome::MarkerMissing]
    {
        let walk = Walk::of(JobKind::NodeProvision).tell(outcome);
        assert_parked(&walk, ParkReason::ProviderToken, look);
        let resumed = walk.tell(Outcome::KeyReady { version: 1 });
        assert_eq!((resumed.job.step, resumed.job.waiting_on), (Step::CreateServer, None));
    }
}

#[test]
fn each_reason_has_the_code_that_its_jobs_fail_with() {
    for (class, code) in [
        (FailureClass::Unauthorized, Code::ProviderUnauthorized),
        (FailureClass::Quota, Code::ProviderQuotaExceeded),
    ] {
        let mut walk = at_create().tell(failed(class));
        walk.job.deadline_at = walk.now;
        let walk = walk.tell(Outcome::Nothing);
        assert_eq!(walk.job.error.unwrap().code, code);
    }
}
