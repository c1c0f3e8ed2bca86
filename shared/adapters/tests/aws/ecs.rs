//! The runner against answers of the container service, as its API reference has them.

use nodeyard_adapters::{config::TaskPlace, ecs::EcsRunner};
use nodeyard_domain::{
    id::{JobId, NodeId},
    run::Run,
    spec::Profile,
};
use nodeyard_engine::runner::{Runner, Start, TaskState};
use serde_json::{Value, json};

use crate::answers::Answers;

const TASK: &str = "arn:aws:ecs:eu-central-1:000000000000:task/nodeyard/1";

fn runner(answers: &Answers) -> EcsRunner {
    let place = TaskPlace {
        cluster: "nodeyard-test".into(),
        task_definition: "nodeyard-test-ansible:7".into(),
        subnets: vec!["subnet-1".into()],
        security_groups: vec!["sg-1".into()],
    };
    EcsRunner::new(&answers.config(), place)
}

fn run(task: Option<&str>) -> Run {
    Run {
        purpose: Default::default(),
        expected_tasks: None,
        traceparent: None,
        job_id: JobId::from_bits(1),
        number: 2,
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
        task: task.map(str::to_owned),
        stop_requested: false,
        result: None,
    }
}

fn task(arn: &str, number: u32, status: &str) -> Value {
    let command = json!(["--job", JobId::from_bits(1), "--run", number.to_string()]);
    json!({
        "taskArn": arn,
        "lastStatus": status,
        "overrides": {"containerOverrides": [{"name": "ansible", "command": command}]},
    })
}

#[tokio::test]
async fn a_start_names_job_and_run_and_nothing_secret() {
    let answers = Answers::start(vec![(200, json!({"tasks": [task(TASK, 2, "PENDING")]}))]).await;
    let started = runner(&answers).start(&run(None)).await.unwrap();
    assert_eq!(started, Start::Started { task: TASK.into() });
    let job = JobId::from_bits(1);
    let [(operation, sent)] = &answers.requests()[..] else { panic!("one request") };
    assert_eq!(operation, "RunTask");
    assert_eq!(
        *sent,
        json!({
            "cluster": "nodeyard-test",
            "taskDefinition": "nodeyard-test-ansible:7",
            "launchType": "FARGATE",
            "count": 1,
            "clientToken": format!("{job}.2"),
            "startedBy": job,
            "networkConfiguration": {"awsvpcConfiguration": {
                "subnets": ["subnet-1"], "securityGroups": ["sg-1"], "assignPublicIp": "ENABLED"
            }},
            "overrides": {"containerOverrides": [
                {"name": "ansible", "command": ["--job", job, "--run", "2"]}
            ]},
        })
    );
}

#[tokio::test]
async fn failures_in_an_answer_are_a_refusal() {
    let failures = json!({"tasks": [], "failures": [{"reason": "Capacity is unavailable"}]});
    let answers = Answers::start(vec![(200, failures)]).await;
    let started = runner(&answers).start(&run(None)).await.unwrap();
    assert_eq!(started, Start::Refused { message: "Capacity is unavailable".into() });
}

#[tokio::test]
async fn a_conflict_is_the_task_that_was_started_first() {
    let conflict = json!({"__type": "ConflictException", "resourceIds": [TASK]});
    let answers = Answers::start(vec![(400, conflict)]).await;
    let started = runner(&answers).start(&run(None)).await.unwrap();
    assert_eq!(started, Start::Started { task: TASK.into() });
}

#[tokio::test]
async fn no_is_a_refusal_and_no_answer_is_not() {
    let no = json!({"__type": "InvalidParameterException", "message": "subnets"});
    let answers = Answers::start(vec![(400, no)]).await;
    let started = runner(&answers).start(&run(None)).await.unwrap();
    assert!(matches!(started, Start::Refused { message } if message.contains("subnets")));
    let broken = json!({"__type": "ServerException", "message": "later"});
    let answers = Answers::start(vec![(500, broken)]).await;
    assert!(runner(&answers).start(&run(None)).await.is_err(), "it may have started");
}

#[tokio::test]
async fn a_task_is_looked_at_by_its_recorded_name() {
    let mut stopped = task(TASK, 2, "STOPPED");
    stopped["containers"] = json!([{"name": "ansible", "exitCode": 4}]);
    stopped["stoppedReason"] = json!("Essential container in task exited");
    let answers = Answers::start(vec![
        (200, json!({"tasks": [stopped]})),
        (200, json!({"tasks": [], "failures": [{"arn": TASK, "reason": "MISSING"}]})),
    ])
    .await;
    let runner = runner(&answers);
    let run = run(Some(TASK));
    let reason = "Essential container in task exited".to_owned();
    let expected = TaskState::Stopped { exit_code: Some(4), reason };
    assert_eq!(runner.look(&run).await.unwrap(), expected);
    assert_eq!(runner.look(&run).await.unwrap(), TaskState::Missing);
    assert_eq!(answers.requests()[0].1["tasks"], json!([TASK]));
}

#[tokio::test]
async fn a_task_without_a_recorded_name_is_found_while_it_runs_and_while_it_stops() {
    let other = "arn:aws:ecs:eu-central-1:000000000000:task/nodeyard/other";
    let answers = Answers::start(vec![
        (200, json!({"taskArns": [other]})),
        (200, json!({"tasks": [task(other, 1, "RUNNING")]})),
        (200, json!({"taskArns": [TASK]})),
        (200, json!({"tasks": [task(TASK, 2, "STOPPING")]})),
    ])
    .await;
    let state = runner(&answers).look(&run(None)).await.unwrap();
    assert_eq!(state, TaskState::Running, "told to stop is not stopped");
    let requests = answers.requests();
    let job = JobId::from_bits(1);
    assert_eq!(requests[0].1, json!({"cluster": "nodeyard-test", "startedBy": job}));
    assert_eq!(requests[2].1, json!({"cluster": "nodeyard-test", "desiredStatus": "STOPPED"}));
}

#[tokio::test]
async fn only_a_task_that_lives_is_told_to_stop() {
    let answers = Answers::start(vec![
        (200, json!({"tasks": [task(TASK, 2, "RUNNING")]})),
        (200, json!({"task": task(TASK, 2, "RUNNING")})),
        (200, json!({"tasks": [task(TASK, 2, "STOPPED")]})),
    ])
    .await;
    let runner = runner(&answers);
    let run = run(Some(TASK));
    runner.stop(&run).await.unwrap();
    runner.stop(&run).await.unwrap();
    let operations: Vec<String> = answers.requests().into_iter().map(|(name, _)| name).collect();
    assert_eq!(operations, ["DescribeTasks", "StopTask", "DescribeTasks"]);
    assert_eq!(answers.requests()[1].1["task"], TASK);
}
