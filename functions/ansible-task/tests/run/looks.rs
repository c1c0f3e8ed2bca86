//! Runs that look: a check and a smoke.

use nodeyard_domain::{
    code::Code,
    readiness::{ReadinessCode, is_ready},
    run::{Purpose, SmokeStep},
    smoke,
};
use serde_json::json;

use crate::machine::Machine;

fn looking(purpose: Purpose) -> Machine {
    let machine = Machine::configured();
    machine.world.state().run.purpose = purpose;
    machine
}

/// What the playbook reports, each step passed but those that `change` makes fail.
fn reported(machine: &Machine, change: impl Fn(&mut SmokeStep)) {
    let steps: Vec<SmokeStep> = smoke::names()
        .map(|name| {
            let mut step = SmokeStep {
                suite: name.suite().into(),
                step: name.step().into(),
                ok: true,
                millis: 1_500,
                command: "curl".into(),
                detail: String::new(),
            };
            change(&mut step);
            step
        })
        .collect();
    let custom = json!(steps).to_string();
    machine.hook("smokes", &format!("custom='\"smokes\":{custom}'"));
}

#[tokio::test]
async fn a_check_probes_and_changes_nothing() {
    let machine = looking(Purpose::Check);
    machine.perform().await.unwrap();
    let result = machine.world.result();
    assert_eq!(result.code, None, "{result:?}");
    assert!(is_ready(&result.readiness) && result.smokes.is_empty());
    assert_eq!(machine.lines("played"), ["readiness"]);
    assert_eq!((result.recap.ok, result.recap.changed, result.key_version), (0, 0, None));
}

#[tokio::test]
async fn a_node_that_does_not_let_us_in_has_a_verdict() {
    for (plan, code, finding) in [
        ("denied\n", Code::NodeUnreachable, ReadinessCode::SshAuthFailed),
        ("refused\n", Code::NodeUnreachable, ReadinessCode::SshUnreachable),
        ("other\n", Code::NodeHostKeyMismatch, ReadinessCode::HostKeyMismatch),
    ] {
        let machine = looking(Purpose::Check);
        machine.put("ssh.plan", &plan.repeat(5_000));
        machine.perform().await.unwrap();
        let result = machine.world.result();
        assert_eq!(result.code, Some(code));
        assert_eq!((result.readiness[0].code, result.readiness[0].ok), (finding, false));
        assert!(machine.lines("played").is_empty());
    }
}

#[tokio::test]
async fn a_smoke_probes_first_and_tells_of_each_step() {
    let machine = looking(Purpose::Smoke { keep: true });
    reported(&machine, |_| {});
    machine.perform().await.unwrap();
    let result = machine.world.result();
    assert_eq!(result.code, None, "{result:?}");
    assert_eq!(machine.lines("played"), ["readiness", "smokes"]);
    assert_eq!(result.smokes.len(), smoke::names().count());
    let vars: serde_json::Value = serde_json::from_str(&machine.lines("vars").join("\n")).unwrap();
    assert_eq!((&vars["smoke_keep"], vars["smoke_id"].as_str().unwrap().len()), (&json!(true), 8));
    let messages = machine.world.messages();
    assert!(messages.contains(&"smoke site.make_user".to_owned()), "{messages:?}");
}

#[tokio::test]
async fn a_smoke_that_fails_names_step_command_and_output() {
    let machine = looking(Purpose::Smoke { keep: false });
    reported(&machine, |step| {
        if step.step == "fetch_restored" {
            (step.ok, step.detail) = (false, "503 Service Unavailable".into());
        }
    });
    machine.perform().await.unwrap();
    let result = machine.world.result();
    assert_eq!(result.code, Some(Code::SmokeFailed));
    assert_eq!(result.message, "backup.fetch_restored: curl: 503 Service Unavailable");
    assert!(is_ready(&result.readiness), "the node was ready");
    let said = "smoke backup.fetch_restored failed: curl: 503 Service Unavailable".to_owned();
    assert!(machine.world.messages().contains(&said));
}

#[tokio::test]
async fn a_step_that_nobody_told_of_has_not_passed() {
    let machine = looking(Purpose::Smoke { keep: false });
    machine.hook(
        "smokes",
        r#"custom='"smokes":[{"suite":"site","step":"remove_left_overs","ok":true,"millis":1}]'"#,
    );
    machine.perform().await.unwrap();
    let result = machine.world.result();
    assert_eq!(result.code, Some(Code::SmokeFailed));
    assert_eq!(result.message, "site.install_packages: not come to");
}

#[tokio::test]
async fn a_node_that_is_not_ready_is_not_smoked() {
    let machine = looking(Purpose::Smoke { keep: false });
    machine.hook(
        "readiness",
        r#"custom='"readiness":[{"code":"service_down","ok":false,"detail":"nginx is failed"}]'"#,
    );
    machine.perform().await.unwrap();
    let result = machine.world.result();
    assert_eq!((result.code, is_ready(&result.readiness)), (None, false));
    assert_eq!(machine.lines("played"), ["readiness"]);
}

#[tokio::test]
async fn a_node_that_reports_too_much_is_cut() {
    let machine = looking(Purpose::Smoke { keep: false });
    // As much as a line of events holds.
    let (name, text) = ("x".repeat(100), "x".repeat(500));
    let step = json!({"suite": name, "step": name, "ok": false, "millis": u64::MAX,
        "command": text, "detail": text});
    let steps: Vec<_> = std::iter::repeat_n(step, 48).collect();
    machine.put("told", &format!("\"smokes\":{}", json!(steps)));
    machine.hook("smokes", r#"stats '"ok":5' "$(cat "$W/told")"; exit 0"#);
    machine.perform().await.unwrap();
    let result = machine.world.result();
    assert_eq!((result.code, result.smokes.len()), (Some(Code::SmokeFailed), 40));
    let bytes = serde_json::to_vec(&result.smokes).unwrap().len();
    assert!(bytes < 36 * 1024, "{bytes}");
}
