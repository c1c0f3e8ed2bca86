//! Picks the backing: the one asked for, or the most real one that this
//! machine can run.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use super::engine::Engine;
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
    /// What lies over the image of some machines.
    pub layers: Vec<Layer>,
}

/// A folder that lies over the image of the machines whose names begin with a prefix: a first boot
/// that is not the image's usual one, or a machine that was set up before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// How the names of its machines begin.
    pub prefix: String,
    /// What lies over the image.
    pub folder: PathBuf,
}

/// A layer that is not `PREFIX=FOLDER`.
#[derive(Debug, thiserror::Error)]
#[error("a layer is PREFIX=FOLDER")]
pub struct LayerError;

impl FromStr for Layer {
    type Err = LayerError;

    fn from_str(text: &str) -> Result<Self, LayerError> {
        let (prefix, folder) = text.split_once('=').ok_or(LayerError)?;
        if prefix.is_empty() || folder.is_empty() {
            return Err(LayerError);
        }
        Ok(Self { prefix: prefix.to_owned(), folder: folder.into() })
    }
}

/// Makes the backing that `options` asks for. With [`Kind::Auto`] one that
/// cannot be used is passed over, and the note of the one chosen says why.
/// The first real backing on a host takes minutes, told on the log. Dropping
/// the future, or the backing, removes what was made.
///
/// # Errors
/// A backing asked for by name that cannot be used here, with what would make
/// it possible; or one that could be used and failed.
pub async fn choose(options: &Options) -> Result<Arc<dyn Backing>, BackingError> {
    let engines: &[Engine] = match options.kind {
        Kind::Auto => &[Engine::Nspawn, Engine::Podman],
        Kind::Nspawn => &[Engine::Nspawn],
        Kind::Podman => &[Engine::Podman],
        Kind::None => return Ok(Arc::new(NoMachines::default())),
    };
    let mut reasons = Vec::new();
    for engine in engines {
        match real(options, *engine, &reasons).await {
            Ok(backing) => return Ok(backing),
            Err(BackingError::Unavailable { reason, .. }) => {
                let error = BackingError::Unavailable { backing: engine.name(), reason };
                if options.kind != Kind::Auto {
                    return Err(error);
                }
                tracing::info!("{error}");
                reasons.push(error.to_string());
            }
            Err(error) => return Err(error),
        }
    }
    reasons.push("no machines: servers exist in the API only and cannot be reached".to_owned());
    Ok(Arc::new(NoMachines::new(reasons.join("; "))))
}

/// A backing with real machines.
#[cfg(target_os = "linux")]
async fn real(
    options: &Options,
    engine: Engine,
    passed_over: &[String],
) -> Result<Arc<dyn Backing>, BackingError> {
    let ground = super::ground::Ground::lay(options, engine).await?;
    let mut note = format!("real Debian 13 machines by {}", engine.name());
    for reason in passed_over {
        note.push_str("; ");
        note.push_str(reason);
    }
    let machines = super::machines::Machines::new(ground, engine, note);
    if let Err(error) = machines.try_one().await {
        machines.shut_down().await?;
        return Err(BackingError::Unavailable {
            backing: engine.name(),
            reason: format!("a machine made on trial does not boot: {error}"),
        });
    }
    Ok(Arc::new(machines))
}

/// A backing with real machines, which only Linux has.
#[cfg(not(target_os = "linux"))]
async fn real(
    _options: &Options,
    engine: Engine,
    _passed_over: &[String],
) -> Result<Arc<dyn Backing>, BackingError> {
    Err(BackingError::Unavailable {
        backing: engine.name(),
        reason: "it needs Linux (a virtual machine with Debian or Ubuntu will do)".to_owned(),
    })
}

/// Removes what a dead run of `stack` left below `state_dir` and on the host:
/// processes, mounts, namespaces, control groups, folders. Says what it
/// removed, one line each; nothing left is an empty list. Idempotent.
///
/// # Errors
/// A run of that name that still lives, or a left-over that cannot be removed.
pub async fn clean_up(state_dir: &Path, stack: &str) -> Result<Vec<String>, BackingError> {
    #[cfg(target_os = "linux")]
    if nix::unistd::geteuid().is_root() {
        return super::stack::clean_up(state_dir, stack).await;
    }
    // Without root on Linux there can have been no real machines.
    tracing::debug!(state_dir = %state_dir.display(), stack, "nothing to clean up");
    Ok(Vec::new())
}
