use super::*;

fn start() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

fn at(secs: i64) -> Timestamp {
    start() + SignedDuration::from_secs(secs)
}

fn pace() -> Pace {
    Pace::new(start())
}

fn left(pace: &Pace, now: Timestamp) -> f64 {
    pace.budget.by(now).remaining
}

fn rung(number: usize) -> Rung {
    Rung { server_type: format!("cpx{number:02}"), location: "fsn1".into() }
}

/// Numbers that look random and are the same in every run (xorshift).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

const CLASSES: [CallClass; 3] = [CallClass::Removal, CallClass::Creation, CallClass::Poll];

#[test]
fn the_budget_refills_evenly_and_never_above_its_limit() {
    let mut pace = pace();
    pace.exhausted(start());
    for (secs, calls) in [(0, 0.0), (1, 1.0), (90, 90.0), (3600, 3600.0), (90_000, 3600.0)] {
        assert!((left(&pace, at(secs)) - calls).abs() < 1e-6, "after {secs} s");
    }
    pace.budget.limit = 60;
    assert!((left(&pace, at(90)) - 1.5).abs() < 1e-6, "60 an hour is one a minute");
    assert!((left(&pace, at(-500))).abs() < 1e-6, "a clock that went back refills nothing");
}

#[test]
fn what_can_wait_leaves_a_reserve_to_what_cannot() {
    let spendable = |class| {
        let mut pace = pace();
        (0..).take_while(|_| pace.spend(class, 1, start()).is_ok()).count()
    };
    // Of 3,600: nothing, a minute's worth, two minutes' worth are kept.
    assert_eq!(CLASSES.map(spendable), [3600, 3540, 3480]);
    let mut pace = pace();
    while pace.spend(CallClass::Poll, 1, start()).is_ok() {}
    assert!(pace.spend(CallClass::Creation, 1, start()).is_ok());
    while pace.spend(CallClass::Creation, 1, start()).is_ok() {}
    assert!(pace.spend(CallClass::Removal, 60, start()).is_ok());
    assert_eq!(pace.spend(CallClass::Removal, 1, start()), Err(1));
}

#[test]
fn waiting_as_long_as_told_is_enough_and_a_refusal_takes_nothing() {
    let mut numbers = Numbers(7);
    for _ in 0..20_000 {
        let limit = 1 + numbers.below(10_000) as u32;
        let remaining = numbers.below(u64::from(limit) + 1) as f64;
        let mut budget = Budget { limit, remaining, at: start() };
        let class = CLASSES[numbers.below(3) as usize];
        // More than the bucket holds above the reserve can never be had.
        let most = f64::from(limit) - class.reserve(limit);
        let calls = 1 + numbers.below(25) as u32;
        let before = budget;
        let Err(wait_secs) = budget.spend(class, calls, start()) else {
            assert!((before.remaining - budget.remaining - f64::from(calls)).abs() < 1e-6);
            assert!(budget.remaining >= class.reserve(limit) - 1e-6);
            continue;
        };
        assert_eq!(budget, before, "a refusal takes nothing");
        assert!((1..=3600).contains(&wait_secs));
        if f64::from(calls) > most {
            continue;
        }
        // Up to a rounding of the last digit, which costs a second.
        let late = |secs| { budget }.spend(class, calls, at(secs));
        let on_time = late(wait_secs) == Ok(()) || late(wait_secs + 1) == Ok(());
        assert!(on_time, "{before:?} {class:?} {calls} after {wait_secs} s");
        // Two seconds less are not enough: the wait is no longer than it has to be.
        if wait_secs > 2 {
            assert!({ before }.spend(class, calls, at(wait_secs - 2)).is_err());
        }
    }
}

#[test]
fn a_newer_word_of_the_provider_counts_and_an_older_one_only_lowers() {
    let seen = |remaining, secs| SeenRate { limit: 3600, remaining, at: at(secs) };
    let mut raised = pace();
    raised.exhausted(start());
    raised.correct(seen(500, 10), at(12));
    let told = 502.0 - MAX_IN_FLIGHT;
    assert!((left(&raised, at(12)) - told).abs() < 1e-6, "some may be on their way");
    // Somebody else's calls show in it too.
    raised.correct(seen(100, 13), at(13));
    assert!((left(&raised, at(13)) - 100.0).abs() < 1e-6);
    // Older than our last count: calls may have been counted since.
    raised.correct(seen(3000, 5), at(13));
    assert!((left(&raised, at(13)) - 100.0).abs() < 1e-6);
    raised.correct(seen(0, 5), at(13));
    assert!((left(&raised, at(13)) - 8.0).abs() < 1e-6, "none at 5, eight since");
}

#[test]
fn calls_on_their_way_are_not_forgotten_for_a_word_that_does_not_know_them() {
    let mut pace = pace();
    pace.correct(SeenRate { limit: 3600, remaining: 1000, at: start() }, start());
    pace.spend(CallClass::Creation, 20, start()).unwrap();
    // The answer to the first of them.
    pace.correct(SeenRate { limit: 3600, remaining: 999, at: start() }, start());
    assert!((left(&pace, start()) - 980.0).abs() < 1e-6);
    // Never below nothing, also when little is left.
    pace.correct(SeenRate { limit: 3600, remaining: 7, at: start() }, start());
    assert!((left(&pace, start()) - 7.0).abs() < 1e-6);
}

#[test]
fn the_providers_limit_takes_the_place_of_the_assumed_one() {
    let mut pace = pace();
    pace.correct(SeenRate { limit: 120, remaining: 120, at: at(1) }, at(1));
    assert_eq!(pace.budget.limit, 120);
    assert!(left(&pace, at(7200)) <= 120.0);
    let none = SeenRate { limit: 0, remaining: 0, at: at(2) };
    pace.correct(none, at(2));
    assert!(pace.spend(CallClass::Removal, 1, at(2)).is_err(), "and no division by nothing");
}

#[test]
fn after_a_429_calls_come_back_one_by_one() {
    let mut pace = pace();
    pace.exhausted(start());
    assert_eq!(pace.spend(CallClass::Removal, 1, start()), Err(1));
    assert_eq!(pace.spend(CallClass::Creation, 1, start()), Err(61));
    assert_eq!(pace.spend(CallClass::Poll, 1, start()), Err(121));
    assert_eq!(pace.spend(CallClass::Removal, 1, at(1)), Ok(()));
}

#[test]
fn calls_of_a_whole_day_never_pass_the_limit() {
    let (mut pace, mut numbers) = (pace(), Numbers(11));
    let (mut now, mut spent) = (0_i64, 0_u32);
    while now < 86_400 {
        now += numbers.below(4) as i64;
        let class = CLASSES[numbers.below(3) as usize];
        let calls = 1 + numbers.below(6) as u32;
        if pace.spend(class, calls, at(now)).is_ok() {
            spent += calls;
        }
        let most = 3600 + u32::try_from(now).unwrap();
        assert!(spent <= most, "{spent} calls within {now} s");
        assert!((0.0..=3600.0).contains(&left(&pace, at(now))));
    }
    assert!(spent > 80_000, "the budget is used: {spent}");
}

#[test]
fn one_polls_for_all_and_the_others_are_told_until_when() {
    let mut pace = pace();
    assert_eq!(pace.take_polls(start()), Ok(at(3)));
    assert_eq!(pace.take_polls(at(1)), Err(at(3)));
    assert_eq!(pace.take_polls(at(3)), Ok(at(6)), "its end is not within it");
}

#[test]
fn the_lease_stretches_as_the_budget_falls() {
    let lasts = |remaining| {
        let mut pace = pace();
        pace.budget.remaining = remaining;
        (pace.take_polls(start()).unwrap() - start()).get_seconds()
    };
    assert_eq!(
        [3600.0, 1800.0, 1799.0, 900.0, 899.0, 360.0, 359.0, 0.0].map(lasts),
        [3, 3, 6, 6, 12, 12, 24, 24]
    );
}

#[test]
fn a_clock_that_went_back_does_not_stop_the_polls() {
    let mut pace = pace();
    pace.take_polls(at(86_400)).unwrap();
    assert_eq!(pace.take_polls(start()), Ok(at(3)));
    // The longest lease that is given out is believed.
    pace.exhausted(at(10));
    let until = pace.take_polls(at(10)).unwrap();
    assert_eq!(pace.take_polls(at(10)), Err(until));
}

#[test]
fn the_median_of_the_last_nine_is_expected() {
    let mut pace = pace();
    assert_eq!(pace.expected_secs("debian-13"), None);
    pace.learn("debian-13", 40);
    assert_eq!(pace.expected_secs("debian-13"), Some(40));
    for secs in [11, 12, 10, 600, 11] {
        pace.learn("debian-13", secs);
    }
    assert_eq!(pace.expected_secs("debian-13"), Some(12), "one that took ages does not count");
    for _ in 0..9 {
        pace.learn("debian-13", 7);
    }
    assert_eq!(pace.expected_secs("debian-13"), Some(7), "what is long ago is forgotten");
    assert_eq!(pace.took_secs["debian-13"].len(), 9);
    assert_eq!(pace.expected_secs("another"), None, "by image");
}

#[test]
fn a_refusal_counts_until_it_expires_or_the_rung_is_granted() {
    let mut pace = pace();
    pace.refuse(&rung(1), "resource_unavailable", 600, start());
    assert!(pace.refusal(&rung(1), at(599)).is_some());
    assert!(pace.refusal(&rung(1), at(600)).is_none());
    assert!(pace.refusal(&rung(2), start()).is_none());
    // A later answer of the same rung takes the place of the earlier one.
    pace.refuse(&rung(1), "placement_error", 60, at(10));
    assert_eq!(pace.refused.len(), 1);
    assert_eq!(pace.refusal(&rung(1), at(69)).unwrap().answer, "placement_error");
    assert!(pace.refusal(&rung(1), at(70)).is_none());
    pace.refuse(&rung(2), "resource_unavailable", 600, at(10));
    pace.grant(&rung(2));
    assert!(pace.refusal(&rung(2), at(11)).is_none());
    assert!(pace.refusal(&rung(1), at(11)).is_some(), "of that rung alone");
    // What has expired is not kept.
    pace.refuse(&rung(3), "resource_unavailable", 600, at(5000));
    assert_eq!(pace.refused.len(), 1);
    pace.refuse(&rung(4), "resource_unavailable", 600, at(5600));
    assert_eq!(pace.refused.len(), 1, "it has expired in this very second");
}

#[test]
fn a_quota_is_tried_by_one_while_the_others_wait() {
    let mut pace = pace();
    assert_eq!(pace.try_quota(start()), Ok(()));
    pace.meet_quota("server limit", 300, start());
    assert_eq!(pace.try_quota(at(299)).unwrap_err().until, at(300));
    assert_eq!(pace.try_quota(at(300)), Ok(()), "the first after its end tries");
    assert_eq!(pace.try_quota(at(300)).unwrap_err().until, at(360), "and nobody beside it");
    // The one who tried did not live to tell: the next one does.
    assert_eq!(pace.try_quota(at(360)), Ok(()));
    pace.grant(&rung(1));
    assert_eq!([at(361), at(361)].map(|now| pace.try_quota(now)), [Ok(()), Ok(())]);
}

#[test]
fn a_group_is_filled_to_ten() {
    let mut pace = pace();
    assert_eq!(pace.take_place(), None);
    pace.add_group(5);
    let places: Vec<_> = std::iter::from_fn(|| pace.take_place()).collect();
    assert_eq!(places, [5; 9], "the one that made it has the tenth");
    assert!(pace.groups.is_empty(), "full ones are not kept");
    pace.add_group(6);
    assert_eq!(pace.take_place(), Some(6));
    pace.drop_group(6);
    assert_eq!(pace.take_place(), None);
}

#[test]
fn the_catalogue_is_read_by_one_at_a_time() {
    let mut pace = pace();
    assert!(pace.take_catalogue(start()));
    assert!(!pace.take_catalogue(start()), "somebody has just begun");
    assert!(!pace.take_catalogue(at(CATALOGUE_LEASE_SECS - 1)));
    assert!(pace.take_catalogue(at(CATALOGUE_LEASE_SECS)), "whoever had it did not come back");
    // A clock that went back far keeps nobody from it.
    assert!(pace.take_catalogue(at(-1)));
    assert!(!pace.take_catalogue(at(0)));
}

#[test]
fn a_key_that_was_seen_is_believed_for_ten_minutes() {
    let mut pace = pace();
    assert!(!pace.key_is_known(start()));
    pace.key_seen_at = Some(start());
    assert!(pace.key_is_known(start()) && pace.key_is_known(at(599)));
    assert!(!pace.key_is_known(at(600)));
    assert!(!pace.key_is_known(at(-1)), "a clock that went back proves nothing");
}

#[test]
fn reserved_room_is_given_back_after_a_minute() {
    let mut pace = pace();
    let node = NodeId::from_bits;
    pace.reserve(&node(1), Some(4.49), start());
    pace.reserve(&node(2), None, at(30));
    pace.reserve(&node(2), None, at(31));
    assert_eq!(pace.reserved(at(31)).count(), 2, "a node counts once");
    assert_eq!(
        pace.reserved(at(60)).map(|known| known.node.clone()).collect::<Vec<_>>(),
        [node(2)]
    );
    assert_eq!(pace.reserved(at(91)).count(), 0);
    pace.reserve(&node(3), None, at(91));
    assert_eq!(pace.reserved.len(), 1, "what is over in this very second is not kept");
}

#[test]
fn it_comes_back_as_it_was_stored_and_stays_small() {
    let mut full = pace();
    full.take_polls(start()).unwrap();
    full.key_seen_at = Some(start());
    full.meet_quota(&"x".repeat(200), 300, start());
    for number in 0..500 {
        full.refuse(&rung(number), "placement_group_member_limit_reached", 600, start());
        full.reserve(&NodeId::from_bits(number as u128), Some(1234.56), start());
        full.learn("debian-13", 100_000);
    }
    for group in 0..100 {
        full.add_group(u64::MAX - group);
    }
    let stored = serde_json::to_string(&full).unwrap();
    assert!(stored.len() < 32 * 1024, "{} bytes", stored.len());
    assert_eq!(serde_json::from_str::<Pace>(&stored).unwrap(), full);
    // As the first release to have it would have stored it.
    let bare = r#"{"version": 3, "budget": {"limit": 3600, "remaining": 12.5, "at": "2026-01-01T00:00:00Z"}}"#;
    assert_eq!(serde_json::from_str::<Pace>(bare).unwrap().version, 3);
}

#[test]
fn the_last_run_of_a_profile_is_remembered_and_profiles_are_bounded() {
    let mut pace = Pace::new(Timestamp::UNIX_EPOCH);
    assert!(pace.learn_tasks("web", 120));
    assert!(!pace.learn_tasks("web", 120), "nothing to write");
    assert!(pace.learn_tasks("web", 118));
    for number in 0..100 {
        pace.learn_tasks(&format!("own-{number}"), 5);
    }
    assert_eq!((pace.tasks.len(), pace.tasks["web"]), (64, 118));
    assert!(pace.learn_tasks("web", 117), "known ones still change");
}
