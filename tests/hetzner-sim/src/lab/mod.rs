//! The network that the machines live in: one network namespace per stack,
//! with a bridge and **no route out**.
//!
//! Whoever talks to machines does so from inside that namespace, so that a
//! packet to a machine that is gone can go nowhere. What the machines need from
//! outside (metadata, packages) and what those inside need of the host (ports
//! forwarded) comes through sockets that this process makes in the namespace.

#![cfg(target_os = "linux")]

pub mod apt_cache;
pub mod apt_sources;
pub mod metadata;
pub mod netns;
pub mod proxy;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use tokio::task::JoinSet;

use crate::backing::BackingError;
use crate::backing::command::{SHORT, io, run, run_within};
use metadata::Metadata;
use proxy::Target;

/// Address of the bridge: the machines' router, which routes nowhere.
pub const GATEWAY: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);
/// Bits of the machines' network.
pub const PREFIX_BITS: u8 = 24;
/// Where machines ask for their metadata, as at Hetzner.
pub const METADATA: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)), 80);
/// Port of the gateway where machines get packages.
pub const APT_PORT: u16 = 3142;
/// The bridge's name inside the namespace.
const BRIDGE: &str = "br0";

/// A lab network, and the services in it.
#[derive(Debug)]
pub struct Lab {
    name: String,
    services: JoinSet<()>,
}

impl Lab {
    /// Makes the namespace `name` and its bridge.
    ///
    /// # Errors
    /// A command of iproute2 that fails, such as for want of rights.
    pub async fn open(name: &str) -> Result<Self, BackingError> {
        run("ip", &["netns", "add", name]).await?;
        let lab = Self { name: name.to_owned(), services: JoinSet::new() };
        let metadata = METADATA.ip();
        configure(
            name,
            &format!(
                "link set lo up\n\
                 link add {BRIDGE} type bridge\n\
                 addr add {GATEWAY}/{PREFIX_BITS} dev {BRIDGE}\n\
                 addr add {metadata}/32 dev {BRIDGE}\n\
                 link set {BRIDGE} up\n"
            ),
        )
        .await?;
        Ok(lab)
    }

    /// Path of the namespace, for `nsenter --net=`.
    pub fn path(&self) -> PathBuf {
        path_of(&self.name)
    }

    /// Serves the machines' metadata, which `metadata` holds.
    ///
    /// # Errors
    /// The socket cannot be made.
    pub async fn serve_metadata(&mut self, metadata: Metadata) -> Result<(), BackingError> {
        let listener = netns::listen(&self.path(), METADATA).await?;
        self.services.spawn(metadata::serve(listener, metadata));
        Ok(())
    }

    /// Makes `from`, an address inside, lead to `to`, outside.
    ///
    /// # Errors
    /// The socket cannot be made.
    pub async fn forward(&mut self, from: SocketAddr, to: Target) -> Result<(), BackingError> {
        let listener = netns::listen(&self.path(), from).await?;
        self.services.spawn(proxy::serve(listener, to));
        Ok(())
    }

    /// Ends the services and removes the namespace.
    ///
    /// # Errors
    /// The namespace is there and cannot be removed.
    pub async fn close(&mut self) -> Result<(), BackingError> {
        self.services.shutdown().await;
        remove(&self.name).await
    }
}

/// Path of the namespace `name`.
pub(crate) fn path_of(name: &str) -> PathBuf {
    PathBuf::from("/run/netns").join(name)
}

/// Gives a machine a namespace of its own, wired to the lab's bridge.
///
/// The hardware address follows from the address, so that a neighbour who
/// remembers the last holder of an address reaches the next one.
///
/// # Errors
/// A command of iproute2 that fails.
pub(crate) async fn plug(
    lab: &str,
    machine: &str,
    port: &str,
    address: Ipv4Addr,
) -> Result<(), BackingError> {
    run("ip", &["netns", "add", machine]).await?;
    let [a, b, c, d] = address.octets();
    configure(
        lab,
        &format!(
            "link add {port} type veth peer name eth0 address 02:00:{a:02x}:{b:02x}:{c:02x}:{d:02x} netns {machine}\n\
             link set {port} master {BRIDGE} up\n"
        ),
    )
    .await?;
    configure(
        machine,
        &format!(
            "link set lo up\n\
             link set eth0 up\n\
             addr add {address}/{PREFIX_BITS} dev eth0\n\
             route add default via {GATEWAY}\n"
        ),
    )
    .await
}

/// Cuts a machine's cable and removes its namespace; nothing there is fine.
///
/// # Errors
/// The namespace is there and cannot be removed.
pub(crate) async fn unplug(lab: &str, machine: &str, port: &str) -> Result<(), BackingError> {
    cut(lab, port).await;
    remove(machine).await
}

/// Removes a machine's cable, both ends with it; none is fine.
pub(crate) async fn cut(lab: &str, port: &str) {
    let _ = run("ip", &["-n", lab, "link", "del", port]).await;
}

/// Removes a namespace; nothing there is fine.
///
/// # Errors
/// It is there and cannot be removed.
pub(crate) async fn remove(name: &str) -> Result<(), BackingError> {
    if !path_of(name).exists() {
        return Ok(());
    }
    run("ip", &["netns", "del", name]).await.map(drop)
}

/// Names of the namespaces that exist and start with `prefix`.
///
/// # Errors
/// The folder of namespaces cannot be read.
pub(crate) fn names_starting(prefix: &str) -> Result<Vec<String>, BackingError> {
    let folder = path_of("");
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let context = format!("reading {}", folder.display());
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&folder).map_err(io(context.clone()))? {
        let name = entry.map_err(io(context.clone()))?.file_name();
        let name = name.to_string_lossy();
        if name.starts_with(prefix) {
            names.push(name.into_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// Runs several commands of iproute2 in a namespace.
async fn configure(name: &str, commands: &str) -> Result<(), BackingError> {
    run_within("ip", &["-n", name, "-batch", "-"], commands, SHORT).await.map(drop)
}
