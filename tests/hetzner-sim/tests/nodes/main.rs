//! Real machines: they boot, take their user data, install packages, reach
//! nothing outside, and leave nothing behind.
//!
//! Needs root on Linux; without, each test prints `left out` and passes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg(target_os = "linux")]

mod run;

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use hetzner_sim::backing::{Kind, Power, clean_up};
use run::{Node, Run, text};

#[tokio::test(flavor = "multi_thread")]
async fn machines_by_nspawn_work_and_leave_nothing() {
    work_and_leave_nothing(Kind::Nspawn, "test-spawn").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn machines_by_podman_work_and_leave_nothing() {
    work_and_leave_nothing(Kind::Podman, "test-pod").await;
}

async fn work_and_leave_nothing(kind: Kind, stack: &str) {
    let folder = tempfile::tempdir().unwrap();
    let run = Run::new(stack, folder.path());
    let start = Instant::now();
    let host = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = host.local_addr().unwrap().port();
    let Some(backing) = run.backing(kind, &[port]).await else {
        return;
    };
    say("laid out", start);
    assert_eq!(backing.info().netns.unwrap(), format!("/run/netns/{}", run.lab()));
    reaches_the_host(&run, &host);
    let one = run.node(5_000_000_001, 10);
    let two = run.node(5_000_000_002, 11);

    let start = Instant::now();
    let (first, second) =
        tokio::join!(backing.create(one.spec.clone()), backing.create(two.spec.clone()));
    first.unwrap();
    second.unwrap();
    say("two launched", start);
    run.await_login(&one);
    run.await_login(&two);
    say("two logged in to", start);
    booted_well(&run, &one);
    say("boot finished", start);
    fills_a_disk_of_its_own(&run, &one, &two);
    installs_packages(&run, &one);
    assert!(!run.ssh(&two, "tree --version").status.success());
    say("a package installed", start);
    reaches_nothing_outside(&run, &one);

    say("seen to reach nothing outside", start);

    // What is on its disk survives a change of power, what is in memory not.
    run.ssh(&two, "sudo touch /root/kept /run/lost && sync");
    backing.power(two.spec.id, Power::Reset).await.unwrap();
    run.await_login(&two);
    assert!(run.ssh(&two, "sudo test -e /root/kept").status.success());
    assert!(!run.ssh(&two, "sudo test -e /run/lost").status.success());
    say("one reset", start);

    // Switched off from inside, it is as silent as one switched off by us.
    run.ssh(&two, "sudo systemctl poweroff");
    run.await_silence(&two);
    say("one off by its own", start);
    backing.power(two.spec.id, Power::On).await.unwrap();
    run.await_login(&two);
    backing.power(two.spec.id, Power::Off).await.unwrap();
    assert!(!run.ssh(&two, "true").status.success());
    backing.power(two.spec.id, Power::On).await.unwrap();
    run.await_login(&two);

    let start = Instant::now();
    backing.destroy(one.spec.id).await.unwrap();
    say("one destroyed", start);
    backing.destroy(one.spec.id).await.unwrap();
    let left = run.left_overs();
    assert!(!left.iter().any(|left| left.contains("5000000001")), "{left:?}");
    assert!(!run.ssh(&one, "true").status.success());

    // Its address goes to the next one, who answers with a key of its own.
    let three = run.node(5_000_000_003, 10);
    backing.create(three.spec.clone()).await.unwrap();
    run.await_login(&three);

    let start = Instant::now();
    backing.shut_down().await.unwrap();
    say("shut down", start);
    assert_eq!(run.left_overs(), [""; 0]);
}

/// The port forwarded leads out of the lab, and no other does.
fn reaches_the_host(run: &Run, host: &TcpListener) {
    let port = host.local_addr().unwrap().port();
    let greet = std::thread::scope(|scope| {
        scope.spawn(|| host.accept().unwrap().0.write_all(b"hello").unwrap());
        run.inside(&format!("exec 3<>/dev/tcp/127.0.0.1/{port}; head -c 5 <&3"))
    });
    assert_eq!(text(&greet), "hello");
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = other.local_addr().unwrap().port();
    assert!(!run.inside(&format!("</dev/tcp/127.0.0.1/{port}")).status.success());
}

fn booted_well(run: &Run, node: &Node) {
    let cloud_init = run.ssh(node, "cloud-init status --wait --long");
    let said = text(&cloud_init);
    assert!(matches!(cloud_init.status.code(), Some(0 | 2)), "{said}");
    assert!(said.contains("DataSourceHetzner"), "{said}");
    let state = "systemctl is-system-running --wait; systemctl --failed --no-legend; sudo hostname";
    assert_eq!(text(&run.ssh(node, state)), format!("running\n{}", node.spec.name));
}

fn installs_packages(run: &Run, node: &Node) {
    let install = "sudo DEBIAN_FRONTEND=noninteractive \
                   apt-get install -y --no-install-recommends tree && tree --version";
    let installed = run.ssh(node, install);
    assert!(installed.status.success(), "{}", text(&installed));
    let updated = run.ssh(node, "sudo apt-get update");
    assert!(updated.status.success(), "{}", text(&updated));
    assert!(!text(&updated).contains("Err:"), "{}", text(&updated));
}

/// Full is full for one machine, and neither for the other nor for the host.
fn fills_a_disk_of_its_own(run: &Run, node: &Node, other: &Node) {
    let has_loop_devices = std::process::Command::new("losetup").arg("--find").output();
    if !has_loop_devices.is_ok_and(|found| found.status.success()) {
        println!("left out: a disk of its own; there are no loop devices");
        return;
    }
    let free = "stat -f -c '%a %S' / | { read blocks size; echo $((blocks * size >> 30)); }";
    let free_gib = |node| -> u32 { text(&run.ssh(node, free)).trim().parse().unwrap() };
    assert!((35..40).contains(&free_gib(node)), "{} GiB", free_gib(node));
    let filled = run.ssh(node, &format!("sudo fallocate -l $(($({free}) - 1))G /root/filler"));
    assert!(filled.status.success(), "{}", text(&filled));
    assert!(free_gib(node) <= 1, "{} GiB", free_gib(node));
    assert!((35..40).contains(&free_gib(other)), "{} GiB", free_gib(other));
    assert!(run.ssh(node, "sudo rm /root/filler").status.success());
    assert!((35..40).contains(&free_gib(node)), "{} GiB", free_gib(node));
}

fn reaches_nothing_outside(run: &Run, node: &Node) {
    let routes = Command::new("ip").args(["-n", &run.lab(), "route"]).output().unwrap();
    assert!(!text(&routes).contains("default"), "{}", text(&routes));
    // An address for documentation: if a packet did get out, nobody has it.
    let connect = "timeout 5 bash -c '</dev/tcp/192.0.2.1/80'";
    assert!(!run.ssh(node, connect).status.success());
    let resolve = "timeout 5 getent hosts example.com";
    assert!(!run.ssh(node, resolve).status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_panics_or_is_given_up_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let run = Run::new("test-drop", folder.path());
    let Some(backing) = run.backing(Kind::Nspawn, &[]).await else {
        return;
    };
    backing.create(run.node(7_000_000_001, 30).spec).await.unwrap();
    assert_ne!(run.left_overs(), [""; 0]);
    drop(backing);
    assert_eq!(run.left_overs(), [""; 0]);
}

/// Set for the process that the test below starts of itself and kills: the
/// folder of its run.
const HOLD: &str = "HETZNER_SIM_TEST_HOLD";

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_run_left_is_cleaned_up() {
    if let Some(folder) = std::env::var_os(HOLD) {
        return hold_machines(&PathBuf::from(folder)).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let run = Run::new("test-dead", folder.path());
    let start = Instant::now();
    let mut holder = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "what_a_killed_run_left_is_cleaned_up", "--nocapture"])
        .env(HOLD, folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(holder.stdout.take().unwrap()).lines();
    let mut told = lines.map_while(Result::ok).inspect(|line| println!("{line}"));
    let held = told.any(|line| line.contains("left out:") || line.contains("all held"));
    assert!(held, "the holder ended");
    if run.left_overs().is_empty() {
        holder.wait().unwrap();
        return;
    }
    say("held", start);

    let alive = clean_up(&run.state_dir(), run.stack()).await;
    assert!(alive.unwrap_err().to_string().contains("live run"));

    holder.kill().unwrap();
    holder.wait().unwrap();
    let start = Instant::now();
    let removed = clean_up(&run.state_dir(), run.stack()).await.unwrap();
    say("cleaned up", start);
    assert!(removed.len() >= 3, "{removed:?}");
    assert_eq!(run.left_overs(), [""; 0]);
    let again = clean_up(&run.state_dir(), run.stack()).await.unwrap();
    assert_eq!(again, [""; 0]);
}

/// Boots four machines at once and waits for its end.
async fn hold_machines(folder: &Path) {
    let run = Run::new("test-dead", folder);
    let Some(backing) = run.backing(Kind::Nspawn, &[]).await else {
        return;
    };
    let nodes: Vec<_> = (0..4).map(|n| run.node(6_000_000_000 + u64::from(n), 20 + n)).collect();
    let start = Instant::now();
    let specs = nodes.iter().map(|node| node.spec.clone());
    let mut creations = tokio::task::JoinSet::new();
    for spec in specs {
        let backing = std::sync::Arc::clone(&backing);
        creations.spawn(async move { backing.create(spec).await });
    }
    for created in creations.join_all().await {
        created.unwrap();
    }
    say("four launched", start);
    for node in &nodes {
        run.await_login(node);
    }
    say("four logged in to", start);
    println!("all held");
    std::future::pending::<()>().await;
}

fn say(what: &str, since: Instant) {
    println!("{what} after {:.2} s", since.elapsed().as_secs_f32());
}
