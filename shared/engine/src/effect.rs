//! Performing one effect: each arm is one call to the outside and what came of it.

use jiff::SignedDuration;
use nodeyard_domain::{
    connection::Connection,
    host_key::{HostPins, first_host_key},
    job::{Effect, Job},
    node::{Node, Server},
    observation::{FailureClass, Outcome, ProviderFailure},
    ownership::{self, DeploymentKey},
    placement::Rung,
    run::Run,
    user_data,
};

use crate::{
    Clock,
    driver::Driver,
    provider::{ActionState, CreateServer, FoundServer, Provider, Remains},
    queue::WakeQueue,
    runner::{Runner, Start, TaskState},
    secrets::{Secrets, SecretsError},
    store::{JobStore, Loaded, RunStore, RunWrite, StoreError},
};

type Result<T> = std::result::Result<T, StoreError>;

/// A failure that is told to `step`, in the words of the provider's failures.
fn unanswered(code: &str, message: impl ToString) -> ProviderFailure {
    ProviderFailure::new(FailureClass::Unknown, code, message.to_string())
}

/// A secret that cannot be read before a call: nothing was sent, so nothing is unknown.
fn no_secret(error: &SecretsError) -> Outcome {
    let (class, code) = match error {
        SecretsError::Missing(_) => (FailureClass::Unauthorized, "secret_missing"),
        SecretsError::Unavailable(_) => (FailureClass::Busy, "secrets_unavailable"),
    };
    Outcome::Failed(ProviderFailure::new(class, code, error.to_string()))
}

impl<S, Q, P, R, X, C> Driver<S, Q, P, R, X, C>
where
    S: JobStore + RunStore,
    Q: WakeQueue,
    P: Provider,
    R: Runner,
    X: Secrets,
    C: Clock,
{
    /// Performs an effect and says what was observed. Only the store's own failures are errors.
    pub(crate) async fn observe(&self, loaded: &Loaded, effect: &Effect) -> Result<Outcome> {
        let Loaded { job, node } = loaded;
        match effect {
            Effect::TakeNode => {
                let taken = self.store.take_node(&node.id, &job.id).await?;
                Ok(if taken { Outcome::NodeTaken } else { Outcome::NodeBusy })
            }
            Effect::StartRun { number } => self.start_run(job, node, *number).await,
            Effect::LookAtRun { number } => self.look_at_run(job, *number).await,
            Effect::StopRun { number } => self.stop_run(job, node, *number).await,
            call => match self.store.connection(&job.connection).await? {
                Some(connection) => Ok(self.call(job, node, &connection, call).await),
                None => Ok(Outcome::Failed(ProviderFailure::new(
                    FailureClass::Unauthorized,
                    "connection_missing",
                    format!("the connection {} does not exist", job.connection),
                ))),
            },
        }
    }

    /// The calls to the provider.
    async fn call(&self, job: &Job, node: &Node, on: &Connection, call: &Effect) -> Outcome {
        let outcome = match call {
            Effect::EnsureKey => match &on.key {
                Some(key) => self.provider.ensure_key(on, key).await.map(|_| Outcome::KeyReady),
                None => Err(ProviderFailure::new(
                    FailureClass::ReadOnly,
                    "no_managed_key",
                    "the connection has no managed key: no write has succeeded with its token",
                )),
            },
            Effect::FindServer => self.find_server(job, node, on).await,
            Effect::CreateServer { rung, attempt } => {
                return self.create_server(job, node, on, rung, *attempt).await;
            }
            Effect::PollAction { action_id } => {
                self.provider.actions(on, &[*action_id]).await.map(|mut states| {
                    match states.remove(action_id) {
                        Some(ActionState::Running) => Outcome::ActionRunning,
                        Some(ActionState::Succeeded) => Outcome::ActionSucceeded,
                        Some(ActionState::Failed { code, message }) => {
                            Outcome::ActionFailed { code, message }
                        }
                        None => Outcome::ActionMissing,
                    }
                })
            }
            Effect::FetchServer { server_id } => self
                .provider
                .server(on, *server_id)
                .await
                .map(|found| Outcome::ServerSeen { server: found.server, status: found.status }),
            Effect::DeleteServer { server_id } => {
                self.provider.delete_server(on, *server_id).await.map(|()| Outcome::DeleteAccepted)
            }
            Effect::ConfirmGone { server_id, primary_ips } => {
                self.provider.remains(on, *server_id, primary_ips).await.map(
                    |remains| match remains {
                        Remains::Nothing => Outcome::Gone,
                        Remains::StillThere => Outcome::StillThere,
                        Remains::MarkerMissing => Outcome::MarkerMissing,
                    },
                )
            }
            Effect::TakeNode
            | Effect::StartRun { .. }
            | Effect::LookAtRun { .. }
            | Effect::StopRun { .. } => Ok(Outcome::Nothing),
        };
        outcome.unwrap_or_else(Outcome::Failed)
    }

    async fn find_server(
        &self,
        job: &Job,
        node: &Node,
        on: &Connection,
    ) -> std::result::Result<Outcome, ProviderFailure> {
        let key = match self.secrets.deployment_key().await {
            Ok(key) => key,
            Err(error) => return Ok(no_secret(&error)),
        };
        Ok(match self.provider.find_server(on, &node.server_name).await? {
            None => Outcome::ServerAbsent,
            Some(FoundServer { server, status, labels }) => {
                let attempt = job.attempt.max(node.attempts);
                let ownership =
                    ownership::judge(&key, &self.deployment, &node.id, attempt, &labels);
                let attempt = match ownership {
                    ownership::Ownership::Older { attempt } => attempt,
                    _ => attempt,
                };
                Outcome::ServerFound { server: Server { attempt, ..server }, ownership, status }
            }
        })
    }

    async fn create_server(
        &self,
        job: &Job,
        node: &Node,
        on: &Connection,
        rung: &Rung,
        attempt: u32,
    ) -> Outcome {
        let Some(managed) = &on.key else {
            return Outcome::Failed(ProviderFailure::new(
                FailureClass::ReadOnly,
                "no_managed_key",
                "the connection has no managed key",
            ));
        };
        let key = match self.secrets.deployment_key().await {
            Ok(key) => key,
            Err(error) => return no_secret(&error),
        };
        let mut authorized_keys = vec![managed.public_key.clone()];
        authorized_keys.extend(node.spec.authorized_keys.iter().cloned());
        let host_key = match first_host_key(&key, &node.id, attempt) {
            Ok(host_key) => host_key,
            Err(error) => {
                let failure =
                    ProviderFailure::new(FailureClass::Invalid, "host_key", error.to_string());
                return Outcome::Failed(failure);
            }
        };
        let body = CreateServer {
            name: job.server_name.clone(),
            server_type: rung.server_type.clone(),
            location: rung.location.clone(),
            image: node.spec.image.clone(),
            ssh_keys: vec![managed.provider_id],
            labels: ownership::labels(
                &self.deployment,
                &node.id,
                &ownership::nonce(&key, &node.id, attempt),
            ),
            user_data: user_data::cloud_config(&node.spec.name, &authorized_keys, &host_key),
            attempt,
        };
        match self.provider.create_server(on, &body).await {
            Ok(created) => Outcome::Created {
                server: Server { attempt, ..created.server },
                action_id: created.action_id,
                expect_secs: None,
            },
            Err(failure) => Outcome::Failed(failure),
        }
    }

    async fn start_run(&self, job: &Job, node: &Node, number: u32) -> Result<Outcome> {
        let Some((server, address)) = job
            .server
            .as_ref()
            .and_then(|server| server.ipv4.clone().map(|address| (server, address)))
        else {
            let message = "the server's address is not known yet".to_owned();
            return Ok(Outcome::RunRefused { message });
        };
        let key = match self.secrets.deployment_key().await {
            Ok(key) => key,
            Err(error) => return Ok(Outcome::RunRefused { message: error.to_string() }),
        };
        if let Err(message) = self.pin_first_key(&key, node, server).await? {
            return Ok(Outcome::RunRefused { message });
        }
        let connection = self.store.connection(&job.connection).await?;
        let managed = connection.as_ref().and_then(|connection| connection.key.as_ref());
        let now = self.clock.now();
        // A run has at most what is left of the job, and always enough to fail in order.
        let least = now + SignedDuration::from_mins(1);
        let run = Run {
            job_id: job.id.clone(),
            number,
            node_id: node.id.clone(),
            connection: job.connection.clone(),
            server_id: server.id,
            address,
            profile: node.spec.profile,
            vars: node.spec.vars.clone(),
            authorized_keys: managed
                .map(|key| key.public_key.clone())
                .into_iter()
                .chain(node.spec.authorized_keys.iter().cloned())
                .collect(),
            allow_ssh_from: node.spec.allow_ssh_from.clone(),
            key_versions: managed.map(|key| key.version).into_iter().collect(),
            created_at: now,
            deadline_at: job.deadline_at.max(least),
            task: None,
            stop_requested: false,
            result: None,
        };
        let run = match self.store.put_run(&run).await? {
            RunWrite::Written => run,
            RunWrite::Exists(known) if known.stop_requested => {
                let message = "the run was stopped before it started".to_owned();
                return Ok(Outcome::RunRefused { message });
            }
            RunWrite::Exists(known) => *known,
        };
        match self.runner.start(&run).await {
            Ok(Start::Started { task }) => {
                self.store.set_run_task(&job.id, number, &task).await?;
                Ok(Outcome::RunStarted)
            }
            Ok(Start::Refused { message }) => Ok(Outcome::RunRefused { message }),
            Err(error) => Ok(Outcome::RunRefused { message: error.to_string() }),
        }
    }

    /// Pins the delivered host key for a server that has no pins yet. Pins of an earlier server
    /// mean nothing for this one.
    async fn pin_first_key(
        &self,
        key: &DeploymentKey,
        node: &Node,
        server: &Server,
    ) -> Result<std::result::Result<(), String>> {
        let known = self.store.pins(&node.id).await?;
        if known.as_ref().is_some_and(|pins| pins.server_id == server.id) {
            return Ok(Ok(()));
        }
        let host_key = match first_host_key(key, &node.id, server.attempt) {
            Ok(host_key) => host_key,
            Err(error) => return Ok(Err(error.to_string())),
        };
        let pins = HostPins::delivered(server.id, host_key.public);
        // Losing to another worker is fine: it writes the same pins.
        self.store.put_pins(&node.id, known.as_ref(), &pins).await?;
        Ok(Ok(()))
    }

    async fn look_at_run(&self, job: &Job, number: u32) -> Result<Outcome> {
        let Some(run) = self.store.run(&job.id, number).await? else {
            return Ok(Outcome::RunLost { message: "the run's record is missing".into() });
        };
        if let Some(result) = run.result {
            return Ok(Outcome::RunFinished(result));
        }
        match self.runner.look(&run).await {
            Ok(TaskState::Running) => Ok(Outcome::RunRunning),
            Ok(state) => {
                // The task may have written its result just before it was seen stopped.
                let again = self.store.run(&job.id, number).await?.and_then(|run| run.result);
                Ok(match (again, state) {
                    (Some(result), _) => Outcome::RunFinished(result),
                    (None, TaskState::Stopped { exit_code, reason }) => Outcome::RunLost {
                        message: match exit_code {
                            Some(code) => format!("the task ended with {code}: {reason}"),
                            None => format!("the task ended without an exit code: {reason}"),
                        },
                    },
                    (None, _) => Outcome::RunLost {
                        message: "the container service does not know the task".into(),
                    },
                })
            }
            Err(error) => Ok(Outcome::Failed(unanswered("task_unknown", error))),
        }
    }

    async fn stop_run(&self, job: &Job, node: &Node, number: u32) -> Result<Outcome> {
        let now = self.clock.now();
        let Some(run) = self.store.stop_run(&job.id, &node.id, number, now).await? else {
            // No record, and a tombstone now: it never started and never will.
            return Ok(Outcome::RunStopped);
        };
        let state = match self.runner.look(&run).await {
            Ok(TaskState::Running) => match self.runner.stop(&run).await {
                Ok(()) => self.runner.look(&run).await,
                Err(error) => Err(error),
            },
            other => other,
        };
        Ok(match state {
            Ok(TaskState::Running) => Outcome::RunRunning,
            Ok(TaskState::Stopped { .. } | TaskState::Missing) => Outcome::RunStopped,
            Err(error) => Outcome::RunRefused { message: error.to_string() },
        })
    }
}
