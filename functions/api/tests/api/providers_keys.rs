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
async fn wherever_connecting_is_cut_off_the_next_try_finds_the_same_name() {
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
            assert_eq!(on.key_stem, left.key_stem, "killed after {polls}");
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
