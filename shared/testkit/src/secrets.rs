//! Secrets in memory.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use jiff::Timestamp;
use nodeyard_domain::{
    connection::{Connection, ConnectionName, KeySecret, StoredToken},
    evidence::{Hash, Signature},
    host_key::first_host_key,
    id::NodeId,
    ownership::DeploymentKey,
};
use nodeyard_engine::{
    Clock,
    secrets::{Secrets, SecretsError},
};
use secrecy::{ExposeSecret, SecretString};

use crate::{
    clock::SimulatedClock,
    faults::{Fault, Faults},
    held,
    pause::pause,
    signer,
};

/// How long a process may use what it has read: as the real secret store's port does.
const CACHED_SECS: i64 = 300;

type Cache = Arc<Mutex<HashMap<String, (Timestamp, String)>>>;

#[derive(Clone, Default)]
pub struct MemorySecrets {
    values: Arc<Mutex<HashMap<String, String>>>,
    /// How many key pairs were made.
    pairs: Arc<Mutex<u64>>,
    /// How many secrets of tokens were made: none has the suffix of another.
    tokens: Arc<Mutex<u32>>,
    /// The public halves of managed keys, for tests to look at.
    publics: Arc<Mutex<HashMap<String, String>>>,
    faults: Faults,
    /// What this process has read; without one, everything is read anew.
    cache: Option<(SimulatedClock, Cache)>,
}

impl std::fmt::Debug for MemorySecrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemorySecrets").finish_non_exhaustive()
    }
}

impl MemorySecrets {
    /// With a deployment key and a bootstrap secret, as a deployment has them.
    pub fn deployed() -> Self {
        let secrets = Self::default();
        secrets.put("deployment-key", "a deployment key for tests");
        secrets.put("bootstrap", "a bootstrap secret for tests");
        secrets
    }

    /// The same secrets as a process sees them: with a short cache of its own, and with faults.
    pub fn for_process(&self, clock: &SimulatedClock, faults: Faults) -> Self {
        let cache = Some((clock.clone(), Cache::default()));
        Self { faults, cache, ..self.clone() }
    }

    pub fn put(&self, name: &str, value: &str) {
        held(&self.values).insert(name.to_owned(), value.to_owned());
    }

    /// Stores a connection's provider token without the port.
    pub fn put_token(&self, connection: &ConnectionName, token: &str) {
        self.put(&token_name(connection), token);
    }

    /// Stores a managed key without the port.
    pub fn put_key(&self, key: &KeySecret, private: &str, public: &str) {
        let name = key.to_string();
        self.put(&name, private);
        held(&self.publics).insert(name, public.to_owned());
    }

    /// The public half of a managed key whose private one is there.
    pub fn public_half(&self, key: &KeySecret) -> Option<String> {
        let name = key.to_string();
        self.contains(&name).then(|| held(&self.publics).get(&name).cloned())?
    }

    /// The names that begin so.
    pub fn names(&self, beginning: &str) -> Vec<String> {
        let values = held(&self.values);
        values.keys().filter(|name| name.starts_with(beginning)).cloned().collect()
    }

    pub fn contains(&self, name: &str) -> bool {
        held(&self.values).contains_key(name)
    }

    /// The deployment key, without the port.
    pub(crate) fn deployment_key_now(&self) -> DeploymentKey {
        let key = held(&self.values).get("deployment-key").cloned().unwrap_or_default();
        DeploymentKey::new(key.as_bytes())
    }

    async fn get(&self, name: &str, fresh: bool) -> Result<SecretString, SecretsError> {
        pause().await;
        let value = self.read(name, fresh);
        pause().await;
        value.map(SecretString::from)
    }

    fn read(&self, name: &str, fresh: bool) -> Result<String, SecretsError> {
        if !fresh && let Some(known) = self.cached(name) {
            return Ok(known);
        }
        if self.faults.hits(Fault::SecretsUnavailable) {
            return Err(SecretsError::Unavailable("no answer".to_owned()));
        }
        let value = held(&self.values).get(name).cloned();
        if let Some((clock, cache)) = &self.cache {
            match &value {
                Some(value) => {
                    held(cache).insert(name.to_owned(), (clock.now(), value.clone()));
                }
                None => {
                    held(cache).remove(name);
                }
            }
        }
        value.ok_or_else(|| SecretsError::Missing(name.to_owned()))
    }

    fn cached(&self, name: &str) -> Option<String> {
        let (clock, cache) = self.cache.as_ref()?;
        let cache = held(cache);
        let (read_at, value) = cache.get(name)?;
        let age_secs = clock.now().as_second() - read_at.as_second();
        (age_secs < CACHED_SECS).then(|| value.clone())
    }

    async fn set(&self, name: &str, value: Option<&str>) -> Result<(), SecretsError> {
        pause().await;
        let set = self.replace(name, value);
        pause().await;
        set
    }

    fn replace(&self, name: &str, value: Option<&str>) -> Result<(), SecretsError> {
        if self.faults.hits(Fault::SecretsUnavailable) {
            return Err(SecretsError::Unavailable("no answer".to_owned()));
        }
        if let Some((_, cache)) = &self.cache {
            held(cache).remove(name);
        }
        match value {
            Some(value) => self.put(name, value),
            None => {
                held(&self.values).remove(name);
            }
        }
        Ok(())
    }
}

impl MemorySecrets {
    fn write_once(&self, name: &str, value: &str) -> Result<bool, SecretsError> {
        if self.faults.hits(Fault::SecretsUnavailable) {
            return Err(SecretsError::Unavailable("no answer".to_owned()));
        }
        let mut values = held(&self.values);
        if values.contains_key(name) {
            return Ok(false);
        }
        values.insert(name.to_owned(), value.to_owned());
        Ok(true)
    }

    /// No two pairs are the same, whether they are stored or not.
    fn make_pair(&self, key: &KeySecret) -> Result<Option<String>, SecretsError> {
        if self.faults.hits(Fault::SecretsUnavailable) {
            return Err(SecretsError::Unavailable("no answer".to_owned()));
        }
        let mut pairs = held(&self.pairs);
        *pairs += 1;
        let seed = DeploymentKey::new(*b"pairs of tests");
        let pair = first_host_key(&seed, &NodeId::from_bits(u128::from(*pairs)), 1);
        let pair = pair.map_err(|error| SecretsError::Unavailable(error.to_string()))?;
        if self.contains(&key.to_string()) {
            return Ok(None);
        }
        self.put_key(key, &pair.private, &pair.public);
        if self.faults.hits(Fault::SecretsUnavailable) {
            return Err(SecretsError::Unavailable("the answer was lost".to_owned()));
        }
        Ok(Some(pair.public.split_whitespace().take(2).collect::<Vec<_>>().join(" ")))
    }

    /// A private half, without the port.
    pub fn ssh_key_now(&self, key: &KeySecret) -> Option<String> {
        held(&self.values).get(&key.to_string()).cloned()
    }
}

/// The newest token that is stored for a record.
fn secret_of(connection: &Connection) -> String {
    match &connection.token {
        Some(StoredToken { secret, .. }) => format!("connection/{secret}"),
        None => token_name(&connection.name),
    }
}

fn token_name(connection: &ConnectionName) -> String {
    format!("connection/{connection}")
}

impl Secrets for MemorySecrets {
    async fn deployment_key(&self) -> Result<DeploymentKey, SecretsError> {
        let secret = self.get("deployment-key", false).await?;
        Ok(DeploymentKey::new(secret.expose_secret().as_bytes()))
    }

    async fn provider_token(
        &self,
        connection: &Connection,
        fresh: bool,
    ) -> Result<SecretString, SecretsError> {
        let name = match &connection.token {
            Some(StoredToken { secret, version }) if !fresh => {
                format!("connection/{secret} {version}")
            }
            _ => secret_of(connection),
        };
        self.get(&name, fresh).await
    }

    async fn put_provider_token(
        &self,
        connection: &ConnectionName,
        known: Option<&StoredToken>,
        token: &SecretString,
    ) -> Result<StoredToken, SecretsError> {
        let of = |secret: &str| held(&self.values).contains_key(&format!("connection/{secret}"));
        let known = known.filter(|known| of(&known.secret)).map(|known| known.secret.clone());
        let version = held(&self.values).len().to_string();
        let secret = known.unwrap_or_else(|| {
            let mut tokens = held(&self.tokens);
            *tokens += 1;
            format!("{connection}-{:08x}", *tokens)
        });
        // Never changed, as the real ones.
        self.put(&format!("connection/{secret} {version}"), token.expose_secret());
        self.set(&format!("connection/{secret}"), Some(token.expose_secret())).await?;
        Ok(StoredToken { secret, version })
    }

    async fn delete_provider_token(&self, connection: &Connection) -> Result<(), SecretsError> {
        let name = secret_of(connection);
        held(&self.values).retain(|known, _| !known.starts_with(&format!("{name} ")));
        self.set(&name, None).await
    }

    async fn ssh_key(&self, key: &KeySecret) -> Result<SecretString, SecretsError> {
        self.get(&key.to_string(), false).await
    }

    async fn put_ssh_key(
        &self,
        key: &KeySecret,
        private: &SecretString,
    ) -> Result<bool, SecretsError> {
        pause().await;
        let is_new = self.write_once(&key.to_string(), private.expose_secret());
        pause().await;
        is_new
    }

    async fn make_ssh_key(
        &self,
        key: &KeySecret,
        comment: &str,
    ) -> Result<Option<String>, SecretsError> {
        pause().await;
        let made = self.make_pair(key);
        pause().await;
        Ok(made?.map(|line| format!("{line} {comment}")))
    }

    async fn destroy_ssh_key(&self, key: &KeySecret) -> Result<(), SecretsError> {
        self.set(&key.to_string(), None).await
    }

    async fn sign_evidence(&self, head: &Hash, now: Timestamp) -> Result<Signature, SecretsError> {
        pause().await;
        if self.faults.hits(Fault::SecretsUnavailable) {
            return Err(SecretsError::Unavailable("no answer".to_owned()));
        }
        let signature = signer::sign(head, now);
        pause().await;
        Ok(signature)
    }

    async fn bootstrap(&self) -> Result<SecretString, SecretsError> {
        self.get("bootstrap", false).await
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use jiff::SignedDuration;

    use super::*;
    use crate::{pause::run_to_end, provider::MemoryProvider, world::connection};

    #[test]
    fn a_process_notices_a_new_token_when_it_asks_past_its_cache_or_after_a_while() {
        let clock = SimulatedClock::default();
        let secrets = MemorySecrets::deployed();
        let name: ConnectionName = "main".parse().unwrap();
        secrets.put_token(&name, "one");
        let process = secrets.for_process(&clock, Faults::none());
        let key = MemoryProvider::new(clock.clone(), secrets.clone()).managed_key();
        let on = connection(clock.now(), key);
        let read = |fresh| {
            let token = run_to_end(process.provider_token(&on, fresh)).unwrap();
            token.expose_secret().to_owned()
        };
        assert_eq!(read(false), "one");
        secrets.put_token(&name, "two");
        assert_eq!(
            (read(false), read(true), read(false)),
            ("one".into(), "two".into(), "two".into())
        );
        secrets.put_token(&name, "three");
        clock.advance(SignedDuration::from_secs(CACHED_SECS));
        assert_eq!(read(false), "three");
    }
}
