//! How servers and the machines behind them keep step, with machines that the
//! test holds in its hand.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use hetzner_sim::backing::{Backing, BackingError, BackingFuture, BackingInfo, MachineSpec, Power};
use serde_json::json;
use tokio::sync::oneshot;

use crate::bench::{Bench, KEYS, config, draft};

type Release = oneshot::Sender<Result<(), BackingError>>;

/// Machines whose every step waits for the test.
#[derive(Default)]
struct HeldMachines {
    waiting: Mutex<BTreeMap<String, Release>>,
    specs: Mutex<Vec<MachineSpec>>,
    was_shut_down: Mutex<bool>,
}

impl HeldMachines {
    fn step(&self, name: String) -> BackingFuture<'_> {
        let (release, released) = oneshot::channel();
        self.waiting.lock().unwrap().insert(name, release);
        Box::pin(async move { released.await.unwrap_or(Ok(())) })
    }

    fn waits(&self) -> Vec<String> {
        self.waiting.lock().unwrap().keys().cloned().collect()
    }

    /// Waits until the step is asked for, then lets it end.
    async fn finish(&self, step: &str, result: Result<(), BackingError>) {
        let release = loop {
            if let Some(release) = self.waiting.lock().unwrap().remove(step) {
                break release;
            }
            tokio::task::yield_now().await;
        };
        release.send(result).unwrap();
    }
}

impl Backing for HeldMachines {
    fn info(&self) -> BackingInfo {
        BackingInfo { backing: "held", netns: None, real: true, note: String::new() }
    }
    fn create(&self, spec: MachineSpec) -> BackingFuture<'_> {
        let step = format!("create {}", spec.name);
        self.specs.lock().unwrap().push(spec);
        self.step(step)
    }
    fn power(&self, _id: u64, power: Power) -> BackingFuture<'_> {
        self.step(format!("{power:?}"))
    }
    fn rebuild(&self, _id: u64) -> BackingFuture<'_> {
        self.step("rebuild".to_owned())
    }
    fn destroy(&self, _id: u64) -> BackingFuture<'_> {
        self.step("destroy".to_owned())
    }
    fn shut_down(&self) -> BackingFuture<'_> {
        *self.was_shut_down.lock().unwrap() = true;
        Box::pin(std::future::ready(Ok(())))
    }
}

async fn bench() -> (Bench, Arc<HeldMachines>) {
    let machines = Arc::new(HeldMachines::default());
    let mut config = config();
    config.backing = Arc::clone(&machines) as Arc<dyn Backing>;
    (Bench::with(config).await, machines)
}

impl Bench {
    /// Waits for a status that a task of the simulator brings about.
    async fn until(&self, id: u64, status: &str) {
        while self.status(id).await != status {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn a_creation_ends_not_before_its_machine_is_booted() {
    let (bench, machines) = bench().await;
    let key = json!({"name": "k", "public_key": KEYS[0]});
    bench.post("/ssh_keys", &key).await;
    let mut body = draft("web-1");
    body["ssh_keys"] = json!(["k"]);
    body["user_data"] = json!("#cloud-config\n");
    let created = bench.post("/servers", &body).await;
    let id = created.body["server"]["id"].as_u64().unwrap();
    bench.pass(3600);
    assert_eq!(bench.status(id).await, "initializing");
    machines.finish("create web-1", Ok(())).await;
    bench.until(id, "off").await;
    bench.pass(1);
    assert_eq!(bench.status(id).await, "running");

    let spec = machines.specs.lock().unwrap()[0].clone();
    assert_eq!((spec.id, spec.name.as_str()), (id, "web-1"));
    assert_eq!(spec.ipv4.to_string(), "198.18.0.10");
    assert_eq!((spec.image.as_str(), spec.location.as_str()), ("debian-13", "fsn1"));
    assert_eq!(spec.user_data.as_deref(), Some("#cloud-config\n"));
    assert_eq!(spec.authorized_keys, [KEYS[0]]);
}

#[tokio::test]
async fn a_deletion_frees_the_name_not_before_its_machine_is_gone() {
    let (bench, machines) = bench().await;
    let id = bench.create("web-1").await;
    machines.finish("create web-1", Ok(())).await;
    bench.pass(3);
    bench.until(id, "off").await;
    bench.pass(1);
    bench.delete(&format!("/servers/{id}")).await;
    bench.pass(3600);
    assert_eq!(bench.status(id).await, "deleting");
    let early = bench.post("/servers", &draft("web-1")).await;
    assert_eq!(early.code(), "uniqueness_error");
    machines.finish("destroy", Ok(())).await;
    bench.until(id, "gone").await;
    let again = bench.post("/servers", &draft("web-1")).await;
    assert_eq!(again.body["server"]["public_net"]["ipv4"]["ip"], "198.18.0.10");
}

#[tokio::test]
async fn a_rebuild_ends_not_before_its_machine_is_booted() {
    let (bench, machines) = bench().await;
    let id = bench.create("web-1").await;
    machines.finish("create web-1", Ok(())).await;
    bench.pass(3);
    bench.until(id, "off").await;
    bench.pass(1);
    let deed = json!({"do": "rebuild", "project": "shop", "server": "web-1", "image": "debian-13"});
    assert_eq!(bench.control("POST", "/actor", Some(deed)).await.0, 200);
    bench.pass(3600);
    assert_eq!(bench.status(id).await, "rebuilding");
    machines.finish("rebuild", Ok(())).await;
    bench.until(id, "running").await;
}

#[tokio::test]
async fn a_machine_that_does_not_come_up_fails_the_action() {
    let (bench, machines) = bench().await;
    let created = bench.post("/servers", &draft("web-1")).await;
    let id = created.body["server"]["id"].as_u64().unwrap();
    bench.pass(3);
    let lost = BackingError::TimedOut { id, what: "boot", secs: 60 };
    machines.finish("create web-1", Err(lost)).await;
    bench.until(id, "off").await;
    let action = bench.get(&format!("/actions/{}", created.body["action"]["id"])).await;
    assert_eq!(action.body["action"]["status"], "error");
    assert_eq!(action.body["action"]["error"]["code"], "action_failed");
}

#[tokio::test]
async fn power_goes_to_the_machine_and_a_server_left_off_is_switched_off() {
    let (bench, machines) = bench().await;
    let mut body = draft("web-1");
    body["start_after_create"] = json!(false);
    let created = bench.post("/servers", &body).await;
    let id = created.body["server"]["id"].as_u64().unwrap();
    bench.pass(3);
    machines.finish("create web-1", Ok(())).await;
    machines.finish("Off", Ok(())).await;
    bench.until(id, "off").await;
    for (command, step, then) in
        [("poweron", "On", "running"), ("reset", "Reset", "running"), ("shutdown", "Off", "off")]
    {
        bench.post(&format!("/servers/{id}/actions/{command}"), &json!({})).await;
        bench.pass(10);
        machines.finish(step, Ok(())).await;
        bench.until(id, then).await;
        while bench.get(&format!("/servers/{id}")).await.body["server"]["locked"] == json!(true) {
            tokio::task::yield_now().await;
        }
    }
    assert!(machines.waits().is_empty());
}

#[tokio::test]
async fn a_stuck_server_has_no_machine_and_shutting_down_removes_the_others() {
    let (bench, machines) = bench().await;
    bench.arm(json!({"fault": {"kind": "server_stuck"}}));
    let id = bench.create("web-1").await;
    bench.delete(&format!("/servers/{id}")).await;
    bench.pass(60);
    assert_eq!(bench.status(id).await, "gone");
    assert!(machines.specs.lock().unwrap().is_empty());
    bench.sim.shut_down().await.unwrap();
    assert!(*machines.was_shut_down.lock().unwrap());
}
