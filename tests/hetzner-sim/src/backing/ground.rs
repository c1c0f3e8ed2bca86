//! What all machines of a run stand on: the stack's name, the lab, the package
//! cache, the root file system.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use super::choice::{Layer, Options};
use super::command::io;
use super::engine::Engine;
use super::group::Group;
use super::root_fs::Builder;
use super::stack::Stack;
use super::{BackingError, tools};
use crate::lab::apt_cache::AptCache;
use crate::lab::apt_sources::Sources;
use crate::lab::metadata::Metadata;
use crate::lab::{APT_PORT, GATEWAY, Lab};

/// Each machine's init watches files; with the kernel's usual 128 watchers the
/// twenty-first machine comes up degraded (observed).
const INOTIFY: &str = "/proc/sys/fs/inotify/max_user_instances";
const INOTIFY_WANTED: u32 = 1_024;

/// The ground, laid.
pub(crate) struct Ground {
    /// What the run owns on the host.
    pub stack: Stack,
    layers: Vec<Layer>,
    parts: Parts,
}

/// All but the stack's name, which outlives it.
struct Parts {
    metadata: Metadata,
    root_fs: PathBuf,
    lab: tokio::sync::Mutex<Lab>,
    _apt: AptCache,
}

impl Ground {
    /// Lays it. The first time on a host this takes minutes.
    ///
    /// # Errors
    /// What cannot be had here; nothing of it is left then.
    pub(crate) async fn lay(options: &Options, engine: Engine) -> Result<Self, BackingError> {
        require_rights()?;
        Group::of_stack(&options.stack)?;
        let layers = found(&options.layers)?;
        let sources = Sources::of_host(options.debian_mirror.as_deref())?;
        tools::ensure(engine.tools()).await?;
        raise_inotify();
        let stack = Stack::claim(&options.state_dir, &options.stack).await?;
        // If this fails or is given up, the stack goes and takes all along.
        let parts = Parts::make(&stack, options, &sources).await?;
        Ok(Self { stack, layers, parts })
    }

    /// What machines are told of themselves.
    pub(crate) fn metadata(&self) -> &Metadata {
        &self.parts.metadata
    }

    /// The tree below each machine's own.
    pub(crate) fn root_fs(&self) -> &Path {
        &self.parts.root_fs
    }

    /// What lies over that tree for a machine of this name, if anything does.
    pub(crate) fn layer(&self, name: &str) -> Option<&Path> {
        let layer = self.layers.iter().find(|layer| name.starts_with(&layer.prefix))?;
        Some(&layer.folder)
    }

    /// Takes all of it up again. The machines must be gone.
    ///
    /// # Errors
    /// Something cannot be removed.
    pub(crate) async fn take_up(&self) -> Result<(), BackingError> {
        self.parts.lab.lock().await.close().await?;
        self.stack.release().await
    }
}

impl Parts {
    async fn make(
        stack: &Stack,
        options: &Options,
        sources: &Sources,
    ) -> Result<Self, BackingError> {
        let cache_dir = cache_dir(options)?;
        let group = stack.group().child("apt");
        group.make()?;
        let apt = AptCache::start(
            &cache_dir.join("apt"),
            &stack.folder().join("apt"),
            sources,
            &group,
            stack.children(),
        )
        .await?;
        let builder = Builder {
            cache_dir: &cache_dir.join("root-fs"),
            run_dir: stack.folder(),
            sources,
            apt: &apt,
            group: stack.group(),
            children: stack.children(),
        };
        let root_fs = builder.ensure().await?;
        let metadata = Metadata::default();
        let mut lab = Lab::open(&stack.lab_name()).await?;
        lab.serve_metadata(metadata.clone()).await?;
        lab.forward(SocketAddr::from((GATEWAY, APT_PORT)), apt.address()).await?;
        for port in &options.forwards {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, *port));
            lab.forward(address, address).await?;
        }
        Ok(Self { metadata, root_fs, lab: tokio::sync::Mutex::new(lab), _apt: apt })
    }
}

/// The folder that later runs use again, made and in its final form.
fn cache_dir(options: &Options) -> Result<PathBuf, BackingError> {
    let dir = options.cache_dir.clone().unwrap_or_else(|| {
        let beside = options.state_dir.parent().unwrap_or(&options.state_dir);
        beside.join("cache")
    });
    let context = format!("making {}", dir.display());
    std::fs::create_dir_all(&dir).map_err(io(context.clone()))?;
    dir.canonicalize().map_err(io(context))
}

/// The layers, with their folders in final form.
fn found(layers: &[Layer]) -> Result<Vec<Layer>, BackingError> {
    let find = |layer: &Layer| {
        let folder = layer.folder.canonicalize();
        let folder = folder.map_err(io(format!("looking for {}", layer.folder.display())))?;
        Ok(Layer { folder, ..layer.clone() })
    };
    layers.iter().map(find).collect()
}

/// Root, and not the confined one of an ordinary container.
fn require_rights() -> Result<(), BackingError> {
    let unavailable = |reason: &str| {
        Err(BackingError::Unavailable { backing: "real", reason: reason.to_owned() })
    };
    if !nix::unistd::geteuid().is_root() {
        return unavailable("it needs root; run as root (sudo) for real machines");
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    if !has_capabilities(&status) {
        return unavailable(
            "root here may not mount or lay out networks (no CAP_SYS_ADMIN or CAP_NET_ADMIN); \
             run on the host itself, or in a container with --privileged",
        );
    }
    Ok(())
}

/// Whether CAP_NET_ADMIN (12) and CAP_SYS_ADMIN (21) are in force, by the text
/// of `/proc/self/status`.
fn has_capabilities(status: &str) -> bool {
    const NEEDED: u64 = 1 << 12 | 1 << 21;
    let mask = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .is_some_and(|mask| mask & NEEDED == NEEDED)
}

fn raise_inotify() {
    let now = std::fs::read_to_string(INOTIFY).unwrap_or_default();
    if !now.trim().parse::<u32>().is_ok_and(|now| now < INOTIFY_WANTED) {
        return;
    }
    match std::fs::write(INOTIFY, INOTIFY_WANTED.to_string()) {
        Ok(()) => tracing::info!(
            "fs.inotify.max_user_instances raised from {} to {INOTIFY_WANTED}, for many machines",
            now.trim()
        ),
        Err(error) => tracing::warn!(
            "fs.inotify.max_user_instances is {} and cannot be raised ({error}): keep below 20 machines",
            now.trim()
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::has_capabilities;

    #[test]
    fn a_confined_root_is_told_from_a_full_one() {
        assert!(has_capabilities("Name:\tx\nCapEff:\t000001fffeffffff\n"));
        // What an ordinary container's root has.
        assert!(!has_capabilities("CapEff:\t00000000a80425fb\n"));
        assert!(!has_capabilities(""));
    }
}
