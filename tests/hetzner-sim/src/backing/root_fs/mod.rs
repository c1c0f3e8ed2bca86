//! The root file system that all machines start from: Debian 13, made once by
//! mmdebstrap, prepared, and kept for later runs.
//!
//! It is made under another name and renamed when whole, so that a killed
//! build leaves nothing that looks finished.

mod preparation;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use md5::{Digest as _, Md5};

use super::BackingError;
use super::children::Children;
use super::command::{file_tail, io};
use super::folder;
use super::group::Group;
use crate::lab::apt_cache::AptCache;
use crate::lab::apt_sources::{RELEASE, Sources};

/// What a provider's Debian image holds of what matters here. Nothing that a
/// profile installs: that is for the profile to show.
const PACKAGES: &str = "systemd,systemd-sysv,libpam-systemd,dbus,openssh-server,cloud-init,python3,\
    python3-apt,sudo,iproute2,iputils-ping,nftables,procps,kmod,netbase,ca-certificates,curl,gnupg,\
    less,acl,apt-utils,locales";
/// Longest a build may take. One takes about a minute on two cores.
const BUILD_SECS: u64 = 1_200;
/// Longest that another run's build is waited for.
const WAIT_SECS: u64 = 2 * BUILD_SECS;

/// What a build needs.
pub(crate) struct Builder<'a> {
    /// Where root file systems are kept.
    pub cache_dir: &'a Path,
    /// Where the log of a build goes.
    pub run_dir: &'a Path,
    /// Where packages come from.
    pub sources: &'a Sources,
    /// Through what they come.
    pub apt: &'a AptCache,
    /// Where the build's processes go.
    pub group: &'a Group,
    /// Who starts them.
    pub children: &'a Children,
}

impl Builder<'_> {
    /// The root file system, built if it is not there yet.
    ///
    /// # Errors
    /// A build that fails; the error ends with what it said last.
    pub(crate) async fn ensure(&self) -> Result<PathBuf, BackingError> {
        let done = self.cache_dir.join(format!("{RELEASE}-{}", self.digest()));
        if done.is_dir() {
            return Ok(done);
        }
        std::fs::create_dir_all(self.cache_dir)
            .map_err(io(format!("making {}", self.cache_dir.display())))?;
        let _lock = self.lock().await?;
        if done.is_dir() {
            return Ok(done);
        }
        // The lock is ours, so whoever was building here is dead.
        let building = done.with_extension("building");
        folder::remove(&building).await?;
        tracing::info!(
            "making the Debian 13 root file system in {} (once; about a minute)",
            done.display()
        );
        let start = Instant::now();
        self.build(&building).await?;
        std::fs::rename(&building, &done)
            .map_err(io(format!("renaming {}", building.display())))?;
        tracing::info!("root file system made in {} s", start.elapsed().as_secs());
        Ok(done)
    }

    async fn build(&self, target: &Path) -> Result<(), BackingError> {
        let proxy = format!("Acquire::http::Proxy \"http://{}\"", self.apt.address());
        let include = format!("--include={PACKAGES}");
        let aptopt = format!("--aptopt={proxy}");
        // So that what a killed build leaves goes with the run.
        let temporary = format!("TMPDIR={}", self.run_dir.display());
        let mut words: Vec<&std::ffi::OsStr> = vec![
            // It mounts inside the target, and when killed leaves that to others:
            // in a mount namespace of its own its mounts end with it.
            "unshare".as_ref(),
            "--mount".as_ref(),
            "--propagation=slave".as_ref(),
            "env".as_ref(),
            temporary.as_ref(),
            "mmdebstrap".as_ref(),
            "--mode=root".as_ref(),
            "--variant=minbase".as_ref(),
            "--format=directory".as_ref(),
            // Losing a half-written package to a power cut loses nothing here.
            "--dpkgopt=force-unsafe-io".as_ref(),
            include.as_ref(),
            aptopt.as_ref(),
            RELEASE.as_ref(),
            target.as_os_str(),
        ];
        let lines = self.sources.lines_behind_cache();
        words.extend(lines.iter().map(|line| std::ffi::OsStr::new(line.as_str())));
        self.run("mmdebstrap", &words).await?;
        preparation::apply(target, &lines)?;
        // Lists are kept so that a machine can install without asking first;
        // their age is the build's, so that Ansible asks again when it should.
        let option = format!("Acquire::http::Proxy=http://{}", self.apt.address());
        let update: [&std::ffi::OsStr; 6] = [
            "chroot".as_ref(),
            target.as_os_str(),
            "apt-get".as_ref(),
            "-o".as_ref(),
            option.as_ref(),
            "update".as_ref(),
        ];
        self.run("apt-get update", &update).await
    }

    /// Runs one step of the build, to be killed with this process.
    async fn run(&self, step: &str, words: &[&std::ffi::OsStr]) -> Result<(), BackingError> {
        let log = self.run_dir.join("root-fs.log");
        let group = self.group.child("build");
        group.make()?;
        let mut child = self.children.start(&group, words, &log).await?;
        let ended = tokio::time::timeout(Duration::from_secs(BUILD_SECS), child.wait()).await;
        // Also what the step left running: it may hold files of the target.
        group.kill().await?;
        let failed = |why: String| BackingError::Command {
            command: format!("{step} (root file system)"),
            detail: format!("{why}: {}", file_tail(&log)),
        };
        match ended {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Ok(status)) => Err(failed(status.to_string())),
            Ok(Err(error)) => Err(failed(error.to_string())),
            Err(_) => Err(failed(format!("not done after {BUILD_SECS} s"))),
        }
    }

    /// Waits for the right to build. The kernel lets go of it when its holder
    /// dies.
    async fn lock(&self) -> Result<File, BackingError> {
        let path = self.cache_dir.join("root-fs.lock");
        let context = format!("locking {}", path.display());
        let file = File::create(&path).map_err(io(context.clone()))?;
        let deadline = Instant::now() + Duration::from_secs(WAIT_SECS);
        let mut told = false;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(std::fs::TryLockError::Error(error)) => return Err(io(context)(error)),
                Err(std::fs::TryLockError::WouldBlock) if Instant::now() > deadline => {
                    return Err(io(context)(std::io::ErrorKind::TimedOut.into()));
                }
                Err(std::fs::TryLockError::WouldBlock) => {}
            }
            if !told {
                tracing::info!("another run is making the root file system; waiting for it");
                told = true;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Names what the result depends on. Not a secret, only a name.
    fn digest(&self) -> String {
        let mut digest = Md5::new();
        digest.update(RELEASE);
        digest.update(PACKAGES);
        for line in &self.sources.lines {
            digest.update(line);
        }
        digest.update(preparation::fingerprint());
        hex::encode(&digest.finalize()[..6])
    }
}
