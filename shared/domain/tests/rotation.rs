//! The rotation's state machine: every step against every observation, and walks along its ways.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use nodeyard_domain::{
    acceptance,
    code::Code,
    connection::{Connection, ConnectionStatus, ManagedKey, Permission, ProviderKind},
    evidence::{Fact, RotationSeen},
    id::{EffectId, JobId, NodeId},
    job::{JobState, ParkReason},
    observation::{FailureClass, ProviderFailure},
    rotation::{
        Listed, ListedReason, MAX_LISTED, MAX_OPENED, Rotation, RotationEffect,
        RotationObservation, RotationOutcome as Outcome, RotationStep as Step, step::step,
    },
    step::Policy,
    work::Work,
};

fn start() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

fn key(version: u32) -> ManagedKey {
    ManagedKey {
        version,
        provider_id: 100 + u64::from(version),
        fingerprint: format!("{version:02}"),
        public_key: format!("ssh-ed25519 {version}"),
    }
}

fn nodes(bits: std::ops::Range<u128>) -> Vec<NodeId> {
    bits.map(NodeId::from_bits).collect()
}

fn listed(node: u128, reason: ListedReason) -> Listed {
    Listed { node_id: NodeId::from_bits(node), reason }
}

fn failed(class: FailureClass) -> Outcome {
    Outcome::Failed(ProviderFailure::new(class, "code", "message"))
}

fn opened(opened: Vec<NodeId>, next: Option<&str>) -> Outcome {
    Outcome::Opened { opened, listed: Vec::new(), next: next.map(Into::into) }
}

/// A rotation, its connection, and the time.
#[derive(Clone)]
struct Walk {
    rotation: Rotation,
    connection: Option<Connection>,
    now: Timestamp,
    policy: Policy,
    notes: Vec<String>,
}

impl Walk {
    fn new() -> Self {
        let connection = Connection {
            name: "main".parse().unwrap(),
            version: 3,
            provider: ProviderKind::Hetzner,
            status: ConnectionStatus::Connected,
            reason: None,
            permission: Permission::ReadWrite,
            key: Some(key(1)),
            token: None,
            key_stem: None,
            retired: Vec::new(),
            rotation: None,
            max_nodes: None,
            max_monthly: None,
            rate_budget: None,
            checked_at: start(),
            failed_checks: 0,
            servers_seen: None,
            drift: None,
            created_at: start(),
        };
        let id = JobId::from_bits(7);
        let (rotation, open) = acceptance::rotation(id, &connection, "ada", None, start());
        let (policy, notes) = (Policy::default(), Vec::new());
        Self { rotation, connection: Some(open), now: start(), policy, notes }
    }

    fn uploaded() -> Self {
        let made = Outcome::KeyMade { public_key: "ssh-ed25519 2".into() };
        Self::new().tell(made).tell(Outcome::KeyUploaded { key: key(2) })
    }

    fn after(mut self, secs: i64) -> Self {
        self.now += SignedDuration::from_secs(secs);
        self
    }

    fn tell(mut self, outcome: Outcome) -> Self {
        let effect = self.rotation.intent.as_ref().expect("an intent").id;
        let told = RotationObservation { effect, outcome };
        let decision = step(&self.rotation, self.connection.as_ref(), told, &self.policy, self.now)
            .expect("a decision");
        if let Some(connection) = decision.connection {
            self.connection = Some(connection);
        }
        self.rotation = Rotation { version: self.rotation.version + 1, ..decision.rotation };
        self.notes.extend(decision.entries.into_iter().map(|entry| entry.message));
        self
    }

    fn effect(&self) -> &RotationEffect {
        &self.rotation.intent.as_ref().expect("an intent").effect
    }

    fn due_secs(&self) -> i64 {
        (self.rotation.due_at.unwrap() - self.now).get_seconds()
    }

    fn connection(&self) -> &Connection {
        self.connection.as_ref().unwrap()
    }

    fn code(&self) -> Code {
        self.rotation.error.as_ref().unwrap().code
    }
}

#[test]
fn a_rotation_goes_from_a_new_version_to_all_nodes() {
    let walk = Walk::new();
    assert_eq!(*walk.effect(), RotationEffect::MakeKey { version: 2 });
    let walk = walk.tell(Outcome::KeyMade { public_key: "ssh-ed25519 2".into() });
    assert_eq!(*walk.effect(), RotationEffect::UploadKey { version: 2 });
    assert_eq!(walk.connection().key, Some(key(1)), "nothing depends on the new one yet");
    let walk = walk.tell(Outcome::KeyUploaded { key: key(2) });
    let connection = walk.connection();
    assert_eq!(connection.key, Some(key(2)), "the marker moves with the commit that records it");
    assert_eq!(connection.key_versions_from(1), [2, 1], "and both are on record");
    let open = |cursor: Option<&str>, room| RotationEffect::OpenConfigures {
        cursor: cursor.map(Into::into),
        room,
    };
    assert_eq!(*walk.effect(), open(None, MAX_OPENED));

    let walk = walk.tell(Outcome::Opened {
        opened: nodes(0..2),
        listed: vec![listed(9, ListedReason::Busy)],
        next: Some("page 2".into()),
    });
    assert_eq!(*walk.effect(), open(Some("page 2"), MAX_OPENED - 2), "there is room for more");
    let walk = walk.tell(opened(nodes(2..3), None));
    assert_eq!((walk.effect(), walk.due_secs()), (&RotationEffect::LookAtConfigures, 15));
    let ended =
        Outcome::Ended { done: nodes(0..2), listed: vec![listed(2, ListedReason::Unreachable)] };
    let walk = walk.after(15).tell(ended);
    assert_eq!(walk.rotation.state, JobState::Succeeded);
    assert_eq!((walk.rotation.done, walk.rotation.listed_total), (2, 2));
    assert_eq!(walk.connection().rotation, None, "another one may be asked for");
    assert_eq!(walk.rotation.look_at(), None);
}

/// What is said of all jobs alike follows the rotation's own record.
#[test]
fn as_work_it_is_told_like_any_job() {
    let walk = Walk::new();
    let work = |change: fn(&mut Rotation)| {
        let mut rotation = walk.rotation.clone();
        change(&mut rotation);
        Work::Rotation(Box::new(rotation))
    };
    let open = work(|_| {});
    assert_eq!((open.id(), open.version()), (&walk.rotation.id, walk.rotation.version));
    assert_eq!(work(|it| it.version = 7).version(), 7);
    assert!(open.is_rotation() && open.node().is_none() && !open.is_undone());
    assert!(!open.has_ended() && open.is_cancellable() && !open.is_stopping());
    let asked = work(|it| it.cancel_requested_at = Some(it.created_at));
    assert!(asked.is_stopping() && asked.is_cancellable());
    let ended = work(|it| {
        it.cancel_requested_at = Some(it.created_at);
        it.state = JobState::Cancelled;
    });
    assert!(ended.has_ended() && !ended.is_stopping() && !ended.is_cancellable());
}

#[test]
fn a_full_page_is_waited_for_and_half_of_it_makes_room() {
    let walk = Walk::uploaded().tell(opened(nodes(0..25), Some("next")));
    assert_eq!(walk.rotation.step, Step::AwaitConfigures);
    let some = Outcome::Ended { done: nodes(0..12), listed: Vec::new() };
    let walk = walk.tell(some);
    assert_eq!(walk.rotation.step, Step::AwaitConfigures, "13 are open");
    let walk = walk.tell(Outcome::Ended { done: nodes(12..13), listed: Vec::new() });
    let more = RotationEffect::OpenConfigures { cursor: Some("next".into()), room: 13 };
    assert_eq!(*walk.effect(), more);
    assert_eq!(walk.rotation.opened, nodes(13..25));
}

#[test]
fn a_connection_without_nodes_is_done_at_once() {
    let walk = Walk::uploaded().tell(opened(Vec::new(), None));
    assert_eq!((walk.rotation.state, walk.rotation.done), (JobState::Succeeded, 0));
}

#[test]
fn a_version_that_was_lost_with_its_worker_is_never_used() {
    let walk = Walk::new().tell(Outcome::VersionTaken);
    assert_eq!(*walk.effect(), RotationEffect::MakeKey { version: 3 });
    let walk = walk.tell(Outcome::KeyMade { public_key: "ssh-ed25519 3".into() });
    let walk = walk.tell(Outcome::KeyUploaded { key: key(3) });
    assert_eq!(walk.connection().key_versions_from(1), [3, 1]);
    let destroyed = walk
        .connection()
        .destroyable_keys(Some(1), start().saturating_add(SignedDuration::from_hours(1)).unwrap());
    let versions: Vec<u32> = destroyed.iter().map(|retired| retired.version).collect();
    assert_eq!(versions, [2], "the private half nobody knows the public one of");
}

#[test]
fn workers_that_die_each_time_end_it() {
    let mut walk = Walk::new();
    for _ in 0..4 {
        walk = walk.tell(Outcome::VersionTaken);
        assert_eq!(walk.rotation.state, JobState::Running);
    }
    let walk = walk.tell(Outcome::VersionTaken);
    assert_eq!((walk.rotation.state, walk.code()), (JobState::Failed, Code::JobPoisoned));
    assert_eq!(walk.connection().retired.len(), 5, "all are destroyed in their time");
    assert_eq!(walk.connection().key, Some(key(1)));
}

#[test]
fn what_the_provider_says_parks_waits_or_ends() {
    let made = || Walk::new().tell(Outcome::KeyMade { public_key: "ssh-ed25519 2".into() });
    for (class, reason) in [
        (FailureClass::Unauthorized, ParkReason::ProviderToken),
        (FailureClass::ReadOnly, ParkReason::ProviderToken),
        (FailureClass::Quota, ParkReason::Quota),
    ] {
        let walk = made().tell(failed(class));
        assert_eq!(walk.rotation.waiting_on, Some(reason), "{class:?}");
        assert_eq!(walk.rotation.wake_delay_secs(walk.now), None, "parked: no wake");
        assert!(walk.rotation.look_at().is_some(), "and the sweep finds it");
        let late = walk.after(7 * 3600).tell(Outcome::Nothing);
        assert_eq!((late.rotation.state, late.code()), (JobState::Failed, reason.code()));
    }
    assert_eq!(
        made().tell(Outcome::MarkerMissing).rotation.waiting_on,
        Some(ParkReason::ProviderToken)
    );
    for class in [FailureClass::Unknown, FailureClass::Drift] {
        let walk = made().tell(failed(class));
        assert_eq!((walk.due_secs(), walk.rotation.tries), (10, 1));
        assert_eq!(walk.tell(failed(class)).due_secs(), 30);
    }
    assert_eq!(made().tell(failed(FailureClass::Busy)).due_secs(), 5);
    let walk = made().tell(failed(FailureClass::Invalid));
    assert_eq!(
        (walk.rotation.state, walk.code()),
        (JobState::Failed, Code::ProviderInvalidRequest)
    );
    assert_eq!(walk.connection().retired[0].at_provider(), Some("ssh-ed25519 2"));
}

#[test]
fn cancelling_leaves_every_version_on_record_that_a_node_may_have() {
    let mut early = Walk::new();
    early.rotation.cancel_requested_at = Some(start());
    let early = early.tell(Outcome::Nothing);
    assert_eq!(early.rotation.state, JobState::Cancelled);
    assert_eq!(early.connection().key, Some(key(1)));
    assert_eq!((early.connection().retired.len(), &early.connection().rotation), (1, &None));
    // The upload's answer comes with the wish to stop: it is taken first.
    let mut late = Walk::new().tell(Outcome::KeyMade { public_key: "ssh-ed25519 2".into() });
    late.rotation.cancel_requested_at = Some(start());
    let late = late.tell(Outcome::KeyUploaded { key: key(2) });
    assert_eq!(late.rotation.state, JobState::Cancelled);
    assert_eq!(late.connection().key_versions_from(1), [2, 1]);
    let mut open = Walk::uploaded().tell(opened(nodes(0..3), None));
    open.rotation.cancel_requested_at = Some(start());
    let open = open.tell(Outcome::Nothing);
    assert_eq!(open.rotation.state, JobState::Cancelled);
    let reasons: BTreeSet<_> = open.rotation.listed.iter().map(|it| it.reason.as_str()).collect();
    assert_eq!((open.rotation.listed_total, reasons), (3, BTreeSet::from(["not_awaited"])));
}

#[test]
fn a_connection_that_is_gone_or_another_one_ends_it() {
    for other in [None, Some(Connection { rotation: None, ..Walk::new().connection.unwrap() })] {
        let mut walk = Walk::new();
        walk.connection = other.clone();
        let walk = walk.tell(Outcome::KeyMade { public_key: "ssh-ed25519 2".into() });
        assert_eq!(
            (walk.rotation.state, walk.code()),
            (JobState::Failed, Code::ProviderUnauthorized)
        );
        assert_eq!(walk.connection, other, "what is not its own is left alone");
    }
}

#[test]
fn the_record_stays_small_however_many_nodes_are_listed() {
    let mut walk = Walk::uploaded();
    for page in 0..40_u128 {
        let listed = (page * 25..page * 25 + 25).map(|it| listed(it, ListedReason::Busy));
        let told = Outcome::Opened {
            opened: Vec::new(),
            listed: listed.collect(),
            next: Some("x".repeat(200)),
        };
        walk = walk.tell(told);
    }
    let walk = walk.tell(opened(nodes(2000..2025), None));
    assert_eq!(walk.rotation.listed.len(), MAX_LISTED);
    assert_eq!(walk.rotation.listed_total, 1000);
    let bytes = serde_json::to_vec(&walk.rotation).unwrap().len();
    assert!(bytes < 8 * 1024, "{bytes} bytes");
}

fn outcomes() -> Vec<Outcome> {
    let mut all = vec![
        Outcome::Nothing,
        Outcome::Poisoned,
        Outcome::KeyMade { public_key: "ssh-ed25519 2".into() },
        Outcome::VersionTaken,
        Outcome::KeyUploaded { key: key(2) },
        Outcome::MarkerMissing,
        opened(nodes(0..3), Some("next")),
        opened(Vec::new(), None),
        Outcome::Ended { done: nodes(0..1), listed: vec![listed(1, ListedReason::Failed)] },
    ];
    all.extend(FailureClass::ALL.iter().map(|class| failed(*class)));
    all
}

/// Every state that three observations lead to, against every observation, on time and late, wanted
/// and not.
#[test]
fn every_decision_goes_on_or_ends_and_never_loses_a_version() {
    let mut walks = vec![Walk::new()];
    let (mut decisions, mut steps) = (0, BTreeSet::new());
    for _ in 0..4 {
        let mut next = Vec::new();
        for walk in walks.iter().filter(|walk| !walk.rotation.state.is_terminal()) {
            for (outcome, late, unwanted) in outcomes().into_iter().flat_map(|it| {
                [(it.clone(), false, false), (it.clone(), true, false), (it, false, true)]
            }) {
                let mut before = walk.clone();
                before.rotation.cancel_requested_at = unwanted.then(start);
                let after =
                    before.clone().after(if late { 7 * 3600 } else { 1 }).tell(outcome.clone());
                decisions += 1;
                steps.insert(format!("{:?}", after.rotation.step));
                let rotation = &after.rotation;
                if rotation.state.is_terminal() {
                    assert!(rotation.intent.is_none() && rotation.due_at.is_none(), "{outcome:?}");
                    assert_eq!(after.connection().rotation, None, "the connection is free");
                    assert!(rotation.opened.is_empty());
                } else {
                    assert!(!late && !unwanted, "every way ends: {outcome:?}");
                    let intent = rotation.intent.as_ref().unwrap();
                    assert_eq!(intent.id, EffectId(rotation.version), "an id of its own");
                    assert!(rotation.due_at.is_some(), "{outcome:?}");
                    next.push(after.clone());
                }
                let versions = |of: &Connection| -> BTreeSet<u32> {
                    of.key_versions_from(0).into_iter().collect()
                };
                let (known, kept) = (versions(before.connection()), versions(after.connection()));
                assert!(known.is_subset(&kept), "a version that nodes may have stays");
            }
        }
        // One of each kind is enough to go on from.
        let mut seen = BTreeSet::new();
        next.retain(|walk| {
            let rotation = &walk.rotation;
            seen.insert(format!(
                "{:?} {:?} {}",
                rotation.step,
                rotation.waiting_on,
                rotation.opened.len()
            ))
        });
        walks = next;
    }
    assert!(decisions > 500, "{decisions}");
    assert_eq!(steps.len(), Step::ALL.len(), "{steps:?}");
}

#[test]
fn what_is_settled_or_ended_takes_no_observation() {
    let walk = Walk::new();
    let told = |effect| RotationObservation { effect, outcome: Outcome::VersionTaken };
    let decided = |walk: &Walk, effect| {
        step(
            &walk.rotation,
            walk.connection.as_ref(),
            told(EffectId(effect)),
            &walk.policy,
            walk.now,
        )
    };
    assert!(decided(&walk, 1).is_some());
    assert!(decided(&walk, 2).is_none());
    let ended = Walk::uploaded().tell(opened(Vec::new(), None));
    assert!((0..9).all(|effect| decided(&ended, effect).is_none()));
}

#[test]
fn a_rotation_comes_back_as_it_was_written() {
    let walk = Walk::uploaded().tell(opened(nodes(0..3), Some("next")));
    let written = serde_json::to_string(&walk.rotation).unwrap();
    assert_eq!(serde_json::from_str::<Rotation>(&written).unwrap(), walk.rotation);
}

#[test]
fn its_wake_comes_when_the_next_effect_is_due_and_never_before() {
    let rotation = |millis: Option<i64>| Rotation {
        due_at: millis.map(|it| start() + SignedDuration::from_millis(it)),
        ..Walk::new().rotation
    };
    for (millis, delay_secs) in [
        (None, None),
        (Some(-5_000), Some(0)),
        (Some(0), Some(0)),
        (Some(1), Some(1)),
        (Some(30_000), Some(30)),
        (Some(30_001), Some(31)),
        (Some(900_000), Some(900)),
        (Some(900_001), None),
    ] {
        assert_eq!(rotation(millis).wake_delay_secs(start()), delay_secs, "{millis:?}");
        let is_due = millis.is_some_and(|it| it <= 0);
        assert_eq!(rotation(millis).is_due(start()), is_due, "{millis:?}");
    }
    let waiting_on = Some(ParkReason::Quota);
    let parked = Rotation { waiting_on, ..rotation(Some(0)) };
    assert_eq!(parked.wake_delay_secs(start()), None);
}

#[test]
fn news_a_cancel_and_the_deadline_call_for_attention() {
    let plain = Walk::new().rotation;
    let news = Rotation { news_at: Some(start()), ..plain.clone() };
    let unwanted = Rotation { cancel_requested_at: Some(start()), ..plain.clone() };
    assert!(news.needs_attention(start()) && unwanted.needs_attention(start()));
    assert!(plain.needs_attention(plain.deadline_at));
    assert!(!plain.needs_attention(plain.deadline_at - SignedDuration::from_millis(1)));
}

#[test]
fn progress_grows_along_the_way() {
    let mut walk = Walk::new();
    let mut told = vec![walk.rotation.progress()];
    for outcome in [
        Outcome::KeyMade { public_key: "ssh-ed25519 2".into() },
        Outcome::KeyUploaded { key: key(2) },
        opened(nodes(0..25), Some("next")),
        Outcome::Ended { done: nodes(0..25), listed: Vec::new() },
        opened(nodes(25..26), None),
        Outcome::Ended { done: nodes(25..26), listed: Vec::new() },
    ] {
        walk = walk.tell(outcome);
        told.push(walk.rotation.progress());
    }
    assert_eq!(told, [0, 5, 10, 10, 10, 60, 100]);
}

#[test]
fn one_that_crashes_its_workers_is_called_poisoned() {
    for mut walk in [Walk::new(), Walk::uploaded()] {
        walk = walk.tell(Outcome::Poisoned);
        assert_eq!((walk.rotation.state, walk.code()), (JobState::Failed, Code::JobPoisoned));
    }
}

#[test]
fn a_short_pause_is_waited_for_and_a_long_one_parks_it() {
    let most = Policy::default().budget_wait_secs;
    for (secs, waiting_on) in
        [(most - 1, None), (most, None), (most + 1, Some(ParkReason::RateBudget))]
    {
        let failure = ProviderFailure::new(FailureClass::RateLimited, "code", "message");
        let failure = ProviderFailure { pause_secs: Some(secs), ..failure };
        let walk = Walk::new().tell(Outcome::Failed(failure));
        assert_eq!((walk.rotation.waiting_on, walk.due_secs()), (waiting_on, secs));
    }
}

#[test]
fn the_history_says_once_that_it_waits_and_how_it_ended() {
    let mut walk = Walk::new();
    for _ in 0..3 {
        walk = walk.tell(failed(FailureClass::Unauthorized));
    }
    let waits = walk.notes.iter().filter(|note| note.starts_with("waiting")).count();
    assert_eq!(waits, 1, "{:?}", walk.notes);
    let last = |walk: Walk| walk.notes.last().cloned().unwrap();
    assert_eq!(last(Walk::uploaded().tell(opened(Vec::new(), None))), "succeeded");
    assert_eq!(last(Walk::new().tell(Outcome::Poisoned)), "failed");
    let mut unwanted = Walk::new();
    unwanted.rotation.cancel_requested_at = Some(start());
    assert_eq!(last(unwanted.tell(Outcome::Nothing)), "cancelled");
}

#[test]
fn there_is_room_for_two_earlier_versions_and_for_twelve_in_all() {
    let mut used = Walk::new().connection().clone();
    for version in 2..=3 {
        assert!(used.may_rotate(), "version {version}");
        used.adopt_key(key(version), start());
    }
    assert!(!used.may_rotate());
    let mut lost = Walk::new().connection().clone();
    for version in 2..=13 {
        assert!(lost.may_rotate(), "version {version}");
        lost.abandon_key(version, None, start());
    }
    assert!(!lost.may_rotate());
}

#[test]
fn a_rotation_of_before_there_was_evidence_begins_its_chain_where_it_stands() {
    let walk = Walk::uploaded();
    let record = serde_json::to_value(&walk.rotation).unwrap();
    assert!(record.get("evidence").is_none(), "it is written as before");
    let effect = walk.rotation.intent.as_ref().unwrap();
    let outcome = opened(nodes(0..2), None);
    let told = RotationObservation { effect: effect.id, outcome: outcome.clone() };
    let on = walk.connection.as_ref();
    let mut decision = step(&walk.rotation, on, told, &walk.policy, walk.now).unwrap();
    let (effect, outcome) = (Some(&effect.effect), &outcome);
    let seen = RotationSeen { effect, outcome, calls: &[], connection: on };
    decision.give_evidence(&walk.rotation, seen);
    let Fact::RotationBegan { version, key_version, .. } = &decision.evidence[0].fact else {
        panic!("{:?}", decision.evidence)
    };
    assert_eq!((*version, *key_version), (walk.rotation.version, 2));
    let taken = Fact::NodesTaken { nodes: nodes(0..2) };
    assert!(decision.evidence.iter().any(|entry| entry.fact == taken));
    let written = serde_json::to_value(&decision.rotation).unwrap();
    assert_eq!(serde_json::from_value::<Rotation>(written).unwrap(), decision.rotation);
    // The same look once more is worth no entry.
    let again = Rotation { version: walk.rotation.version + 1, ..decision.rotation };
    let told = RotationObservation {
        effect: again.intent.as_ref().unwrap().id,
        outcome: Outcome::Ended { done: Vec::new(), listed: Vec::new() },
    };
    let outcome = told.outcome.clone();
    let mut idle = step(&again, on, told, &walk.policy, walk.now).unwrap();
    let seen = RotationSeen { effect: None, outcome: &outcome, calls: &[], connection: on };
    idle.give_evidence(&again, seen);
    assert_eq!((idle.evidence.len(), &idle.rotation.evidence), (0, &again.evidence));
}
