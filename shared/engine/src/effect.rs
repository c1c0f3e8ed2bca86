//! Performing one effect: each arm is one call to the outside and what came of it.

use jiff::SignedDuration;
use nodeyard_domain::{
    connection::Connection,
    evidence::Call,
    host_key::{HostPins, first_host_key},
    id::JobId,
    job::{Effect, Job},
    node::{Node, Server},
    observation::{FailureClass, Outcome, ProviderFailure},
    ownership::{self, DeploymentKey},
    placement::Rung,
    run::{Purpose, Run, RunResult},
    user_data,
};

use crate::{
    Clock,
    driver::Driver,
    event::{Events, Outbox},
    exchange::listen,
    provider::{ActionState, CreateServer, FoundServer, Lookup, Provider, Remains},
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
fn no_secret(error: &SecretsError) -> ProviderFailure {
    let (class, code) = match error {
        SecretsError::Missing(_) => (FailureClass::Unauthorized, "secret_missing"),
        SecretsError::Unavailable(_) => (FailureClass::Busy, "secrets_unavailable"),
    };
    ProviderFailure::new(class, code, error.to_string())
}

fn no_managed_key() -> ProviderFailure {
    ProviderFailure::new(
        FailureClass::ReadOnly,
        "no_managed_key",
        "the connection has no managed key: no write has succeeded with its token",
    )
}

/// Nothing was sent, and the key is asked for anew.
fn destroyed(version: u32) -> ProviderFailure {
    ProviderFailure::new(
        FailureClass::NotFound,
        "key_version_gone",
        format!("version {version} of the managed key is destroyed"),
    )
}

pub(crate) fn action_outcome(state: Option<ActionState>) -> Outcome {
    match state {
        Some(ActionState::Running) => Outcome::ActionRunning,
        Some(ActionState::Succeeded { .. }) => Outcome::ActionSucceeded,
        Some(ActionState::Failed { code, message }) => Outcome::ActionFailed { code, message },
        None => Outcome::ActionMissing,
    }
}

pub(crate) fn server_outcome(found: FoundServer) -> Outcome {
    Outcome::ServerSeen { server: found.server, status: found.status }
}

impl<S, Q, P, R, X, E, C> Driver<S, Q, P, R, X, E, C>
where
    S: JobStore + RunStore + Outbox,
    Q: WakeQueue,
    P: Provider,
    R: Runner,
    X: Secrets,
    E: Events,
    C: Clock,
{
    /// Performs an effect and says what was observed, and which calls to the provider that took.
    /// Only the store's own failures are errors.
    pub(crate) async fn observe(
        &self,
        loaded: &Loaded,
        effect: &Effect,
        expect_secs: Option<i64>,
    ) -> Result<(Outcome, Vec<Call>)> {
        let (outcome, calls) = listen(self.perform_effect(loaded, effect, expect_secs)).await;
        Ok((outcome?, calls))
    }

    async fn perform_effect(
        &self,
        loaded: &Loaded,
        effect: &Effect,
        expect_secs: Option<i64>,
    ) -> Result<Outcome> {
        let Loaded { job, node } = loaded;
        match effect {
            Effect::TakeNode => {
                if !self.store.take_node(&node.id, &job.id).await? {
                    return Ok(Outcome::NodeBusy);
                }
                // Read again: until now another job could change the record.
                let node = self.store.load(&job.id).await?.map(|loaded| loaded.node);
                Ok(node.map_or(Outcome::NodeBusy, |node| Outcome::NodeTaken {
                    server: node.server,
                    attempts: node.attempts,
                    run: node.last_run,
                }))
            }
            Effect::StartRun { number } => self.start_run(job, node, *number).await,
            Effect::LookAtRun { number } => {
                let outcome = self.look_at_run(job, *number).await?;
                self.learn_from_run(job, node, &outcome).await;
                Ok(outcome)
            }
            Effect::StopRun { number, of } => {
                self.stop_run(of.as_ref().unwrap_or(&job.id), node, *number).await
            }
            call => match self.store.connection(&job.connection).await? {
                Some(connection) => {
                    let outcome = self.call(job, node, &connection, call, expect_secs).await;
                    self.share(job, call, &outcome).await;
                    Ok(outcome)
                }
                None => Ok(Outcome::Failed(ProviderFailure::new(
                    FailureClass::Unauthorized,
                    "connection_missing",
                    format!("the connection {} does not exist", job.connection),
                ))),
            },
        }
    }

    /// The calls to the provider.
    async fn call(
        &self,
        job: &Job,
        node: &Node,
        on: &Connection,
        call: &Effect,
        expect_secs: Option<i64>,
    ) -> Outcome {
        let outcome = match call {
            Effect::EnsureKey => match &on.key {
                Some(key) => self.provider.sees_key(on, key).await.map(|seen| match seen {
                    true => Outcome::KeyReady { version: key.version },
                    false => Outcome::MarkerMissing,
                }),
                None => Err(no_managed_key()),
            },
            Effect::EnsureGroup => self.ensure_group(node, on).await,
            Effect::FindServer => self.find_server(job, node, on).await,
            Effect::CreateServer { rung, attempt, placement_group } => {
                match self.create_body(job, node, on, rung, *attempt, *placement_group).await {
                    Ok(body) => self.create_server(on, &body, expect_secs).await,
                    Err(failure) => Err(failure),
                }
            }
            Effect::PollAction { action_id } => {
                let states = self.provider.actions(on, &[*action_id]).await;
                if let Ok(Some(ActionState::Succeeded { took_secs: Some(secs) })) =
                    states.as_ref().map(|states| states.get(action_id))
                {
                    self.learn(&on.name, &[(node.spec.image.as_str(), *secs)]).await;
                }
                states.map(|mut states| action_outcome(states.remove(action_id)))
            }
            Effect::FetchServer { server_id } => {
                self.provider.server(on, *server_id).await.map(|looked| match looked {
                    Lookup::Found(found) => server_outcome(*found),
                    Lookup::Absent => Outcome::ServerAbsent,
                    Lookup::MarkerMissing => Outcome::MarkerMissing,
                })
            }
            Effect::DeleteServer { server_id } => {
                self.provider.delete_server(on, *server_id).await.map(|()| Outcome::DeleteAccepted)
            }
            Effect::ConfirmGone { server_id, primary_ips } => {
                self.confirm_gone(on, *server_id, primary_ips).await
            }
            Effect::TakeNode
            | Effect::StartRun { .. }
            | Effect::LookAtRun { .. }
            | Effect::StopRun { .. } => Ok(Outcome::Nothing),
        };
        outcome.unwrap_or_else(Outcome::Failed)
    }

    /// A place in a group made for it; the next nine find theirs in what the connection shares.
    async fn ensure_group(
        &self,
        node: &Node,
        on: &Connection,
    ) -> std::result::Result<Outcome, ProviderFailure> {
        // Named after the node that needs it: made twice, it is found by its name.
        let name = format!("nodeyard-{}-{}", self.deployment, &node.id.hex()[..12]);
        match self.provider.create_group(on, &name, &self.deployment).await {
            Ok(id) => Ok(Outcome::GroupReady { id: Some(id) }),
            Err(failure) if failure.class == FailureClass::Quota => {
                Ok(Outcome::GroupReady { id: None })
            }
            Err(failure) => Err(failure),
        }
    }

    /// Primary IPs that outlive their server are deleted here: they carry no labels, and their ids
    /// are from our own create answer.
    async fn confirm_gone(
        &self,
        on: &Connection,
        server_id: u64,
        primary_ips: &[u64],
    ) -> std::result::Result<Outcome, ProviderFailure> {
        Ok(match self.provider.remains(on, server_id, primary_ips).await? {
            Remains::Nothing => Outcome::Gone,
            Remains::StillThere => Outcome::StillThere,
            Remains::MarkerMissing => Outcome::MarkerMissing,
            Remains::PrimaryIps(left) => {
                for id in left {
                    self.provider.delete_primary_ip(on, id).await?;
                }
                Outcome::StillThere
            }
        })
    }

    async fn find_server(
        &self,
        job: &Job,
        node: &Node,
        on: &Connection,
    ) -> std::result::Result<Outcome, ProviderFailure> {
        let key = match self.secrets.deployment_key().await {
            Ok(key) => key,
            Err(error) => return Err(no_secret(&error)),
        };
        Ok(match self.provider.find_server(on, &node.server_name).await? {
            Lookup::Absent => Outcome::ServerAbsent,
            Lookup::MarkerMissing => Outcome::MarkerMissing,
            Lookup::Found(found) => {
                let FoundServer { server, status, labels } = *found;
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

    /// The body of the create: the same for the same intent, however often it is made.
    async fn create_body(
        &self,
        job: &Job,
        node: &Node,
        on: &Connection,
        rung: &Rung,
        attempt: u32,
        placement_group: Option<u64>,
    ) -> std::result::Result<CreateServer, ProviderFailure> {
        // The version that is on the node's record, whichever is the newest by now: a create that is
        // sent again is the same create.
        let managed = match (on.key_of(job.key_version), &on.key) {
            (Some(key), _) => key,
            (None, Some(_)) => return Err(destroyed(job.key_version)),
            (None, None) => return Err(no_managed_key()),
        };
        let key = self.secrets.deployment_key().await.map_err(|error| no_secret(&error))?;
        let mut authorized_keys = vec![managed.public_key.clone()];
        authorized_keys.extend(node.spec.authorized_keys.iter().cloned());
        let host_key = first_host_key(&key, &node.id, attempt).map_err(|error| {
            ProviderFailure::new(FailureClass::Invalid, "host_key", error.to_string())
        })?;
        Ok(CreateServer {
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
            placement_group,
            attempt,
        })
    }

    async fn create_server(
        &self,
        on: &Connection,
        body: &CreateServer,
        expect_secs: Option<i64>,
    ) -> std::result::Result<Outcome, ProviderFailure> {
        let created = self.provider.create_server(on, body).await?;
        Ok(Outcome::Created {
            server: Server { attempt: body.attempt, ..created.server },
            action_id: created.action_id,
            expect_secs,
        })
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
        // Only for those who watch: a run goes on without it.
        let expected_tasks = match (job.purpose(), self.store.pace(&job.connection, now).await) {
            (Purpose::Configure, Ok(pace)) => pace.tasks.get(node.spec.profile.as_str()).copied(),
            _ => None,
        };
        // A run has at most what is left of the job, and always enough to fail in order.
        let least = now + SignedDuration::from_mins(1);
        let run = Run {
            job_id: job.id.clone(),
            number,
            purpose: job.purpose(),
            expected_tasks,
            traceparent: job.traceparent.clone(),
            node_id: node.id.clone(),
            connection: job.connection.clone(),
            server_id: server.id,
            address,
            profile: node.spec.profile.clone(),
            vars: node.spec.vars.clone(),
            authorized_keys: managed
                .map(|key| key.public_key.clone())
                .into_iter()
                .chain(node.spec.authorized_keys.iter().cloned())
                .collect(),
            allow_ssh_from: node.spec.allow_ssh_from.clone(),
            key_versions: connection
                .as_ref()
                .map(|connection| connection.key_versions_from(node.key_version))
                .unwrap_or_default(),
            key_stem: connection.as_ref().and_then(|connection| connection.key_stem.clone()),
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

    /// How long the way was is how long the next one of its profile is expected to be.
    async fn learn_from_run(&self, job: &Job, node: &Node, outcome: &Outcome) {
        let Outcome::RunFinished(RunResult { code: None, tasks: Some(tasks), .. }) = outcome else {
            return;
        };
        if job.purpose() == Purpose::Configure {
            let profile = node.spec.profile.as_str();
            self.change_pace(&job.connection, |pace| pace.learn_tasks(profile, *tasks)).await;
        }
    }

    async fn stop_run(&self, job: &JobId, node: &Node, number: u32) -> Result<Outcome> {
        let now = self.clock.now();
        let Some(run) = self.store.stop_run(job, &node.id, number, now).await? else {
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
