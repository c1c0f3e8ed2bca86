//! The endpoint, with a shell as the container task.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::mpsc;

use super::answer::EcsError;
use super::definition::Definitions;
use super::endpoint::Endpoint;
use super::launch::{Launcher, Runner};
use super::task::Task;
use super::tasks::Tasks;
use crate::process::Identity;

struct Lab {
    endpoint: Endpoint,
    endings: mpsc::UnboundedReceiver<Task>,
    folder: TempDir,
}

/// An endpoint whose task is this shell script; `$1` and so on are its arguments.
fn lab(script: &str, stop_secs: u64) -> Lab {
    let program = ["/bin/sh", "-c", script, "sh"].map(str::to_owned).to_vec();
    lab_with(program, stop_secs)
}

fn lab_with(program: Vec<String>, stop_secs: u64) -> Lab {
    let folder = TempDir::new().unwrap();
    let definition = json!({
        "taskDefinitionArn": "arn:aws:ecs:us-east-1:000000000000:task-definition/ansible:3",
        "family": "ansible",
        "containerDefinitions": [{
            "name": "ansible", "image": "image", "stopTimeout": stop_secs,
            "environment": [{ "name": "NODEYARD_TABLE", "value": "table" }],
        }],
    });
    let runner = Runner::Process {
        program,
        path: "/usr/bin:/bin".to_owned(),
        playbooks: "/playbooks".into(),
    };
    let launcher = Launcher {
        runner,
        folder: folder.path().to_owned(),
        netns: None,
        aws_url: "http://127.0.0.1:1".to_owned(),
    };
    let (ended, endings) = mpsc::unbounded_channel();
    let endpoint = Endpoint {
        tasks: Tasks::new(launcher, ended),
        definitions: Definitions::Fixed(serde_json::from_value(definition).unwrap()),
        cluster: "nodeyard".to_owned(),
    };
    Lab { endpoint, endings, folder }
}

impl Lab {
    async fn call(&self, operation: &str, body: Value) -> Result<Value, EcsError> {
        self.endpoint.call(&format!("AmazonEC2ContainerServiceV20141113.{operation}"), body).await
    }

    async fn run(&self, token: &str, command: &[&str]) -> String {
        let answer = self.call("RunTask", order(token, command)).await.unwrap();
        assert_eq!(answer.get("failures").unwrap(), &json!([]));
        answer.pointer("/tasks/0/taskArn").unwrap().as_str().unwrap().to_owned()
    }

    async fn describe(&self, task: &str) -> Value {
        let body = json!({ "cluster": "nodeyard", "tasks": [task] });
        self.call("DescribeTasks", body).await.unwrap().pointer("/tasks/0").unwrap().clone()
    }

    fn log(&self, task: &Task) -> String {
        std::fs::read_to_string(self.folder.path().join(format!("{}.log", task.id))).unwrap()
    }

    /// Waits until the task has written a line, and gives back what it wrote.
    async fn first_line(&self, arn: &str) -> String {
        let id = arn.rsplit('/').next().unwrap();
        let file = self.folder.path().join(format!("{id}.log"));
        loop {
            let text = std::fs::read_to_string(&file).unwrap_or_default();
            if text.ends_with('\n') {
                return text.trim().to_owned();
            }
            tokio::task::yield_now().await;
        }
    }
}

fn order(token: &str, command: &[&str]) -> Value {
    json!({
        "cluster": "arn:aws:ecs:us-east-1:000000000000:cluster/nodeyard",
        "taskDefinition": "ansible",
        "clientToken": token,
        "startedBy": "job-1",
        "overrides": { "containerOverrides": [{
            "name": "ansible", "command": command,
            "environment": [{ "name": "GIVEN", "value": "yes" }],
        }] },
    })
}

#[tokio::test]
async fn a_task_runs_with_what_a_container_would_get() {
    let mut lab = lab("echo \"$1 $2\"; env; pwd; exit 4", 1);
    let arn = lab.run("job-1.1", &["--job", "job-1"]).await;
    let ended = lab.endings.recv().await.unwrap();
    assert_eq!((ended.arn.as_str(), ended.started_by.as_deref()), (arn.as_str(), Some("job-1")));

    let shown = lab.describe(&arn).await;
    assert_eq!(shown.get("lastStatus").unwrap(), "STOPPED");
    assert_eq!(shown.get("stopCode").unwrap(), "EssentialContainerExited");
    assert_eq!(shown.pointer("/containers/0/exitCode").unwrap(), 4);
    assert_eq!(shown.get("startedBy").unwrap(), "job-1");

    let log = lab.log(&ended);
    assert!(log.starts_with("--job job-1\n"), "{log}");
    for line in ["NODEYARD_TABLE=table", "GIVEN=yes", "AWS_ENDPOINT_URL=http://127.0.0.1:1"] {
        assert!(log.contains(line), "{line} in {log}");
    }
    assert!(!log.contains("CARGO"), "our own environment in {log}");
    let scratch = log.lines().find_map(|line| line.strip_prefix("NODEYARD_SCRATCH=")).unwrap();
    assert_eq!(log.lines().last().unwrap(), scratch);
    assert!(!std::path::Path::new(scratch).exists(), "the scratch folder goes with the task");
}

#[tokio::test]
async fn one_client_token_starts_one_task() {
    let mut lab = lab("echo started", 1);
    let first = lab.run("job-1.1", &["--run", "1"]).await;
    assert_eq!(lab.run("job-1.1", &["--run", "1"]).await, first);
    lab.endings.recv().await.unwrap();
    // Also after it has ended.
    assert_eq!(lab.run("job-1.1", &["--run", "1"]).await, first);

    let refused = lab.call("RunTask", order("job-1.1", &["--run", "2"])).await.unwrap_err();
    assert_eq!(refused, EcsError::Conflict(vec![first.clone()]));
    assert_eq!(refused.body().pointer("/resourceIds/0").unwrap(), first.as_str());
    assert_eq!(refused.body().get("__type").unwrap(), "ConflictException");

    assert_ne!(lab.run("job-1.2", &["--run", "2"]).await, first);
    lab.endings.recv().await.unwrap();
    assert!(lab.endings.try_recv().is_err(), "only two tasks ever ran");
}

#[tokio::test]
async fn a_stopped_task_may_tidy_up_and_leaves_no_child() {
    let script = "sleep 1000 & echo $!; trap 'exit 3' TERM; wait";
    let mut lab = lab(script, 60);
    let arn = lab.run("job-1.1", &[]).await;
    let child = Identity::of(lab.first_line(&arn).await.parse().unwrap()).unwrap();
    assert_eq!(lab.describe(&arn).await.get("lastStatus").unwrap(), "RUNNING");

    let by_job = json!({ "cluster": "nodeyard", "startedBy": "job-1" });
    let to_stop = json!({ "cluster": "nodeyard", "desiredStatus": "STOPPED" });
    let listed = lab.call("ListTasks", by_job.clone()).await.unwrap();
    assert_eq!(listed.get("taskArns").unwrap(), &json!([arn]));

    let body = json!({ "cluster": "nodeyard", "task": arn, "reason": "cancelled" });
    let stopping = lab.call("StopTask", body).await.unwrap();
    // From now on it is listed among the stopped ones, though it may still run.
    let listed = lab.call("ListTasks", by_job).await.unwrap();
    assert_eq!(listed.get("taskArns").unwrap(), &json!([]));
    let listed = lab.call("ListTasks", to_stop).await.unwrap();
    assert_eq!(listed.get("taskArns").unwrap(), &json!([arn]));
    assert_eq!(stopping.pointer("/task/desiredStatus").unwrap(), "STOPPED");
    lab.endings.recv().await.unwrap();
    let shown = lab.describe(&arn).await;
    assert_eq!(shown.get("stopCode").unwrap(), "UserInitiated");
    assert_eq!(shown.get("stoppedReason").unwrap(), "cancelled");
    assert_eq!(shown.pointer("/containers/0/exitCode").unwrap(), 3);
    while child.lives() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_task_that_does_not_listen_is_killed() {
    let mut lab = lab("trap '' TERM; echo up; while :; do sleep 1; done", 0);
    let arn = lab.run("job-1.1", &[]).await;
    lab.first_line(&arn).await;
    lab.call("StopTask", json!({ "cluster": "nodeyard", "task": arn })).await.unwrap();
    lab.endings.recv().await.unwrap();
    assert_eq!(lab.describe(&arn).await.pointer("/containers/0/exitCode").unwrap(), 137);
}

#[tokio::test]
async fn a_task_stopped_before_it_starts_never_runs() {
    let mut lab = lab("echo ran", 1);
    let arn = lab.run("job-1.1", &[]).await;
    // Nothing has been awaited since, so nothing has been started.
    lab.endpoint.tasks.stop(&arn, "too late").unwrap();
    let ended = lab.endings.recv().await.unwrap();
    let shown = lab.describe(&arn).await;
    assert_eq!(shown.get("stopCode").unwrap(), "UserInitiated");
    assert!(shown.pointer("/containers/0/exitCode").is_none());
    assert!(!lab.folder.path().join(format!("{}.log", ended.id)).exists());
}

#[tokio::test]
async fn a_program_that_is_not_there_is_a_task_that_failed_to_start() {
    let mut lab = lab_with(vec!["/no/such/program".to_owned()], 1);
    let arn = lab.run("job-1.1", &[]).await;
    lab.endings.recv().await.unwrap();
    let shown = lab.describe(&arn).await;
    assert_eq!(shown.get("lastStatus").unwrap(), "STOPPED");
    assert_eq!(shown.get("stopCode").unwrap(), "TaskFailedToStart");
    assert!(shown.pointer("/containers/0/exitCode").is_none());
}

#[tokio::test]
async fn a_full_machine_is_a_failure_and_not_an_error() {
    let mut lab = lab("sleep 1000", 0);
    let mut running = Vec::new();
    let refused = loop {
        let token = format!("job-1.{}", running.len());
        let answer = lab.call("RunTask", order(&token, &[])).await.unwrap();
        match answer.pointer("/tasks/0/taskArn") {
            Some(arn) => running.push(arn.as_str().unwrap().to_owned()),
            None => break answer,
        }
        assert!(running.len() < 100);
    };
    assert_eq!(refused.pointer("/failures/0/reason").unwrap(), "RESOURCE:CPU");
    let listed = lab.call("ListTasks", json!({ "cluster": "nodeyard" })).await.unwrap();
    assert_eq!(listed.get("taskArns").unwrap().as_array().unwrap().len(), running.len());
    for arn in &running {
        lab.endpoint.tasks.stop(arn, "enough").unwrap();
        lab.endings.recv().await.unwrap();
    }
}

#[tokio::test]
async fn what_is_not_known_is_refused_as_ecs_refuses_it() {
    let lab = lab("true", 1);
    let missing = lab.call("DescribeTasks", json!({ "cluster": "nodeyard", "tasks": ["x"] }));
    let missing = missing.await.unwrap();
    assert_eq!(missing.pointer("/failures/0/reason").unwrap(), "MISSING");
    let two_filters =
        json!({ "cluster": "nodeyard", "startedBy": "job-1", "desiredStatus": "STOPPED" });
    let errors = [
        (lab.call("DescribeTasks", json!({ "tasks": ["x"] })).await, "ClusterNotFoundException"),
        (lab.call("StopTask", json!({ "cluster": "nodeyard", "task": "x" })).await, "Invalid"),
        (lab.call("RunTask", json!({ "cluster": "nodeyard" })).await, "InvalidParameter"),
        (lab.call("ListTasks", two_filters).await, "InvalidParameter"),
        (lab.call("DeleteCluster", json!({})).await, "UnknownOperationException"),
    ];
    for (answer, name) in errors {
        let error = answer.unwrap_err();
        assert!(error.name().starts_with(name), "{error:?} is no {name}");
    }
    let mut wrong = order("job-1.1", &[]);
    wrong["overrides"]["containerOverrides"][0]["name"] = json!("other");
    assert_eq!(lab.call("RunTask", wrong).await.unwrap_err().name(), "InvalidParameterException");
}

#[tokio::test]
async fn tasks_of_a_killed_endpoint_are_ended() {
    let lab = lab("echo up; sleep 1000", 60);
    let arn = lab.run("job-1.1", &[]).await;
    lab.first_line(&arn).await;
    super::end_left_over_tasks(lab.folder.path()).await;
    let mut endings = lab.endings;
    let ended = tokio::time::timeout(Duration::from_secs(30), endings.recv()).await;
    assert_eq!(ended.unwrap().unwrap().arn, arn);
}
