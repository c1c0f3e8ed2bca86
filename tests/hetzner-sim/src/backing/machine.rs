//! One machine: its folder, its control group, its cable, and its boot.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::process::Child;
use tokio::task::JoinHandle;

use super::command::{file_tail, io};
use super::engine::Engine;
use super::ground::Ground;
use super::group::Group;
use super::{BackingError, MachineSpec, disk, folder};
use crate::lab;

/// How long until the machine's init runs. It takes under a second on an idle
/// host; a host that boots many at once is slow.
const INIT_SECS: u64 = 60;

/// How long the keeper of a machine that was killed may take to notice.
const KEEPER_LIMIT: Duration = Duration::from_secs(5);

/// A machine that has been laid down.
pub(crate) struct Machine {
    ground: Arc<Ground>,
    engine: Engine,
    spec: MachineSpec,
    name: String,
    folder: PathBuf,
    group: Group,
    boot: Option<Boot>,
}

/// A boot that has not been ended by us.
struct Boot {
    /// Set before we end it, so that the end is no surprise.
    expected: Arc<AtomicBool>,
    watch: JoinHandle<()>,
}

impl Machine {
    /// Names the machine; nothing is made yet.
    pub(crate) fn new(ground: Arc<Ground>, engine: Engine, spec: MachineSpec) -> Self {
        let id = spec.id.to_string();
        let folder = ground.stack.folder().join("machines").join(&id);
        let group = ground.stack.group().child(&id);
        let name = ground.stack.machine_name(spec.id);
        Self { ground, engine, spec, name, folder, group, boot: None }
    }

    /// Makes its folder and its disk, with what its image cannot know.
    pub(crate) async fn lay_down(&self) -> Result<(), BackingError> {
        let seed = disk::seed(&self.folder);
        for part in ["upper/etc", "upper/var/lib/hetzner-sim/dmi", "work"] {
            make_open_dir(&seed, part)?;
        }
        for mount_point in ["store", "root"] {
            make_open_dir(&self.folder, mount_point)?;
        }
        let lower = self.folder.join("lower");
        symlink(self.ground.root_fs(), &lower)
            .map_err(io(format!("linking {}", lower.display())))?;
        if let Some(folder) = self.ground.layer(&self.spec.name) {
            let layer = self.folder.join("layer");
            symlink(folder, &layer).map_err(io(format!("linking {}", layer.display())))?;
        }
        let (name, id) = (&self.spec.name, self.spec.id);
        let hosts = format!("127.0.0.1 localhost\n127.0.1.1 {name}\n");
        for (file, text) in [
            ("upper/etc/hostname", format!("{name}\n")),
            ("upper/etc/hosts", hosts),
            ("upper/var/lib/hetzner-sim/dmi/system-manufacturer", "Hetzner\n".to_owned()),
            ("upper/var/lib/hetzner-sim/dmi/system-serial-number", format!("{id}\n")),
        ] {
            let path = seed.join(file);
            std::fs::write(&path, text).map_err(io(format!("writing {}", path.display())))?;
        }
        disk::make(&self.folder, self.spec.disk_gb).await
    }

    /// Whether it is on, or was when last seen.
    pub(crate) fn is_on(&self) -> bool {
        self.boot.as_ref().is_some_and(|boot| !boot.watch.is_finished())
    }

    /// Boots it; ends when its init runs.
    ///
    /// # Errors
    /// It ends before that; the error has the end of its console.
    pub(crate) async fn start(&mut self) -> Result<(), BackingError> {
        // A fresh namespace each time, since a boot finds no old firewall rules.
        self.stop().await?;
        self.ground.metadata().insert(self.spec.clone());
        self.group.make()?;
        let lab = self.ground.stack.lab_name();
        lab::plug(&lab, &self.name, &self.port(), self.spec.ipv4).await?;
        let namespace = lab::path_of(&self.name);
        let in_hierarchy = self.ground.stack.group_in_hierarchy(&self.group);
        let words: [&std::ffi::OsStr; 12] = [
            "unshare".as_ref(),
            "--mount".as_ref(),
            // Not "private": a namespace removed outside must go here too.
            "--propagation=slave".as_ref(),
            "sh".as_ref(),
            "-c".as_ref(),
            self.engine.script().as_ref(),
            "sh".as_ref(),
            self.folder.as_os_str(),
            namespace.as_os_str(),
            self.name.as_ref(),
            self.spec.name.as_ref(),
            in_hierarchy.as_os_str(),
        ];
        let console = self.console();
        let child = self.ground.stack.children().start(&self.group, &words, &console).await?;
        let expected = Arc::new(AtomicBool::new(false));
        let watch = Watch { machine: self.name.clone(), lab, port: self.port(), console };
        let watch = tokio::spawn(watch.until_end(child, Arc::clone(&expected)));
        self.boot = Some(Boot { expected, watch });
        self.await_init().await
    }

    /// Pulls the plug; ends when no process is left. Off already is fine.
    pub(crate) async fn stop(&mut self) -> Result<(), BackingError> {
        if let Some(mut boot) = self.boot.take() {
            boot.expected.store(true, Ordering::SeqCst);
            // The machine first and its keeper after it, which then has reaped
            // what the host's init might leave as zombies.
            self.kill_init();
            let _ = tokio::time::timeout(KEEPER_LIMIT, &mut boot.watch).await;
        }
        self.group.kill().await?;
        let lab = self.ground.stack.lab_name();
        lab::unplug(&lab, &self.name, &self.port()).await
    }

    /// Stops it and removes all of it.
    pub(crate) async fn remove(&mut self) -> Result<(), BackingError> {
        self.ground.metadata().remove(self.spec.ipv4, self.spec.id);
        self.stop().await?;
        folder::remove(&self.folder).await
    }

    fn kill_init(&self) {
        let pids = self.group.processes();
        for pid in pids.into_iter().filter(|pid| is_init(*pid)) {
            // The rest of the machine goes with its init.
            let _ = nix::sys::signal::kill(
                nix::unistd::Pid::from_raw(pid.cast_signed()),
                nix::sys::signal::Signal::SIGKILL,
            );
        }
    }

    async fn await_init(&self) -> Result<(), BackingError> {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(INIT_SECS);
        while !self.group.processes().iter().any(|pid| is_init(*pid)) {
            if !self.is_on() {
                return Err(BackingError::Command {
                    command: format!("booting {} with {}", self.name, self.engine.name()),
                    detail: file_tail(&self.console()),
                });
            }
            if tokio::time::Instant::now() > deadline {
                return Err(BackingError::TimedOut {
                    id: self.spec.id,
                    what: "start of init",
                    secs: INIT_SECS,
                });
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    fn console(&self) -> PathBuf {
        self.folder.join("console.log")
    }

    /// Its end of the cable in the lab. Names of interfaces have 15 bytes at
    /// most, too few for a large id in decimal.
    fn port(&self) -> String {
        format!("v{}", base36(self.spec.id))
    }
}

/// Who waits for the end of a boot.
struct Watch {
    machine: String,
    lab: String,
    port: String,
    console: PathBuf,
}

impl Watch {
    /// Tells of an end that we did not ask for, and then pulls the cable: a
    /// machine that is off answers nothing, while its namespace would refuse
    /// connections.
    async fn until_end(self, mut child: Child, expected: Arc<AtomicBool>) {
        let ended = child.wait().await;
        if expected.load(Ordering::SeqCst) {
            return;
        }
        let how = ended.map_or_else(|error| error.to_string(), |status| status.to_string());
        let console = file_tail(&self.console);
        tracing::warn!(machine = %self.machine, %how, %console, "a machine went off");
        lab::cut(&self.lab, &self.port).await;
    }
}

/// Whether a process is the init of a container.
fn is_init(pid: u32) -> bool {
    let folder = PathBuf::from(format!("/proc/{pid}"));
    let status = std::fs::read_to_string(folder.join("status")).unwrap_or_default();
    let is = |key: &str, end: &str| {
        status
            .lines()
            .any(|line| line.starts_with(key) && line.split_whitespace().next_back() == Some(end))
    };
    is("Name:", "systemd") && is("NSpid:", "1") && pid != 1
}

fn base36(mut number: u64) -> String {
    let mut digits = Vec::new();
    loop {
        digits.extend(char::from_digit((number % 36) as u32, 36));
        number /= 36;
        if number == 0 {
            return digits.iter().rev().collect();
        }
    }
}

/// Makes `root/part`, each folder of it readable for all whatever the caller's
/// mask: the machine's users look through them.
fn make_open_dir(root: &Path, part: &str) -> Result<(), BackingError> {
    let mut path = root.to_owned();
    for step in Path::new(part) {
        path.push(step);
        let context = format!("making {}", path.display());
        std::fs::create_dir_all(&path).map_err(io(context.clone()))?;
        let open = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(&path, open).map_err(io(context))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_id_fits_a_port_name() {
        assert_eq!(base36(0), "0");
        assert_eq!(base36(36 * 36 + 35), "10z");
        assert!(base36(u64::MAX).len() < 15);
    }
}
