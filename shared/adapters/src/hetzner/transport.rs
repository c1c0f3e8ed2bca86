//! The one way to the API: a call goes out once, and what came back is kept as it is.
//!
//! No redirects and no repeats: whether a call may be sent again is decided by those who know
//! what it does.

use std::time::{Duration, Instant};

use nodeyard_domain::{
    evidence,
    observation::{FailureClass, ProviderFailure},
};
use nodeyard_engine::{
    exchange,
    metric::{self, Metric},
};
use reqwest::{
    Client, Method, Url,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue},
};
use secrecy::{ExposeSecret as _, SecretString};

use super::{alarm::Alarm, echo::without_echo};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Under the worker's time-out, so that a slow answer is an observation and not a crash.
const TOTAL_TIMEOUT: Duration = Duration::from_secs(20);
/// A page of 50 servers with everything in it has some 250 KB.
const MAX_BODY_BYTES: usize = 8 * 1024 * 1024;

#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    #[error("the provider's endpoint is not an http or https address: {0}")]
    Address(String),
    #[error("the HTTP client could not be made: {0}")]
    Client(String),
}

/// One call. Its body may hold user data, so it has no `Debug`.
pub(super) struct Call {
    method: Method,
    /// The path as the reference names it, for the log.
    template: &'static str,
    path: String,
    query: Vec<(&'static str, String)>,
    body: Option<Vec<u8>>,
}

impl Call {
    fn new(method: Method, template: &'static str) -> Self {
        Self { method, template, path: template.to_owned(), query: Vec::new(), body: None }
    }

    pub fn get(template: &'static str) -> Self {
        Self::new(Method::GET, template)
    }

    pub fn delete(template: &'static str) -> Self {
        Self::new(Method::DELETE, template)
    }

    pub fn post(template: &'static str, body: Vec<u8>) -> Self {
        Self { body: Some(body), ..Self::new(Method::POST, template) }
    }

    pub fn put(template: &'static str, body: Vec<u8>) -> Self {
        Self { body: Some(body), ..Self::new(Method::PUT, template) }
    }

    /// Puts an id in the place of `{id}`.
    pub fn id(mut self, id: u64) -> Self {
        self.path = self.template.replace("{id}", &id.to_string());
        self
    }

    /// Adds a query parameter; the same name may come more than once.
    pub fn query(mut self, name: &'static str, value: impl ToString) -> Self {
        self.query.push((name, value.to_string()));
        self
    }

    /// The same call for one page of a list.
    pub fn page(&self, page: u64, per_page: u64) -> Self {
        let mut query = self.query.clone();
        query.push(("page", page.to_string()));
        query.push(("per_page", per_page.to_string()));
        Self {
            method: self.method.clone(),
            template: self.template,
            path: self.path.clone(),
            query,
            body: self.body.clone(),
        }
    }
}

/// What the headers said of the rate budget. `reset` is the time of the *full* refill (epoch
/// seconds), so it is never a time to wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rate {
    pub limit: u32,
    pub remaining: u32,
    pub reset: Option<u64>,
}

impl Rate {
    fn of(headers: &HeaderMap) -> Option<Self> {
        let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<u64>().ok();
        Some(Self {
            limit: u32::try_from(number("ratelimit-limit")?).ok()?,
            remaining: u32::try_from(number("ratelimit-remaining")?).ok()?,
            reset: number("ratelimit-reset"),
        })
    }
}

/// An answer of any status. The body may hold a password, so it has no `Debug`.
pub(super) struct Answer {
    pub status: u16,
    pub correlation_id: Option<String>,
    pub rate: Option<Rate>,
    pub body: Vec<u8>,
}

impl Answer {
    /// What an error says of the request is not for others.
    fn clean(mut self, token: &SecretString) -> Self {
        if self.status >= 400 {
            self.body = without_echo(self.body, token);
        }
        self
    }
}

pub(super) struct Transport {
    client: Client,
    /// Without a slash at the end.
    endpoint: String,
    /// Off, unless somebody listens.
    alarm: Option<Alarm>,
}

impl Transport {
    pub fn new(endpoint: &str) -> Result<Self, EndpointError> {
        Self::with_timeouts(endpoint, CONNECT_TIMEOUT, TOTAL_TIMEOUT)
    }

    pub fn with_timeouts(
        endpoint: &str,
        connect: Duration,
        total: Duration,
    ) -> Result<Self, EndpointError> {
        let url =
            Url::parse(endpoint).map_err(|error| EndpointError::Address(error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err(EndpointError::Address(endpoint.to_owned()));
        }
        let mut builder = Client::builder()
            .user_agent(concat!("nodeyard/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(connect)
            .timeout(total)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            // A connection that slept through a frozen function looks alive until a request is
            // lost on it; a new one for each call keeps a POST's outcome known.
            .pool_max_idle_per_host(0)
            .http1_only();
        if matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]")) {
            builder = builder.no_proxy();
        }
        let client = builder.build().map_err(|error| EndpointError::Client(error.to_string()))?;
        Ok(Self { client, endpoint: endpoint.trim_end_matches('/').to_owned(), alarm: None })
    }

    /// From now on each answer is held against its strict model.
    pub fn listen(&mut self) {
        self.alarm = Some(Alarm::default());
    }

    /// The first difference heard since this was asked last.
    pub fn take_drift(&self) -> Option<String> {
        self.alarm.as_ref()?.take()
    }

    /// Sends a call once. Any status is an answer; a failure is a token that cannot be sent, or
    /// no readable answer at all.
    pub async fn send(&self, token: &SecretString, call: &Call) -> Result<Answer, ProviderFailure> {
        let authorization = authorization(token)?;
        let started = Instant::now();
        let answer = self.exchange(authorization, call).await.map(|answer| answer.clean(token));
        let ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        match &answer {
            Ok(answer) => tracing::info!(
                method = %call.method,
                path = call.template,
                status = answer.status,
                correlation_id = answer.correlation_id.as_deref(),
                rate_remaining = answer.rate.map(|rate| rate.remaining),
                rate_reset = answer.rate.and_then(|rate| rate.reset),
                ms,
                "the provider answered"
            ),
            Err(failure) => tracing::info!(
                method = %call.method,
                path = call.template,
                code = failure.code,
                correlation_id = failure.correlation_id.as_deref(),
                ms,
                "no answer of the provider"
            ),
        }
        let status = answer
            .as_ref()
            .map_or_else(|failure| failure.code.clone(), |answer| answer.status.to_string());
        let class = format!("{} {}", call.method, call.template);
        metric::tell(Metric::ProviderCalls, 1.0, &[("Class", &class), ("Status", &status)]);
        exchange::tell(|| told(call, &answer));
        if let (Some(alarm), Ok(answer)) = (&self.alarm, &answer)
            && (200..300).contains(&answer.status)
        {
            alarm.hear(call.method.as_str(), call.template, &answer.body);
        }
        answer
    }

    async fn exchange(
        &self,
        authorization: HeaderValue,
        call: &Call,
    ) -> Result<Answer, ProviderFailure> {
        let mut request = self
            .client
            .request(call.method.clone(), format!("{}{}", self.endpoint, call.path))
            .query(&call.query)
            .header(AUTHORIZATION, authorization);
        if let Some(body) = &call.body {
            request = request.header(CONTENT_TYPE, "application/json").body(body.clone());
        }
        let mut response = request.send().await.map_err(|error| no_answer(error, None))?;
        let correlation_id = response
            .headers()
            .get("x-correlation-id")
            .and_then(|value| value.to_str().ok())
            .map(|text| text.chars().take(64).collect::<String>());
        let rate = Rate::of(response.headers());
        let mut body = Vec::new();
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if body.len() + chunk.len() > MAX_BODY_BYTES => {
                    let mut failure = super::failure::unreadable("the answer is too large");
                    failure.correlation_id = correlation_id;
                    return Err(failure);
                }
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Ok(None) => break,
                Err(error) => return Err(no_answer(error, correlation_id)),
            }
        }
        Ok(Answer { status: response.status().as_u16(), correlation_id, rate, body })
    }
}

/// A call for the evidence: neither its query nor its body, which may hold a secret.
fn told(call: &Call, answer: &Result<Answer, ProviderFailure>) -> evidence::Call {
    evidence::Call {
        request: format!("{} {}", call.method, call.template),
        status: answer.as_ref().ok().map(|answer| answer.status),
        failure: answer.as_ref().err().map(|failure| failure.code.clone()),
        correlation_id: match answer {
            Ok(answer) => answer.correlation_id.clone(),
            Err(failure) => failure.correlation_id.clone(),
        },
    }
}

/// A token that is no legal header value would fail every call: it is refused before one is made.
fn authorization(token: &SecretString) -> Result<HeaderValue, ProviderFailure> {
    let token = token.expose_secret();
    let legal = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
    let value = legal.then(|| HeaderValue::from_str(&format!("Bearer {token}")).ok()).flatten();
    let mut value = value.ok_or_else(|| {
        ProviderFailure::new(
            FailureClass::Unauthorized,
            "token_malformed",
            "the token has characters that no token has",
        )
    })?;
    value.set_sensitive(true);
    Ok(value)
}

fn no_answer(error: reqwest::Error, correlation_id: Option<String>) -> ProviderFailure {
    let (code, message) = if error.is_timeout() {
        ("timeout", "the provider did not answer in time")
    } else if error.is_connect() {
        ("connection", "the provider could not be reached")
    } else {
        ("connection", "the connection was lost before the answer was complete")
    };
    tracing::debug!(error = %error.without_url(), "transport failure");
    let mut failure = ProviderFailure::new(FailureClass::Unknown, code, message);
    failure.correlation_id = correlation_id;
    failure
}
