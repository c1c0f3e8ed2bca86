//! Secrets kept in the process for a short while.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use secrecy::SecretString;

/// How long a secret may be used after it was read: a replaced one is noticed by then.
const TIME_TO_LIVE: Duration = Duration::from_secs(300);

#[derive(Default)]
pub(super) struct Cache(Mutex<HashMap<String, (Instant, SecretString)>>);

impl Cache {
    pub(super) fn get(&self, name: &str) -> Option<SecretString> {
        self.get_at(name, Instant::now())
    }

    fn get_at(&self, name: &str, now: Instant) -> Option<SecretString> {
        let known = self.lock();
        let (read_at, secret) = known.get(name)?;
        (now.saturating_duration_since(*read_at) < TIME_TO_LIVE).then(|| secret.clone())
    }

    pub(super) fn put(&self, name: &str, secret: &SecretString) {
        self.lock().insert(name.to_owned(), (Instant::now(), secret.clone()));
    }

    pub(super) fn forget(&self, name: &str) {
        self.lock().remove(name);
    }

    /// A panic while the lock was held leaves a whole map behind: entries are replaced in one go.
    fn lock(&self) -> MutexGuard<'_, HashMap<String, (Instant, SecretString)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn a_secret_is_good_for_its_time_and_until_it_is_forgotten() {
        let cache = Cache::default();
        cache.put("a", &SecretString::from("one"));
        let later = |secs| Instant::now() + Duration::from_secs(secs);
        assert_eq!(cache.get_at("a", later(290)).unwrap().expose_secret(), "one");
        assert!(cache.get_at("a", later(301)).is_none());
        cache.forget("a");
        assert!(cache.get("a").is_none());
    }
}
