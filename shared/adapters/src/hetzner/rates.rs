//! What the last answer said of each connection's rate budget, kept for this process.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use nodeyard_domain::{connection::ConnectionName, pace::SeenRate};
use nodeyard_engine::Clock;

use super::transport::Rate;

pub(super) struct Rates {
    clock: Arc<dyn Clock>,
    seen: Mutex<HashMap<ConnectionName, SeenRate>>,
}

impl fmt::Debug for Rates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rates").field("seen", &self.seen).finish_non_exhaustive()
    }
}

impl Rates {
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, seen: Mutex::default() }
    }

    pub fn note(&self, connection: &ConnectionName, rate: Rate) {
        let seen = SeenRate { limit: rate.limit, remaining: rate.remaining, at: self.clock.now() };
        let mut all = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(connection.clone(), seen);
    }

    pub fn of(&self, connection: &ConnectionName) -> Option<SeenRate> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).get(connection).copied()
    }
}
