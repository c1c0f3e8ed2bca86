//! A run that succeeds.

use nodeyard_domain::{
    readiness::ReadinessCode,
    run::Recap,
    timeline::Source,
    wake::{Wake, WakeReason},
};

use crate::machine::{Machine, host_key};

#[tokio::test]
async fn a_new_node_is_configured_and_its_result_recorded() {
    let machine = Machine::new();
    machine.put("ssh.plan", "refused\nother\ndenied\n");
    machine.perform().await.unwrap();

    let result = machine.world.result();
    assert_eq!((result.code, result.message.as_str()), (None, ""));
    // Five playbooks of which four count, one change for the key, two for the switch, three for web.
    assert_eq!(result.recap, Recap { ok: 20, changed: 6, failed: 0, unreachable: 0, skipped: 4 });
    let found: Vec<_> = result.readiness.iter().map(|it| (it.code, it.ok, it.warning)).collect();
    let expected =
        [(ReadinessCode::DiskLow, true, false), (ReadinessCode::RebootRequired, false, true)];
    assert_eq!(found, expected);

    let played = ["boot", "host_key_prepare", "host_key_switch", "web", "readiness"];
    assert_eq!(machine.lines("played"), played);
    let pins = machine.world.state().pins.clone().unwrap();
    assert_eq!((pins.current, pins.next, pins.replaced), (host_key(2), None, true));
    let job = machine.request().job;
    assert_eq!(machine.world.state().wakes, [Wake::new(job, WakeReason::Run)]);
}

#[tokio::test]
async fn timeline_and_log_tell_what_happened_in_order() {
    let machine = Machine::new();
    machine.put("ssh.plan", "refused\nrefused\n");
    machine.world.state().failing_timeline = 1;
    machine.perform().await.unwrap();

    let messages = machine.world.messages();
    assert_eq!(messages[0], "run 1 began");
    assert_eq!(
        messages[1],
        "waiting for the node: ssh: connect to host 198.18.0.10 port 22: Connection refused"
    );
    // The same reason is told once.
    assert_eq!(messages[2], "logged in to the node");
    assert!(messages.contains(&"changed: Install nginx".to_owned()), "{messages:?}");
    assert!(messages.contains(&"web.yml ended: ok=5 changed=3 failed=0 unreachable=0".to_owned()));
    assert!(messages.contains(&"readiness: RebootRequired: kernel".to_owned()));
    assert_eq!(messages.last().unwrap(), "run 1 succeeded");

    let state = machine.world.state();
    assert!(state.timeline.iter().all(|entry| entry.source == Source::Run));
    assert!(state.timeline.windows(2).all(|pair| pair[0].at < pair[1].at), "times are in order");
    assert_eq!(state.timeline[0].fields["playbooks_digest"].as_str().unwrap().len(), 64);
    let numbers: Vec<u32> = state.log.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, (0..numbers.len()).map(|it| it as u32).collect::<Vec<_>>());
    drop(state);
    let log = machine.world.log_text();
    assert!(log.contains("### web.yml\noutput of web\n"), "{log}");
}

#[tokio::test]
async fn the_timeline_of_a_run_is_bounded_and_keeps_failures_and_the_end() {
    let machine = Machine::configured();
    let many = "i=0; while [ $i -lt 500 ]; do task \"t$i\" changed ''; i=$((i+1)); done\n\
        task late failed why; stats '\"failures\":1' ''; exit 2";
    machine.hook("web", many);
    machine.perform().await.unwrap();
    let messages = machine.world.messages();
    let gap = "a run notes 400 entries at most: only failures from here".to_owned();
    let at = messages.iter().position(|message| *message == gap).unwrap();
    assert_eq!(messages[at + 1], "failed: late: why");
    // Of the others, 299 were noted. The play of `web` and what came before are among them.
    let changed = messages.iter().filter(|message| message.starts_with("changed: t")).count();
    assert_eq!(at, 299);
    let left_out = format!("{} entries were left out: see the log", 500 - changed + 1);
    assert_eq!(messages[messages.len() - 2], left_out, "with the recap of web");
    assert!(messages.last().unwrap().starts_with("run 1 ended: ANSIBLE_HOST_FAILED"));
}

#[tokio::test]
async fn a_second_run_changes_nothing_and_leaves_the_host_key_alone() {
    let machine = Machine::configured();
    machine.perform().await.unwrap();
    let result = machine.world.result();
    assert_eq!((result.code, result.recap.changed), (None, 0));
    assert_eq!(machine.lines("played"), ["boot", "web", "readiness"]);
}

#[tokio::test]
async fn the_playbooks_get_the_inventory_and_the_variables_of_the_run() {
    let machine = Machine::configured();
    let node = {
        let run = &mut machine.world.state().run;
        run.vars.insert("timezone".into(), "{{ lookup('pipe', 'id') }}".into());
        run.authorized_keys = vec!["ssh-ed25519 AAAAuser somebody".into()];
        run.node_id.to_string()
    };
    machine.perform().await.unwrap();

    let inventory: serde_json::Value = serde_json::from_str(&machine.read("inventory")).unwrap();
    let host = &inventory["all"]["hosts"][&node];
    assert_eq!(
        (&host["ansible_host"], &host["ansible_user"]),
        (&"198.18.0.10".into(), &"nodeyard".into())
    );
    let common = host["ansible_ssh_common_args"].as_str().unwrap();
    assert!(common.contains(&format!("-o HostKeyAlias={node} -o UserKnownHostsFile=")));
    let vars: serde_json::Value = serde_json::from_str(&machine.read("vars")).unwrap();
    assert_eq!(vars["profile"], "web");
    let plain = &vars["profile_vars"]["timezone"]["__ansible_unsafe"];
    assert_eq!(plain, "{{ lookup('pipe', 'id') }}");
    assert_eq!(
        vars["ssh_authorized_keys"][0]["__ansible_unsafe"],
        "ssh-ed25519 AAAAmanaged nodeyard"
    );
    assert_eq!(vars["ssh_authorized_keys"][1]["__ansible_unsafe"], "ssh-ed25519 AAAAuser somebody");
}

#[tokio::test]
async fn a_result_on_record_is_left_alone_and_the_wake_sent_again() {
    let machine = Machine::configured();
    machine.perform().await.unwrap();
    let first = machine.world.result();
    machine.perform().await.unwrap();
    assert_eq!(machine.world.state().results, [first]);
    assert_eq!(machine.world.state().wakes.len(), 2);
    assert_eq!(machine.lines("played").len(), 3, "nothing was played again");
}

#[tokio::test]
async fn a_result_outlasts_a_store_that_fails_for_a_moment() {
    let machine = Machine::configured();
    machine.world.state().failing_finish = 3;
    machine.perform().await.unwrap();
    assert_eq!(machine.world.state().results.len(), 1);
}

#[tokio::test]
async fn a_run_keeps_a_chain_whose_end_is_in_its_result() {
    use nodeyard_domain::evidence::{Chain, Fact};

    let machine = Machine::new();
    machine.hook("web", "task doomed skipped ''; task \"long\" changed \"why\"");
    machine.perform().await.unwrap();
    let told = machine.world.result().evidence.unwrap();
    let state = machine.world.state();
    let mut chain = Chain::of_run(&state.run.job_id, state.run.number);
    for entry in &state.evidence {
        assert_eq!(chain.append(entry.at, entry.fact.clone()).as_ref(), Some(entry));
    }
    assert_eq!(told.chain.as_ref(), Some(chain.head()), "and every entry is on record");
    let Fact::RunBegan { playbooks, server, .. } = &state.evidence[0].fact else {
        panic!("{:?}", state.evidence[0])
    };
    assert!(playbooks.is_some() && *playbooks == told.playbooks);
    assert_eq!(*server, state.run.server_id.to_string());
    let tasks = |status: &str| {
        let of = |fact: &Fact| matches!(fact, Fact::TaskEnded { status: it, .. } if it == status);
        state.evidence.iter().filter(|entry| of(&entry.fact)).count()
    };
    // The playbook's own one, and the two that were put in.
    assert_eq!((tasks("changed"), tasks("skipped")), (2, 1), "each task's result is there");
    let ended = |fact: &Fact| matches!(fact, Fact::PlaybookEnded { .. });
    assert_eq!(state.evidence.iter().filter(|entry| ended(&entry.fact)).count(), 5);
    assert_eq!(state.evidence.last().unwrap().fact, Fact::run_ended(None, ""));
}

#[tokio::test]
async fn entries_tell_how_far_the_run_is_by_the_last_one_of_its_profile() {
    let machine = Machine::configured();
    machine.hook("web", r#"for i in 1 2 3; do task "Step $i" changed ""; done"#);
    machine.perform().await.unwrap();
    let first = machine.world.result();
    let percents = |machine: &Machine| -> Vec<u64> {
        let timeline = &machine.world.state().timeline;
        timeline.iter().filter_map(|entry| entry.fields.get("percent")?.as_u64()).collect()
    };
    assert_eq!((first.tasks, percents(&machine)), (Some(3), vec![100]), "nothing to go by");
    machine.world.state().timeline.clear();
    machine.world.next_run();
    machine.world.state().run.expected_tasks = first.tasks;
    machine.perform().await.unwrap();
    let told = percents(&machine);
    assert!(told.is_sorted() && told.contains(&0) && told.contains(&33), "{told:?}");
    assert_eq!((told[told.len() - 2], told[told.len() - 1]), (99, 100), "{told:?}");
}
