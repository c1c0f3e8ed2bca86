//! The official Python client, which is nobody's friend here.

use std::process::Stdio;

use hetzner_sim::{Access, Simulator, SimulatorConfig};
use serde_json::json;
use tokio::process::Command;

use crate::bench::KEYS;

#[tokio::test]
async fn the_official_python_client_works_against_it() {
    let Some(python) = std::env::var_os("NODEYARD_PYTHON") else {
        println!("left out: the official Python client, NODEYARD_PYTHON names no interpreter");
        return;
    };
    // On the machine's clock: the client waits in earnest.
    let config = SimulatorConfig::default().token("main", "secret", Access::ReadWrite, "shop");
    let sim = Simulator::start(config).await.unwrap();
    sim.change_settings(&json!({"times": {
        "create_secs": 0.2, "start_secs": 0.1, "stop_secs": 0.1, "delete_secs": 0.2,
    }}))
    .unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/official_client.py");
    let output = Command::new(python)
        .arg(script)
        .env("HCLOUD_TOKEN", "secret")
        .env("HCLOUD_ENDPOINT", sim.endpoint())
        .env("PUBLIC_KEY", KEYS[0])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
    assert!(out.ends_with("official client: ok\n"), "{out}");
    let counts = sim.counts(&Default::default());
    assert_eq!((counts.created_servers, counts.deleted_servers), (1, 1));
    assert_eq!(counts.live_servers, 0);
}
