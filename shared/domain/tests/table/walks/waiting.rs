//! When a job is looked at: wakes, the sweep, and what a wake may repeat.

use jiff::SignedDuration;
use nodeyard_domain::{
    job::{Effect, Intent, Job, JobKind, JobState, ParkReason, Phase},
    observation::{FailureClass, Outcome},
    pace::CallClass,
    step::{is_cancellable, observing_form},
    wake::WakeReason,
};

use super::Walk;
use crate::{
    reachable::states,
    records::{accepted, created, failed, finished, now, seen_running},
};

#[test]
fn a_wake_is_rounded_up_and_never_further_than_the_queue_allows() {
    let mut job = accepted(JobKind::NodeProvision);
    for (millis, delay) in
        [(-5000, Some(0)), (0, Some(0)), (1, Some(1)), (900_000, Some(900)), (900_001, None)]
    {
        job.due_at = Some(now() + SignedDuration::from_millis(millis));
        assert_eq!(job.wake_delay_secs(now()), delay, "{millis} ms");
    }
    job.due_at = Some(now());
    job.waiting_on = Some(ParkReason::Quota);
    assert_eq!(job.wake_delay_secs(now()), None);
}

#[test]
fn a_job_is_due_from_its_time_on() {
    let mut job = accepted(JobKind::NodeProvision);
    for (secs, is_due) in [(-1, true), (0, true), (1, false)] {
        job.due_at = Some(now() + SignedDuration::from_secs(secs));
        assert_eq!(job.is_due(now()), is_due, "{secs} s");
    }
    job.due_at = None;
    assert!(!job.is_due(now()));
}

#[test]
fn an_effect_that_may_change_something_is_no_look() {
    let (server_id, action_id, number, primary_ips) = (7, 8, 1, vec![]);
    for looks in [
        Effect::FindServer,
        Effect::PollAction { action_id },
        Effect::FetchServer { server_id },
        Effect::LookAtRun { number },
        Effect::ConfirmGone { server_id, primary_ips },
    ] {
        assert!(looks.only_observes(), "{looks:?}");
    }
    for changes in [
        Effect::TakeNode,
        Effect::EnsureKey,
        Effect::EnsureGroup,
        Effect::DeleteServer { server_id },
        Effect::StopRun { number, of: None },
    ] {
        assert!(!changes.only_observes(), "{changes:?}");
    }
}

#[test]
fn progress_grows_on_the_way_and_is_whole_at_the_end() {
    let mut walk = Walk::of(JobKind::NodeProvision);
    let mut seen = vec![walk.job.progress()];
    let steps = [
        Outcome::KeyReady { version: 1 },
        created(1),
        Outcome::RunStarted,
        Outcome::ActionSucceeded,
    ];
    for outcome in steps.into_iter().chain([seen_running(), finished(None, true)]) {
        walk = walk.tell(outcome);
        seen.push(walk.job.progress());
    }
    assert_eq!(seen, [0, 10, 25, 35, 35, 50, 100]);
}

#[test]
fn the_sweep_looks_at_the_first_of_effect_news_and_limit() {
    let mut job = accepted(JobKind::NodeProvision);
    let at = |secs| now() + SignedDuration::from_secs(secs);
    (job.due_at, job.deadline_at) = (Some(at(300)), at(100));
    assert_eq!(job.look_at(), Some(at(100)));
    job.news_at = Some(at(5));
    assert_eq!(job.look_at(), Some(at(5)));
    job.news_at = None;
    job.undo_deadline_at = Some(at(900));
    assert_eq!(job.look_at(), Some(at(300)), "in undo, forward's deadline is history");
}

#[test]
fn what_a_wake_repeats_changes_nothing_at_the_provider() {
    for job in states() {
        for reason in [WakeReason::Cancel, WakeReason::Run, WakeReason::Resume] {
            let form = observing_form(&job, reason);
            let harmless = form.as_ref().is_none_or(|effect| {
                effect.only_observes() || matches!(effect, Effect::StopRun { .. })
            });
            assert!(harmless, "{:?} × {reason:?}: {form:?}", job.step);
        }
        let about_run = observing_form(&job, WakeReason::Run);
        let asks = about_run.is_some_and(|effect| effect.call_class(job.phase).is_some());
        assert!(!asks, "news of a run is no reason to ask the provider");
    }
}

#[test]
fn a_look_in_between_leaves_the_time_as_it_was() {
    let walk = Walk::of(JobKind::NodeProvision);
    let due = walk.job.due_at;
    let looked = walk.after(7).tell(Outcome::Nothing);
    assert_eq!(looked.job.due_at, due);
    assert!(
        matches!(&looked.job.intent, Some(Intent { id, effect: Effect::EnsureKey }) if id.0 == 2)
    );
}

#[test]
fn jobs_that_failed_together_do_not_come_again_together() {
    let mut dues = std::collections::BTreeSet::new();
    for number in 0..100_u32 {
        let mut job = accepted(JobKind::NodeProvision);
        job.id = nodeyard_domain::id::JobId::derived(&number.to_string());
        let mut walk = Walk::from(job);
        for (tries, least) in [(1, 10), (2, 30), (3, 90), (4, 90)] {
            walk = walk.tell(failed(FailureClass::Unknown));
            assert_eq!(walk.job.tries, tries);
            let secs = walk.job.due_at.unwrap().as_second() - walk.now.as_second();
            assert!((least..=least + least / 2).contains(&secs), "try {tries}: {secs} s");
            if tries == 4 {
                dues.insert(secs);
            }
        }
    }
    assert!(dues.len() > 20, "{dues:?}");
    assert_eq!(dues.last(), Some(&135), "all of it is used");
}

#[test]
fn an_effect_says_what_it_asks_the_provider() {
    let asked = |effect: Effect, phase| (effect.call_class(phase), effect.most_calls());
    let (server_id, action_id, number) = (7, 8, 1);
    let (poll, creation, removal) =
        (Some(CallClass::Poll), Some(CallClass::Creation), Some(CallClass::Removal));
    let gone = Effect::ConfirmGone { server_id, primary_ips: vec![1, 2, 3] };
    for (effect, class, calls) in [
        (Effect::TakeNode, None, 0),
        (Effect::LookAtRun { number }, None, 0),
        (Effect::EnsureKey, creation, 1),
        (Effect::FindServer, creation, 2),
        (Effect::PollAction { action_id }, poll, 1),
        (Effect::FetchServer { server_id }, poll, 2),
        (Effect::DeleteServer { server_id }, removal, 1),
        (gone, removal, 5),
    ] {
        let shared = matches!(effect, Effect::PollAction { .. } | Effect::FetchServer { .. });
        assert_eq!(effect.is_shared(), shared, "{effect:?}");
        assert_eq!(asked(effect, Phase::Forward), (class, calls));
    }
    let in_undo = asked(Effect::FindServer, Phase::Undo);
    assert_eq!(in_undo, (removal, 2), "what may be left is looked for before anything is made");
}

#[test]
fn a_wake_with_news_looks_at_what_the_job_waits_for() {
    let running = Walk::of(JobKind::NodeProvision).tell_all([
        Outcome::KeyReady { version: 1 },
        created(1),
        Outcome::RunStarted,
        Outcome::ActionSucceeded,
        seen_running(),
    ]);
    let form = |reason| observing_form(&running.job, reason);
    assert_eq!(form(WakeReason::Run), Some(Effect::LookAtRun { number: 1 }));
    let unknown = Walk::of(JobKind::NodeProvision)
        .tell_all([Outcome::KeyReady { version: 1 }, failed(FailureClass::Unknown)]);
    assert_eq!(observing_form(&unknown.job, WakeReason::Cancel), Some(Effect::FindServer));
    assert_eq!(observing_form(&unknown.job, WakeReason::Run), None);
}

#[test]
fn only_forward_work_that_goes_on_can_be_cancelled() {
    for kind in JobKind::ALL {
        let open = accepted(*kind);
        assert_eq!(is_cancellable(&open), *kind != JobKind::NodeRelease, "{kind:?}");
        for phase in [Phase::Replace, Phase::Undo] {
            let job = Job { phase, ..open.clone() };
            let expected = is_cancellable(&open) && phase != Phase::Undo;
            assert_eq!(is_cancellable(&job), expected, "{kind:?} {phase:?}");
        }
        for state in [JobState::Succeeded, JobState::Failed, JobState::Cancelled] {
            assert!(!is_cancellable(&Job { state, ..open.clone() }), "{kind:?} {state:?}");
        }
    }
}
