//! Runs that fail, each with a result that says why.

use std::time::Duration;

use nodeyard_ansible_task::TaskError;
use nodeyard_domain::{code::Code, readiness::ReadinessCode, run::RunResult};

use crate::machine::Machine;

async fn result_of(machine: &Machine) -> RunResult {
    machine.perform().await.unwrap();
    assert_eq!(machine.world.state().wakes.len(), 1, "a failure wakes the job too");
    machine.world.result()
}

async fn with_hook(playbook: &str, code: &str) -> (Machine, RunResult) {
    let machine = Machine::configured();
    machine.hook(playbook, code);
    let result = result_of(&machine).await;
    (machine, result)
}

#[tokio::test]
async fn a_failed_task_is_named() {
    let code = r#"task "Install redis" failed "no such package"; stats '"ok":2,"changed":1,"failures":1' ''; exit 2"#;
    let (machine, result) = with_hook("web", code).await;
    assert_eq!(result.code, Some(Code::AnsibleHostFailed));
    assert_eq!(result.message, "web.yml: \"Install redis\" failed: no such package");
    assert_eq!((result.recap.failed, result.recap.changed), (1, 1));
    assert_eq!(machine.lines("played"), ["boot", "web"], "nothing is played after a failure");
    let messages = machine.world.messages();
    assert!(messages.contains(&"failed: Install redis: no such package".to_owned()));
    let last =
        "run 1 ended: ANSIBLE_HOST_FAILED: web.yml: \"Install redis\" failed: no such package";
    assert_eq!(messages.last().unwrap(), last);
}

#[tokio::test]
async fn a_node_that_goes_away_is_unreachable() {
    let code = r#"task "Install" unreachable "Failed to connect to the host via ssh: No route to host"; stats '"unreachable":1' ''; exit 4"#;
    let (_, result) = with_hook("web", code).await;
    assert_eq!(result.code, Some(Code::AnsibleHostUnreachable));
    assert_eq!(result.readiness[0].code, ReadinessCode::SshUnreachable);
}

#[tokio::test]
async fn a_playbook_that_cannot_be_parsed_is_told_from_an_unreachable_node() {
    let (machine, result) =
        with_hook("web", ": > $NODEYARD_EVENTS_FILE; echo 'ERROR! mapping values' >&2; exit 4")
            .await;
    assert_eq!(result.code, Some(Code::AnsibleSyntaxError));
    assert!(machine.world.log_text().contains("ERROR! mapping values"));
}

#[tokio::test]
async fn other_ends_have_codes_of_their_own() {
    for (exit, expected) in [
        ("exit 1", Code::AnsiblePlayError),
        ("exit 250", Code::AnsibleUnexpectedError),
        ("exit 99", Code::AnsibleUnknownExit),
        ("kill -9 $$", Code::AnsibleUnexpectedError),
        // Success without a recap.
        ("exit 0", Code::AnsibleUnexpectedError),
    ] {
        let (_, result) = with_hook("web", exit).await;
        assert_eq!(result.code, Some(expected), "{exit}");
    }
}

#[tokio::test]
async fn readiness_that_reports_nothing_is_not_ready() {
    let (_, result) = with_hook("readiness", "custom=''").await;
    assert_eq!(result.code, Some(Code::AnsiblePlayError));
    assert!(result.readiness.is_empty());
}

#[tokio::test]
async fn a_node_that_never_answers_times_out() {
    let mut machine = Machine::new();
    machine.tempo.boot_limit = Duration::ZERO;
    machine.put("ssh.plan", "refused\n");
    let result = result_of(&machine).await;
    assert_eq!(result.code, Some(Code::NodeBootTimeout));
    assert_eq!(result.readiness[0].code, ReadinessCode::SshUnreachable);
    assert_eq!(machine.read("played"), "");
}

#[tokio::test]
async fn a_node_that_refuses_our_key_is_unreachable() {
    let mut machine = Machine::new();
    machine.tempo.denied_limit = Duration::ZERO;
    machine.put("ssh.plan", "refused\ndenied\n");
    let result = result_of(&machine).await;
    assert_eq!(result.code, Some(Code::NodeUnreachable));
    assert_eq!(result.readiness[0].code, ReadinessCode::SshAuthFailed);
}

#[tokio::test]
async fn what_the_task_itself_lacks_is_recorded_too() {
    async fn message(prepare: impl FnOnce(&Machine)) -> String {
        let machine = Machine::configured();
        prepare(&machine);
        let result = result_of(&machine).await;
        assert_eq!(result.code, Some(Code::AnsibleUnexpectedError), "{}", result.message);
        assert_eq!(machine.read("played"), "");
        result.message
    }
    let said = message(|machine| machine.world.state().keys.clear()).await;
    assert!(said.starts_with("version 1 of the managed key cannot be had"), "{said}");
    let said = message(|machine| machine.world.state().run.key_versions.clear()).await;
    assert_eq!(said, "the run names no managed key");
    let said = message(|machine| machine.put("agent.broken", "")).await;
    assert_eq!(said, "ssh-agent did not start: cannot bind");
    let said = message(|machine| machine.put("add.broken", "")).await;
    assert_eq!(said, "ssh-add failed: agent refused operation");
    let said = message(|machine| machine.world.state().pins = None).await;
    assert_eq!(said, "no host key is pinned for server 42");
    // Pins of another server mean nothing.
    let said = message(|machine| machine.world.state().run.server_id = 43).await;
    assert_eq!(said, "no host key is pinned for server 43");
    let said = message(|machine| machine.world.state().run.address = "{{ x }}".into()).await;
    assert!(said.starts_with("the node has no address"), "{said}");
    let said = message(|machine| {
        std::fs::remove_dir_all(machine.path("playbooks")).unwrap();
    })
    .await;
    assert!(said.starts_with("the playbooks cannot be read"), "{said}");
}

#[tokio::test]
async fn ansible_that_cannot_be_started_is_recorded() {
    let machine = Machine::configured();
    machine.put("bin/ansible-playbook", "#!/nonexistent/interpreter\n");
    let result = result_of(&machine).await;
    assert!(result.code.is_some());
    assert!(result.message.starts_with("boot.yml"), "{}", result.message);
}

#[tokio::test]
async fn without_ssh_nothing_is_waited_for() {
    let machine = Machine::configured();
    machine.remove("bin/ssh");
    let mut task = machine.task();
    task.settings.search_path = machine.path("bin").into_os_string();
    std::os::unix::fs::symlink("/bin/sh", machine.path("bin/sh")).unwrap();
    for tool in ["env", "cat", "sleep"] {
        let found = ["/usr/bin", "/bin"].map(|folder| std::path::Path::new(folder).join(tool));
        let found = found.iter().find(|path| path.exists()).unwrap();
        std::os::unix::fs::symlink(found, machine.path("bin").join(tool)).unwrap();
    }
    task.perform(&machine.request(), std::future::pending()).await.unwrap();
    let result = machine.world.result();
    assert_eq!(result.code, Some(Code::AnsibleUnexpectedError));
    assert!(result.message.starts_with("ssh cannot be started"), "{}", result.message);
}

#[tokio::test]
async fn an_older_key_that_is_gone_is_no_failure() {
    let machine = Machine::configured();
    machine.world.state().run.key_versions = vec![1, 0];
    assert_eq!(result_of(&machine).await.code, None);
    let said = "version 0 of the managed key is gone; going on without".to_owned();
    assert!(machine.world.messages().contains(&said));
}

#[tokio::test]
async fn a_run_that_does_not_exist_has_no_result() {
    let machine = Machine::configured();
    let mut request = machine.request();
    request.run = 9;
    let done = machine.task().perform(&request, std::future::pending()).await;
    assert!(matches!(done, Err(TaskError::NoRun { run: 9, .. })));
    assert!(machine.world.state().wakes.is_empty());
}
