//! What a connection's project can buy, remembered for a while in this process.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jiff::{SignedDuration, Timestamp};
use nodeyard_domain::{connection::ConnectionName, observation::FailureClass};
use nodeyard_engine::{
    provider::{Catalogue, ProviderCheck},
    secrets::Secrets,
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

type Known = HashMap<ConnectionName, (Timestamp, Arc<Catalogue>)>;

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
        connection: &ConnectionName,
        max_age: SignedDuration,
    ) -> Result<Arc<Catalogue>, Problem> {
        let now = self.now();
        let fresh_enough = |at: Timestamp| now.duration_since(at) <= max_age;
        let known = self.catalogues.known().get(connection).cloned();
        if let Some((at, catalogue)) = known
            && fresh_enough(at)
        {
            return Ok(catalogue);
        }
        let catalogue = Arc::new(self.fetch_catalogue(connection).await?);
        self.catalogues.known().insert(connection.clone(), (now, Arc::clone(&catalogue)));
        Ok(catalogue)
    }

    async fn fetch_catalogue(&self, connection: &ConnectionName) -> Result<Catalogue, Problem> {
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
            .guided(format!("Store a valid token with PUT /providers/{connection}.")),
            _ => Problem::of_provider(&failure),
        })
    }
}
