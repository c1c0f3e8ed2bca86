//! What all jobs of a connection share.

use nodeyard_domain::{
    connection::ConnectionName,
    pace::{CallClass, Pace},
    placement::Rung,
};

use super::{
    Store,
    fixture::{audit, connection, later, now},
};

fn main() -> ConnectionName {
    "main".parse().expect("a name")
}

async fn pace<S: Store>(store: &S, of: &ConnectionName) -> Pace {
    store.pace(of, later(9)).await.expect("pace")
}

/// Something of everything that is shared, and a version that says it was read.
fn full(version: u64) -> Pace {
    let rung = Rung { server_type: "cx23".into(), location: "fsn1".into() };
    let mut pace = Pace { version, ..Pace::new(now()) };
    pace.spend(CallClass::Creation, 5, later(1)).expect("there is plenty");
    pace.take_polls(later(1)).expect("nobody polls");
    pace.learn("debian-13", 13);
    pace.learn("debian-13", 14);
    pace.refuse(&rung, "resource_unavailable", 300, later(1));
    pace.meet_quota("no more (limits: server_limit)", 600, later(1));
    pace.add_group(1 << 50);
    pace.key_seen_at = Some(later(1));
    pace
}

pub(super) async fn it_is_as_new_where_nothing_is_stored<S: Store>(store: &S) {
    for at in [now(), later(5)] {
        assert_eq!(store.pace(&main(), at).await.expect("pace"), Pace::new(at));
    }
}

pub(super) async fn a_change_is_stored_under_the_next_version<S: Store>(store: &S) {
    assert!(store.swap_pace(&main(), &full(0)).await.expect("swap"));
    assert_eq!(pace(store, &main()).await, full(1), "all of it, to the nanosecond");
    let next = Pace { poll_until: None, ..full(1) };
    assert!(store.swap_pace(&main(), &next).await.expect("swap"));
    assert_eq!(pace(store, &main()).await, Pace { version: 2, ..next });
}

pub(super) async fn a_stale_change_is_refused_and_writes_nothing<S: Store>(store: &S) {
    let early = Pace::new(now());
    assert!(!store.swap_pace(&main(), &full(3)).await.expect("swap"), "nothing was stored yet");
    assert_eq!(pace(store, &main()).await, Pace::new(later(9)));
    assert!(store.swap_pace(&main(), &full(0)).await.expect("swap"));
    assert!(!store.swap_pace(&main(), &early).await.expect("swap"), "as if it were the first");
    assert!(store.swap_pace(&main(), &full(1)).await.expect("swap"));
    for version in [0, 1, 3] {
        let other = Pace { version, ..early.clone() };
        assert!(!store.swap_pace(&main(), &other).await.expect("swap"), "version {version}");
    }
    assert_eq!(pace(store, &main()).await, full(2));
}

pub(super) async fn each_connection_has_its_own<S: Store>(store: &S) {
    let other: ConnectionName = "other".parse().expect("a name");
    assert!(store.swap_pace(&main(), &full(0)).await.expect("swap"));
    assert_eq!(pace(store, &other).await, Pace::new(later(9)));
    assert!(store.swap_pace(&other, &Pace::new(now())).await.expect("swap"));
    assert_eq!(pace(store, &main()).await, full(1));
    assert!(store.connections().await.expect("connections").is_empty(), "it is no connection");
}

/// A connection that comes back under the name may be of another project.
pub(super) async fn it_goes_with_its_connection<S: Store>(store: &S) {
    assert!(store.swap_connection(&connection("main"), &[]).await.expect("put"));
    assert!(store.swap_pace(&main(), &full(0)).await.expect("swap"));
    store.delete_connection(&main(), &audit("1")).await.expect("delete");
    assert_eq!(pace(store, &main()).await, Pace::new(later(9)));
    assert!(!store.swap_pace(&main(), &full(1)).await.expect("swap"), "a late change is lost");
    assert!(store.swap_pace(&main(), &full(0)).await.expect("swap"));
}
