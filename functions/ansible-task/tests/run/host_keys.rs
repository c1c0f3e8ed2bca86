//! Host keys: the rules for a key that is not pinned, and a replacement that may end anywhere.

use std::time::Duration;

use nodeyard_domain::{code::Code, host_key::HostPins, readiness::ReadinessCode};

use crate::{
    machine::{Machine, host_key},
    world::Stuck,
};

#[tokio::test]
async fn before_the_first_login_another_key_is_waited_out() {
    let machine = Machine::new();
    machine.put("ssh.plan", "other\nother\nother\n");
    machine.perform().await.unwrap();
    assert_eq!(machine.world.result().code, None);
}

#[tokio::test]
async fn another_key_that_stays_is_a_mismatch() {
    let mut machine = Machine::new();
    machine.tempo.boot_limit = Duration::ZERO;
    machine.put("shown.key", &host_key(9));
    machine.perform().await.unwrap();
    let result = machine.world.result();
    assert_eq!(result.code, Some(Code::NodeHostKeyMismatch));
    assert_eq!(result.readiness[0].code, ReadinessCode::HostKeyMismatch);
}

#[tokio::test]
async fn after_the_first_login_another_key_is_a_mismatch_at_once() {
    for pins in [
        HostPins { replaced: true, ..HostPins::delivered(42, host_key(2)) },
        HostPins::delivered(42, host_key(1)).with_next(&host_key(2)),
    ] {
        let machine = Machine::configured();
        machine.put("shown.key", &host_key(9));
        machine.world.state().pins = Some(pins);
        machine.perform().await.unwrap();
        assert_eq!(machine.world.result().code, Some(Code::NodeHostKeyMismatch));
        assert_eq!(machine.lines("ssh.tries").len(), 1);
        assert_eq!(machine.read("played"), "");
    }
}

#[tokio::test]
async fn the_retired_key_is_refused_for_ever() {
    let machine = Machine::configured();
    machine.put("shown.key", &host_key(1));
    machine.perform().await.unwrap();
    assert_eq!(machine.world.result().code, Some(Code::NodeHostKeyMismatch));
}

#[tokio::test]
async fn a_key_that_changes_under_a_playbook_is_a_mismatch() {
    let machine = Machine::configured();
    let other = host_key(9);
    machine.hook("boot", &format!("echo '{other}' > \"$W/shown.key\""));
    machine.perform().await.unwrap();
    assert_eq!(machine.world.result().code, Some(Code::NodeHostKeyMismatch));
}

#[tokio::test]
async fn the_new_key_is_proved_alone_over_a_connection_of_its_own() {
    let machine = Machine::new();
    machine.perform().await.unwrap();
    let tries = machine.lines("ssh.tries");
    assert_eq!(tries.len(), 2, "one login, one proof");
    assert!(tries[0].contains("/known_hosts -o"), "{}", tries[0]);
    let proof = &tries[1];
    assert!(proof.contains("/known_hosts.next -o"), "{proof}");
    assert!(proof.contains("ControlMaster=no") && proof.contains("ControlPath=none"));
    assert!(machine.lines("closed")[0].contains("/.ansible/cp/socket"), "shared ones are closed");
}

#[tokio::test]
async fn a_switch_that_did_not_take_is_not_believed() {
    let machine = Machine::new();
    let old = host_key(1);
    machine.hook("host_key_switch", &format!("echo '{old}' > \"$W/shown.key\""));
    machine.perform().await.unwrap();
    assert_eq!(machine.world.result().code, Some(Code::NodeHostKeyMismatch));
    // Both stay pinned: the node can still be reached by the next run.
    let pins = machine.world.state().pins.clone().unwrap();
    assert_eq!((pins.current, pins.next, pins.replaced), (host_key(1), Some(host_key(2)), false));
}

#[tokio::test]
async fn a_report_without_a_key_is_refused() {
    for custom in ["", "\\\"host_key_next\\\":\\\"ssh-ed25519 AAAA\\\"", "\\\"host_key_next\\\":7"]
    {
        let machine = Machine::new();
        machine.hook("host_key_prepare", &format!("custom=\"{custom}\""));
        machine.perform().await.unwrap();
        let result = machine.world.result();
        assert_eq!(result.code, Some(Code::AnsiblePlayError), "{custom}: {}", result.message);
        assert_eq!(machine.world.state().pins, Some(HostPins::delivered(42, host_key(1))));
    }
}

#[tokio::test]
async fn pins_that_somebody_else_changed_are_not_overwritten() {
    let machine = Machine::new();
    machine.hook("host_key_prepare", ": > \"$W/prepared\"");
    let other = HostPins::delivered(42, host_key(1)).with_next(&host_key(5));
    let (task, request) = (machine.task(), machine.request());
    let prepared = machine.path("prepared");
    let meddle = async {
        while !prepared.exists() {
            tokio::task::yield_now().await;
        }
        machine.world.state().pins = Some(other.clone());
    };
    let (done, ()) = tokio::join!(task.perform(&request, std::future::pending()), meddle);
    done.unwrap();
    let result = machine.world.result();
    assert_eq!(result.message, "somebody else has changed the node's pins");
    assert_eq!(machine.world.state().pins, Some(other));
}

/// Breaks a first run at one point of the replacement, and looks at the second and third.
async fn recovers_from(what: &str, break_it: impl FnOnce(&Machine), mend: impl FnOnce(&Machine)) {
    let machine = Machine::new();
    break_it(&machine);
    machine.perform().await.unwrap();
    let first = machine.world.result();
    assert!(first.code.is_some(), "{what}: the first run was to fail");
    mend(&machine);

    machine.world.next_run();
    machine.perform().await.unwrap();
    let second = machine.world.result();
    assert_eq!(second.code, None, "{what}: {}", second.message);
    let pins = machine.world.state().pins.clone().unwrap();
    let expected = HostPins { replaced: true, ..HostPins::delivered(42, host_key(2)) };
    assert_eq!(pins, expected, "{what}");
    assert_eq!(machine.lines("keys_made"), ["made"], "{what}: one key was made");
    assert_eq!(machine.read("shown.key"), host_key(2), "{what}");

    machine.world.next_run();
    machine.perform().await.unwrap();
    let third = machine.world.result();
    assert_eq!((third.code, third.recap.changed), (None, 0), "{what}");
}

#[tokio::test]
async fn a_run_that_ended_anywhere_in_the_replacement_is_taken_up() {
    let hook = |playbook: &'static str, code: &'static str| {
        (
            move |machine: &Machine| machine.hook(playbook, code),
            move |machine: &Machine| machine.remove(&format!("hook.{playbook}")),
        )
    };
    let (broken, mended) = hook("host_key_prepare", "exit 250");
    recovers_from("made and not reported", broken, mended).await;

    let (broken, mended) = hook("host_key_switch", "exit 250");
    let broken = move |machine: &Machine| {
        machine.world.state().failing_pins = 1;
        broken(machine);
    };
    recovers_from("the answer of the first write lost, then switched and not told", broken, mended)
        .await;

    let (broken, mended) = hook("host_key_switch", "cp \"$W/was.key\" \"$W/shown.key\"; exit 250");
    let broken = move |machine: &Machine| {
        machine.put("was.key", &host_key(1));
        broken(machine);
    };
    recovers_from("both pinned and not switched", broken, mended).await;

    let (broken, mended) =
        hook("host_key_switch", "printf 'denied\\n%.0s' 1 2 3 4 > \"$W/ssh.plan\"");
    recovers_from("switched and not proved", broken, mended).await;
}

/// Kills a task at one arrow of the replacement: the node shows a key that is pinned, and the next
/// run ends the replacement with the one key that was made.
async fn survives_a_kill(what: &str, hang: impl FnOnce(&Machine), mend: impl FnOnce(&Machine)) {
    let machine = Machine::new();
    machine.put("was.key", &host_key(1));
    hang(&machine);
    let (task, request) = (machine.task(), machine.request());
    let reached = machine.path("reached");
    tokio::select! {
        done = task.perform(&request, std::future::pending()) => panic!("{what}: ended: {done:?}"),
        () = async { while !reached.exists() { tokio::task::yield_now().await } } => {}
    }
    drop(task);
    machine.assert_nothing_is_left();
    assert!(machine.world.state().results.is_empty(), "{what}: nobody made up a result");
    let pins = machine.world.state().pins.clone().unwrap();
    let shown = machine.read("shown.key");
    assert!(pins.known_hosts("node").contains(shown.trim()), "{what}: locked out: {pins:?}");

    mend(&machine);
    machine.world.state().stuck = None;
    machine.world.next_run();
    machine.perform().await.unwrap();
    let result = machine.world.result();
    assert_eq!(result.code, None, "{what}: {}", result.message);
    let pins = machine.world.state().pins.clone().unwrap();
    let alone = HostPins { replaced: true, ..HostPins::delivered(42, host_key(2)) };
    assert_eq!((pins, machine.read("shown.key")), (alone, host_key(2)), "{what}");
    assert_eq!(machine.lines("keys_made"), ["made"], "{what}: one key was made");
}

#[tokio::test]
async fn a_task_that_is_killed_at_any_arrow_leaves_the_node_reachable() {
    const HANG: &str = ": > \"$W/reached\"; sleep 60";
    let playbook = async |what: &str, playbook: &'static str, code: String| {
        let mend = move |machine: &Machine| machine.remove(&format!("hook.{playbook}"));
        survives_a_kill(what, |machine| machine.hook(playbook, &code), mend).await;
    };
    let write = async |what: &str, number: usize, at: Stuck| {
        let hang = |machine: &Machine| {
            let reached = machine.path("reached");
            machine.world.state().stuck = Some((number, at, reached));
        };
        survives_a_kill(what, hang, |_| {}).await;
    };
    let not_switched = format!("cp \"$W/was.key\" \"$W/shown.key\"; {HANG}");
    playbook("made and not reported", "host_key_prepare", HANG.into()).await;
    write("reported and not pinned", 1, Stuck::Before).await;
    write("both pinned, and nobody was told", 1, Stuck::After).await;
    playbook("both pinned and not switched", "host_key_switch", not_switched).await;
    playbook("switched, and nobody was told", "host_key_switch", HANG.into()).await;
    let unproved = |machine: &Machine| machine.put("ssh.plan", "login\nhang\n");
    survives_a_kill("switched and not proved", unproved, |_| {}).await;
    write("proved and not pinned alone", 2, Stuck::Before).await;
    write("pinned alone, and nobody was told", 2, Stuck::After).await;
}

#[tokio::test]
async fn a_write_whose_answer_was_lost_is_found_done() {
    let machine = Machine::new();
    machine.world.state().failing_pins = 1;
    machine.perform().await.unwrap();
    assert_eq!(machine.world.result().code, None);
}
