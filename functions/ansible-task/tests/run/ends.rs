//! Runs that have to stop before their end.

use std::{future::pending, time::Duration};

use nodeyard_domain::code::Code;

use crate::machine::Machine;

/// Says that it hangs, then does; something it started leaves its session.
const HANG: &str = r#"
setsid sleep 60 & echo $! >> "$W/child.pids"
echo $$ >> "$W/child.pids"
: > "$W/hanging"
while :; do sleep 60; done
"#;

fn hanging() -> Machine {
    let machine = Machine::configured();
    machine.hook("web", HANG);
    machine
}

#[tokio::test]
async fn a_stop_that_is_asked_for_midway_ends_everything() {
    let machine = hanging();
    machine.world.state().stop_once = Some(machine.path("hanging"));
    machine.perform().await.unwrap();
    let result = machine.world.result();
    assert_eq!(result.code, Some(Code::JobCancelled));
    assert_eq!(result.message, "web.yml: the run was stopped as asked");
    assert_eq!(machine.lines("played"), ["boot", "web"]);
    assert_eq!(machine.world.state().wakes.len(), 1);
    assert_eq!(machine.lines("child.pids").len(), 2);
}

#[tokio::test]
async fn a_child_that_does_not_listen_is_killed() {
    let mut machine = hanging();
    machine.hook("web", &format!("trap '' TERM\n{HANG}"));
    machine.tempo.end_grace = Duration::from_millis(20);
    machine.world.state().stop_once = Some(machine.path("hanging"));
    machine.perform().await.unwrap();
    assert_eq!(machine.world.result().code, Some(Code::JobCancelled));
}

#[tokio::test]
async fn the_deadline_ends_a_playbook() {
    let machine = hanging();
    machine.world.state().late_once = Some(machine.path("hanging"));
    machine.perform().await.unwrap();
    let result = machine.world.result();
    assert_eq!(result.code, Some(Code::AnsibleTimeout));
    assert_eq!(result.message, "web.yml: the run did not end by its deadline");
}

#[tokio::test]
async fn the_deadline_ends_the_wait_for_a_node() {
    let machine = Machine::new();
    machine.put("ssh.plan", &"refused\n".repeat(10_000));
    machine.world.state().late_once = Some(machine.path("ssh.tries"));
    machine.perform().await.unwrap();
    assert_eq!(machine.world.result().code, Some(Code::AnsibleTimeout));
    assert_eq!(machine.read("played"), "");
}

#[tokio::test]
async fn a_container_service_that_ends_the_task_is_not_a_cancelled_job() {
    let machine = hanging();
    let hanging = machine.path("hanging");
    let told = async {
        while !hanging.exists() {
            tokio::task::yield_now().await;
        }
    };
    machine.perform_until(told).await.unwrap();
    let result = machine.world.result();
    assert_eq!(result.code, Some(Code::AnsibleUnexpectedError));
    assert_eq!(result.message, "web.yml: the container service ended the task");
}

#[tokio::test]
async fn a_signal_after_a_stop_was_asked_for_is_that_stop() {
    let mut machine = hanging();
    // Too seldom to be found by looking.
    machine.tempo.stop_gap = Duration::from_secs(3600);
    let hanging = machine.path("hanging");
    let told = async {
        while !hanging.exists() {
            tokio::task::yield_now().await;
        }
        machine.world.state().run.stop_requested = true;
    };
    machine.perform_until(told).await.unwrap();
    assert_eq!(machine.world.result().code, Some(Code::JobCancelled));
}

#[tokio::test]
async fn a_run_that_was_stopped_before_it_began_does_nothing() {
    let mut machine = Machine::new();
    // Too seldom to be found by looking.
    machine.tempo.stop_gap = Duration::from_secs(3600);
    machine.world.state().run.stop_requested = true;
    machine.perform().await.unwrap();
    assert_eq!(machine.world.result().code, Some(Code::JobCancelled));
    assert_eq!((machine.read("ssh.tries"), machine.read("played")), (String::new(), String::new()));
    assert_eq!(machine.world.state().wakes.len(), 1);
}

#[tokio::test]
async fn a_task_that_is_dropped_leaves_nothing_running() {
    let machine = hanging();
    let (task, request) = (machine.task(), machine.request());
    let hanging = machine.path("hanging");
    tokio::select! {
        _ = task.perform(&request, pending()) => panic!("it hangs"),
        () = async { while !hanging.exists() { tokio::task::yield_now().await } } => {}
    }
    machine.assert_nothing_is_left();
    assert!(machine.world.state().results.is_empty(), "nobody made up a result");
}
