//! What the machine itself must have: looked for by program, installed with
//! apt where that can be done, else named so that a person can install it.
//! What real machines need is the simulator's to see to.

use tokio::process::Command;

use crate::command::{on_path, run_quietly};
use crate::error::{Result, XtaskError};
use crate::report::Report;

/// A program and the Debian package that brings it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Need {
    /// The program looked for.
    pub program: &'static str,
    /// The Debian package.
    pub package: &'static str,
}

const fn need(program: &'static str, package: &'static str) -> Need {
    Need { program, package }
}

/// What every stack needs.
pub const STACK: &[Need] = &[
    need("ssh", "openssh-client"),
    need("ssh-agent", "openssh-client"),
    need("ssh-keygen", "openssh-client"),
    need("strip", "binutils"),
];

/// What container tasks in containers need besides.
pub const TASK_IMAGE: &[Need] = &[need("podman", "podman")];

/// What making the container image needs.
pub const IMAGE: &[Need] = &[need("podman", "podman"), need("mmdebstrap", "mmdebstrap")];

/// Whether packages can be installed from here: root, with apt.
pub fn can_install() -> bool {
    nix::unistd::geteuid().is_root() && on_path("apt-get")
}

/// Sees to it that the programs are there.
///
/// # Errors
/// Some are missing and cannot be installed from here; says which packages bring them.
pub async fn ensure(needs: &[Need], report: Report) -> Result<()> {
    let packages = missing_packages(needs, on_path);
    if packages.is_empty() {
        return Ok(());
    }
    if !can_install() {
        return Err(XtaskError::Missing {
            what: packages.join(", "),
            remedy: format!(
                "install with `sudo apt-get install {}`, or what your system calls these packages",
                packages.join(" ")
            ),
        });
    }
    report.line(format!("installing with apt: {}", packages.join(" ")));
    install(&packages).await
}

/// Installs packages; refreshes apt's lists once if it does not know one of them.
///
/// # Errors
/// apt failed twice; with the end of its output.
pub async fn install(packages: &[&str]) -> Result<()> {
    let arguments = [&["install", "--no-install-recommends"], packages].concat();
    if apt(&arguments).await.is_ok() {
        return Ok(());
    }
    apt(&["update"]).await?;
    apt(&arguments).await
}

/// Not interruptible: packages that are half installed would be in everybody's way.
async fn apt(arguments: &[&str]) -> Result<()> {
    let mut command = Command::new("apt-get");
    command.args(["-q", "-y", "-o", "DPkg::Lock::Timeout=120"]).args(arguments);
    run_quietly(command.env("DEBIAN_FRONTEND", "noninteractive")).await
}

fn missing_packages(needs: &[Need], is_there: impl Fn(&str) -> bool) -> Vec<&'static str> {
    let mut packages: Vec<_> =
        needs.iter().filter(|need| !is_there(need.program)).map(|need| need.package).collect();
    packages.sort_unstable();
    packages.dedup();
    packages
}

#[cfg(test)]
mod tests {
    use super::{STACK, missing_packages};

    #[test]
    fn a_package_is_named_once_however_many_programs_it_brings() {
        let missing = missing_packages(STACK, |program| program == "strip");
        assert_eq!(missing, ["openssh-client"]);
        assert!(missing_packages(STACK, |_| true).is_empty());
    }
}
