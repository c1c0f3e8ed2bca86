//! What the secrets of managed keys are called, over the life of a connection.

use std::{
    collections::BTreeSet,
    future::Future,
    pin::pin,
    task::{Context, Poll, Waker},
};

use nodeyard_domain::connection::{Connection, ConnectionStatus};
use nodeyard_engine::{secrets::Secrets as _, store::JobStore as _};
use serde_json::json;
use ssh_key::PrivateKey;

use crate::support::World;

async fn record(world: &World) -> Option<Connection> {
    world.store.connection(&"main".parse().unwrap()).await.unwrap()
}

/// What the record says the secret of its key is called; nothing else may be stored.
async fn only_key(world: &World) -> String {
    let on = record(world).await.unwrap();
    let name = on.key_secret(on.key.as_ref().expect("a key").version).to_string();
    assert_eq!(world.secrets.names("ssh-key/"), std::slice::from_ref(&name));
    name
}

/// Polls a request so often, and lets go of it: the process has died there. `None`: it was not at its end.
fn killed_after<F: Future>(polls: usize, request: F) -> Option<F::Output> {
    let mut request = pin!(request);
    let mut task = Context::from_waker(Waker::noop());
    (0..polls).find_map(|_| match request.as_mut().poll(&mut task) {
        Poll::Ready(answer) => Some(answer),
        Poll::Pending => None,
    })
}

#[tokio::test]
async fn the_name_has_a_random_suffix_that_stays_as_long_as_the_connection() {
    let world = World::connected().await;
    let name = only_key(&world).await;
    let stem = record(&world).await.unwrap().key_stem.unwrap();
    let suffix = stem.strip_prefix("main-").unwrap();
    assert!(suffix.len() == 8 && suffix.bytes().all(|byte| byte.is_ascii_hexdigit()), "{stem}");
    assert_eq!(name, format!("ssh-key/{stem}/1"));
    // Another token, and one whose secret somebody deleted.
    world.cloud.accept("another", "rw", "p1");
    assert_eq!(world.connect("main", "another").await.status, 200);
    world.secrets.delete_provider_token(&record(&world).await.unwrap()).await.unwrap();
    assert_eq!(world.connect("main", "rw:p1").await.status, 200);
    assert_ne!(record(&world).await.unwrap().token.unwrap().secret, stem, "it has another secret");
    assert_eq!(only_key(&world).await, name);
}

#[tokio::test]
async fn whoever_comes_back_under_the_name_gets_another_suffix() {
    let world = World::new().await;
    let mut names = BTreeSet::new();
    for _ in 0..3 {
        assert_eq!(world.connect("main", "rw:p1").await.status, 201);
        assert!(names.insert(only_key(&world).await), "{names:?}");
        assert_eq!(world.delete("/providers/main").await.status, 204);
        assert!(world.secrets.names("ssh-key/").is_empty(), "no private half outlives its record");
    }
}

#[tokio::test]
async fn wherever_connecting_is_cut_off_the_next_try_leaves_one_private_half() {
    let (mut bare, mut unnamed) = (0, 0);
    for polls in 1.. {
        let world = World::new().await;
        let answer = killed_after(polls, world.connect("main", "rw:p1"));
        let left = record(&world).await;
        let written = world.secrets.names("ssh-key/");
        match &left {
            Some(on) if on.key.is_none() => {
                assert_eq!(on.status, ConnectionStatus::Degraded);
                let name = on.key_secret(1).to_string();
                assert!(on.key_stem.is_some() && written.iter().all(|it| *it == name));
                bare += usize::from(written.is_empty());
                unnamed += written.len();
            }
            Some(_) => {}
            None => assert!(written.is_empty(), "a private half that no record names"),
        }
        if polls % 2 == 0 || left.is_none() {
            world.connect("main", "rw:p1").await;
        } else {
            world.post("/providers/main/check", json!({})).await;
        }
        let on = record(&world).await.unwrap();
        assert_eq!(on.status, ConnectionStatus::Connected, "killed after {polls}");
        only_key(&world).await;
        if let Some(left) = left {
            let is_same = on.key_stem == left.key_stem;
            assert_eq!(is_same, left.key.is_some(), "killed after {polls}");
        }
        assert_eq!(world.delete("/providers/main").await.status, 204);
        assert!(world.secrets.names("ssh-key/").is_empty());
        if answer.is_some() {
            break;
        }
    }
    assert!(bare > 1 && unnamed > 1, "killed {bare} and {unnamed} times where it matters");
}

#[tokio::test]
async fn a_connection_that_was_cut_off_takes_its_private_half_along() {
    let mut seen = 0;
    for polls in 1.. {
        let world = World::new().await;
        let answer = killed_after(polls, world.connect("main", "rw:p1"));
        if answer.is_some() {
            break;
        }
        if record(&world).await.is_some() {
            seen += world.secrets.names("ssh-key/").len();
            assert_eq!(world.delete("/providers/main").await.status, 204);
        }
        assert!(world.secrets.names("ssh-key/").is_empty(), "killed after {polls}");
    }
    assert!(seen > 1);
}

/// What there is after two requests that make a first key: the private half on record is that of
/// the key on record, and there is no other.
async fn assert_one_key(world: &World, at: &str) {
    let on = record(world).await.unwrap();
    only_key(world).await;
    let key = on.key.as_ref().unwrap();
    let private = world.secrets.ssh_key_now(&on.key_secret(key.version)).unwrap();
    let public = PrivateKey::from_openssh(private).unwrap().public_key().to_openssh().unwrap();
    let words = |line: &str| line.split(' ').take(2).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(words(&public), words(&key.public_key), "{at}");
}

/// One of two requests is stopped after so many polls, the other runs to its end, then the first
/// goes on. Gives their answers, the stopped one's first, and whether that was at its end before.
async fn stopped_after<A, B>(polls: usize, first: A, second: B) -> (A::Output, B::Output, bool)
where
    A: Future,
    B: Future,
{
    let mut first = pin!(first);
    let mut task = Context::from_waker(Waker::noop());
    for _ in 0..polls {
        if let Poll::Ready(answer) = first.as_mut().poll(&mut task) {
            return (answer, second.await, true);
        }
    }
    let second = second.await;
    (first.await, second, false)
}

#[tokio::test]
async fn of_two_who_make_the_first_key_neither_writes_over_the_others() {
    for pair in 0..4 {
        let mut conflicts = 0;
        for polls in 1.. {
            let world = World::new().await;
            world.cloud.accept("first", "ro", "p1");
            assert_eq!(world.connect("main", "first").await.json["ssh_key"], json!(null));
            for token in ["first", "second", "third"] {
                world.cloud.accept(token, "rw", "p1");
            }
            let check = || world.post("/providers/main/check", json!({}));
            let (left, right, is_done) = match pair {
                0 => stopped_after(polls, check(), check()).await,
                1 => stopped_after(polls, check(), world.connect("main", "second")).await,
                2 => stopped_after(polls, world.connect("main", "second"), check()).await,
                _ => {
                    let second = world.connect("main", "second");
                    stopped_after(polls, second, world.connect("main", "third")).await
                }
            };
            let at = format!("pair {pair}, stopped after {polls}");
            assert_eq!(right.status, 200, "{at}: {}", right.text);
            assert!(left.status == 200 || left.code() == "edit_conflict", "{at}: {}", left.text);
            conflicts += usize::from(left.status == 409);
            assert_one_key(&world, &at).await;
            if is_done {
                break;
            }
        }
        assert!(conflicts > 3, "pair {pair}: {conflicts} times where it matters");
    }
}

#[tokio::test]
async fn of_two_who_connect_a_name_neither_writes_over_the_others_key() {
    for polls in 1.. {
        let world = World::new().await;
        for token in ["first", "second"] {
            world.cloud.accept(token, "rw", "p1");
        }
        let first = world.connect("main", "first");
        let (left, right, is_done) =
            stopped_after(polls, first, world.connect("main", "second")).await;
        let at = format!("stopped after {polls}: {} {}", left.text, right.text);
        assert!([200, 201].contains(&right.status), "{at}");
        assert!([200, 201].contains(&left.status) || left.code() == "edit_conflict", "{at}");
        assert_one_key(&world, &at).await;
        if is_done {
            break;
        }
    }
}

#[tokio::test]
async fn a_record_that_somebody_else_touched_gets_its_key_the_next_time() {
    let mut conflicts = 0;
    for polls in 1.. {
        let world = World::new().await;
        world.cloud.accept("first", "ro", "p1");
        world.connect("main", "first").await;
        world.cloud.accept("first", "rw", "p1");
        // As the schedule's check does it.
        let touch = async {
            let on = record(&world).await.unwrap();
            assert!(world.store.swap_connection(&on, &[]).await.unwrap());
        };
        let check = world.post("/providers/main/check", json!({}));
        let (answer, (), is_done) = stopped_after(polls, check, touch).await;
        conflicts += usize::from(answer.status == 409);
        assert!(answer.status == 200 || answer.code() == "edit_conflict", "{}", answer.text);
        assert_eq!(world.post("/providers/main/check", json!({})).await.status, 200);
        assert_one_key(&world, &format!("touched after {polls}")).await;
        assert_eq!(world.delete("/providers/main").await.status, 204);
        assert!(world.secrets.names("ssh-key/").is_empty());
        if is_done {
            break;
        }
    }
    assert!(conflicts > 3, "{conflicts} times where it matters");
}

#[tokio::test]
async fn an_old_record_keeps_the_old_name_until_it_is_disconnected() {
    let world = World::connected().await;
    let new = record(&world).await.unwrap();
    world.secrets.destroy_ssh_key(&new.key_secret(1)).await.unwrap();
    let old = Connection { key_stem: None, ..new };
    assert!(world.store.swap_connection(&old, &[]).await.unwrap());
    world.secrets.put("ssh-key/main/1", "a private half");
    world.cloud.accept("another", "rw", "p1");
    assert_eq!(world.connect("main", "another").await.status, 200);
    assert_eq!(only_key(&world).await, "ssh-key/main/1");
    assert_eq!(world.delete("/providers/main").await.status, 204);
    assert_eq!(world.connect("main", "rw:p1").await.status, 201);
    assert_ne!(only_key(&world).await, "ssh-key/main/1");
}
