//! Control groups: each process that a stack starts is in one, so that all of
//! them can be killed at once and be seen to be gone.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::BackingError;
use super::command::io;

/// How long killed processes may take to be gone. A loaded machine needs
/// seconds; more means one hangs in the kernel.
const KILL_SECS: u64 = 60;

/// A control group (version 2).
#[derive(Debug, Clone)]
pub(crate) struct Group {
    path: PathBuf,
}

impl Group {
    /// The group of a stack; it need not exist.
    ///
    /// # Errors
    /// No version 2 hierarchy is mounted on this host.
    pub(crate) fn of_stack(stack: &str) -> Result<Self, BackingError> {
        let mounts = std::fs::read_to_string("/proc/self/mountinfo")
            .map_err(io("reading /proc/self/mountinfo"))?;
        let root = hierarchy(&mounts).ok_or_else(|| BackingError::Unavailable {
            backing: "real",
            reason: "no cgroup v2 hierarchy is mounted writable; as root: mkdir -p /sys/fs/cgroup/unified \
                     && mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified"
                .to_owned(),
        })?;
        Ok(Self { path: root.join(format!("nodeyard-{stack}")) })
    }

    /// A group inside this one; it need not exist.
    pub(crate) fn child(&self, name: &str) -> Self {
        Self { path: self.path.join(name) }
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes it, and those around it.
    ///
    /// # Errors
    /// The hierarchy cannot be written.
    pub(crate) fn make(&self) -> Result<(), BackingError> {
        std::fs::create_dir_all(&self.path)
            .map_err(io(format!("making control group {}", self.path.display())))
    }

    /// Whether a process is in it or in a group inside it.
    pub(crate) fn populated(&self) -> bool {
        std::fs::read_to_string(self.path.join("cgroup.events"))
            .is_ok_and(|events| events.lines().any(|line| line == "populated 1"))
    }

    /// Ids of the processes in it and in the groups inside it.
    pub(crate) fn processes(&self) -> Vec<u32> {
        let mut found = Vec::new();
        let mut groups = vec![self.path.clone()];
        while let Some(group) = groups.pop() {
            let here = std::fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
            found.extend(here.lines().filter_map(|pid| pid.parse::<u32>().ok()));
            let inside = std::fs::read_dir(&group).into_iter().flatten().flatten();
            groups.extend(inside.map(|entry| entry.path()).filter(|path| path.is_dir()));
        }
        found
    }

    /// Kills all processes in it, waits until they are gone, and removes it.
    ///
    /// # Errors
    /// Processes that do not go within a minute: what they use must then not
    /// be deleted.
    pub(crate) async fn kill(&self) -> Result<(), BackingError> {
        if !self.path.exists() {
            return Ok(());
        }
        let deadline = tokio::time::Instant::now() + Duration::from_secs(KILL_SECS);
        std::fs::write(self.path.join("cgroup.kill"), "1")
            .map_err(io(format!("killing {}", self.path.display())))?;
        loop {
            if !self.populated() && remove(&self.path).is_ok() {
                return Ok(());
            }
            if tokio::time::Instant::now() > deadline {
                return Err(BackingError::Command {
                    command: format!("cgroup.kill of {}", self.path.display()),
                    detail: format!("processes are left after {KILL_SECS} s"),
                });
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// Removes a group and those inside it; only empty ones can be.
fn remove(group: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(group)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove(&entry.path())?;
        }
    }
    std::fs::remove_dir(group)
}

/// The first place where a version 2 hierarchy is mounted writable.
fn hierarchy(mountinfo: &str) -> Option<PathBuf> {
    mountinfo.lines().find_map(|line| {
        let (left, right) = line.split_once(" - ")?;
        let fields: Vec<&str> = left.split(' ').collect();
        let writable = fields.get(5)?.split(',').any(|option| option == "rw");
        let is_v2 = right.split(' ').next()? == "cgroup2";
        (is_v2 && writable).then(|| PathBuf::from(fields[4]))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hierarchy_is_found_in_both_layouts() {
        let hybrid = "30 29 0:26 / /sys/fs/cgroup ro - tmpfs tmpfs ro\n\
                      31 30 0:27 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n\
                      32 30 0:28 / /sys/fs/cgroup/unified rw,relatime shared:9 - cgroup2 cgroup2 rw\n";
        assert_eq!(hierarchy(hybrid), Some("/sys/fs/cgroup/unified".into()));
        let unified = "35 24 0:30 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup rw\n";
        assert_eq!(hierarchy(unified), Some("/sys/fs/cgroup".into()));
        let read_only = "35 24 0:30 / /sys/fs/cgroup ro,nosuid - cgroup2 cgroup rw\n";
        assert_eq!(hierarchy(read_only), None);
    }
}
