//! What stands behind a server: a real machine, or nothing.
//!
//! The world decides what the API shows and when; a backing only lays down,
//! boots, switches and removes machines, and says truthfully what it can do.

#[cfg(target_os = "linux")]
pub(crate) mod children;
pub mod choice;
#[cfg(target_os = "linux")]
pub(crate) mod command;
#[cfg(target_os = "linux")]
mod disk;
mod engine;
#[cfg(target_os = "linux")]
mod folder;
#[cfg(target_os = "linux")]
mod ground;
#[cfg(target_os = "linux")]
pub(crate) mod group;
#[cfg(target_os = "linux")]
mod machine;
#[cfg(target_os = "linux")]
mod machines;
pub mod none;
#[cfg(target_os = "linux")]
mod root_fs;
#[cfg(target_os = "linux")]
mod stack;
#[cfg(target_os = "linux")]
mod tools;

pub use choice::{Kind, Layer, Options, choose, clean_up};

use std::future::Future;
use std::net::Ipv4Addr;
use std::pin::Pin;

use serde::Serialize;

/// An answer of a backing, boxed so that the trait stays object safe.
pub type BackingFuture<'a> = Pin<Box<dyn Future<Output = Result<(), BackingError>> + Send + 'a>>;

/// All a backing needs to know to lay down and boot one machine.
#[derive(Clone)]
pub struct MachineSpec {
    /// Id of the server in the API.
    pub id: u64,
    /// Name of the server, which is the machine's host name.
    pub name: String,
    /// Its public address, inside the lab network.
    pub ipv4: Ipv4Addr,
    /// Name of the image, such as `debian-13`.
    pub image: String,
    /// Size of its disk, in GiB.
    pub disk_gb: u32,
    /// Name of the location, such as `fsn1`.
    pub location: String,
    /// User data as the caller gave it.
    pub user_data: Option<String>,
    /// Public keys of the SSH keys named at creation, OpenSSH one-line form.
    pub authorized_keys: Vec<String>,
}

/// Without the user data, which may hold secrets.
impl std::fmt::Debug for MachineSpec {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("MachineSpec")
            .field("id", &self.id)
            .field("name", &self.name)
            .field("ipv4", &self.ipv4)
            .field("image", &self.image)
            .finish_non_exhaustive()
    }
}

/// A change of power.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Power {
    /// Boot a machine that is off.
    On,
    /// Stop it at once.
    Off,
    /// Stop it at once and boot it again.
    Reset,
}

/// Why a backing could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum BackingError {
    /// The backing cannot be used on this machine; the text says what would
    /// make it possible.
    #[error("backing {backing} cannot be used: {reason}")]
    Unavailable {
        /// Name of the backing.
        backing: &'static str,
        /// What is missing, and what would make it possible.
        reason: String,
    },
    /// The stack cannot have its name now, or never.
    #[error("stack {stack:?}: {reason}")]
    Stack {
        /// The name.
        stack: String,
        /// What is in the way.
        reason: String,
    },
    /// The image named has no root file system here.
    #[error("no machine image for {0}; there is one for debian-13")]
    UnknownImage(String),
    /// No machine has this id.
    #[error("no machine with id {0}")]
    UnknownMachine(u64),
    /// A command of the host failed.
    #[error("{command} failed: {detail}")]
    Command {
        /// The command, without secrets.
        command: String,
        /// Exit status and the end of its output.
        detail: String,
    },
    /// The machine did not get as far as it should in time.
    #[error("machine {id}: {what} not reached within {secs} s")]
    TimedOut {
        /// Id of the server.
        id: u64,
        /// What was waited for.
        what: &'static str,
        /// How long, in seconds.
        secs: u64,
    },
    /// Reading or writing failed.
    #[error("{context}: {source}")]
    Io {
        /// What was being done.
        context: String,
        /// The cause.
        source: std::io::Error,
    },
}

/// What a backing says of itself; the body of `GET /_sim/backing`.
#[derive(Debug, Clone, Serialize)]
pub struct BackingInfo {
    /// `nspawn`, `podman` or `none`.
    pub backing: &'static str,
    /// Path of the lab's network namespace, if there is one.
    pub netns: Option<String>,
    /// Whether servers are real machines that can be reached.
    pub real: bool,
    /// One sentence for a person: what was chosen and why.
    pub note: String,
}

/// What stands behind the servers of a simulator.
pub trait Backing: Send + Sync + 'static {
    /// What this backing is.
    fn info(&self) -> BackingInfo;
    /// Lays a machine down and starts it; ends when its init has been started.
    /// The boot itself goes on; SSH answers some seconds later.
    fn create(&self, spec: MachineSpec) -> BackingFuture<'_>;
    /// Changes the power of a machine; ends when that is done.
    fn power(&self, id: u64, power: Power) -> BackingFuture<'_>;
    /// Removes a machine and lays it down again as it was when it was created; ends when its init
    /// has been started.
    fn rebuild(&self, id: u64) -> BackingFuture<'_>;
    /// Removes a machine; ends when nothing of it is left. A machine that was
    /// never laid down is removed already.
    fn destroy(&self, id: u64) -> BackingFuture<'_>;
    /// Destroys all machines and removes the lab.
    fn shut_down(&self) -> BackingFuture<'_>;
}
