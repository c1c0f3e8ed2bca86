//! Calls of the schedule's checks come out of the budget that the connection's jobs share.

use nodeyard_domain::{
    connection::ConnectionName,
    observation::{FailureClass, ProviderFailure},
    pace::{CallClass, Pace, SeenRate},
};
use tracing::warn;

use crate::{
    Clock,
    store::{JobStore, StoreError},
};

/// How often the shared item is tried against others' changes.
const MAX_SWAPS: usize = 8;

/// Whether calls may be made.
pub(crate) enum Taken {
    /// With what the jobs share, as it is stored now.
    Calls(Box<Pace>),
    Short {
        wait_secs: i64,
    },
}

/// Takes calls out of a connection's budget before they are made.
pub(crate) async fn take_calls(
    store: &impl JobStore,
    clock: &dyn Clock,
    connection: &ConnectionName,
    seen: Option<SeenRate>,
    class: CallClass,
    calls: u32,
) -> Result<Taken, StoreError> {
    let mut wait_secs = 1;
    for _ in 0..MAX_SWAPS {
        let now = clock.now();
        let mut pace = store.pace(connection, now).await?;
        if let Some(seen) = seen {
            pace.correct(seen, now);
        }
        if let Err(secs) = pace.spend(class, calls, now) {
            return Ok(Taken::Short { wait_secs: secs });
        }
        if store.swap_pace(connection, &pace).await? {
            pace.version += 1;
            return Ok(Taken::Calls(Box::new(pace)));
        }
        wait_secs += 1;
    }
    // Jobs are at it: they go first.
    Ok(Taken::Short { wait_secs })
}

/// A 429 is everybody's.
pub(crate) async fn share_failure(
    store: &impl JobStore,
    clock: &dyn Clock,
    connection: &ConnectionName,
    failure: &ProviderFailure,
) {
    if failure.class != FailureClass::RateLimited {
        return;
    }
    let now = clock.now();
    let shared = async {
        let mut pace = store.pace(connection, now).await?;
        pace.exhausted(now);
        store.swap_pace(connection, &pace).await
    };
    if let Err(error) = shared.await {
        warn!(%connection, %error, "not shared with the connection's jobs");
    }
}
