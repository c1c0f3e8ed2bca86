//! The run's own folder: what children need to know, and nothing secret. Only we can read it.

use std::{
    fs::{self, DirBuilder, OpenOptions, Permissions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use crate::{child, failure::Failure};

/// Removed when dropped, after every process that was started in it.
pub(crate) struct Scratch(TempDir);

impl Scratch {
    /// Makes the folder, with mode 0700.
    ///
    /// # Errors
    /// When the disk refuses, or when the path has characters that ssh's settings would split at.
    pub(crate) fn make(below: &Path) -> Result<Self, Failure> {
        // Short: the paths of ssh's control sockets have 104 bytes at most.
        let folder = tempfile::Builder::new()
            .prefix("t")
            .rand_bytes(6)
            .permissions(Permissions::from_mode(0o700))
            .tempdir_in(below);
        let scratch = Self(folder.map_err(|error| of_disk(below, &error))?);
        let path = scratch.path();
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte);
        if !path.to_str().is_some_and(|path| path.bytes().all(plain)) {
            return Err(Failure::of_task(format!(
                "the scratch folder's path has characters that ssh cannot take: {}",
                path.display()
            )));
        }
        DirBuilder::new()
            .mode(0o700)
            .create(scratch.tmp())
            .map_err(|error| of_disk(path, &error))?;
        Ok(scratch)
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn tmp(&self) -> PathBuf {
        self.path().join("tmp")
    }

    pub(crate) fn agent_socket(&self) -> PathBuf {
        self.path().join("agent")
    }

    pub(crate) fn inventory(&self) -> PathBuf {
        self.path().join("inventory.json")
    }

    pub(crate) fn vars(&self) -> PathBuf {
        self.path().join("vars.json")
    }

    pub(crate) fn known_hosts(&self) -> PathBuf {
        self.path().join("known_hosts")
    }

    /// The pin that is to be proved, alone.
    pub(crate) fn known_hosts_next(&self) -> PathBuf {
        self.path().join("known_hosts.next")
    }

    /// Where Ansible keeps the sockets of connections that it shares.
    pub(crate) fn control_sockets(&self) -> PathBuf {
        self.path().join(".ansible/cp")
    }

    /// Writes a file whole or not at all, with mode 0600.
    ///
    /// # Errors
    /// When the disk refuses.
    pub(crate) fn write(&self, path: &Path, contents: &[u8]) -> Result<(), Failure> {
        let new = path.with_extension("new");
        let write = || -> io::Result<()> {
            let mut options = OpenOptions::new();
            options.write(true).create(true).truncate(true).mode(0o600);
            options.open(&new)?.write_all(contents)?;
            fs::rename(&new, path)
        };
        write().map_err(|error| of_disk(path, &error))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        child::end_all_of(self.path());
    }
}

fn of_disk(path: &Path, error: &io::Error) -> Failure {
    Failure::of_task(format!("the scratch volume cannot be used ({}): {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn only_we_can_read_it_and_it_goes_away() {
        let below = tempfile::tempdir().unwrap();
        let scratch = Scratch::make(below.path()).unwrap();
        scratch.write(&scratch.vars(), b"{}").unwrap();
        scratch.write(&scratch.vars(), b"{\"a\":1}").unwrap();
        assert_eq!((mode(scratch.path()), mode(&scratch.vars())), (0o700, 0o600));
        assert_eq!(fs::read(scratch.vars()).unwrap(), b"{\"a\":1}");
        drop(scratch);
        assert_eq!(fs::read_dir(below.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_folder_that_ssh_cannot_name_is_refused() {
        let below = tempfile::tempdir().unwrap();
        let odd = below.path().join("with space");
        fs::create_dir(&odd).unwrap();
        assert!(
            Scratch::make(&odd).is_err_and(|failure| failure.message.contains("ssh cannot take"))
        );
        assert!(Scratch::make(&below.path().join("missing")).is_err());
    }
}
