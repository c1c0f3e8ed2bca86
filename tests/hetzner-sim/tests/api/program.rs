//! The program itself.

use std::process::Stdio;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hetzner-sim"));
    command.stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    command
}

fn interrupt(child: &Child, signal: Signal) {
    let pid = i32::try_from(child.id().unwrap()).unwrap();
    kill(Pid::from_raw(pid), signal).unwrap();
}

#[tokio::test]
async fn it_says_when_it_is_ready_and_ends_when_told() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let folder = tempfile::tempdir().unwrap();
        let mut child = program()
            .args(["serve", "--backing", "none", "--token", "main=top-secret:rw:shop"])
            .args(["--settings", r#"{"rate": {"limit": 7}}"#, "--standing-clock", "--state-dir"])
            .arg(folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let ready = lines.next_line().await.unwrap().unwrap();
        assert!(!ready.contains("top-secret"));
        let ready: Value = serde_json::from_str(&ready).unwrap();
        assert_eq!(ready["backing"]["backing"], "none");
        assert_eq!(ready["pid"], child.id().unwrap());
        let endpoint = ready["endpoint"].as_str().unwrap();
        assert_eq!(endpoint, format!("{}/v1", ready["url"].as_str().unwrap()));
        let answer = reqwest::Client::new()
            .get(format!("{endpoint}/servers"))
            .bearer_auth("top-secret")
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["ratelimit-remaining"], "6");
        interrupt(&child, signal);
        assert!(child.wait().await.unwrap().success());
        assert_eq!(lines.next_line().await.unwrap(), None);
    }
}

#[tokio::test]
async fn it_refuses_what_makes_no_sense() {
    for arguments in [
        vec!["serve", "--token", "half"],
        vec!["serve", "--backing", "none", "--settings", "{\"tims\": {}}"],
        vec!["serve", "--backing", "none", "--listen", "192.0.2.1:1"],
        vec!["dance"],
    ] {
        let status = program().args(&arguments).stdout(Stdio::null()).status().await.unwrap();
        assert!(!status.success(), "{arguments:?}");
    }
}

#[tokio::test]
async fn there_may_be_nothing_to_clean_up() {
    let folder = tempfile::tempdir().unwrap();
    let output = program()
        .args(["cleanup", "--stack", "never-was", "--state-dir"])
        .arg(folder.path())
        .output()
        .await
        .unwrap();
    assert!(output.status.success());
    assert!(output.stdout.is_empty());
}
