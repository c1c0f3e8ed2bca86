//! What a connection's project can buy: remembered for a while in this process, and shared with
//! the others through the store.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use nodeyard_domain::{
    connection::{Connection, ConnectionName},
    observation::FailureClass,
};
use nodeyard_engine::{
    provider::{Catalogue, ProviderCheck},
    secrets::Secrets,
    store::{ApiStore, JobStore, StoredCatalogue},
};

use crate::{
    app::{App, Ports},
    code::ApiCode,
    problem::Problem,
};

/// How old a catalogue may be that an admission is checked against.
pub const ADMISSION_MAX_AGE: SignedDuration = SignedDuration::from_secs(300);
/// How old stock may be that is shown as live.
pub const LIVE_MAX_AGE: SignedDuration = SignedDuration::from_secs(10);

/// How often and how far apart a process looks whether another has read the catalogue: less than a
/// caller waits for the gateway.
const LOOKS: u32 = 12;
const LOOK_EVERY: Duration = Duration::from_millis(250);
const MAX_SWAPS: u32 = 8;

/// A catalogue and when it was read.
#[derive(Debug, Clone)]
pub struct ReadCatalogue {
    pub read_at: Timestamp,
    pub catalogue: Arc<Catalogue>,
}

type Known = HashMap<ConnectionName, ReadCatalogue>;

#[derive(Debug, Default)]
pub struct Catalogues(Mutex<Known>);

impl Catalogues {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A rotated token may see another project.
    pub fn forget(&self, connection: &ConnectionName) {
        self.known().remove(connection);
    }
}

impl<P: Ports> App<P> {
    /// # Errors
    /// `provider_not_connected` when the stored token is refused, `provider_unavailable` when the
    /// provider does not answer usefully.
    pub(crate) async fn catalogue(
        &self,
        on: &Connection,
        max_age: SignedDuration,
    ) -> Result<ReadCatalogue, Problem> {
        let connection = &on.name;
        let now = self.now();
        let fresh_enough = |at: Timestamp| now.duration_since(at) <= max_age;
        let known = self.catalogues.known().get(connection).cloned();
        if let Some(known) = known.filter(|known| fresh_enough(known.read_at)) {
            return Ok(known);
        }
        // What another process has read is as good.
        if let Some(stored) = self.store.catalogue(connection).await?
            && fresh_enough(stored.read_at)
        {
            return Ok(self.remember(connection, stored));
        }
        // One reads for all, while the others wait a little; who would show it as live reads it.
        if max_age > LIVE_MAX_AGE && !self.reads_for_all(connection).await? {
            for _ in 0..LOOKS {
                tokio::time::sleep(LOOK_EVERY).await;
                if let Some(stored) = self.store.catalogue(connection).await?
                    && fresh_enough(stored.read_at)
                {
                    return Ok(self.remember(connection, stored));
                }
            }
        }
        let catalogue = self.fetch_catalogue(on).await?;
        let read = StoredCatalogue { read_at: now, catalogue };
        if let Err(error) = self.store.put_catalogue(connection, &read).await {
            tracing::warn!(%connection, %error, "the catalogue is not shared");
        }
        Ok(self.remember(connection, read))
    }

    fn remember(&self, connection: &ConnectionName, read: StoredCatalogue) -> ReadCatalogue {
        let read = ReadCatalogue { read_at: read.read_at, catalogue: Arc::new(read.catalogue) };
        self.catalogues.known().insert(connection.clone(), read.clone());
        read
    }

    /// Takes the reading over from the other processes; false while one of them is at it.
    async fn reads_for_all(&self, connection: &ConnectionName) -> Result<bool, Problem> {
        for _ in 0..MAX_SWAPS {
            let now = self.now();
            let mut pace = self.store.pace(connection, now).await?;
            if !pace.take_catalogue(now) {
                return Ok(false);
            }
            if self.store.swap_pace(connection, &pace).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn fetch_catalogue(&self, connection: &Connection) -> Result<Catalogue, Problem> {
        let token = self.secrets.provider_token(connection, false).await?;
        let mut answer = self.provider.catalogue(&token).await;
        // Another process may have rotated the token since ours was cached.
        if answer.as_ref().is_err_and(|failure| failure.class == FailureClass::Unauthorized) {
            let token = self.secrets.provider_token(connection, true).await?;
            answer = self.provider.catalogue(&token).await;
        }
        answer.map_err(|failure| match failure.class {
            FailureClass::Unauthorized => Problem::new(
                ApiCode::ProviderNotConnected,
                "The provider refuses the connection's stored token.",
            )
            .guided(format!("Store a valid token with PUT /providers/{}.", connection.name)),
            _ => Problem::of_provider(&failure),
        })
    }
}
