//! Rotations: fenced like jobs, woken and swept like jobs, and never taken for one.

use nodeyard_domain::{
    acceptance,
    connection::{Connection, ManagedKey},
    evidence::{
        RotationSeen,
        bundle::Bundle,
        verify::{Verdict, verify},
    },
    id::JobId,
    job::JobState,
    rotation::{Rotation, RotationOutcome, step::RotationDecision},
    work::Work,
};
use nodeyard_engine::{
    evidence::Unsigned,
    rotation::{LoadedRotation, RotationAcceptance, RotationAccepted},
    store::{Begin, Commit, IdempotencyKey, JobFilter, PageRequest},
};

use super::{
    Store,
    fixture::{
        accept, accepted, audit, connection, entry, job_id, later, new_node, new_node_at, now,
        spec, whole,
    },
};

async fn connected<S: Store>(store: &S) -> Connection {
    let mut connection = connection("main");
    connection.key = Some(ManagedKey {
        version: 1,
        provider_id: u64::MAX,
        fingerprint: "00:01".into(),
        public_key: "ssh-ed25519 AAAA".into(),
    });
    assert!(store.swap_connection(&connection, &[]).await.expect("swap"));
    read(store).await
}

async fn read<S: Store>(store: &S) -> Connection {
    store.connection(&connection("main").name).await.expect("read").expect("it is there")
}

fn offer(of: &Connection, bits: u128, key: Option<&str>) -> RotationAcceptance {
    let (rotation, connection) = acceptance::rotation(job_id(bits), of, "ada", None, now());
    let idempotency = key.map(|key| IdempotencyKey { key: key.into(), body: "body".into() });
    RotationAcceptance { rotation, connection, idempotency, audit: audit(&bits.to_string()) }
}

async fn open<S: Store>(store: &S, bits: u128) -> LoadedRotation {
    let connection = connected(store).await;
    let work = offer(&connection, bits, None);
    let accepted = store.accept_rotation(&work).await.expect("accept");
    assert_eq!(accepted, RotationAccepted::New);
    load(store, bits).await
}

async fn load<S: Store>(store: &S, bits: u128) -> LoadedRotation {
    store.load_rotation(&job_id(bits)).await.expect("load").expect("the rotation is there")
}

fn decision(loaded: &LoadedRotation) -> RotationDecision {
    let rotation = Rotation {
        state: JobState::Running,
        news_at: None,
        crashes: 0,
        due_at: Some(later(60)),
        updated_at: later(1),
        ..loaded.rotation.clone()
    };
    RotationDecision {
        rotation,
        connection: None,
        entries: vec![entry(later(1), "moved")],
        done: Vec::new(),
        listed: Vec::new(),
        evidence: Vec::new(),
    }
}

pub(super) async fn it_is_accepted_with_its_connection_and_is_no_job<S: Store>(store: &S) {
    let before = connected(store).await;
    let work = offer(&before, 7, None);
    let taken = store.accept_rotation(&work).await.expect("accept");
    assert_eq!(taken, RotationAccepted::New);
    let loaded = load(store, 7).await;
    assert_eq!(loaded.rotation, work.rotation);
    let open = read(store).await;
    assert_eq!((&open.rotation, open.version), (&Some(job_id(7)), before.version + 1));
    assert_eq!(loaded.connection, Some(open));
    assert!(store.load(&job_id(7)).await.expect("load").is_none(), "no job on a node");
    accepted(store).await;
    assert!(store.load_rotation(&job_id(1)).await.expect("load").is_none(), "and the reverse");
    assert!(store.load_rotation(&job_id(9)).await.expect("load").is_none());
}

pub(super) async fn one_that_did_not_see_the_connection_as_it_is_is_refused<S: Store>(store: &S) {
    let before = connected(store).await;
    assert_eq!(
        store.accept_rotation(&offer(&before, 7, None)).await.expect("accept"),
        RotationAccepted::New
    );
    let second = store.accept_rotation(&offer(&before, 8, None)).await.expect("accept");
    assert_eq!(second, RotationAccepted::Changed);
    assert!(store.load_rotation(&job_id(8)).await.expect("load").is_none(), "nothing was stored");
}

pub(super) async fn the_same_request_gives_the_same_rotation<S: Store>(store: &S) {
    let before = connected(store).await;
    let work = offer(&before, 7, Some("key"));
    let key = work.idempotency.clone().expect("a key");
    assert_eq!(store.replay_rotation(&key).await.expect("replay"), None);
    assert_eq!(store.accept_rotation(&work).await.expect("accept"), RotationAccepted::New);
    let loaded = load(store, 7).await;
    let again = store.accept_rotation(&offer(&read(store).await, 8, Some("key"))).await;
    assert_eq!(again.expect("accept"), RotationAccepted::Replayed(Box::new(loaded.rotation)));
    let other = IdempotencyKey { body: "another".into(), ..key };
    let told = store.replay_rotation(&other).await.expect("replay");
    assert_eq!(told, Some(RotationAccepted::KeyReused));
}

pub(super) async fn a_commit_writes_rotation_connection_and_timeline<S: Store>(store: &S) {
    let loaded = open(store, 7).await;
    let mut decision = decision(&loaded);
    let mut connection = loaded.connection.clone().expect("a connection");
    let key = ManagedKey { version: 2, ..connection.key.clone().expect("a key") };
    connection.adopt_key(key, later(1));
    decision.connection = Some(connection.clone());
    decision.rotation.opened = vec![super::fixture::node_id(3)];
    assert_eq!(store.commit_rotation(&loaded, &decision).await.expect("commit"), Commit::Done);
    let after = load(store, 7).await;
    let version = loaded.rotation.version + 1;
    assert_eq!(after.rotation, Rotation { version, ..decision.rotation.clone() });
    let stored = after.connection.expect("a connection");
    assert_eq!(stored, Connection { version: connection.version + 1, ..connection });
    let told = store.timeline(&job_id(7), &whole()).await.expect("timeline");
    assert_eq!(told.items, decision.entries);
    let late = store.commit_rotation(&loaded, &decision).await.expect("commit");
    assert_eq!(late, Commit::Lost, "the fence");
}

pub(super) async fn a_commit_that_did_not_see_the_connection_loses<S: Store>(store: &S) {
    let loaded = open(store, 7).await;
    assert!(store.swap_connection(&read(store).await, &[]).await.expect("swap"));
    let mut stale = decision(&loaded);
    stale.connection.clone_from(&loaded.connection);
    assert_eq!(store.commit_rotation(&loaded, &stale).await.expect("commit"), Commit::Lost);
    assert_eq!(load(store, 7).await.rotation, loaded.rotation, "nothing was written");
    let told = store.timeline(&job_id(7), &whole()).await.expect("timeline");
    assert!(told.items.is_empty());
    // One that leaves the connection alone is not concerned.
    let commit = store.commit_rotation(&loaded, &decision(&loaded)).await.expect("commit");
    assert_eq!(commit, Commit::Done);
}

pub(super) async fn flags_and_crashes_are_kept_beside_it<S: Store>(store: &S) {
    let loaded = open(store, 7).await;
    let id = job_id(7);
    for crashes in 1..3 {
        let begun = store.begin_rotation(&loaded.rotation).await.expect("begin");
        assert_eq!(begun, Begin::Proceed { crashes });
    }
    store.set_news(&id, later(3)).await.expect("news");
    assert!(store.request_cancel(&id, None, later(5), &audit("1")).await.expect("cancel"));
    let flagged = load(store, 7).await;
    assert_eq!(flagged.rotation.crashes, 2);
    assert_eq!(flagged.rotation.cancel_requested_at, Some(later(5)));
    assert_eq!(flagged.rotation.news_at, Some(later(5)));
    let stale = store.commit_rotation(&loaded, &decision(&loaded)).await.expect("commit");
    assert_eq!(stale, Commit::Lost, "news were not seen");
    let seen = store.commit_rotation(&flagged, &decision(&flagged)).await.expect("commit");
    assert_eq!(seen, Commit::Done);
    let begun = store.begin_rotation(&flagged.rotation).await.expect("begin");
    assert_eq!(begun, Begin::Lost, "it has moved on");
}

pub(super) async fn the_sweep_finds_it_until_it_has_ended<S: Store>(store: &S) {
    let loaded = open(store, 7).await;
    let due = async |before| store.due(before, 10).await.expect("due");
    let found = due(later(10)).await;
    assert_eq!(found.len(), 1);
    assert_eq!((&found[0].id, found[0].look_at), (&job_id(7), now()));
    store.mark_swept(&found[0], later(60)).await.expect("stamp");
    assert!(due(later(59)).await.is_empty(), "it rests");
    assert_eq!(due(later(60)).await.len(), 1);
    let mut ending = decision(&loaded);
    (ending.rotation.state, ending.rotation.finished_at) = (JobState::Failed, Some(later(2)));
    (ending.rotation.intent, ending.rotation.due_at) = (None, None);
    assert_eq!(store.commit_rotation(&loaded, &ending).await.expect("commit"), Commit::Done);
    assert!(due(later(1_000_000)).await.is_empty());
    let ended = load(store, 7).await;
    let again = store.commit_rotation(&ended, &decision(&ended)).await.expect("commit");
    assert_eq!(again, Commit::Lost, "one that has ended never changes");
    store.set_news(&job_id(7), later(9)).await.expect("news");
    assert!(!store.request_cancel(&job_id(7), None, later(9), &audit("2")).await.expect("cancel"));
    assert_eq!(load(store, 7).await, ended);
}

/// Pages by one, so that each is found by the cursor of the one before.
async fn listed<S: Store>(store: &S, filter: &JobFilter) -> Vec<JobId> {
    let (mut ids, mut cursor) = (Vec::new(), None);
    for _ in 0..9 {
        let page = PageRequest { cursor, limit: 1 };
        let found = store.jobs(filter, &page).await.expect("jobs");
        ids.extend(found.items.iter().map(|work| work.id().clone()));
        cursor = found.next;
        if cursor.is_none() {
            return ids;
        }
    }
    panic!("no end of pages: {ids:?}");
}

pub(super) async fn it_is_listed_among_the_jobs_by_its_time<S: Store>(store: &S) {
    for (bits, secs) in [(1, -60), (2, 60)] {
        accept(store, &new_node_at(bits, spec("web"), later(secs))).await;
    }
    let loaded = open(store, 7).await;
    let all = JobFilter::default;
    let ids = |bits: &[u128]| bits.iter().map(|bits| job_id(*bits)).collect::<Vec<_>>();
    assert_eq!(listed(store, &all()).await, ids(&[2, 7, 1]), "the newest first");
    let cases = [
        (JobFilter { state: Some(JobState::Queued), ..all() }, ids(&[2, 7, 1])),
        (JobFilter { state: Some(JobState::Failed), ..all() }, ids(&[])),
        (JobFilter { node: Some(super::fixture::node_id(1)), ..all() }, ids(&[1])),
        (JobFilter { connections: Some(vec![connection("main").name]), ..all() }, ids(&[2, 7, 1])),
        (JobFilter { connections: Some(vec![connection("other").name]), ..all() }, ids(&[])),
    ];
    for (filter, expected) in cases {
        assert_eq!(listed(store, &filter).await, expected, "{filter:?}");
    }
    let mut moved = decision(&loaded);
    moved.rotation.done = 3;
    assert_eq!(store.commit_rotation(&loaded, &moved).await.expect("commit"), Commit::Done);
    store.set_news(&job_id(7), later(9)).await.expect("news");
    let running = JobFilter { state: Some(JobState::Running), ..all() };
    let found = store.jobs(&running, &whole()).await.expect("jobs").items;
    let now = Work::Rotation(Box::new(load(store, 7).await.rotation));
    assert_eq!(found, [now], "as it is on record");
}

/// A decision with evidence, as the driver has it.
fn told(loaded: &LoadedRotation, mut decision: RotationDecision) -> RotationDecision {
    let outcome = RotationOutcome::VersionTaken;
    let connection = loaded.connection.as_ref();
    let effect = loaded.rotation.intent.as_ref().map(|intent| &intent.effect);
    let seen = RotationSeen { effect, outcome: &outcome, calls: &[], connection };
    decision.give_evidence(&loaded.rotation, seen);
    decision
}

pub(super) async fn its_evidence_is_written_with_its_commits_and_signed<S: Store>(store: &S) {
    let id = job_id(7);
    let loaded = open(store, 7).await;
    let going = told(&loaded, decision(&loaded));
    assert!(going.evidence.len() >= 2, "it begins, and a decision was made");
    assert_eq!(store.commit_rotation(&loaded, &going).await.expect("commit"), Commit::Done);
    assert_eq!(store.commit_rotation(&loaded, &going).await.expect("commit"), Commit::Lost);
    let stored = store.evidence(&id).await.expect("evidence");
    assert_eq!(stored.entries.len(), going.evidence.len(), "who loses leaves nothing");
    assert_eq!(store.unsigned(later(99), 10).await.expect("unsigned"), []);
    let loaded = load(store, 7).await;
    let mut ending = decision(&loaded);
    ending.rotation.state = JobState::Failed;
    ending.rotation.finished_at = Some(later(2));
    (ending.rotation.intent, ending.rotation.due_at) = (None, None);
    let ending = told(&loaded, ending);
    assert_eq!(store.commit_rotation(&loaded, &ending).await.expect("commit"), Commit::Done);
    let unsigned = store.unsigned(later(99), 10).await.expect("unsigned");
    let head = load(store, 7).await.rotation.evidence.expect("evidence").head().clone();
    assert_eq!(unsigned, [Unsigned { job: id.clone(), head: head.clone() }]);
    let signature = crate::signer::sign(&head.hash, later(50));
    assert!(store.put_signature(&id, &signature).await.expect("sign"));
    assert!(!store.put_signature(&id, &signature).await.expect("sign"), "once");
    assert_eq!(store.unsigned(later(99), 10).await.expect("unsigned"), []);
    let stored = store.evidence(&id).await.expect("evidence");
    let bundle = Bundle::new(&id, stored).expect("a bundle");
    assert_eq!(bundle.head, head);
    let bundle = serde_json::to_value(bundle).expect("a bundle serialises");
    assert_eq!(verify(&bundle, Some(&crate::signer::public_key().1)), Verdict::Authenticated);
}

pub(super) async fn work_that_was_accepted_is_accepted_again_as_itself<S: Store>(store: &S) {
    let work = new_node(1);
    for _ in 0..2 {
        let taken = store.accept(&work).await.expect("accept");
        assert_eq!(taken, nodeyard_engine::store::Accepted::New, "its answer may have got lost");
    }
}

pub(super) async fn a_node_s_key_version_is_kept<S: Store>(store: &S) {
    let loaded = accepted(store).await;
    assert_eq!(loaded.node.key_version, 1);
    let mut decision = super::fixture::decision(&loaded);
    decision.node.key_version = Some(3);
    let moved = super::fixture::commit(store, &loaded, &decision).await;
    assert_eq!(moved.node.key_version, 3);
    let listed = store.nodes(&Default::default(), &whole()).await.expect("nodes");
    assert_eq!(listed.items[0].key_version, 3);
}
