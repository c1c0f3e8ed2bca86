//! Makes sure that the programs a backing runs are there; on Debian and Ubuntu
//! it installs what is missing.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::BackingError;
use super::command::{io, run, run_within, search_path};
use super::engine::Tool;

/// What every real backing needs.
const SHARED: [Tool; 9] = [
    ("apt-cacher-ng", "apt-cacher-ng"),
    ("chroot", "coreutils"),
    ("ip", "iproute2"),
    ("mke2fs", "e2fsprogs"),
    ("mmdebstrap", "mmdebstrap"),
    ("mount", "mount"),
    ("nsenter", "util-linux"),
    ("setpriv", "util-linux"),
    ("unshare", "util-linux"),
];
/// The keys that Debian's archives are signed with.
const KEYRING: Tool = ("/usr/share/keyrings/debian-archive-keyring.gpg", "debian-archive-keyring");

/// Where packages say whether their services may start.
const POLICY: &str = "/usr/sbin/policy-rc.d";
const POLICY_TEXT: &str =
    "#!/bin/sh\n# put here by hetzner-sim while it installs packages\nexit 101\n";
/// What packages would start at the next boot, with its package. One listens
/// on all addresses, and we run our own; the rest is of no use here.
const SERVICES: [(&str, &str); 6] = [
    ("apt-cacher-ng", "apt-cacher-ng.service"),
    ("podman", "podman.service"),
    ("podman", "podman.socket"),
    ("podman", "podman-auto-update.service"),
    ("podman", "podman-auto-update.timer"),
    ("podman", "podman-restart.service"),
];
const INSTALL_LIMIT: Duration = Duration::from_secs(900);

/// Sees to it that `special` and what all backings share is there.
///
/// # Errors
/// Something is missing and cannot be installed here; the text says what to
/// install.
pub(crate) async fn ensure(special: &[Tool]) -> Result<(), BackingError> {
    let wanted: Vec<Tool> = SHARED.iter().chain(special).chain([&KEYRING]).copied().collect();
    let packages = missing(&wanted);
    if packages.is_empty() {
        return Ok(());
    }
    let list = packages.join(" ");
    let unavailable = |why: &str| BackingError::Unavailable {
        backing: "real",
        reason: format!(
            "{why}; install the Debian packages {list} (or what brings their programs)"
        ),
    };
    if find("apt-get").is_none() || !nix::unistd::geteuid().is_root() {
        return Err(unavailable("programs are missing"));
    }
    tracing::info!("installing with apt: {list}");
    install(&packages).await.map_err(|error| {
        unavailable(&format!("apt could not install what is missing ({error})"))
    })?;
    let still = missing(&wanted);
    if still.is_empty() {
        return Ok(());
    }
    Err(unavailable("programs are missing even after apt installed their packages"))
}

fn missing(wanted: &[Tool]) -> Vec<&'static str> {
    let mut packages: Vec<_> = wanted
        .iter()
        .filter(|(program, _)| find(program).is_none())
        .map(|(_, package)| *package)
        .collect();
    packages.sort_unstable();
    packages.dedup();
    packages
}

fn find(program: &str) -> Option<PathBuf> {
    search_path()
        .split(':')
        .map(|folder| Path::new(folder).join(program))
        .find(|candidate| candidate.is_file())
}

async fn install(packages: &[&'static str]) -> Result<(), BackingError> {
    let policy = Policy::deny()?;
    let mut words =
        vec!["DEBIAN_FRONTEND=noninteractive", "apt-get", "-o", "DPkg::Lock::Timeout=300"];
    words.extend(["install", "-y", "-q", "--no-install-recommends"]);
    words.extend(packages);
    let mut done = run_within("env", &words, "", INSTALL_LIMIT).await;
    if done.is_err() {
        // Package lists may be absent or too old.
        let update = ["-o", "DPkg::Lock::Timeout=300", "-q", "update"];
        run_within("apt-get", &update, "", INSTALL_LIMIT).await?;
        done = run_within("env", &words, "", INSTALL_LIMIT).await;
    }
    drop(policy);
    done?;
    if find("systemctl").is_some() {
        for (package, service) in SERVICES {
            if packages.contains(&package) {
                run("systemctl", &["disable", "--quiet", service]).await?;
            }
        }
    }
    Ok(())
}

/// While it lives, no package starts a service.
struct Policy {
    ours: bool,
}

impl Policy {
    fn deny() -> Result<Self, BackingError> {
        use std::os::unix::fs::PermissionsExt as _;
        // The administrator's own policy stays; one of ours that a killed run
        // left is taken over.
        let there = std::fs::read_to_string(POLICY);
        if there.is_ok_and(|text| text != POLICY_TEXT) {
            return Ok(Self { ours: false });
        }
        let context = || io(format!("writing {POLICY}"));
        std::fs::write(POLICY, POLICY_TEXT).map_err(context())?;
        std::fs::set_permissions(POLICY, std::fs::Permissions::from_mode(0o755))
            .map_err(context())?;
        Ok(Self { ours: true })
    }
}

impl Drop for Policy {
    fn drop(&mut self) {
        if self.ours {
            let _ = std::fs::remove_file(POLICY);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_programs_name_their_packages_once() {
        let wanted = [("sh", "dash"), ("no-such-a", "pack"), ("no-such-b", "pack")];
        assert_eq!(missing(&wanted), ["pack"]);
    }
}
