//! The same promises when several ask at once.

use nodeyard_domain::{job::JobKind, node::NodeStatus, pace::Pace, token::Scope};
use nodeyard_engine::store::{Accepted, Begin, Commit};

use super::{
    Store,
    fixture::{
        accept, accepted, audit, decision, end, ending, entry, keyed, later, load, new_node, node,
        now, result, run, server, whole, work_on,
    },
    leftover,
    token::token,
};

pub(super) async fn one_claim_wins<S: Store>(store: &S) {
    let job = accepted(store).await.job;
    let claim = || async { store.begin(&job, true).await.expect("begin") };
    let (a, b, c, d) = tokio::join!(claim(), claim(), claim(), claim());
    let winners = [a, b, c, d].into_iter().filter(|it| matches!(it, Begin::Proceed { .. })).count();
    assert_eq!(winners, 1, "one POST: {:?}", [a, b, c, d]);
}

pub(super) async fn one_commit_wins<S: Store>(store: &S) {
    let loaded = accepted(store).await;
    let commit = |name: &'static str| {
        let mut decision = decision(&loaded);
        decision.node.attempts = Some(1);
        decision.entries = vec![entry(later(1), name)];
        let loaded = &loaded;
        async move { store.commit(loaded, &decision).await.expect("commit") }
    };
    let (a, b, c, d) = tokio::join!(commit("a"), commit("b"), commit("c"), commit("d"));
    let made = [a, b, c, d].into_iter().filter(|it| *it == Commit::Done).count();
    assert_eq!(made, 1);
    assert_eq!(load(store, &loaded.job.id).await.job.version, loaded.job.version + 1);
    let history = store.timeline(&loaded.job.id, &whole()).await.expect("timeline").items;
    assert_eq!(history.len(), 1, "the losers wrote nothing: {history:?}");
}

pub(super) async fn one_acceptance_wins_a_node<S: Store>(store: &S) {
    let free = end(store, &accepted(store).await.job.id).await.node;
    let work = |bits| {
        let work = work_on(&free, JobKind::NodeConfigure, bits);
        async move { store.accept(&work).await.expect("accept") == Accepted::New }
    };
    let (a, b, c, d) = tokio::join!(work(2), work(3), work(4), work(5));
    assert_eq!([a, b, c, d].into_iter().filter(|new| *new).count(), 1);
    let open = node(store, &free.id).await.open_job.expect("one of them has it");
    assert_eq!(load(store, &open).await.job.id, open, "and its job is there");
}

pub(super) async fn one_result_wins<S: Store>(store: &S) {
    let job = accepted(store).await.job;
    store.put_run(&run(&job, 1)).await.expect("put");
    let finish = |message: &'static str| {
        let (id, result) = (job.id.clone(), result(message));
        async move { store.finish_run(&id, 1, &result).await.expect("finish") }
    };
    let (a, b) = tokio::join!(finish("a"), finish("b"));
    assert!(a != b, "exactly one result is kept");
    let kept = store.run(&job.id, 1).await.expect("run").and_then(|run| run.result);
    assert_eq!(kept, Some(result(if a { "a" } else { "b" })));
}

pub(super) async fn one_first_admin_wins<S: Store>(store: &S) {
    let put = |bits| async move {
        store
            .put_token(&token(bits, Scope::Admin), true, &audit(&bits.to_string()))
            .await
            .expect("put")
    };
    let (a, b, c) = tokio::join!(put(1), put(2), put(3));
    assert_eq!([a, b, c].into_iter().filter(|stored| *stored).count(), 1);
    assert_eq!(store.tokens().await.expect("tokens").len(), 1);
}

pub(super) async fn the_same_request_twice_at_once_is_one_job<S: Store>(store: &S) {
    let ask = |bits| {
        let work = keyed(new_node(bits), "key", "body");
        async move { store.accept(&work).await.expect("accept") }
    };
    let (a, b) = tokio::join!(ask(1), ask(2));
    let new = [&a, &b].into_iter().filter(|it| **it == Accepted::New).count();
    let replayed = [&a, &b].into_iter().filter(|it| matches!(it, Accepted::Replayed(_))).count();
    assert_eq!((new, replayed), (1, 1), "{a:?} {b:?}");
}

pub(super) async fn one_change_of_the_pace_wins<S: Store>(store: &S) {
    let main = "main".parse().expect("a name");
    for version in 0..3 {
        let swap = |took: u32| {
            let mut pace = Pace { version, ..Pace::new(now()) };
            pace.learn("debian-13", took);
            let main = &main;
            async move { store.swap_pace(main, &pace).await.expect("swap") }
        };
        let (a, b, c, d) = tokio::join!(swap(1), swap(2), swap(3), swap(4));
        let won: Vec<usize> = (1..).zip([a, b, c, d]).filter(|it| it.1).map(|it| it.0).collect();
        assert_eq!(won.len(), 1, "at version {version}");
        let stored = store.pace(&main, now()).await.expect("pace");
        let took = stored.expected_secs("debian-13").and_then(|secs| usize::try_from(secs).ok());
        assert_eq!((stored.version, took), (version + 1, Some(won[0])));
    }
}

pub(super) async fn every_change_of_the_pace_is_made_in_the_end<S: Store>(store: &S) {
    let main = "main".parse().expect("a name");
    let add = |id: u64| {
        let main = &main;
        async move {
            for _ in 0..100 {
                let mut pace = store.pace(main, now()).await.expect("pace");
                pace.add_group(id);
                if store.swap_pace(main, &pace).await.expect("swap") {
                    return;
                }
            }
            panic!("a change is refused for ever");
        }
    };
    tokio::join!(add(1), add(2), add(3), add(4));
    let stored = store.pace(&main, now()).await.expect("pace");
    let mut groups: Vec<u64> = stored.groups.iter().map(|group| group.id).collect();
    groups.sort_unstable();
    assert_eq!((groups, stored.version), (vec![1, 2, 3, 4], 4));
}

/// Whichever comes first: a server that nobody looks after must not stay unseen.
pub(super) async fn a_late_server_and_the_end_of_the_job_leave_a_due_node<S: Store>(store: &S) {
    for bits in 1..=8 {
        let loaded = accept(store, &new_node(bits)).await;
        let close = async {
            for _ in 0..100 {
                let loaded = load(store, &loaded.job.id).await;
                let mut closing = ending(&loaded, NodeStatus::Ready);
                closing.node.status = None;
                if store.commit(&loaded, &closing).await.expect("commit") == Commit::Done {
                    return;
                }
            }
            panic!("a commit is lost for ever");
        };
        let keep = async {
            store.keep_on_node(&loaded.node.id, &server(77), later(9)).await.expect("keep");
        };
        tokio::join!(close, keep);
        let after = node(store, &loaded.node.id).await;
        assert_eq!((after.status, &after.open_job), (NodeStatus::CleanupPending, &None));
        assert_eq!(after.server, Some(server(77)));
        let due = leftover::due(store, later(309)).await;
        assert!(due.contains(&after), "node {bits} is not among {}", due.len());
    }
}

pub(super) async fn late_servers_at_once_are_counted_each<S: Store>(store: &S) {
    let id = end(store, &accepted(store).await.job.id).await.node.id;
    let keep = |bits: u64| {
        let id = &id;
        async move { store.keep_on_node(id, &server(bits), later(9)).await.expect("keep") }
    };
    tokio::join!(keep(1), keep(2), keep(3));
    let after = node(store, &id).await;
    assert_eq!((after.cleanup_tries, after.release_at), (3, Some(later(9 + 1200))));
    assert_eq!(leftover::due(store, later(9 + 1200)).await, [after]);
}
