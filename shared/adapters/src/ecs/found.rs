//! What a run is called at ECS, and what ECS tells of its task. Pure.

use aws_sdk_ecs::types::{Failure, Task};
use nodeyard_domain::run::Run;
use nodeyard_engine::runner::TaskState;

use super::CONTAINER;

/// At most 64 characters of ASCII are taken, for 24 hours: a job id has 36.
pub(super) fn client_token(run: &Run) -> String {
    format!("{}.{}", run.job_id, run.number)
}

pub(super) fn command(run: &Run) -> Vec<String> {
    vec!["--job".into(), run.job_id.to_string(), "--run".into(), run.number.to_string()]
}

/// Whether a task was started for this run: its overrides hold our command.
pub(super) fn is_of_run(task: &Task, run: &Run) -> bool {
    let command = command(run);
    let overrides = task.overrides.as_ref().map(|overrides| overrides.container_overrides());
    overrides
        .unwrap_or_default()
        .iter()
        .any(|container| container.name() == Some(CONTAINER) && container.command() == command)
}

pub(super) fn state(task: &Task) -> TaskState {
    if task.last_status() != Some("STOPPED") {
        return TaskState::Running;
    }
    let container = task.containers().iter().find(|container| container.name() == Some(CONTAINER));
    let reasons = [task.stopped_reason(), container.and_then(|container| container.reason())];
    let mut reason = reasons.into_iter().flatten().collect::<Vec<_>>().join("; ");
    if reason.is_empty() {
        reason.push_str("no reason given");
    }
    TaskState::Stopped { exit_code: container.and_then(|container| container.exit_code()), reason }
}

/// What `failures[]` says when no task was started.
pub(super) fn reasons(failures: &[Failure]) -> String {
    let one = |failure: &Failure| match (failure.reason(), failure.detail()) {
        (Some(reason), Some(detail)) => format!("{reason}: {detail}"),
        (Some(text), None) | (None, Some(text)) => text.to_owned(),
        (None, None) => "no reason given".to_owned(),
    };
    if failures.is_empty() {
        return "the container service started no task and gave no reason".to_owned();
    }
    failures.iter().map(one).collect::<Vec<_>>().join("; ")
}

/// Errors that say "no" to the request, in contrast to no answer: nothing was started.
pub(super) fn is_refusal(code: Option<&str>) -> bool {
    matches!(
        code,
        Some(
            "AccessDeniedException"
                | "BlockedException"
                | "ClientException"
                | "ClusterNotFoundException"
                | "InvalidParameterException"
                | "PlatformTaskDefinitionIncompatibilityException"
                | "PlatformUnknownException"
                | "UnsupportedFeatureException"
        )
    )
}

#[cfg(test)]
mod tests {
    use aws_sdk_ecs::types::{Container, ContainerOverride, TaskOverride};
    use nodeyard_domain::{
        id::{JobId, NodeId},
        spec::Profile,
    };

    use super::*;

    fn run(number: u32) -> Run {
        Run {
            purpose: Default::default(),
            expected_tasks: None,
            traceparent: None,
            job_id: JobId::from_bits(1),
            number,
            node_id: NodeId::from_bits(2),
            connection: "main".parse().unwrap(),
            server_id: 3,
            address: "198.18.0.10".into(),
            profile: Profile::base(),
            vars: serde_json::Map::new(),
            authorized_keys: Vec::new(),
            allow_ssh_from: Vec::new(),
            key_versions: vec![1],
            key_stem: None,
            created_at: jiff::Timestamp::UNIX_EPOCH,
            deadline_at: jiff::Timestamp::UNIX_EPOCH,
            task: None,
            stop_requested: false,
            result: None,
        }
    }

    fn task(number: u32) -> Task {
        let container =
            ContainerOverride::builder().name(CONTAINER).set_command(Some(command(&run(number))));
        let overrides = TaskOverride::builder().container_overrides(container.build()).build();
        Task::builder().overrides(overrides).last_status("RUNNING").build()
    }

    #[test]
    fn a_task_belongs_to_the_run_whose_number_it_was_given() {
        assert!(is_of_run(&task(1), &run(1)));
        assert!(!is_of_run(&task(1), &run(11)));
        assert!(!is_of_run(&Task::builder().build(), &run(1)));
    }

    #[test]
    fn the_token_fits_what_the_service_takes() {
        let token = client_token(&run(u32::MAX));
        assert!(token.len() <= 64 && token.is_ascii(), "{token}");
    }

    #[test]
    fn only_stopped_is_stopped_and_a_missing_exit_code_stays_missing() {
        assert_eq!(state(&task(1)), TaskState::Running);
        let stopping = Task::builder().last_status("DEPROVISIONING").build();
        assert_eq!(state(&stopping), TaskState::Running);
        let stopped = |container: Container| {
            let builder = Task::builder().last_status("STOPPED").stopped_reason("Essential");
            state(&builder.containers(container).build())
        };
        let ended = Container::builder().name(CONTAINER).exit_code(3).build();
        assert_eq!(
            stopped(ended),
            TaskState::Stopped { exit_code: Some(3), reason: "Essential".into() }
        );
        let killed = Container::builder().name(CONTAINER).reason("OutOfMemoryError").build();
        assert_eq!(
            stopped(killed),
            TaskState::Stopped { exit_code: None, reason: "Essential; OutOfMemoryError".into() }
        );
        let other = Container::builder().name("sidecar").exit_code(0).build();
        assert_eq!(
            stopped(other),
            TaskState::Stopped { exit_code: None, reason: "Essential".into() }
        );
    }

    #[test]
    fn a_refusal_says_why() {
        let failure = Failure::builder().reason("RESOURCE:CPU").detail("no room").build();
        assert_eq!(reasons(&[failure]), "RESOURCE:CPU: no room");
        assert!(!reasons(&[]).is_empty());
        assert!(!is_refusal(Some("ThrottlingException")) && !is_refusal(None));
    }
}
