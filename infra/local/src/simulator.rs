//! Speaks to the simulator: its control API, and the provider's API it serves.

use reqwest::Client;
use serde_json::Value;

use crate::api::{http_client, read};
use crate::demo::JournalEntry;
use crate::error::{Result, XtaskError};
use crate::state::{Backing, StackState};

/// What the journal calls the token that Nodeyard is given.
pub const PROVIDER_TOKEN: &str = "main";
/// What the journal calls the token that only looks; its calls are not Nodeyard's.
pub const OBSERVER_TOKEN: &str = "observer";

/// The simulator of one stack.
#[derive(Debug, Clone)]
pub struct Simulator {
    client: Client,
    url: String,
    token: String,
}

impl Simulator {
    /// The simulator of a stack.
    ///
    /// # Errors
    /// No HTTP client can be made.
    pub fn of(state: &StackState) -> Result<Self> {
        Ok(Self {
            client: http_client()?,
            url: state.simulator_url.clone(),
            token: state.observer_token.clone(),
        })
    }

    /// What stands behind its servers.
    ///
    /// # Errors
    /// No answer, or none that can be read.
    pub async fn backing(&self) -> Result<Backing> {
        let answer = self.get("/_sim/backing").await?;
        serde_json::from_value(answer).map_err(|error| XtaskError::Answer {
            context: "GET /_sim/backing".to_owned(),
            detail: error.to_string(),
        })
    }

    /// How many servers there are, as the provider's API tells any client.
    ///
    /// # Errors
    /// No answer, or none that can be read.
    pub async fn server_count(&self) -> Result<u64> {
        let answer = self.get("/v1/servers").await?;
        answer.pointer("/meta/pagination/total_entries").and_then(Value::as_u64).ok_or_else(|| {
            XtaskError::Answer { context: "GET /v1/servers".to_owned(), detail: answer.to_string() }
        })
    }

    /// Every request so far, in the order of arrival.
    ///
    /// # Errors
    /// No answer, or none that can be read.
    pub async fn journal(&self) -> Result<Vec<JournalEntry>> {
        #[derive(serde::Deserialize)]
        struct Journal {
            entries: Vec<JournalEntry>,
        }
        let answer = self.get("/_sim/journal").await?;
        serde_json::from_value::<Journal>(answer).map(|journal| journal.entries).map_err(|error| {
            XtaskError::Answer {
                context: "GET /_sim/journal".to_owned(),
                detail: error.to_string(),
            }
        })
    }

    /// What a path answers.
    ///
    /// # Errors
    /// No answer, or an error.
    pub async fn get(&self, path: &str) -> Result<Value> {
        let context = format!("GET {path}");
        let request = self.client.get(format!("{}{path}", self.url)).bearer_auth(&self.token);
        let (status, text) = read(request, &context).await?;
        if !status.is_success() {
            return Err(XtaskError::Answer { context, detail: format!("{status}\n{text}") });
        }
        serde_json::from_str(&text)
            .map_err(|error| XtaskError::Answer { context, detail: error.to_string() })
    }
}
