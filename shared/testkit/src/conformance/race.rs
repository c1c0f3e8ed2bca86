//! The same promises when several ask at once.

use nodeyard_domain::{job::JobKind, token::Scope};
use nodeyard_engine::store::{Accepted, Begin, Commit};

use super::{
    Store,
    fixture::{
        accepted, decision, end, entry, keyed, later, load, new_node, node, result, run, whole,
        work_on,
    },
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
    let put =
        |bits| async move { store.put_token(&token(bits, Scope::Admin), true).await.expect("put") };
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
