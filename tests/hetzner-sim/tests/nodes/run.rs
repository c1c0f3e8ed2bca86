//! A run of the backing, its keys, and what the host has of it.

use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hetzner_sim::backing::{Backing, BackingError, Kind, MachineSpec, Options, choose};
use ssh_key::rand_core::OsRng;
use ssh_key::{Algorithm, LineEnding, PrivateKey};

/// A key pair in OpenSSH form.
pub struct Key {
    private: String,
    public: String,
}

impl Key {
    fn new() -> Self {
        let key = PrivateKey::random(&mut OsRng, Algorithm::Ed25519).unwrap();
        Self {
            private: key.to_openssh(LineEnding::LF).unwrap().to_string(),
            public: key.public_key().to_openssh().unwrap(),
        }
    }
}

/// One machine, as its owner knows it.
pub struct Node {
    pub spec: MachineSpec,
    host_key: Key,
}

/// A run with a name of its own, and a key to log in with.
pub struct Run {
    stack: String,
    folder: PathBuf,
    login: Key,
}

impl Run {
    pub fn new(stack: &str, folder: &Path) -> Self {
        let run = Self { stack: stack.to_owned(), folder: folder.to_owned(), login: Key::new() };
        std::fs::write(run.identity(), &run.login.private).unwrap();
        let private = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(run.identity(), private).unwrap();
        run
    }

    pub fn stack(&self) -> &str {
        &self.stack
    }

    pub fn state_dir(&self) -> PathBuf {
        self.folder.join("state")
    }

    /// The backing, or nothing and a line that says why.
    pub async fn backing(&self, kind: Kind, forwards: &[u16]) -> Option<Arc<dyn Backing>> {
        let _ = tracing_subscriber::fmt().with_writer(std::io::stderr).try_init();
        let options = Options {
            kind,
            stack: self.stack.clone(),
            state_dir: self.state_dir(),
            cache_dir: Some(cache_dir()),
            forwards: forwards.to_vec(),
            debian_mirror: None,
            layers: Vec::new(),
        };
        match choose(&options).await {
            Ok(backing) => Some(backing),
            Err(BackingError::Unavailable { reason, .. }) => {
                println!("left out: {reason}");
                None
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// A machine with an admin user and a host key of the owner's making.
    pub fn node(&self, id: u64, last: u8) -> Node {
        let host_key = Key::new();
        let private = host_key.private.trim_end().replace('\n', "\n    ");
        let public = &host_key.public;
        let login = &self.login.public;
        let user_data = format!(
            "#cloud-config\nssh_deletekeys: true\nssh_genkeytypes: []\nssh_keys:\n\
             \x20 ed25519_private: |\n    {private}\n  ed25519_public: {public}\n\
             users:\n- name: nodeyard\n  shell: /bin/bash\n  sudo: 'ALL=(ALL) NOPASSWD:ALL'\n\
             \x20 ssh_authorized_keys: [ '{login}' ]\n"
        );
        let spec = MachineSpec {
            id,
            name: format!("web-{last}"),
            ipv4: Ipv4Addr::new(198, 18, 0, last),
            image: "debian-13".to_owned(),
            disk_gb: 40,
            location: "fsn1".to_owned(),
            user_data: Some(user_data),
            authorized_keys: vec![login.clone()],
        };
        Node { spec, host_key }
    }

    /// Runs `command` on a node, over SSH from inside the lab, with its host
    /// key pinned from the first packet.
    pub fn ssh(&self, node: &Node, command: &str) -> Output {
        let known = self.folder.join(format!("known-{}", node.spec.id));
        let pin = format!("{} {}\n", node.spec.ipv4, node.host_key.public);
        std::fs::write(&known, pin).unwrap();
        Command::new("nsenter")
            .arg(format!("--net=/run/netns/{}", self.lab()))
            .args(["ssh", "-F", "none", "-o", "BatchMode=yes"])
            .args(["-o", "ConnectTimeout=5", "-o", "IdentitiesOnly=yes"])
            .args(["-o", "StrictHostKeyChecking=yes", "-o"])
            .arg(format!("UserKnownHostsFile={}", known.display()))
            .arg("-i")
            .arg(self.identity())
            .arg(format!("nodeyard@{}", node.spec.ipv4))
            .arg(command)
            .output()
            .unwrap()
    }

    /// Runs a line of bash inside the lab.
    pub fn inside(&self, line: &str) -> Output {
        Command::new("nsenter")
            .arg(format!("--net=/run/netns/{}", self.lab()))
            .args(["timeout", "10", "bash", "-c", line])
            .output()
            .unwrap()
    }

    /// Waits until nobody has the node's address.
    pub fn await_silence(&self, node: &Node) {
        let start = Instant::now();
        let connect = format!("</dev/tcp/{}/22", node.spec.ipv4);
        while !text(&self.inside(&connect)).contains("No route to host") {
            assert!(start.elapsed() < Duration::from_secs(60), "it still answers");
        }
    }

    /// Waits until a login works. The user data is applied some time after
    /// sshd could first answer.
    pub fn await_login(&self, node: &Node) {
        let start = Instant::now();
        loop {
            let output = self.ssh(node, "true");
            if output.status.success() {
                return;
            }
            let patient = start.elapsed() < Duration::from_secs(120);
            assert!(patient, "no login: {}", text(&output));
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Name of the lab's network namespace.
    pub fn lab(&self) -> String {
        format!("nodeyard-{}", self.stack)
    }

    /// What the host still has of this run: processes, mounts (those of
    /// processes in other mount namespaces too), namespaces, control groups,
    /// folders.
    pub fn left_overs(&self) -> Vec<String> {
        let folder = self.state_dir().join(&self.stack);
        let marks = [self.lab(), folder.display().to_string()];
        let has_mark = |text: &str| marks.iter().any(|mark| text.contains(mark.as_str()));
        let mut left = Vec::new();
        for process in std::fs::read_dir("/proc").unwrap().flatten() {
            if process.file_name().to_string_lossy().parse::<u32>().is_err() {
                continue;
            }
            // A zombie holds nothing; the host's init takes it in its own time.
            let status = std::fs::read_to_string(process.path().join("status"));
            if status.is_ok_and(|status| status.contains("State:\tZ")) {
                continue;
            }
            for file in ["cmdline", "cgroup", "mountinfo"] {
                let path = process.path().join(file);
                let bytes = std::fs::read(&path).unwrap_or_default();
                let found = String::from_utf8_lossy(&bytes).replace('\0', " ");
                left.extend(found.lines().filter(|line| has_mark(line)).map(str::to_owned));
            }
        }
        for place in ["/run/netns", "/run", "/sys/fs/cgroup", "/sys/fs/cgroup/unified"] {
            let entries = std::fs::read_dir(place).into_iter().flatten().flatten();
            let paths = entries.map(|entry| entry.path().display().to_string());
            left.extend(paths.filter(|path| has_mark(path)));
        }
        left.extend(folder.exists().then(|| folder.display().to_string()));
        left.sort();
        left.dedup();
        left
    }

    fn identity(&self) -> PathBuf {
        self.folder.join("id")
    }
}

/// Kept for later runs, as the program keeps it.
fn cache_dir() -> PathBuf {
    std::env::var_os("HETZNER_SIM_CACHE_DIR")
        .map_or_else(|| Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache"), PathBuf::from)
}

/// All that a command said.
pub fn text(output: &Output) -> String {
    let said = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    String::from_utf8_lossy(&said).trim().to_owned()
}
