//! When a job is looked at: wakes, the sweep, and what a wake may repeat.

use jiff::SignedDuration;
use nodeyard_domain::{
    job::{Effect, Intent, JobKind, ParkReason},
    observation::Outcome,
    step::observing_form,
    wake::WakeReason,
};

use super::Walk;
use crate::{
    reachable::states,
    records::{accepted, now},
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
