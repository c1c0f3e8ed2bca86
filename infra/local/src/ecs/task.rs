//! One task: what was asked, where it stands, and how ECS describes it.

use std::time::{Duration, SystemTime};

use serde_json::{Map, Value, json};

use super::definition::{Container, Definition};

/// ECS shows a stopped task for at least this long.
const RETENTION: Duration = Duration::from_secs(3600);

/// Where a task stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// Accepted, not started.
    Provisioning,
    /// Its process runs.
    Running,
    /// It has ended, or never began.
    Stopped(Stopped),
}

/// How a task ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stopped {
    /// What the container ended with; none if it never started.
    pub exit_code: Option<i32>,
    /// Why, in ECS's words.
    pub code: StopCode,
    /// Why, for a person.
    pub reason: String,
    /// When.
    pub at: SystemTime,
}

/// Why a task stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopCode {
    /// Its only container ended.
    EssentialContainerExited,
    /// It could not be started.
    TaskFailedToStart,
    /// StopTask.
    UserInitiated,
}

impl StopCode {
    fn word(self) -> &'static str {
        match self {
            Self::EssentialContainerExited => "EssentialContainerExited",
            Self::TaskFailedToStart => "TaskFailedToStart",
            Self::UserInitiated => "UserInitiated",
        }
    }
}

/// One task.
#[derive(Debug, Clone)]
pub struct Task {
    /// Its id, the last part of its ARN.
    pub id: String,
    /// Its ARN.
    pub arn: String,
    /// The ARN of its cluster.
    pub cluster_arn: String,
    /// The ARN of its definition.
    pub definition_arn: String,
    /// The family of its definition.
    pub family: String,
    /// Its container.
    pub container: Container,
    /// The overrides as they were given.
    pub overrides: Value,
    /// Who started it; here, a job's id.
    pub started_by: Option<String>,
    /// When it was accepted.
    pub created_at: SystemTime,
    /// When its process started.
    pub started_at: Option<SystemTime>,
    /// Why somebody wants it stopped.
    pub stop_asked: Option<String>,
    /// Where it stands.
    pub status: Status,
}

impl Task {
    /// A task that has been accepted.
    pub fn accepted(
        id: String,
        cluster: &str,
        definition: &Definition,
        container: Container,
    ) -> Self {
        let prefix = definition
            .task_definition_arn
            .split_once(":task-definition/")
            .map_or("arn:aws:ecs:us-east-1:000000000000", |(prefix, _)| prefix);
        Self {
            arn: format!("{prefix}:task/{cluster}/{id}"),
            cluster_arn: format!("{prefix}:cluster/{cluster}"),
            definition_arn: definition.task_definition_arn.clone(),
            family: definition.family.clone(),
            id,
            container,
            overrides: json!({}),
            started_by: None,
            created_at: SystemTime::now(),
            started_at: None,
            stop_asked: None,
            status: Status::Provisioning,
        }
    }

    /// Whether it has ended.
    pub fn is_stopped(&self) -> bool {
        matches!(self.status, Status::Stopped(_))
    }

    /// Whether it has ended, or is to.
    pub fn is_to_stop(&self) -> bool {
        self.stop_asked.is_some() || self.is_stopped()
    }

    /// Whether ECS has forgotten it.
    pub fn is_forgotten(&self) -> bool {
        match &self.status {
            Status::Stopped(stopped) => stopped.at.elapsed().unwrap_or_default() > RETENTION,
            Status::Provisioning | Status::Running => false,
        }
    }

    /// Whether a client that names a task by id or ARN means this one.
    pub fn is_called(&self, name: &str) -> bool {
        name == self.id || name == self.arn
    }

    /// The task as DescribeTasks shows it.
    pub fn describe(&self) -> Value {
        let status = match self.status {
            Status::Provisioning => "PROVISIONING",
            Status::Running => "RUNNING",
            Status::Stopped(_) => "STOPPED",
        };
        let wanted = if self.is_to_stop() { "STOPPED" } else { "RUNNING" };
        let mut container = json!({
            "containerArn": self.arn.replacen(":task/", ":container/", 1),
            "taskArn": self.arn,
            "name": self.container.name,
            "image": self.container.image,
            "lastStatus": if status == "PROVISIONING" { "PENDING" } else { status },
            "networkInterfaces": [],
        });
        let mut task = json!({
            "taskArn": self.arn,
            "clusterArn": self.cluster_arn,
            "taskDefinitionArn": self.definition_arn,
            "group": format!("family:{}", self.family),
            "launchType": "FARGATE",
            "lastStatus": status,
            "desiredStatus": wanted,
            "overrides": self.overrides,
            "createdAt": epoch_secs(self.created_at),
            "version": 1,
            "attachments": [],
        });
        set(&mut task, "startedBy", self.started_by.as_ref());
        set(&mut task, "startedAt", self.started_at.map(epoch_secs));
        if let Status::Stopped(stopped) = &self.status {
            set(&mut container, "exitCode", stopped.exit_code);
            set(&mut task, "stopCode", Some(stopped.code.word()));
            set(&mut task, "stoppedReason", Some(&stopped.reason));
            set(&mut task, "stoppedAt", Some(epoch_secs(stopped.at)));
        }
        set(&mut task, "containers", Some([container]));
        task
    }
}

/// Sets a field that may be absent; ECS leaves out what is not known.
fn set(object: &mut Value, name: &str, value: Option<impl serde::Serialize>) {
    let fields: Option<&mut Map<String, Value>> = object.as_object_mut();
    if let (Some(fields), Some(value)) = (fields, value) {
        fields.insert(name.to_owned(), json!(value));
    }
}

/// AWS JSON has times as seconds since 1970, with a fraction.
fn epoch_secs(time: SystemTime) -> f64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}
