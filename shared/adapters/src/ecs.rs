//! Container tasks on ECS: one run is one Fargate task.

mod found;

use aws_config::SdkConfig;
use aws_sdk_ecs::{
    Client,
    error::{DisplayErrorContext, ProvideErrorMetadata, SdkError},
    operation::{list_tasks::builders::ListTasksFluentBuilder, run_task::RunTaskError},
    types::{
        AssignPublicIp, AwsVpcConfiguration, ContainerOverride, DesiredStatus, LaunchType,
        NetworkConfiguration, Task, TaskOverride,
    },
};
use nodeyard_domain::run::Run;
use nodeyard_engine::runner::{Runner, RunnerError, Start, TaskState};

use crate::{aws::sent, config::TaskPlace};

/// The container that runs our entry point, as the task definition names it.
const CONTAINER: &str = "ansible";

/// Pages of stopped tasks that are looked through, 100 a page: the cluster is ours alone, and
/// forgets a stopped task after about an hour.
const MAX_PAGES: usize = 10;

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
        if let Some(task) = &run.task {
            return Ok(self.describe(vec![task.clone()]).await?.into_iter().next());
        }
        let started = self.client.list_tasks().cluster(&self.place.cluster);
        let started = started.started_by(run.job_id.as_str());
        if let (Some(task), _) = self.find_listed(run, started).await? {
            return Ok(Some(task));
        }
        // A task that was told to stop is listed there no more, and may yet be alive. Whoever
        // filters by `startedBy` may filter by nothing else (API reference, ListTasks).
        let mut next = None;
        for _ in 0..MAX_PAGES {
            let stopped = self.client.list_tasks().cluster(&self.place.cluster);
            let stopped = stopped.desired_status(DesiredStatus::Stopped).set_next_token(next);
            match self.find_listed(run, stopped).await? {
                (None, Some(token)) => next = Some(token),
                (found, _) => return Ok(found),
            }
        }
        Ok(None)
    }

    /// The run's task on one page of a list, and where the next page starts.
    async fn find_listed(
        &self,
        run: &Run,
        page: ListTasksFluentBuilder,
    ) -> Result<(Option<Task>, Option<String>)> {
        let answer = sent(page.send()).await.map_err(|error| failed(&error))?;
        let tasks = self.describe(answer.task_arns.unwrap_or_default()).await?;
        let found = tasks.into_iter().find(|task| found::is_of_run(task, run));
        Ok((found, answer.next_token))
    }

    async fn describe(&self, names: Vec<String>) -> Result<Vec<Task>> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let call = self.client.describe_tasks().cluster(&self.place.cluster);
        let call = call.set_tasks(Some(names));
        let answer = sent(call.send()).await.map_err(|error| failed(&error))?;
        // `failures[]` says MISSING for a task that is forgotten: it is just not in `tasks[]`.
        Ok(answer.tasks.unwrap_or_default())
    }

    /// What a failed RunTask means: a task that exists already, a refusal, or nothing known.
    async fn not_started(&self, run: &Run, error: SdkError<RunTaskError>) -> Result<Start> {
        let Some(service) = error.as_service_error() else { return Err(failed(&error)) };
        if let RunTaskError::ConflictException(conflict) = service {
            // The token was used with other parameters (a new task definition, say): the first
            // task is the run's task.
            let task = match conflict.resource_ids().first() {
                Some(task) => Some(task.clone()),
                None => self.find(run).await?.and_then(|task| task.task_arn),
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
        let call = self
            .client
            .run_task()
            .cluster(&self.place.cluster)
            .task_definition(&self.place.task_definition)
            .launch_type(LaunchType::Fargate)
            .count(1)
            .client_token(found::client_token(run))
            .started_by(run.job_id.as_str())
            .set_network_configuration(self.network()?)
            .overrides(TaskOverride::builder().container_overrides(container).build());
        match sent(call.send()).await {
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
        let call = self.client.stop_task().cluster(&self.place.cluster);
        let call = call.task(task.task_arn.unwrap_or_default());
        match sent(call.reason("the run was asked to stop").send()).await {
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
