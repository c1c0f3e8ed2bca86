//! What every wake queue promises, seen from both of its ends.

use std::{collections::BTreeSet, future::Future};

use nodeyard_domain::{
    id::JobId,
    wake::{MAX_WAKE_DELAY_SECS, Wake, WakeReason},
};
use nodeyard_engine::queue::WakeQueue;

/// A wake as it is handed out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    pub wake: Wake,
    /// How often it was handed out, this time included.
    pub receives: u32,
    /// What it is acknowledged with.
    pub receipt: String,
}

/// Both ends of one queue. It hides what it hands out for [`HIDDEN_SECS`] unless that is
/// acknowledged, and hands it out [`MAX_RECEIVES`] times at most.
pub trait Ends {
    type Queue: WakeQueue;

    fn sender(&self) -> &Self::Queue;

    /// A wake that is visible, or becomes so within this time.
    fn receive(&self, within_secs: i64) -> impl Future<Output = Option<Delivery>>;

    fn acknowledge(&self, receipt: &str) -> impl Future<Output = ()>;

    /// How many wakes were given up. Asked for at the end only.
    fn dead_letters(&self) -> impl Future<Output = usize>;
}

pub const HIDDEN_SECS: i64 = 1;
pub const MAX_RECEIVES: u32 = 2;

/// Longer than anything takes that has no delay, on a busy machine.
const SOON_SECS: i64 = 10;

/// Runs every case, each on a queue of its own.
///
/// # Panics
/// When a queue breaks a promise.
pub async fn hold<E: Ends>(fresh: impl AsyncFn() -> E) {
    a_wake_comes_back_as_it_was_sent(&fresh().await).await;
    the_same_wake_twice_is_two(&fresh().await).await;
    a_delayed_wake_comes_when_it_is_time(&fresh().await).await;
    a_delay_out_of_range_is_refused(&fresh().await).await;
    what_is_not_acknowledged_comes_again_and_is_given_up(&fresh().await).await;
}

fn wake(bits: u128, reason: WakeReason) -> Wake {
    Wake::new(JobId::from_bits(bits), reason)
}

async fn take<E: Ends>(ends: &E) -> Wake {
    let delivery = ends.receive(SOON_SECS).await.expect("a wake that was sent comes");
    ends.acknowledge(&delivery.receipt).await;
    delivery.wake
}

async fn a_wake_comes_back_as_it_was_sent<E: Ends>(ends: &E) {
    let reasons = [WakeReason::Due, WakeReason::Cancel, WakeReason::Run, WakeReason::Resume];
    let sent: Vec<Wake> = (0..).zip(reasons).map(|(bits, reason)| wake(bits, reason)).collect();
    for wake in &sent {
        ends.sender().send(wake, 0).await.expect("send");
    }
    // In any order.
    let texts =
        |wakes: &[Wake]| wakes.iter().map(|wake| format!("{wake:?}")).collect::<BTreeSet<String>>();
    let mut came = Vec::new();
    for _ in &sent {
        came.push(take(ends).await);
    }
    assert_eq!(texts(&came), texts(&sent));
    assert_eq!(ends.receive(HIDDEN_SECS + 1).await, None, "what is acknowledged is gone");
}

async fn the_same_wake_twice_is_two<E: Ends>(ends: &E) {
    for _ in 0..2 {
        ends.sender().send(&wake(1, WakeReason::Due), 0).await.expect("send");
    }
    assert_eq!(
        (take(ends).await, take(ends).await),
        (wake(1, WakeReason::Due), wake(1, WakeReason::Due))
    );
}

async fn a_delayed_wake_comes_when_it_is_time<E: Ends>(ends: &E) {
    ends.sender().send(&wake(1, WakeReason::Due), 4).await.expect("send");
    assert_eq!(ends.receive(0).await, None, "it is not time yet");
    assert_eq!(take(ends).await, wake(1, WakeReason::Due));
}

async fn a_delay_out_of_range_is_refused<E: Ends>(ends: &E) {
    for secs in [-1, MAX_WAKE_DELAY_SECS + 1, i64::MIN, i64::MAX] {
        let sent = ends.sender().send(&wake(1, WakeReason::Due), secs).await;
        assert!(sent.is_err(), "a delay of {secs} s");
    }
    ends.sender().send(&wake(2, WakeReason::Due), MAX_WAKE_DELAY_SECS).await.expect("send");
    assert_eq!(ends.receive(1).await, None, "what was refused was not sent");
}

async fn what_is_not_acknowledged_comes_again_and_is_given_up<E: Ends>(ends: &E) {
    ends.sender().send(&wake(1, WakeReason::Run), 0).await.expect("send");
    for receives in 1..=MAX_RECEIVES {
        let delivery = ends.receive(SOON_SECS).await.expect("it comes again");
        assert_eq!((delivery.wake, delivery.receives), (wake(1, WakeReason::Run), receives));
    }
    assert_eq!(ends.receive(HIDDEN_SECS + 2).await, None, "it came often enough");
    assert_eq!(ends.dead_letters().await, 1);
}
