//! What each function is told by its environment, parsed once, with every problem in one error.

mod environment;

use std::path::PathBuf;

use environment::Environment;

use crate::jwt::JwtConfig;

/// Where the Hetzner Cloud API is unless the deployment says otherwise.
pub const HETZNER_ENDPOINT: &str = "https://api.hetzner.cloud/v1";

/// The process's environment; variables that are not Unicode are none of ours.
pub fn process_environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

/// Everything that is wrong with an environment, not only the first thing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the environment cannot be used: {}", .problems.join("; "))]
pub struct ConfigError {
    pub problems: Vec<String>,
}

/// What every part of a deployment knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shared {
    /// The deployment's name, the value of our label at the provider.
    pub deployment: String,
    pub table: String,
    pub wake_queue_url: String,
    /// Such as `nodeyard/main`, without a slash at its end.
    pub secret_prefix: String,
}

/// Where and how container tasks run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskPlace {
    pub cluster: String,
    /// Family, family and revision, or ARN.
    pub task_definition: String,
    /// Empty only where the endpoint needs no network settings.
    pub subnets: Vec<String>,
    pub security_groups: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiConfig {
    pub shared: Shared,
    pub hetzner_endpoint: String,
    /// The tasks' fixed egress addresses; empty where egress is not fixed.
    pub control_cidrs: Vec<String>,
    /// The issuer whose JWTs are taken beside API tokens, if there is one.
    pub jwt: Option<JwtConfig>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerConfig {
    pub shared: Shared,
    pub hetzner_endpoint: String,
    /// Name of the bus that events are put on.
    pub event_bus: String,
    /// The key that signs evidence: its id, ARN or alias at the key service.
    pub evidence_key: String,
    pub task_place: TaskPlace,
    pub control_cidrs: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthConfig {
    pub shared: Shared,
    pub hetzner_endpoint: String,
    /// Name of the bus that events are put on.
    pub event_bus: String,
    /// The key that signs evidence: its id, ARN or alias at the key service.
    pub evidence_key: String,
    /// Whether nodes' SSH ports can be tried from where the function runs.
    pub tries_ssh_ports: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskConfig {
    pub shared: Shared,
    pub control_cidrs: Vec<String>,
    /// The folder of playbooks.
    pub playbooks: PathBuf,
    /// Where a run may write.
    pub scratch: PathBuf,
}

impl Shared {
    fn parse(environment: &mut Environment) -> Self {
        Self {
            deployment: environment.label("NODEYARD_DEPLOYMENT"),
            table: environment.text("NODEYARD_TABLE"),
            wake_queue_url: environment.url("NODEYARD_WAKE_QUEUE_URL", None),
            secret_prefix: environment
                .text("NODEYARD_SECRET_PREFIX")
                .trim_end_matches('/')
                .to_owned(),
        }
    }
}

fn hetzner_endpoint(environment: &mut Environment) -> String {
    environment.url("NODEYARD_HETZNER_ENDPOINT", Some(HETZNER_ENDPOINT))
}

fn event_bus(environment: &mut Environment) -> String {
    environment.text("NODEYARD_EVENT_BUS")
}

fn evidence_key(environment: &mut Environment) -> String {
    environment.text("NODEYARD_EVIDENCE_KEY")
}

fn control_cidrs(environment: &mut Environment) -> Vec<String> {
    environment.cidrs("NODEYARD_CONTROL_CIDRS")
}

impl ApiConfig {
    /// # Errors
    /// [`ConfigError`] with every variable that is missing or cannot be read.
    pub fn parse(pairs: impl IntoIterator<Item = (String, String)>) -> Result<Self, ConfigError> {
        let mut environment = Environment::new(pairs);
        let config = Self {
            shared: Shared::parse(&mut environment),
            hetzner_endpoint: hetzner_endpoint(&mut environment),
            control_cidrs: control_cidrs(&mut environment),
            jwt: environment.parsed("NODEYARD_JWT", JwtConfig::parse),
        };
        environment.finish(config)
    }
}

impl WorkerConfig {
    /// # Errors
    /// [`ConfigError`] with every variable that is missing or cannot be read.
    pub fn parse(pairs: impl IntoIterator<Item = (String, String)>) -> Result<Self, ConfigError> {
        let mut environment = Environment::new(pairs);
        let config = Self {
            shared: Shared::parse(&mut environment),
            hetzner_endpoint: hetzner_endpoint(&mut environment),
            event_bus: event_bus(&mut environment),
            evidence_key: evidence_key(&mut environment),
            task_place: TaskPlace {
                cluster: environment.text("NODEYARD_ECS_CLUSTER"),
                task_definition: environment.text("NODEYARD_TASK_DEFINITION"),
                subnets: environment.list("NODEYARD_TASK_SUBNETS"),
                security_groups: environment.list("NODEYARD_TASK_SECURITY_GROUPS"),
            },
            control_cidrs: control_cidrs(&mut environment),
        };
        environment.finish(config)
    }
}

impl HealthConfig {
    /// # Errors
    /// [`ConfigError`] with every variable that is missing or cannot be read.
    pub fn parse(pairs: impl IntoIterator<Item = (String, String)>) -> Result<Self, ConfigError> {
        let mut environment = Environment::new(pairs);
        let config = Self {
            shared: Shared::parse(&mut environment),
            hetzner_endpoint: hetzner_endpoint(&mut environment),
            event_bus: event_bus(&mut environment),
            evidence_key: evidence_key(&mut environment),
            tries_ssh_ports: environment.is_on("NODEYARD_TRY_SSH_PORTS", true),
        };
        environment.finish(config)
    }
}

impl TaskConfig {
    /// # Errors
    /// [`ConfigError`] with every variable that is missing or cannot be read.
    pub fn parse(pairs: impl IntoIterator<Item = (String, String)>) -> Result<Self, ConfigError> {
        let mut environment = Environment::new(pairs);
        let config = Self {
            shared: Shared::parse(&mut environment),
            control_cidrs: control_cidrs(&mut environment),
            playbooks: environment.text("NODEYARD_PLAYBOOKS").into(),
            scratch: environment
                .optional("NODEYARD_SCRATCH")
                .map_or_else(std::env::temp_dir, PathBuf::from),
        };
        environment.finish(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
        list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    const SHARED: &[(&str, &str)] = &[
        ("NODEYARD_DEPLOYMENT", "main"),
        ("NODEYARD_TABLE", "nodeyard"),
        ("NODEYARD_WAKE_QUEUE_URL", "http://127.0.0.1:4566/000000000000/wakes"),
        ("NODEYARD_SECRET_PREFIX", "nodeyard/main/"),
    ];

    #[test]
    fn a_full_environment_is_read_with_its_defaults() {
        let mut given = pairs(SHARED);
        given.extend(pairs(&[
            ("NODEYARD_EVENT_BUS", "nodeyard-main"),
            ("NODEYARD_EVIDENCE_KEY", "alias/nodeyard-main-evidence"),
            ("NODEYARD_ECS_CLUSTER", "nodeyard-main"),
            ("NODEYARD_TASK_DEFINITION", "nodeyard-main-ansible:3"),
            ("NODEYARD_TASK_SUBNETS", "subnet-1, subnet-2"),
            ("NODEYARD_TASK_SECURITY_GROUPS", ""),
            ("NODEYARD_CONTROL_CIDRS", "203.0.113.4/32,2001:db8::/64"),
            ("UNRELATED", "value"),
        ]));
        let config = WorkerConfig::parse(given).unwrap();
        assert_eq!(config.shared.secret_prefix, "nodeyard/main");
        assert_eq!(config.hetzner_endpoint, HETZNER_ENDPOINT);
        assert_eq!(config.event_bus, "nodeyard-main");
        assert_eq!(config.task_place.subnets, ["subnet-1", "subnet-2"]);
        assert!(config.task_place.security_groups.is_empty());
        assert_eq!(config.control_cidrs, ["203.0.113.4/32", "2001:db8::/64"]);
    }

    #[test]
    fn every_problem_is_reported_together() {
        let error = WorkerConfig::parse(pairs(&[
            ("NODEYARD_DEPLOYMENT", "Not A Label"),
            ("NODEYARD_WAKE_QUEUE_URL", "queue"),
            ("NODEYARD_HETZNER_ENDPOINT", "ftp://example.org"),
            ("NODEYARD_CONTROL_CIDRS", "10.0.0.0/33,nonsense"),
            ("NODEYARD_ECS_CLUSTER", "  "),
        ]))
        .unwrap_err();
        for name in [
            "NODEYARD_DEPLOYMENT",
            "NODEYARD_TABLE",
            "NODEYARD_WAKE_QUEUE_URL",
            "NODEYARD_SECRET_PREFIX",
            "NODEYARD_HETZNER_ENDPOINT",
            "NODEYARD_EVENT_BUS",
            "NODEYARD_EVIDENCE_KEY",
            "NODEYARD_ECS_CLUSTER",
            "NODEYARD_TASK_DEFINITION",
            "10.0.0.0/33",
            "nonsense",
        ] {
            assert!(error.to_string().contains(name), "{name} in {error}");
        }
    }

    #[test]
    fn a_task_needs_its_playbooks_but_no_cluster() {
        let mut given = pairs(SHARED);
        let error = TaskConfig::parse(given.clone()).unwrap_err();
        assert_eq!(error.problems.len(), 1, "{error}");
        given.extend(pairs(&[("NODEYARD_PLAYBOOKS", "playbooks")]));
        let config = TaskConfig::parse(given).unwrap();
        assert_eq!(config.scratch, std::env::temp_dir());
        assert!(ApiConfig::parse(pairs(SHARED)).is_ok());
    }

    #[test]
    fn who_tells_of_changes_and_signs_needs_a_bus_and_a_key() {
        let error = HealthConfig::parse(pairs(SHARED)).unwrap_err();
        let missing = ["NODEYARD_EVENT_BUS is missing", "NODEYARD_EVIDENCE_KEY is missing"];
        assert_eq!(error.problems, missing);
        let mut given = pairs(SHARED);
        given.extend(pairs(&[
            ("NODEYARD_EVENT_BUS", "nodeyard-main"),
            ("NODEYARD_EVIDENCE_KEY", "key-1"),
        ]));
        let config = HealthConfig::parse(given.clone()).unwrap();
        assert_eq!((config.event_bus.as_str(), config.tries_ssh_ports), ("nodeyard-main", true));
        given.extend(pairs(&[("NODEYARD_TRY_SSH_PORTS", "false")]));
        assert!(!HealthConfig::parse(given.clone()).unwrap().tries_ssh_ports);
        given.extend(pairs(&[("NODEYARD_TRY_SSH_PORTS", "yes")]));
        assert_eq!(HealthConfig::parse(given).unwrap_err().problems.len(), 1);
    }
}
