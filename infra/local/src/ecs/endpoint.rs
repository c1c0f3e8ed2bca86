//! The four calls: reads what a client asks, answers as ECS would.

use std::sync::Arc;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::answer::EcsError;
use super::definition::{Definitions, Variable};
use super::task::Task;
use super::tasks::{Order, Outcome, Tasks};

/// The service's name before the dot of `X-Amz-Target`.
const SERVICE: &str = "AmazonEC2ContainerServiceV20141113.";

/// Tasks on one page of a list.
const PAGE: usize = 100;

/// The endpoint, whatever it is served over.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// The tasks.
    pub tasks: Arc<Tasks>,
    /// Where their definitions come from.
    pub definitions: Definitions,
    /// The only cluster.
    pub cluster: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RunTask {
    cluster: Option<String>,
    task_definition: String,
    count: Option<u32>,
    client_token: Option<String>,
    started_by: Option<String>,
    #[serde(default)]
    overrides: Overrides,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Overrides {
    #[serde(default)]
    container_overrides: Vec<ContainerOverride>,
}

#[derive(Debug, Deserialize)]
struct ContainerOverride {
    name: String,
    #[serde(default)]
    command: Vec<String>,
    #[serde(default)]
    environment: Vec<Variable>,
}

#[derive(Debug, Deserialize)]
struct DescribeTasks {
    cluster: Option<String>,
    tasks: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct StopTask {
    cluster: Option<String>,
    task: String,
    reason: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListTasks {
    cluster: Option<String>,
    started_by: Option<String>,
    desired_status: Option<String>,
    next_token: Option<String>,
}

impl Endpoint {
    /// Answers one call.
    ///
    /// # Errors
    /// What ECS would refuse.
    pub async fn call(&self, target: &str, body: Value) -> Result<Value, EcsError> {
        match target.strip_prefix(SERVICE) {
            Some("RunTask") => self.run_task(body).await,
            Some("DescribeTasks") => self.describe_tasks(read(body)?),
            Some("StopTask") => self.stop_task(read(body)?),
            Some("ListTasks") => self.list_tasks(read(body)?),
            _ => Err(EcsError::UnknownOperation(target.to_owned())),
        }
    }

    async fn run_task(&self, body: Value) -> Result<Value, EcsError> {
        let mut fingerprint = body.clone();
        if let Some(fields) = fingerprint.as_object_mut() {
            fields.remove("clientToken");
        }
        let overrides = body.get("overrides").cloned().unwrap_or_else(|| json!({}));
        let request: RunTask = read(body)?;
        self.check_cluster(request.cluster.as_deref())?;
        if request.count.is_some_and(|count| count != 1) {
            return Err(invalid("this endpoint starts one task per call"));
        }
        let definition = self.definitions.find(&request.task_definition).await?;
        let [container] = definition.container_definitions.as_slice() else {
            return Err(EcsError::Client("this endpoint runs tasks of one container".to_owned()));
        };
        let mut variables = container.variables();
        let mut arguments = Vec::new();
        for given in request.overrides.container_overrides {
            if given.name != container.name {
                return Err(invalid("Override for container that is not in the TaskDefinition."));
            }
            arguments = given.command;
            variables.extend(given.environment.into_iter().map(|it| (it.name, it.value)));
        }
        let id = crate::random::hex(16).map_err(|error| EcsError::Client(error.to_string()))?;
        let mut task = Task::accepted(id, &self.cluster, &definition, container.clone());
        task.overrides = overrides;
        task.started_by = request.started_by;
        let client_token = request.client_token;
        let outcome =
            self.tasks.run(Order { task, variables, arguments, client_token, fingerprint })?;
        Ok(match outcome {
            Outcome::Started(task) => json!({ "tasks": [task], "failures": [] }),
            Outcome::NoRoom => json!({ "tasks": [], "failures": [{ "reason": "RESOURCE:CPU" }] }),
        })
    }

    fn describe_tasks(&self, request: DescribeTasks) -> Result<Value, EcsError> {
        self.check_cluster(request.cluster.as_deref())?;
        if request.tasks.is_empty() || request.tasks.len() > 100 {
            return Err(invalid("Tasks must hold 1 to 100 ids or ARNs."));
        }
        let mut tasks = Vec::new();
        let mut failures = Vec::new();
        for name in request.tasks {
            match self.tasks.describe(&name) {
                Some(task) => tasks.push(task),
                None => failures.push(json!({ "arn": name, "reason": "MISSING" })),
            }
        }
        Ok(json!({ "tasks": tasks, "failures": failures }))
    }

    fn stop_task(&self, request: StopTask) -> Result<Value, EcsError> {
        self.check_cluster(request.cluster.as_deref())?;
        let reason = request.reason.unwrap_or_else(|| "Task stopped by user".to_owned());
        Ok(json!({ "task": self.tasks.stop(&request.task, &reason)? }))
    }

    /// Without a filter, ECS lists what is to run; who filters by `startedBy` may filter by
    /// nothing else (API reference, ListTasks).
    fn list_tasks(&self, request: ListTasks) -> Result<Value, EcsError> {
        self.check_cluster(request.cluster.as_deref())?;
        let found = match (&request.started_by, request.desired_status.as_deref()) {
            (Some(_), Some(_)) => return Err(invalid("startedBy must be the only filter.")),
            (Some(by), None) => {
                self.tasks.list(|task| !task.is_to_stop() && task.started_by.as_ref() == Some(by))
            }
            (None, None | Some("RUNNING")) => self.tasks.list(|task| !task.is_to_stop()),
            (None, Some("STOPPED")) => self.tasks.list(Task::is_to_stop),
            (None, Some(_)) => return Err(invalid("desiredStatus is RUNNING or STOPPED.")),
        };
        let from = match request.next_token.as_deref().map(str::parse) {
            None => 0,
            Some(Ok(from)) => from,
            Some(Err(_)) => return Err(invalid("Invalid token.")),
        };
        let page: Vec<_> = found.iter().skip(from).take(PAGE).collect();
        let next = (found.len() > from + PAGE).then(|| (from + PAGE).to_string());
        Ok(json!({ "taskArns": page, "nextToken": next }))
    }

    /// A cluster is named by its name or its ARN; without one, ECS takes `default`.
    fn check_cluster(&self, named: Option<&str>) -> Result<(), EcsError> {
        let name = named.map_or("default", |name| name.rsplit('/').next().unwrap_or(name));
        if name == self.cluster { Ok(()) } else { Err(EcsError::ClusterNotFound) }
    }
}

fn read<T: DeserializeOwned>(body: Value) -> Result<T, EcsError> {
    serde_json::from_value(body).map_err(|error| invalid(&error.to_string()))
}

fn invalid(message: &str) -> EcsError {
    EcsError::InvalidParameter(message.to_owned())
}
