//! The package cache: an apt-cacher-ng of our own on the host's loopback, the
//! only thing in the lab's reach that fetches from outside.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::process::Child;

use super::apt_sources::Sources;
use crate::backing::BackingError;
use crate::backing::children::Children;
use crate::backing::command::{file_tail, io};
use crate::backing::group::Group;

/// Ports tried, from one that follows from the process id, so that runs that
/// start together do not try the same. apt-cacher-ng 3.7.4 refuses ports above
/// 32767 (observed), and from 32768 on the kernel hands them out by itself.
const FIRST_PORT: u16 = 24_000;
const PORTS: u16 = 8_000;
const TRIES: u16 = 50;
/// How long it may take to listen.
const START_SECS: u64 = 20;

/// A running cache. Its packages outlive it.
#[derive(Debug)]
pub struct AptCache {
    address: SocketAddr,
    _process: Child,
    _lock: Option<File>,
}

impl AptCache {
    /// Starts a cache that keeps packages below `cache_dir` and the rest
    /// (configuration, log) below `run_dir`. A `cache_dir` in use by another
    /// run is left to it: then packages are kept below `run_dir` too.
    ///
    /// # Errors
    /// It cannot be started or does not listen in time.
    pub async fn start(
        cache_dir: &Path,
        run_dir: &Path,
        sources: &Sources,
        group: &Group,
        children: &Children,
    ) -> Result<Self, BackingError> {
        let make = |dir: &Path| {
            std::fs::create_dir_all(dir).map_err(io(format!("making {}", dir.display())))
        };
        make(cache_dir)?;
        make(run_dir)?;
        let lock = lock(cache_dir)?;
        let packages =
            if lock.is_some() { cache_dir.join("packages") } else { run_dir.join("packages") };
        if lock.is_none() {
            tracing::info!("the package cache is in use by another run; this one starts empty");
        }
        make(&packages)?;
        let log = run_dir.join("output.log");
        let mut last = String::new();
        let offset = (std::process::id() % u32::from(PORTS)) as u16;
        for turn in 0..TRIES {
            let port = FIRST_PORT + (offset + turn) % PORTS;
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            if TcpListener::bind(address).is_err() {
                continue;
            }
            write_config(run_dir, &packages, port, sources.proxy.as_deref())?;
            let config = run_dir.join("config");
            let words = ["apt-cacher-ng".as_ref(), "-c".as_ref(), config.as_os_str()];
            let mut process = children.start(group, &words, &log).await?;
            match listening(address, &mut process).await {
                Ok(()) => return Ok(Self { address, _process: process, _lock: lock }),
                // Another took the port between the look and the start.
                Err(detail) => last = format!("{detail}: {}", file_tail(&log)),
            }
            let _ = process.kill().await;
            if last.starts_with("not listening") {
                break;
            }
        }
        Err(BackingError::Command { command: "apt-cacher-ng".to_owned(), detail: last })
    }

    /// Where it listens, on the host.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Takes the cache folder for this process; `None` if another has it.
fn lock(cache_dir: &Path) -> Result<Option<File>, BackingError> {
    let path = cache_dir.join("lock");
    let file = File::create(&path).map_err(io(format!("making {}", path.display())))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(std::fs::TryLockError::WouldBlock) => Ok(None),
        Err(std::fs::TryLockError::Error(error)) => {
            Err(io(format!("locking {}", path.display()))(error))
        }
    }
}

fn write_config(
    run_dir: &Path,
    packages: &Path,
    port: u16,
    proxy: Option<&str>,
) -> Result<PathBuf, BackingError> {
    let config = run_dir.join("config");
    std::fs::create_dir_all(&config).map_err(io(format!("making {}", config.display())))?;
    let mut text = format!(
        "CacheDir: {}\nLogDir: {}\nSocketPath: {}\nSupportDir: /usr/lib/apt-cacher-ng\n\
         Port: {port}\nBindAddress: 127.0.0.1\nForeGround: 1\nExThreshold: 30\n",
        packages.display(),
        run_dir.display(),
        run_dir.join("socket").display(),
    );
    if let Some(proxy) = proxy {
        text.push_str(&format!("Proxy: {proxy}\n"));
    }
    let file = config.join("acng.conf");
    std::fs::write(&file, text).map_err(io(format!("writing {}", file.display())))?;
    Ok(config)
}

/// Waits until `address` accepts connections.
async fn listening(address: SocketAddr, process: &mut Child) -> Result<(), String> {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(START_SECS);
    loop {
        // The process first: a port that another program took answers too.
        if let Ok(Some(status)) = process.try_wait() {
            return Err(format!("ended with {status}"));
        }
        if TcpStream::connect(address).await.is_ok() {
            return Ok(());
        }
        if tokio::time::Instant::now() > deadline {
            return Err(format!("not listening after {START_SECS} s"));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
