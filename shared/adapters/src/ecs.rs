//! Container tasks on ECS: one run is one Fargate task.

mod found;

use aws_config::SdkConfig;
use aws_sdk_ecs::{
    Client,
    error::{DisplayErrorContext, ProvideErrorMetadata, SdkError},
    operation::run_task::RunTaskError,
    types::{
        AssignPublicIp, AwsVpcConfiguration, ContainerOverride, DesiredStatus, LaunchType,
        NetworkConfiguration, Task, TaskOverride,
    },
};
use nodeyard_domain::run::Run;
use nodeyard_engine::runner::{Runner, RunnerError, Start, TaskState};

use crate::config::TaskPlace;

/// The container that runs our entry point, as the task definition names it.
const CONTAINER: &str = "ansible";

#[derive(Debug, Clone)]
pub struct EcsRunner {
    client: Client,
    place: TaskPlace,
}

type Result<T> = std::result::Result<T, RunnerError>;

impl EcsRunner {
    pub fn new(config: &SdkConfig, place: TaskPlace) -> Self {
        Self { client: Client::new(config), place }
    }

    /// `None` where the place needs no network settings (a local endpoint); AWS refuses that.
    fn network(&self) -> Result<Option<NetworkConfiguration>> {
        if self.place.subnets.is_empty() {
            return Ok(None);
        }
        let vpc = AwsVpcConfiguration::builder()
            .set_subnets(Some(self.place.subnets.clone()))
            .set_security_groups(Some(self.place.security_groups.clone()))
            // The template's subnets are public where egress is not fixed; in a private subnet
            // behind a NAT gateway the address is simply not used.
            .assign_public_ip(AssignPublicIp::Enabled)
            .build()
            .map_err(|error| RunnerError(error.to_string()))?;
        Ok(Some(NetworkConfiguration::builder().awsvpc_configuration(vpc).build()))
    }

    /// The run's task by its recorded name, else among the tasks that its job started.
    async fn find(&self, run: &Run) -> Result<Option<Task>> {
        match &run.task {
            Some(task) => Ok(self.describe(vec![task.clone()]).await?.into_iter().next()),
            None => {
                let names = self.list(run).await?;
                let tasks = self.describe(names).await?;
                Ok(tasks.into_iter().find(|task| found::is_of_run(task, run)))
            }
        }
    }

    /// Names of the tasks that the run's job started: those that are to run, then those that have
    /// stopped (which the service forgets after about an hour).
    async fn list(&self, run: &Run) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for desired in [DesiredStatus::Running, DesiredStatus::Stopped] {
            let answer = self
                .client
                .list_tasks()
                .cluster(&self.place.cluster)
                .started_by(run.job_id.as_str())
                .desired_status(desired)
                .send()
                .await
                .map_err(|error| failed(&error))?;
            names.extend(answer.task_arns.unwrap_or_default());
        }
        Ok(names)
    }

    async fn describe(&self, names: Vec<String>) -> Result<Vec<Task>> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let answer = self
            .client
            .describe_tasks()
            .cluster(&self.place.cluster)
            .set_tasks(Some(names))
            .send()
            .await
            .map_err(|error| failed(&error))?;
        // `failures[]` says MISSING for a task that is forgotten: it is just not in `tasks[]`.
        Ok(answer.tasks.unwrap_or_default())
    }

    /// What a failed RunTask means: a task that exists already, a refusal, or nothing known.
    async fn not_started(&self, run: &Run, error: SdkError<RunTaskError>) -> Result<Start> {
        let Some(service) = error.as_service_error() else { return Err(failed(&error)) };
        if let RunTaskError::ConflictException(conflict) = service {
            // The token was used with other parameters (a new task definition, say): the first
            // task is the run's task.
            let listed = conflict.resource_ids();
            let task = match self.find(run).await? {
                Some(task) => task.task_arn,
                None => listed.first().cloned(),
            };
            return Ok(match task {
                Some(task) => Start::Started { task },
                None => Start::Refused {
                    message: "the run's start conflicts with one that is not known".to_owned(),
                },
            });
        }
        if found::is_refusal(service.code()) {
            let code = service.code().unwrap_or_default();
            let message = service.message().unwrap_or_default();
            return Ok(Start::Refused { message: format!("{code}: {message}") });
        }
        Err(failed(&error))
    }
}

impl Runner for EcsRunner {
    async fn start(&self, run: &Run) -> Result<Start> {
        let container = ContainerOverride::builder()
            .name(CONTAINER)
            .set_command(Some(found::command(run)))
            .build();
        let answer = self
            .client
            .run_task()
            .cluster(&self.place.cluster)
            .task_definition(&self.place.task_definition)
            .launch_type(LaunchType::Fargate)
            .count(1)
            .client_token(found::client_token(run))
            .started_by(run.job_id.as_str())
            .set_network_configuration(self.network()?)
            .overrides(TaskOverride::builder().container_overrides(container).build())
            .send()
            .await;
        match answer {
            Ok(answer) => {
                let task = answer.tasks().iter().find_map(|task| task.task_arn.clone());
                Ok(match task {
                    Some(task) => Start::Started { task },
                    None => Start::Refused { message: found::reasons(answer.failures()) },
                })
            }
            Err(error) => self.not_started(run, error).await,
        }
    }

    async fn look(&self, run: &Run) -> Result<TaskState> {
        Ok(self.find(run).await?.as_ref().map_or(TaskState::Missing, found::state))
    }

    async fn stop(&self, run: &Run) -> Result<()> {
        let Some(task) = self.find(run).await? else { return Ok(()) };
        if found::state(&task) != TaskState::Running {
            return Ok(());
        }
        let answer = self
            .client
            .stop_task()
            .cluster(&self.place.cluster)
            .task(task.task_arn.unwrap_or_default())
            .reason("the run was asked to stop")
            .send()
            .await;
        match answer {
            Ok(_) => Ok(()),
            // It ended between the look and the stop.
            Err(error) if error.code() == Some("InvalidParameterException") => Ok(()),
            Err(error) => Err(failed(&error)),
        }
    }
}

fn failed<E>(error: &SdkError<E>) -> RunnerError
where
    E: std::error::Error + 'static,
{
    RunnerError(DisplayErrorContext(error).to_string())
}
