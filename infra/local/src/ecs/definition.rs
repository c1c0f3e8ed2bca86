//! What a task definition says about the one container that matters here.

use std::collections::BTreeMap;

use reqwest::Client;
use serde::Deserialize;
use serde_json::json;

use super::answer::EcsError;
use crate::api::{http_client, read};
use crate::error::Result;

/// A task definition, as far as it is needed.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Definition {
    /// Its full name.
    pub task_definition_arn: String,
    /// Its name without a revision.
    pub family: String,
    /// Its containers.
    pub container_definitions: Vec<Container>,
}

/// One container of a definition.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Container {
    /// Its name, which overrides refer to.
    pub name: String,
    /// Its image.
    pub image: String,
    /// Its environment.
    #[serde(default)]
    pub environment: Vec<Variable>,
    /// Seconds between the polite signal and the other one.
    pub stop_timeout: Option<u64>,
}

/// One environment variable.
#[derive(Debug, Clone, Deserialize)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

impl Container {
    /// The environment as a map.
    pub fn variables(&self) -> BTreeMap<String, String> {
        self.environment.iter().map(|it| (it.name.clone(), it.value.clone())).collect()
    }
}

/// Where definitions come from.
#[derive(Debug, Clone)]
pub enum Definitions {
    /// The emulator that the template was deployed to.
    Emulator {
        /// Its endpoint.
        url: String,
        /// What asks it.
        client: Client,
    },
    /// Always the same; for tests.
    #[cfg(test)]
    Fixed(Definition),
}

impl Definitions {
    /// Asks an emulator.
    ///
    /// # Errors
    /// No HTTP client can be made.
    pub fn from_emulator(url: String) -> Result<Self> {
        Ok(Self::Emulator { url, client: http_client()? })
    }

    /// The definition of this name or ARN.
    ///
    /// # Errors
    /// There is none, or it cannot be read.
    pub async fn find(&self, name: &str) -> std::result::Result<Definition, EcsError> {
        match self {
            Self::Emulator { url, client } => ask(client, url, name).await,
            #[cfg(test)]
            Self::Fixed(definition) => Ok(definition.clone()),
        }
    }
}

async fn ask(client: &Client, url: &str, name: &str) -> std::result::Result<Definition, EcsError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Described {
        task_definition: Definition,
    }
    let request = crate::queue::signed(client.post(url), "ecs")
        .header("X-Amz-Target", "AmazonEC2ContainerServiceV20141113.DescribeTaskDefinition")
        .header("Content-Type", "application/x-amz-json-1.1")
        .body(json!({ "taskDefinition": name }).to_string());
    let (status, text) = read(request, "DescribeTaskDefinition")
        .await
        .map_err(|error| EcsError::Client(error.to_string()))?;
    if !status.is_success() {
        return Err(EcsError::Client(format!("TaskDefinition not found: {text}")));
    }
    serde_json::from_str::<Described>(&text)
        .map(|described| described.task_definition)
        .map_err(|error| EcsError::Client(format!("task definition cannot be read: {error}")))
}
