//! Speaks to Nodeyard's own API, as any client would.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

use crate::error::{Result, XtaskError};
use crate::state::StackState;

/// A client that goes straight to where it is told, whatever proxy is set.
///
/// # Errors
/// TLS cannot be set up.
pub fn http_client() -> Result<Client> {
    Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(30))
        .build()
        .map_err(|source| XtaskError::Http { context: "HTTP client".to_owned(), source })
}

/// What was answered, kept by a drill that looks at it afterwards.
pub type Tape = Arc<Mutex<Vec<Answer>>>;

/// One answer, as it came.
#[derive(Debug, Clone)]
pub struct Answer {
    /// What was asked, without what the asker put into it.
    pub asked: String,
    /// Status, headers and body.
    pub bytes: Vec<u8>,
}

/// The API of one stack, called with one token.
#[derive(Debug, Clone)]
pub struct Api {
    client: Client,
    url: String,
    token: String,
    tape: Option<Tape>,
}

impl Api {
    /// The API of a stack that has been deployed.
    ///
    /// # Errors
    /// It has not been.
    pub fn of(state: &StackState) -> Result<Self> {
        match (&state.api_url, &state.token) {
            (Some(url), Some(token)) => {
                let (url, token) = (url.clone(), token.clone());
                Ok(Self { client: http_client()?, url, token, tape: None })
            }
            _ => Err(XtaskError::NotUp(state.stack.clone())),
        }
    }

    /// The same, with every answer kept on a tape.
    pub fn taped(&self, tape: &Tape) -> Self {
        Self { tape: Some(tape.clone()), ..self.clone() }
    }

    /// The same, called with another token.
    pub fn with_token(&self, token: &str) -> Self {
        Self { token: token.to_owned(), ..self.clone() }
    }

    /// Where it answers.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Makes an API token; answers with its secret.
    ///
    /// # Errors
    /// It was refused.
    pub async fn make_token(&self, name: &str, scopes: &[&str]) -> Result<String> {
        let body = json!({ "name": name, "scopes": scopes });
        let made = self.call(Method::POST, "/tokens", Some(&body)).await?;
        text(&made, "/secret")
    }

    /// One call that must be answered well; an empty answer is `null`.
    ///
    /// # Errors
    /// No answer, or an error, with its problem document.
    pub async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value> {
        let context = format!("{method} {path}");
        let mut request = self.authorized(method, path);
        if let Some(body) = body {
            request = request.json(body);
        }
        let (status, text) = self.send(request, &context).await?;
        if !status.is_success() {
            return Err(XtaskError::Answer { context, detail: format!("{status}\n{text}") });
        }
        if text.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(&text)
            .map_err(|error| XtaskError::Answer { context, detail: format!("{error}\n{text}") })
    }

    /// A request to be completed and sent with [`Api::send`]; it carries no token.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url))
    }

    /// The same with the token.
    pub fn authorized(&self, method: Method, path: &str) -> RequestBuilder {
        self.request(method, path).bearer_auth(&self.token)
    }

    /// Sends a request; whatever the answer is, it is given back. `context` is what was asked.
    ///
    /// # Errors
    /// No answer.
    pub async fn send(
        &self,
        request: RequestBuilder,
        context: &str,
    ) -> Result<(StatusCode, String)> {
        let failed = |source| XtaskError::Http { context: context.to_owned(), source };
        let answer = request.send().await.map_err(failed)?;
        let status = answer.status();
        let mut head = format!("{status}\n").into_bytes();
        for (name, value) in answer.headers() {
            head.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\n"].concat());
        }
        let text = answer.text().await.map_err(failed)?;
        if let Some(tape) = &self.tape {
            let bytes = [head.as_slice(), b"\n", text.as_bytes()].concat();
            // A list that grows in single steps is never half changed.
            let mut tape = tape.lock().unwrap_or_else(PoisonError::into_inner);
            tape.push(Answer { asked: context.to_owned(), bytes });
        }
        Ok((status, text))
    }

    /// What `GET` answers.
    ///
    /// # Errors
    /// As [`Api::call`].
    pub async fn get(&self, path: &str) -> Result<Value> {
        self.call(Method::GET, path, None).await
    }
}

/// Sends a request and reads its answer to the end.
///
/// # Errors
/// No answer.
pub async fn read(request: RequestBuilder, context: &str) -> Result<(StatusCode, String)> {
    let failed = |source| XtaskError::Http { context: context.to_owned(), source };
    let answer = request.send().await.map_err(failed)?;
    let status = answer.status();
    Ok((status, answer.text().await.map_err(failed)?))
}

/// A text that an answer must hold, by JSON pointer.
///
/// # Errors
/// It does not.
pub fn text(answer: &Value, pointer: &str) -> Result<String> {
    answer.pointer(pointer).and_then(Value::as_str).map(str::to_owned).ok_or_else(|| {
        XtaskError::Answer { context: format!("no text at {pointer}"), detail: answer.to_string() }
    })
}
