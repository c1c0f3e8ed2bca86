//! Calls with a token: one that was given ([`Line`]), or a connection's stored one, which may be
//! replaced while we work ([`Session`]).

use std::future::Future;

use nodeyard_domain::{
    connection::{Connection, ConnectionName, RateBudget},
    observation::{FailureClass, ProviderFailure},
};
use nodeyard_engine::secrets::{Secrets, SecretsError};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;

use super::{
    failure::{busy, drift},
    rates::Rates,
    transport::{Answer, Call, Transport},
};

type Result<T> = std::result::Result<T, ProviderFailure>;

/// The most a list call gives (API reference, "Pagination").
const PER_PAGE: u64 = 50;
/// Ends a list that never ends.
const MAX_PAGES: u64 = 100;

/// Reads: they change nothing, so they may be repeated.
pub(super) trait Reader {
    fn read(&mut self, call: &Call) -> impl Future<Output = Result<Answer>> + Send;
}

/// All entries under `key`, page by page.
pub(super) async fn list(
    reader: &mut (impl Reader + Send),
    call: &Call,
    key: &'static str,
) -> Result<Vec<Value>> {
    let mut entries = Vec::new();
    let mut page = 1;
    for _ in 0..MAX_PAGES {
        let answer = reader.read(&call.page(page, PER_PAGE)).await?;
        let mut body = answer.json()?;
        let Some(Value::Array(found)) = body.get_mut(key).map(Value::take) else {
            return Err(drift(&format!("a list without `{key}`")));
        };
        entries.extend(found);
        match body.pointer("/meta/pagination/next_page").and_then(Value::as_u64) {
            Some(next) if next > page => page = next,
            _ => return Ok(entries),
        }
    }
    Err(drift(&format!("`{key}` has more than {MAX_PAGES} pages")))
}

/// Calls with one token.
pub(super) struct Line<'a> {
    transport: &'a Transport,
    token: SecretString,
    /// How many calls the caller makes in all.
    calls: i64,
    pub rate_budget: Option<RateBudget>,
    /// Where the connection's rate is noted, if the token is a connection's.
    noted: Option<(&'a Rates, &'a ConnectionName)>,
}

impl<'a> Line<'a> {
    pub fn new(transport: &'a Transport, token: SecretString, calls: i64) -> Self {
        Self { transport, token, calls, rate_budget: None, noted: None }
    }

    /// Sends a call once, reads or writes.
    pub async fn send(&mut self, call: &Call) -> Result<Answer> {
        let answer = self.transport.send(&self.token, call).await?;
        if let Some(rate) = answer.rate {
            self.rate_budget = Some(RateBudget { limit: rate.limit, remaining: rate.remaining });
            if let Some((rates, connection)) = self.noted {
                rates.note(connection, rate);
            }
        }
        answer.accepted(self.calls)
    }
}

impl Reader for Line<'_> {
    async fn read(&mut self, call: &Call) -> Result<Answer> {
        self.send(call).await
    }
}

/// Calls with a connection's stored token. A 401 makes it read the secret once more, past every
/// cache, before there is a verdict.
pub(super) struct Session<'a, S> {
    line: Line<'a>,
    secrets: &'a S,
    connection: &'a Connection,
    refreshed: bool,
    /// Counts the tokens used: what one token saw says nothing of another.
    generation: u32,
}

impl<'a, S: Secrets> Session<'a, S> {
    /// `calls` is how many calls the caller needs, for the pause after a 429.
    pub async fn open(
        transport: &'a Transport,
        secrets: &'a S,
        rates: &'a Rates,
        connection: &'a Connection,
        calls: i64,
    ) -> Result<Self> {
        let token = secrets.provider_token(connection, false).await.map_err(no_token)?;
        let noted = Some((rates, &connection.name));
        let line = Line { noted, ..Line::new(transport, token, calls) };
        Ok(Self { line, secrets, connection, refreshed: false, generation: 0 })
    }

    /// Changes when another token has taken over.
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// Sends a write once, whatever comes back.
    pub async fn write(&mut self, call: &Call) -> Result<Answer> {
        match self.line.send(call).await {
            Err(failure) if failure.class == FailureClass::Unauthorized => {
                Err(self.confirm(failure).await)
            }
            other => other,
        }
    }

    /// What a write's 401 means: a GET with the fresh token tells. The write took no effect, so
    /// the job may send another one later; it is not sent again here.
    async fn confirm(&mut self, refusal: ProviderFailure) -> ProviderFailure {
        let changed = match self.refresh().await {
            Ok(changed) => changed,
            Err(failure) => return failure,
        };
        let probe = Call::get("/ssh_keys").query("per_page", 1);
        match self.line.send(&probe).await {
            Err(failure) if failure.class == FailureClass::Unauthorized => failure,
            Err(failure) if failure.class == FailureClass::RateLimited => failure,
            Err(_) => busy("unauthorized", "refused with 401, and a look at the token failed"),
            Ok(_) if changed => busy("token_replaced", "the token was replaced meanwhile"),
            // The token is alive and reads: the 401 can only have been about writing.
            Ok(_) => ProviderFailure { class: FailureClass::ReadOnly, ..refusal },
        }
    }

    /// Reads the secret past every cache. True when it is another one.
    async fn refresh(&mut self) -> Result<bool> {
        self.refreshed = true;
        let fresh = self.secrets.provider_token(self.connection, true).await.map_err(no_token)?;
        let changed = fresh.expose_secret() != self.line.token.expose_secret();
        if changed {
            self.generation += 1;
            self.line.token = fresh;
        }
        Ok(changed)
    }
}

impl<S: Secrets> Reader for Session<'_, S> {
    async fn read(&mut self, call: &Call) -> Result<Answer> {
        match self.line.send(call).await {
            Err(failure) if failure.class == FailureClass::Unauthorized && !self.refreshed => {
                self.refresh().await?;
                self.line.send(call).await
            }
            other => other,
        }
    }
}

/// No call was made, so nothing is unknown.
fn no_token(error: SecretsError) -> ProviderFailure {
    match error {
        SecretsError::Missing(_) => ProviderFailure::new(
            FailureClass::Unauthorized,
            "token_missing",
            "the connection has no stored token",
        ),
        SecretsError::Unavailable(_) => {
            busy("secrets_unavailable", "the connection's token could not be read")
        }
    }
}
