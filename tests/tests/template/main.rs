//! The template, as far as neither the linters nor the emulator look at it. Each rule is also shown
//! a template in which it is broken.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod beside;
mod bootstrap;
mod rules;
mod task_stopped;

use nodeyard_tests::template::read;
use serde_json::{Value, json};

use rules::{MOST_BYTES, findings};

const TEMPLATE: &str = "infra/template.yaml";

#[test]
fn the_template_is_as_it_has_to_be() {
    assert_eq!(findings(&read(TEMPLATE)), Vec::<String>::new());
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../infra/template.yaml");
    assert!(std::fs::read(path).unwrap().len() < MOST_BYTES);
}

/// What is planted, where, and the finding that has to come of it.
fn planted() -> Vec<(&'static str, Value, &'static str)> {
    let properties = |name: &str| format!("/Resources/{name}/Properties");
    let at =
        |name: &str, rest: &str| -> &'static str { format!("{}/{rest}", properties(name)).leak() };
    vec![
        (at("WakeQueue", "RedrivePolicy"), Value::Null, "WakeQueue: no redrive"),
        (at("WakeQueue", "VisibilityTimeout"), json!(359), "WakeQueue: visible again too soon"),
        (at("WorkerFunction", "Timeout"), json!(61), "WakeQueue: visible again too soon"),
        (at("WakeDeadLetters", "SqsManagedSseEnabled"), json!(false), "WakeDeadLetters: not encr"),
        (at("WorkerWakes", "FunctionResponseTypes"), json!([]), "WorkerWakes: a bad record"),
        (at("WorkerWakes", "ScalingConfig"), Value::Null, "WorkerWakes: no maximum concurrency"),
        (at("Table", "DeletionProtectionEnabled"), json!(false), "Table: not protected"),
        (at("Table", "PointInTimeRecoverySpecification"), Value::Null, "Table: no point-in-time"),
        (at("Table", "TimeToLiveSpecification/AttributeName"), json!("x"), "Table: nothing exp"),
        ("/Parameters/RetainData/Default", json!("false"), "RetainData: off"),
        ("/Resources/Table/DeletionPolicy", json!("Delete"), "Table: goes with the stack"),
        ("/Resources/DeploymentKey/UpdateReplacePolicy", json!("Delete"), "DeploymentKey: goes"),
        ("/Resources/ApiLogs/DeletionPolicy", Value::Null, "ApiLogs: does not say"),
        (at("HttpApiStage", "DefaultRouteSettings"), Value::Null, "HttpApiStage: no throttling"),
        (at("HttpApiStage", "AccessLogSettings/Format"), json!("$context.path"), "HttpApiStage"),
        (at("HttpApiRoute", "RouteKey"), json!("GET /nodes"), "HttpApiRoute: not the one"),
        (at("HttpApiIntegration", "TimeoutInMillis"), json!(15_000), "HttpApiIntegration: gives"),
        ("/Parameters/Architecture/Default", json!("x86_64"), "Architecture: not arm64"),
        (at("ApiFunction", "Role/GetAtt"), json!("WorkerRole.Arn"), "ApiFunction: not its own ro"),
        (at("ApiFunction", "LoggingConfig"), Value::Null, "ApiFunction: not its own log group"),
        (at("SweepSchedule", "ScheduleExpression"), json!("rate(2 minutes)"), "schedules: "),
        (at("TaskLogs", "RetentionInDays"), Value::Null, "TaskLogs: kept for ever"),
        ("/Resources/Network/Condition", Value::Null, "Network: made although"),
        (at("TaskSecurityGroup", "SecurityGroupIngress"), json!([{}]), "TaskSecurityGroup: takes"),
        (at("TaskSecurityGroup", "SecurityGroupEgress/0/ToPort"), json!(80), "TaskSecurityGroup"),
        (at("SubnetA", "MapPublicIpOnLaunch"), json!(true), "SubnetA: gives whatever"),
        (at("SubnetBRoutes", "SubnetId/Ref"), json!("SubnetA"), "SubnetB: no route out"),
        ("/Resources/InternetGateway/Type", json!("AWS::EC2::NatGateway"), "InternetGateway: cost"),
        (at("TaskDefinition", "RuntimePlatform/CpuArchitecture"), json!("ARM64"), "TaskDefinition"),
        (at("TaskDefinition", "ContainerDefinitions/0/User"), json!("0"), "TaskDefinition: runs"),
        (
            at("TaskDefinition", "ContainerDefinitions/0/ReadonlyRootFilesystem"),
            json!(false),
            "TaskDefinition: the root file system",
        ),
        (at("TaskStopped", "EventPattern/detail/lastStatus"), json!([]), "TaskStopped: not our"),
        (at("LateJobsAlarm", "MetricName"), json!("JobAge"), "LateJobsAlarm: does not watch"),
        (at("OrphansAlarm", "AlarmDescription"), json!("Orphans."), "OrphansAlarm: leads to no"),
        (at("DeadLettersAlarm", "AlarmActions"), json!([]), "DeadLettersAlarm: tells nobody"),
        (at("SweepMissingAlarm", "TreatMissingData"), json!("missing"), "SweepMissingAlarm: takes"),
        ("/Resources/CleanupPendingAlarm", Value::Null, "CleanupPendingAlarm: does not watch"),
        (at("Dashboard", "DashboardBody/Sub"), json!("{\"widgets\": []}"), "Dashboard: no Dead"),
        (at("Dashboard", "DashboardBody/Sub"), json!("{"), "Dashboard: not JSON"),
        ("/Outputs/ApiUrl", Value::Null, "Outputs: no ApiUrl"),
    ]
}

#[test]
fn whatever_is_not_as_it_has_to_be_is_found() {
    let template = read(TEMPLATE);
    for (pointer, value, wanted) in planted() {
        let mut broken = template.clone();
        place(&mut broken, pointer, value);
        assert_ne!(broken, template, "{pointer}");
        let found = findings(&broken);
        assert!(found.iter().any(|it| it.starts_with(wanted)), "{pointer}: {found:?}");
    }
}

/// Puts a value at a pointer whose last member need not be there yet.
pub fn place(template: &mut Value, pointer: &str, value: Value) {
    let (parent, last) = pointer.rsplit_once('/').unwrap();
    let parent = template.pointer_mut(parent).unwrap_or_else(|| panic!("no {pointer}"));
    match parent {
        Value::Array(items) => items[last.parse::<usize>().unwrap()] = value,
        parent => parent[last] = value,
    }
}
