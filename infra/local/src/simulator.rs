//! Speaks to the simulator: its control API, and the provider's API it serves.

use reqwest::{Client, Method};
use serde::Deserialize;
use serde_json::Value;

use crate::api::{http_client, read};
use crate::error::{Result, XtaskError};
use crate::journal::Entry;
use crate::state::{Backing, StackState};

/// What the journal calls the token that Nodeyard is given.
pub const PROVIDER_TOKEN: &str = "main";
/// What the journal calls the token that only looks; its calls are not Nodeyard's.
pub const OBSERVER_TOKEN: &str = "observer";

/// The project that Nodeyard is connected to.
pub const PROJECT: &str = "demo";

/// What there is.
#[derive(Debug, Clone, Deserialize)]
pub struct World {
    /// Servers, those being deleted included.
    pub servers: Vec<LiveServer>,
    /// Primary IPs.
    pub primary_ips: Vec<LiveIp>,
    /// How many placement groups there are, in all projects.
    pub placement_groups: u64,
}

/// A server there is.
#[derive(Debug, Clone, Deserialize)]
pub struct LiveServer {
    /// Its id.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// Whose it is.
    pub project: String,
    /// As the provider's API names it.
    pub status: String,
}

/// A Primary IP there is.
#[derive(Debug, Clone, Deserialize)]
pub struct LiveIp {
    /// Its id.
    pub id: u64,
    /// Whose it is.
    pub project: String,
}

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
        self.read("/_sim/backing").await
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

    /// Every request so far, in the order of arrival, with bodies.
    ///
    /// # Errors
    /// No answer, or none that can be read.
    pub async fn journal(&self) -> Result<Vec<Entry>> {
        #[derive(Deserialize)]
        struct Journal {
            entries: Vec<Entry>,
        }
        self.read::<Journal>("/_sim/journal?bodies=true").await.map(|journal| journal.entries)
    }

    /// What there is in a project now.
    ///
    /// # Errors
    /// No answer, or none that can be read.
    pub async fn world(&self, project: &str) -> Result<World> {
        let mut world = self.read::<World>("/_sim/world").await?;
        world.servers.retain(|server| server.project == project);
        world.primary_ips.retain(|ip| ip.project == project);
        Ok(world)
    }

    /// Makes something go wrong: a fault as the simulator's guide describes them.
    ///
    /// # Errors
    /// It was refused.
    pub async fn arm(&self, fault: &Value) -> Result<()> {
        self.ask(Method::POST, "/_sim/faults", Some(fault)).await.map(drop)
    }

    /// From now on nothing goes wrong.
    ///
    /// # Errors
    /// No answer.
    pub async fn disarm_all(&self) -> Result<()> {
        self.ask(Method::DELETE, "/_sim/faults", None).await.map(drop)
    }

    /// Changes settings.
    ///
    /// # Errors
    /// They were refused.
    pub async fn change_settings(&self, change: &Value) -> Result<()> {
        self.ask(Method::PATCH, "/_sim/settings", Some(change)).await.map(drop)
    }

    /// Adds a token that may read and write.
    ///
    /// # Errors
    /// It was refused.
    pub async fn add_token(&self, name: &str, secret: &str, project: &str) -> Result<()> {
        self.put_token(name, secret, "rw", project).await
    }

    /// Adds a token, or replaces the one of this name; `access` is `rw` or `ro`.
    ///
    /// # Errors
    /// It was refused.
    pub async fn put_token(
        &self,
        name: &str,
        secret: &str,
        access: &str,
        project: &str,
    ) -> Result<()> {
        let token = serde_json::json!({
            "name": name, "secret": secret, "access": access, "project": project,
        });
        self.ask(Method::POST, "/_sim/tokens", Some(&token)).await.map(drop)
    }

    /// Revokes a token.
    ///
    /// # Errors
    /// There is none of this name.
    pub async fn revoke_token(&self, name: &str) -> Result<()> {
        self.ask(Method::DELETE, &format!("/_sim/tokens/{name}"), None).await.map(drop)
    }

    async fn read<T: serde::de::DeserializeOwned>(&self, path: &str) -> Result<T> {
        let answer = self.get(path).await?;
        serde_json::from_value(answer).map_err(|error| XtaskError::Answer {
            context: format!("GET {path}"),
            detail: error.to_string(),
        })
    }

    /// What a path answers.
    ///
    /// # Errors
    /// No answer, or an error.
    pub async fn get(&self, path: &str) -> Result<Value> {
        self.ask(Method::GET, path, None).await
    }

    /// Creates a server that is nobody's node; answers with its address.
    ///
    /// # Errors
    /// It was refused.
    pub async fn create_server(&self, token: &str, body: &Value) -> Result<String> {
        let writer = Self { token: token.to_owned(), ..self.clone() };
        let made = writer.ask(Method::POST, "/v1/servers", Some(body)).await?;
        crate::api::text(&made, "/server/public_net/ipv4/ip")
    }

    /// Does something to a server past Nodeyard, as somebody with a token of the project can.
    ///
    /// # Errors
    /// It was refused.
    pub async fn act(&self, token: &str, method: Method, path: &str) -> Result<()> {
        let owner = Self { token: token.to_owned(), ..self.clone() };
        owner.ask(method, path, None).await.map(drop)
    }

    /// Overwrites the disk of a server in the provider's console, which this API has no path for.
    ///
    /// # Errors
    /// It was refused.
    pub async fn rebuild(&self, server: u64) -> Result<()> {
        let server = server.to_string();
        let deed = serde_json::json!({"do": "rebuild", "project": PROJECT, "server": server, "image": "debian-13"});
        self.ask(Method::POST, "/_sim/actor", Some(&deed)).await.map(drop)
    }

    async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value> {
        let context = format!("{method} {path}");
        let mut request =
            self.client.request(method, format!("{}{path}", self.url)).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(body);
        }
        let (status, text) = read(request, &context).await?;
        if !status.is_success() {
            return Err(XtaskError::Answer { context, detail: format!("{status}\n{text}") });
        }
        serde_json::from_str(&text)
            .map_err(|error| XtaskError::Answer { context, detail: error.to_string() })
    }
}
