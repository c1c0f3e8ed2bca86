//! What nodes cost in calls, and how quickly what was lost is found again.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use nodeyard_drills::calls::{LOST_WAKE_SECS, table};

#[test]
fn many_nodes_share_their_calls_and_nothing_is_lost_for_long() {
    let table = table(40);
    assert!(table.is_within_limits(), "{}", table.text());
    assert_eq!(table.adoption.count(), 40);
    assert!(table.repair.count() >= 20, "{}", table.text());
    assert!(table.repair.longest() <= LOST_WAKE_SECS, "{}", table.text());
}
