//! A node behind shell scripts: stand-ins for `ansible-playbook`, `ssh`, `ssh-agent` and `ssh-add`
//! that keep the node's host key in a file and check it against `known_hosts` as ssh does.

use std::{
    fs,
    future::Future,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use nodeyard_ansible_task::{Settings, Task, TaskError, args::Request, tempo::Tempo};
use nodeyard_domain::{
    host_key::{HostKey, HostPins, first_host_key},
    id::NodeId,
    ownership::DeploymentKey,
};
use tempfile::TempDir;

use crate::world::World;

const SSH_AGENT: &str = r#"
echo $$ >> "$W/agent.pids"
env > "$W/env.ssh-agent"
echo "$@" >> "$W/args"
[ -e "$W/agent.broken" ] && { echo "cannot bind" >&2; exit 1; }
echo "SSH_AUTH_SOCK=$3; export SSH_AUTH_SOCK;"
exec sleep 60
"#;

const SSH_ADD: &str = r#"
env > "$W/env.ssh-add"
echo "$@" >> "$W/args"
case $* in
-L) echo "ssh-ed25519 AAAAmanaged whatever it says" ;;
*) cat >> "$W/key"; echo "--" >> "$W/key" ;;
esac
[ ! -e "$W/add.broken" ] || { echo "agent refused operation" >&2; exit 1; }
"#;

/// Each line of `ssh.plan` is one try: `refused`, `denied`, `other`, `hang`. After that, only the host key
/// decides.
const SSH: &str = r#"
env > "$W/env.ssh"
echo "$@" >> "$W/args"
case $* in *"-O exit"*) echo "$@" >> "$W/closed"; exit 0 ;; esac
echo "$@" >> "$W/ssh.tries"
next=$(head -n 1 "$W/ssh.plan" 2>/dev/null)
[ -z "$next" ] || sed -i 1d "$W/ssh.plan"
case $next in
refused) echo "ssh: connect to host 198.18.0.10 port 22: Connection refused" >&2; exit 255 ;;
denied) echo "nodeyard@198.18.0.10: Permission denied (publickey)." >&2; exit 255 ;;
other) echo "Host key verification failed." >&2; exit 255 ;;
hang) : > "$W/reached"; sleep 60 ;;
esac
known=$(echo "$@" | sed 's/.*UserKnownHostsFile=\([^ ]*\).*/\1/')
grep -qF "$(cat "$W/shown.key")" "$known" || { echo "Host key verification failed." >&2; exit 255; }
"#;

const ANSIBLE_PLAYBOOK: &str = r#"
for last; do :; done
playbook=$(basename "$last" .yml)
env > "$W/env.ansible-playbook"
echo "$@" >> "$W/args"
echo "$playbook" >> "$W/played"
known=$(sed 's/.*UserKnownHostsFile=\([^ "]*\).*/\1/' "$2")
cp "$2" "$W/inventory"
cp "${4#@}" "$W/vars"
say() { printf '%s\n' "$1" >> "$NODEYARD_EVENTS_FILE"; }
task() { say "{\"event\":\"task\",\"play\":\"p\",\"task\":\"$1\",\"role\":\"r\",\"host\":\"n\",\"status\":\"$2\",\"msg\":\"$3\",\"seconds\":0.1}"; }
stats() { say "{\"event\":\"stats\",\"hosts\":{\"n\":{$1}},\"custom\":{$2}}"; }
say "{\"event\":\"play\",\"play\":\"Play $playbook\"}"
if ! grep -qF "$(cat "$W/shown.key")" "$known"; then
    task "Gather" unreachable "Failed to connect to the host via ssh: Host key verification failed."
    stats '"unreachable":1' ''
    exit 4
fi
mkdir -p "$HOME/.ansible/cp"
: > "$HOME/.ansible/cp/socket"
changed=0 custom=''
case $playbook in
host_key_prepare)
    if [ ! -e "$W/made.key" ]; then
        cp "$W/to_make.key" "$W/made.key"
        echo made >> "$W/keys_made"
        changed=1
    fi
    custom="\"host_key_next\":\"$(cat "$W/made.key")\"" ;;
host_key_switch)
    if ! cmp -s "$W/made.key" "$W/shown.key"; then
        cp "$W/made.key" "$W/shown.key"
        changed=2
    fi ;;
web)
    if [ ! -e "$W/configured" ]; then changed=3; task "Install nginx" changed ""; : > "$W/configured"; fi ;;
readiness)
    custom='"readiness":[{"code":"disk_low","ok":true,"warning":false,"detail":"fine"},{"code":"reboot_required","ok":false,"warning":true,"detail":"kernel"}]' ;;
esac
echo "output of $playbook"
[ ! -e "$W/hook.$playbook" ] || . "$W/hook.$playbook"
stats "\"ok\":5,\"changed\":$changed,\"skipped\":1" "$custom"
"#;

/// The folder of a test: scripts, the node's state, the playbooks' names.
pub struct Machine {
    folder: TempDir,
    pub world: World,
    pub tempo: Tempo,
}

pub fn key_pair(attempt: u32) -> HostKey {
    let key = DeploymentKey::new(*b"deployment");
    first_host_key(&key, &NodeId::from_bits(0xb), attempt).unwrap()
}

pub fn host_key(attempt: u32) -> String {
    key_pair(attempt).public
}

impl Machine {
    /// A new node that shows the delivered key.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for (name, text) in [
            ("ssh-agent", SSH_AGENT),
            ("ssh-add", SSH_ADD),
            ("ssh", SSH),
            ("ansible-playbook", ANSIBLE_PLAYBOOK),
        ] {
            let path = root.join("bin").join(name);
            fs::create_dir_all(root.join("bin")).unwrap();
            fs::write(&path, format!("#!/bin/sh\nW={}\n{text}", root.display())).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        fs::create_dir(root.join("playbooks")).unwrap();
        fs::write(root.join("playbooks/web.yml"), "---\n").unwrap();
        fs::create_dir(root.join("scratch")).unwrap();
        fs::write(root.join("shown.key"), host_key(1)).unwrap();
        fs::write(root.join("to_make.key"), host_key(2)).unwrap();
        let world = World::new(HostPins::delivered(42, host_key(1)));
        world.state().shown_key = Some(root.join("shown.key"));
        let millis = Duration::from_millis;
        let tempo = Tempo {
            login_gap: millis(1),
            login_limit: Duration::from_secs(20),
            boot_limit: Duration::from_secs(60),
            denied_limit: Duration::from_secs(60),
            look_limit: millis(400),
            look_denied_limit: millis(200),
            stop_gap: millis(5),
            events_gap: millis(5),
            report_gap: millis(10),
            tool_limit: Duration::from_secs(20),
            end_grace: Duration::from_secs(20),
            drain_limit: millis(50),
            retry_pause: Duration::ZERO,
        };
        Self { folder, world, tempo }
    }

    /// A node whose own host key is pinned alone, and that is configured.
    pub fn configured() -> Self {
        let machine = Self::new();
        machine.put("shown.key", &host_key(2));
        machine.put("made.key", &host_key(2));
        machine.put("configured", "");
        machine.world.state().pins =
            Some(HostPins { replaced: true, ..HostPins::delivered(42, host_key(2)) });
        machine
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn put(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    pub fn remove(&self, name: &str) {
        fs::remove_file(self.path(name)).unwrap();
    }

    /// What a script wrote; nothing if it never did.
    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    pub fn lines(&self, name: &str) -> Vec<String> {
        self.read(name).lines().map(str::to_owned).collect()
    }

    /// Shell code that a playbook runs before it ends; `W` is the machine's folder.
    pub fn hook(&self, playbook: &str, code: &str) {
        self.put(&format!("hook.{playbook}"), code);
    }

    pub fn task(&self) -> Task<World, World, World, World> {
        self.task_over(self.world.clone(), self.world.clone(), self.world.clone())
    }

    /// A task on this machine whose run is on record elsewhere.
    pub fn task_over<S, Q, C>(&self, store: S, queue: Q, clock: C) -> Task<S, Q, World, C> {
        let mut search_path = self.path("bin").into_os_string();
        search_path.push(":/usr/local/bin:/usr/bin:/bin");
        Task {
            store,
            queue,
            secrets: self.world.clone(),
            clock,
            settings: Settings {
                playbooks: self.path("playbooks"),
                scratch: self.path("scratch"),
                search_path,
                control_cidrs: Vec::new(),
                tempo: self.tempo,
            },
        }
    }

    pub fn request(&self) -> Request {
        let state = self.world.state();
        Request { job: state.run.job_id.clone(), run: state.run.number }
    }

    /// Performs the run on record to its end.
    pub async fn perform(&self) -> Result<(), TaskError> {
        self.perform_until(std::future::pending()).await
    }

    pub async fn perform_until(&self, end: impl Future<Output = ()>) -> Result<(), TaskError> {
        let request = self.request();
        let done = self.task().perform(&request, end).await;
        self.assert_nothing_is_left();
        done
    }

    /// No folder, no agent, no other process of the run.
    pub fn assert_nothing_is_left(&self) {
        assert_eq!(fs::read_dir(self.path("scratch")).unwrap().count(), 0, "a folder is left");
        for pids in ["agent.pids", "child.pids"] {
            for pid in self.lines(pids) {
                assert!(ends(&pid), "process {pid} of {pids} is left");
            }
        }
    }
}

/// Whether a process is gone, or is in the moment it is killed.
fn ends(pid: &str) -> bool {
    let stat = Path::new("/proc").join(pid).join("stat");
    let until = Instant::now() + Duration::from_secs(10);
    while Instant::now() < until {
        match fs::read_to_string(&stat) {
            // A zombie waits for whoever started it.
            Ok(text) if !text.contains(") Z ") => std::thread::yield_now(),
            _ => return true,
        }
    }
    false
}
