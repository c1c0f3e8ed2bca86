//! Calls with a token: one that was given, or a connection's stored one, which may be replaced
//! while we work. As the real adapter does it.

use hetzner_sim::world::{
    budget::Standing,
    operation::{Kind, ListQuery, Operation},
};
use nodeyard_domain::{
    connection::{Connection, ConnectionName, RateBudget},
    evidence::Call,
    observation::{FailureClass, ProviderFailure},
    pace::SeenRate,
};
use nodeyard_engine::{
    Clock as _, exchange,
    provider::CreateServer,
    secrets::{Secrets as _, SecretsError},
};
use secrecy::{ExposeSecret as _, SecretString};

use super::{
    MemoryProvider,
    cloud::{Sent, View},
    view,
};
use crate::{clock::SimulatedClock, held, pause::pause};

type Result<T> = std::result::Result<T, ProviderFailure>;

/// Calls with one token.
pub(super) struct Line<'a> {
    provider: &'a MemoryProvider,
    token: SecretString,
    project: Option<String>,
    calls: i64,
    pub rate_budget: Option<RateBudget>,
    /// Whose rate is noted, if the token is a connection's.
    noted: Option<&'a ConnectionName>,
}

impl<'a> Line<'a> {
    pub fn new(provider: &'a MemoryProvider, token: SecretString, calls: i64) -> Self {
        Self { provider, token, project: None, calls, rate_budget: None, noted: None }
    }

    /// Sends a call once.
    pub async fn send<T>(&mut self, operation: &Operation, view: View<T>) -> Result<T> {
        self.send_body(operation, None, view).await
    }

    async fn send_body<T>(
        &mut self,
        operation: &Operation,
        body: Option<&CreateServer>,
        view: View<T>,
    ) -> Result<T> {
        pause().await;
        let (answer, standing) = {
            let token = self.token.expose_secret();
            let mut cloud = self.provider.cloud();
            self.project = self.project.take().or_else(|| cloud.project_of(token));
            let project = self.project.as_deref();
            let sent = Sent { token, project, operation, body, calls: self.calls };
            cloud.call(&sent, &self.provider.faults, view)
        };
        pause().await;
        exchange::tell(|| call_of(operation, answer.as_ref().err(), &self.provider.clock));
        if let Some(standing) = standing {
            self.note(standing);
        }
        answer
    }

    fn note(&mut self, standing: Standing) {
        let Standing { limit, remaining, .. } = standing;
        self.rate_budget = Some(RateBudget { limit, remaining });
        if let Some(name) = self.noted {
            let seen = SeenRate { limit, remaining, at: self.provider.clock.now() };
            held(&self.provider.seen).insert(name.clone(), seen);
        }
    }
}

/// A call as the real adapter tells of it.
fn call_of(
    operation: &Operation,
    failure: Option<&ProviderFailure>,
    clock: &SimulatedClock,
) -> Call {
    let words = format!("{operation:?}");
    let name = words.split(['(', ' ', '{']).next().unwrap_or_default();
    let none = failure.is_some_and(|failure| failure.class == FailureClass::Unknown);
    let status = match failure.map(|failure| failure.class) {
        None => 200,
        Some(FailureClass::Unauthorized) => 401,
        Some(FailureClass::ReadOnly) => 403,
        Some(FailureClass::NotFound) => 404,
        Some(FailureClass::RateLimited) => 429,
        Some(_) => 422,
    };
    Call {
        request: name.to_owned(),
        status: (!none).then_some(status),
        failure: failure.filter(|_| none).map(|failure| failure.code.clone()),
        correlation_id: Some(format!("corr-{}", clock.now().as_millisecond())),
    }
}

/// Calls with a connection's stored token. A 401 makes it read the secret once more, past every
/// cache, before there is a verdict.
pub(super) struct Session<'a> {
    line: Line<'a>,
    connection: &'a Connection,
    refreshed: bool,
    /// Counts the tokens used: what one token saw says nothing of another.
    generation: u32,
}

impl<'a> Session<'a> {
    pub async fn open(
        provider: &'a MemoryProvider,
        connection: &'a Connection,
        calls: usize,
    ) -> Result<Self> {
        let name = &connection.name;
        let token = provider.secrets.provider_token(connection, false).await.map_err(no_token)?;
        let calls = i64::try_from(calls).unwrap_or(i64::MAX);
        let line = Line { noted: Some(name), ..Line::new(provider, token, calls) };
        Ok(Self { line, connection, refreshed: false, generation: 0 })
    }

    pub async fn read<T>(&mut self, operation: &Operation, view: View<T>) -> Result<T> {
        match self.line.send(operation, view).await {
            Err(failure) if failure.class == FailureClass::Unauthorized && !self.refreshed => {
                self.refresh().await?;
                self.line.send(operation, view).await
            }
            other => other,
        }
    }

    /// What a read finds; `None` when it was 404.
    pub async fn look<T>(&mut self, operation: &Operation, view: View<T>) -> Result<Option<T>> {
        match self.read(operation, view).await {
            Ok(found) => Ok(Some(found)),
            Err(failure) if failure.class == FailureClass::NotFound => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// Sends a write once, whatever comes back.
    pub async fn write<T>(&mut self, operation: &Operation, view: View<T>) -> Result<T> {
        let answer = self.line.send(operation, view).await;
        self.confirmed(answer).await
    }

    /// Sends a create once, whatever comes back.
    pub async fn create<T>(
        &mut self,
        operation: &Operation,
        body: &CreateServer,
        view: View<T>,
    ) -> Result<T> {
        let answer = self.line.send_body(operation, Some(body), view).await;
        self.confirmed(answer).await
    }

    async fn confirmed<T>(&mut self, answer: Result<T>) -> Result<T> {
        match answer {
            Err(failure) if failure.class == FailureClass::Unauthorized => {
                Err(self.confirm(failure).await)
            }
            other => other,
        }
    }

    /// What a write's 401 means: a GET with the fresh token tells.
    async fn confirm(&mut self, refusal: ProviderFailure) -> ProviderFailure {
        let changed = match self.refresh().await {
            Ok(changed) => changed,
            Err(failure) => return failure,
        };
        let probe =
            Operation::List(Kind::SshKey, ListQuery { per_page: 1, ..ListQuery::default() });
        match self.line.send(&probe, view::nothing).await {
            Err(failure) if failure.class == FailureClass::Unauthorized => failure,
            Err(failure) if failure.class == FailureClass::RateLimited => failure,
            Err(_) => busy("unauthorized", "refused with 401, and a look at the token failed"),
            Ok(()) if changed => busy("token_replaced", "the token was replaced meanwhile"),
            Ok(()) => ProviderFailure { class: FailureClass::ReadOnly, ..refusal },
        }
    }

    /// Reads the secret past every cache. True when it is another one.
    async fn refresh(&mut self) -> Result<bool> {
        self.refreshed = true;
        let secrets = &self.line.provider.secrets;
        let fresh = secrets.provider_token(self.connection, true).await.map_err(no_token)?;
        let changed = fresh.expose_secret() != self.line.token.expose_secret();
        if changed {
            self.generation += 1;
            self.line.token = fresh;
            self.line.project = None;
        }
        Ok(changed)
    }

    /// Something was just not there. Whether the token that saw nothing sees the marker; an error
    /// when another token has taken over meanwhile.
    pub async fn sees_marker(&mut self) -> Result<bool> {
        let generation = self.generation;
        let Some(marker) = &self.connection.key else { return Ok(false) };
        let marker = Operation::Get(Kind::SshKey, marker.provider_id);
        let is_seen = self.look(&marker, view::nothing).await?.is_some();
        self.same_token(generation)?;
        Ok(is_seen)
    }

    /// Changes when another token has taken over.
    pub fn generation(&self) -> u32 {
        self.generation
    }

    pub fn same_token(&self, generation: u32) -> Result<()> {
        if self.generation == generation {
            return Ok(());
        }
        Err(busy("token_replaced", "the token was replaced meanwhile"))
    }
}

/// Not now, for a reason that will pass soon.
fn busy(code: &str, message: &str) -> ProviderFailure {
    ProviderFailure::new(FailureClass::Busy, code, message)
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
