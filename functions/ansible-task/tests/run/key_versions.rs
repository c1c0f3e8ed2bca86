//! A run that offers several versions of the managed key proves the newest by a login with it
//! alone; only then does its result say that the node is done with the others.

use nodeyard_domain::code::Code;

use crate::machine::Machine;

fn with_two_versions() -> Machine {
    let machine = Machine::configured();
    let mut state = machine.world.state();
    state.keys = vec![(1, "the older".into()), (2, "the newer".into())];
    state.run.key_versions = vec![2, 1];
    drop(state);
    machine
}

/// The tries that could use the newest version only.
fn proofs(machine: &Machine) -> Vec<String> {
    let mut tries = machine.lines("ssh.tries");
    tries.retain(|line| line.contains("IdentitiesOnly=yes") && line.contains("newest.pub"));
    tries
}

#[tokio::test]
async fn the_newest_version_is_proved_alone_after_the_profile_has_put_it_there() {
    let machine = with_two_versions();
    machine.hook("web", "cp \"$W/ssh.tries\" \"$W/tries.before\"");
    machine.perform().await.unwrap();
    let result = machine.world.result();
    assert_eq!((result.code, result.key_version), (None, Some(2)));
    assert_eq!(proofs(&machine).len(), 1);
    assert!(!machine.read("tries.before").contains("newest.pub"));
    assert_eq!(machine.lines("played"), ["boot", "web", "readiness"]);
}

#[tokio::test]
async fn with_one_version_there_is_nothing_to_prove() {
    let machine = Machine::configured();
    machine.perform().await.unwrap();
    assert_eq!(machine.world.result().key_version, None);
    assert_eq!(proofs(&machine), Vec::<String>::new());
}

#[tokio::test]
async fn a_version_that_opens_nothing_is_never_told_as_proved() {
    let machine = with_two_versions();
    machine.hook("web", "printf 'denied\\ndenied\\ndenied\\n' > \"$W/ssh.plan\"");
    machine.perform().await.unwrap();
    let result = machine.world.result();
    assert_eq!((result.code, result.key_version), (Some(Code::NodeUnreachable), None));
    assert!(result.message.contains("version 2 of the managed key"), "{}", result.message);
    assert_eq!(proofs(&machine).len(), 3);
}

#[tokio::test]
async fn what_was_proved_is_told_even_if_the_run_fails_afterwards() {
    let machine = with_two_versions();
    machine.hook("readiness", "stats '\"failures\":1' ''; exit 2");
    machine.perform().await.unwrap();
    let result = machine.world.result();
    assert_eq!((result.code.is_some(), result.key_version), (true, Some(2)));
}

#[tokio::test]
async fn a_run_that_never_came_so_far_tells_nothing() {
    let machine = with_two_versions();
    machine.hook("web", "stats '\"failures\":1' ''; exit 2");
    machine.perform().await.unwrap();
    let result = machine.world.result();
    assert_eq!((result.code.is_some(), result.key_version), (true, None));
}
