//! Picks the backing: the one asked for, or the most real one that this
//! machine can run.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::none::NoMachines;
use super::{Backing, BackingError};

/// Which backing to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Kind {
    /// The most real one that can be used here: nspawn, podman, none.
    #[default]
    Auto,
    /// systemd-nspawn, as root on Linux.
    Nspawn,
    /// podman, as root on Linux.
    Podman,
    /// No machines.
    None,
}

/// What a backing is made from.
#[derive(Debug, Clone)]
pub struct Options {
    /// Which backing.
    pub kind: Kind,
    /// Name of the stack: lower-case letters, digits and hyphens, at most 32.
    /// Stacks of different names do not meet on one machine.
    pub stack: String,
    /// Folder for what lives as long as the run; each stack has its own below.
    pub state_dir: PathBuf,
    /// Folder for what later runs use again (root file system, packages);
    /// `cache` beside `state_dir` if absent.
    pub cache_dir: Option<PathBuf>,
    /// Ports of the host's 127.0.0.1 that the lab sees on its own 127.0.0.1.
    pub forwards: Vec<u16>,
    /// Debian mirror, if the host's apt sources name none.
    pub debian_mirror: Option<String>,
}

/// Makes the backing that `options` asks for. With [`Kind::Auto`] one that
/// cannot be used is passed over, and the note of the one chosen says why.
///
/// # Errors
/// A backing asked for by name that cannot be used here, with what would make
/// it possible.
pub async fn choose(options: &Options) -> Result<Arc<dyn Backing>, BackingError> {
    let reason = "real machines are not built yet";
    match options.kind {
        Kind::None => Ok(Arc::new(NoMachines::default())),
        Kind::Auto => Ok(Arc::new(NoMachines::new(reason))),
        Kind::Nspawn | Kind::Podman => Err(BackingError::Unavailable {
            backing: "nspawn",
            reason: reason.to_owned(),
        }),
    }
}

/// Removes what a dead run of `stack` left below `state_dir` and on the host:
/// processes, mounts, namespaces, control groups, folders. Says what it
/// removed, one line each; nothing left is an empty list. Idempotent.
///
/// # Errors
/// A run of that name that still lives, or a left-over that cannot be removed.
pub async fn clean_up(_state_dir: &Path, _stack: &str) -> Result<Vec<String>, BackingError> {
    Ok(Vec::new())
}
