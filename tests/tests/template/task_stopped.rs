//! The rule that wakes a job when its container task stopped. The emulator refuses such events, so
//! the rule's pattern and transformer are done here, as EventBridge documents them.

use nodeyard_domain::wake::{Wake, WakeReason};
use nodeyard_tests::template::read;
use serde_json::{Value, json};

/// The event as ECS sends it; the cluster's address is the template's to fill in.
fn sample() -> Value {
    let event = include_str!("../../../events/ecs-task-stopped.json");
    serde_json::from_str(event).unwrap()
}

fn rule() -> Value {
    let mut rule = read("infra/template.yaml")["Resources"]["TaskStopped"]["Properties"].take();
    let cluster = &mut rule["EventPattern"]["detail"]["clusterArn"][0];
    assert_eq!(cluster.take(), json!({"GetAtt": "Cluster.Arn"}));
    *cluster = sample()["detail"]["clusterArn"].clone();
    rule
}

/// Every field of the pattern has one of the values listed for it.
fn matches(pattern: &Value, event: &Value) -> bool {
    let fits = |(name, wanted): (&String, &Value)| match wanted {
        Value::Array(any) => {
            any.iter().any(|one| match one.get("prefix").and_then(Value::as_str) {
                Some(prefix) => event[name].as_str().is_some_and(|text| text.starts_with(prefix)),
                None => event[name] == *one,
            })
        }
        inner => matches(inner, &event[name]),
    };
    pattern.as_object().unwrap().iter().all(fits)
}

fn transformed(rule: &Value, event: &Value) -> String {
    let transformer = &rule["Targets"][0]["InputTransformer"];
    let paths = transformer["InputPathsMap"].as_object().unwrap();
    let template = transformer["InputTemplate"].as_str().unwrap().to_owned();
    paths.iter().fold(template, |text, (name, path)| {
        let steps = path.as_str().unwrap().strip_prefix("$.").unwrap().split('.');
        let value = steps.fold(event, |value, step| &value[step]).as_str().unwrap();
        text.replace(&format!("<{name}>"), value)
    })
}

#[test]
fn a_task_that_stopped_becomes_a_wake_of_its_job() {
    let (rule, event) = (rule(), sample());
    assert!(matches(&rule["EventPattern"], &event));
    let wake: Wake = serde_json::from_str(&transformed(&rule, &event)).unwrap();
    assert_eq!(wake.job_id.as_str(), event["detail"]["startedBy"]);
    assert_eq!(wake.reason, WakeReason::Run);
}

#[test]
fn other_changes_and_other_tasks_wake_nobody() {
    let rule = rule();
    for (place, value) in [
        ("/detail/lastStatus", json!("RUNNING")),
        ("/detail/startedBy", json!("ecs-svc/0123456789")),
        ("/detail/clusterArn", json!("arn:aws:ecs:eu-central-1:123456789012:cluster/other")),
        ("/detail-type", json!("ECS Container Instance State Change")),
        ("/source", json!("somebody.else")),
    ] {
        let mut event = sample();
        *event.pointer_mut(place).unwrap() = value;
        assert!(!matches(&rule["EventPattern"], &event), "{place}");
    }
}
