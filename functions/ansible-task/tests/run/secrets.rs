//! No secret byte leaves the agent's pipe, and no child sees our environment.

use crate::machine::{Machine, key_pair};

const CANARY: &str = "Q0FOQVJZY2FuYXJ5Q0FOQVJZY2FuYXJ5Q0FOQVJZY2FuYXJ5Q0FOQVJZY2FuYXJ5";

fn private_key() -> String {
    format!(
        "-----BEGIN OPENSSH PRIVATE KEY-----\n{CANARY}\n{CANARY}\n\
         -----END OPENSSH PRIVATE KEY-----"
    )
}

/// Prints what ssh-add was given in every way a playbook could.
const LEAK: &str = r#"
cat "$W/key"
cat "$W/key" >&2
body=$(sed -n 2p "$W/key")
echo "in a line: $body, and on"
task "Leaky" changed "$body"
task "Leaky too" failed "-----BEGIN OPENSSH PRIVATE KEY-----\n$body\n-----END OPENSSH PRIVATE KEY-----"
stats '"failures":1' ''
exit 2
"#;

#[tokio::test]
async fn a_key_goes_to_ssh_add_and_nowhere_else() {
    let machine = Machine::configured();
    machine.world.state().keys = vec![(1, private_key())];
    machine.hook("web", LEAK);
    machine.perform().await.unwrap();

    // The scripts did have it: the test can fail. ssh-add wants a last line feed.
    assert_eq!(machine.read("key"), format!("{}\n--\n", private_key()));
    let mut state = machine.world.state();
    state.keys.clear();
    let everything = format!("{state:?}");
    assert!(!everything.contains(CANARY), "{everything}");
    assert!(everything.contains("[private key removed]"));
    assert!(everything.contains("in a line: [private key removed], and on"));
    drop(state);
    for name in ["args", "inventory", "vars", "env.ssh-add", "env.ssh", "env.ansible-playbook"] {
        let text = machine.read(name);
        assert!(!text.is_empty() && !text.contains(CANARY), "{name}");
    }
}

#[tokio::test]
async fn children_see_the_environment_made_for_them_and_nothing_of_ours() {
    let machine = Machine::configured();
    machine.perform().await.unwrap();
    // Ours has something to hide, whatever runs the tests.
    assert!(std::env::vars().any(|(name, _)| name.starts_with("CARGO")));
    let common = ["PATH", "HOME", "TMPDIR", "LANG", "SSH_AUTH_SOCK", "SSH_ASKPASS_REQUIRE"];
    let of_shell = ["PWD", "OLDPWD", "SHLVL", "_"];
    let of_ansible = [
        "ANSIBLE_CONFIG",
        "ANSIBLE_HOME",
        "ANSIBLE_LOCAL_TEMP",
        "ANSIBLE_NOCOLOR",
        "ANSIBLE_SSH_CONTROL_PATH_DIR",
        "NODEYARD_EVENTS_FILE",
        "PYTHONDONTWRITEBYTECODE",
        "PYTHONUNBUFFERED",
    ];
    for program in ["ssh", "ssh-add", "ssh-agent", "ansible-playbook"] {
        let lines = machine.lines(&format!("env.{program}"));
        let names: Vec<&str> =
            lines.iter().filter_map(|line| Some(line.split_once('=')?.0)).collect();
        for name in &names {
            let known = common.contains(name)
                || of_shell.contains(name)
                || (program == "ansible-playbook" && of_ansible.contains(name));
            assert!(known, "{program} sees {name}");
        }
        assert!(common.iter().all(|name| names.contains(name)), "{program}: {names:?}");
    }
}

#[tokio::test]
async fn the_real_agent_takes_a_key_by_its_pipe_and_goes_away() {
    let machine = Machine::configured();
    for program in ["ssh-agent", "ssh-add"] {
        machine.remove(&format!("bin/{program}"));
    }
    let key = key_pair(7);
    machine.world.state().keys = vec![(1, key.private.clone())];
    machine.hook("web", "ssh-add -L > \"$W/held\"; ps -eo pid,args > \"$W/processes\"");
    machine.perform().await.unwrap();
    assert_eq!(machine.world.result().code, None);
    assert!(machine.read("held").starts_with(&key.public));
    let vars: serde_json::Value = serde_json::from_str(&machine.read("vars")).unwrap();
    let managed = &vars["ssh_authorized_keys"][0]["__ansible_unsafe"];
    assert_eq!(managed, &format!("{} nodeyard", key.public));
    // Where Ansible runs, the agent is the only one that has it, and it is gone in the end.
    let agent = format!("ssh-agent -D -a {}", machine.path("scratch").display());
    let processes = machine.lines("processes");
    let agent = processes
        .iter()
        .map(|line| line.trim())
        .find(|line| line.split_once(' ').is_some_and(|(_, words)| words.starts_with(&agent)));
    let (pid, _) = agent.expect("the agent runs").split_once(' ').unwrap();
    machine.put("agent.pids", &format!("{pid}\n"));
    machine.assert_nothing_is_left();
}

#[tokio::test]
async fn the_newest_key_is_added_first() {
    let machine = Machine::configured();
    machine.world.state().keys = vec![(1, "the older".into()), (2, "the newer".into())];
    machine.world.state().run.key_versions = vec![2, 1];
    machine.perform().await.unwrap();
    assert_eq!(machine.lines("key"), ["the newer", "--", "the older", "--"]);
}

#[tokio::test]
async fn a_run_of_before_there_were_suffixes_finds_its_keys() {
    let machine = Machine::configured();
    {
        let mut state = machine.world.state();
        let mut record = serde_json::to_value(&state.run).unwrap();
        record.as_object_mut().unwrap().remove("key_stem").unwrap();
        state.run = serde_json::from_value(record).unwrap();
        state.keys_at = "ssh-key/main".into();
    }
    machine.perform().await.unwrap();
    assert_eq!(machine.lines("key"), ["managed key 1", "--"]);
}
